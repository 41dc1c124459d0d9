import { clock, escaped } from './text.js';

export interface PlotSeries {
  readonly name: string;
  /** Milliseconds since the start, and the value; null where there was none: the line has a gap there. */
  readonly points: readonly (readonly [number, number | null])[];
}

export interface PlotBand {
  readonly label: string;
  readonly fromMs: number;
  readonly toMs: number;
}

export interface PlotOptions {
  readonly id: string;
  readonly title: string;
  /** What there is to see, for who cannot see it. */
  readonly description: string;
  readonly series: readonly PlotSeries[];
  readonly bands: readonly PlotBand[];
  readonly lengthMs: number;
  readonly scale: 'linear' | 'log';
  /** Writes a value of the axis. */
  readonly tick: (value: number) => string;
}

const size = { width: 920, height: 270, left: 74, right: 16, top: 26, bottom: 34 } as const;
const inner = {
  width: size.width - size.left - size.right,
  height: size.height - size.top - size.bottom,
} as const;
/** Bands beyond this many are drawn without their numbers, which would cover each other. */
const maxLabels = 40;

/** Round numbers that span the values: 1, 2 or 5 times a power of ten apart. */
export const linearTicks = (max: number, wanted = 5): readonly number[] => {
  if (!(max > 0)) return [0, 1];
  const rough = max / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((one) => one * power >= rough) ?? 10) * power;
  const ticks: number[] = [];
  for (let i = 0; (i - 1) * step < max; i++) ticks.push(i * step);
  return ticks;
};

/** Powers of ten around the values. */
export const logTicks = (min: number, max: number): readonly number[] => {
  const from = Math.floor(Math.log10(Math.max(min, 0.01)));
  const to = Math.max(from + 1, Math.ceil(Math.log10(Math.max(max, 0.01))));
  return Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i));
};

const timeSteps = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400];

/** Times for the axis below, in ms. */
export const timeTicks = (lengthMs: number, wanted = 8): readonly number[] => {
  const seconds = lengthMs / 1000;
  const step =
    timeSteps.find((one) => seconds / one <= wanted) ?? Math.ceil(seconds / wanted / 86_400) * 86_400;
  return Array.from({ length: Math.floor(seconds / step) + 1 }, (_, i) => i * step * 1000);
};

const at = (value: number): string => value.toFixed(1);

const lineOf = (
  points: PlotSeries['points'],
  x: (ms: number) => number,
  y: (value: number) => number,
): string => {
  let path = '';
  let down = false;
  for (const [ms, value] of points) {
    if (value === null || !Number.isFinite(value)) {
      down = false;
      continue;
    }
    path += `${down ? 'L' : 'M'}${at(x(ms))} ${at(y(value))}`;
    // A point between two gaps would otherwise not be seen.
    if (!down) path += 'h0.1';
    down = true;
  }
  return path;
};

const scaleOf = ({ series, scale }: PlotOptions) => {
  const values = series.flatMap(({ points }) =>
    points.flatMap(([, value]) => (value === null || !Number.isFinite(value) ? [] : [value])),
  );
  const max = values.reduce((most, value) => Math.max(most, value), 0);
  const min = values.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  const ticks = scale === 'log' ? logTicks(Number.isFinite(min) ? min : 1, max) : linearTicks(max);
  const [low = 0, high = 1] = [ticks[0], ticks.at(-1)];
  const share = (value: number): number =>
    scale === 'log'
      ? (Math.log10(Math.max(value, low)) - Math.log10(low)) / (Math.log10(high) - Math.log10(low))
      : (value - low) / (high - low);
  return { ticks, y: (value: number): number => size.top + inner.height * (1 - share(value)) };
};

/** A plot over time as an SVG element, with the faults as bands behind the lines. It needs the report's style sheet. */
export const plot = (options: PlotOptions): string => {
  const { id, title, description, series, bands, lengthMs, tick } = options;
  const x = (ms: number): number =>
    size.left + (inner.width * Math.min(ms, lengthMs)) / Math.max(lengthMs, 1);
  const { ticks, y } = scaleOf(options);
  const bottom = size.top + inner.height;
  const shaded = bands
    .map(({ fromMs, toMs, label }) => {
      const [left, right] = [x(fromMs), Math.max(x(toMs), x(fromMs) + 2)];
      const number =
        bands.length > maxLabels
          ? ''
          : `<text class="band-label" x="${at(left)}" y="${size.top - 6}">${escaped(label)}</text>`;
      return `<rect class="band" x="${at(left)}" y="${size.top}" width="${at(right - left)}" height="${inner.height}"/>${number}`;
    })
    .join('');
  const levels = ticks
    .map(
      (value) =>
        `<line class="grid" x1="${size.left}" x2="${size.width - size.right}" y1="${at(y(value))}" y2="${at(y(value))}"/><text class="tick" text-anchor="end" x="${size.left - 8}" y="${at(y(value) + 4)}">${escaped(tick(value))}</text>`,
    )
    .join('');
  const times = timeTicks(lengthMs)
    .map(
      (ms) =>
        `<text class="tick" text-anchor="middle" x="${at(x(ms))}" y="${bottom + 20}">${clock(ms)}</text>`,
    )
    .join('');
  const drawn = series
    .map(({ points }, i) => `<path class="line line-${i % 8}" d="${lineOf(points, x, y)}"/>`)
    .join('');
  return [
    `<svg viewBox="0 0 ${size.width} ${size.height}" role="img" aria-labelledby="${id}-title ${id}-description">`,
    `<title id="${id}-title">${escaped(title)}</title><desc id="${id}-description">${escaped(description)}</desc>`,
    `${shaded}${levels}<line class="axis" x1="${size.left}" x2="${size.width - size.right}" y1="${bottom}" y2="${bottom}"/>${times}${drawn}</svg>`,
  ].join('');
};

/** The names of the lines, each beside a piece of its line. */
export const legend = (series: readonly PlotSeries[]): string =>
  `<ul class="legend">${series
    .map(
      ({ name }, i) =>
        `<li><svg class="key" viewBox="0 0 28 10" aria-hidden="true"><path class="line line-${i % 8}" d="M1 5H27"/></svg>${escaped(name)}</li>`,
    )
    .join('')}</ul>`;
