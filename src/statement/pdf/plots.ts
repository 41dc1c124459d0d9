import { colours, duration, fonts, number, shown, sizes } from './look.js';
import type { Sheet } from './sheet.js';

type Doc = Parameters<Parameters<Sheet['figure']>[2]>[0];

const text = (
  doc: Doc,
  words: string,
  x: number,
  y: number,
  width: number,
  align: 'left' | 'center' | 'right' = 'left',
  colour: string = colours.soft,
): void => {
  doc
    .font(fonts.text)
    .fontSize(sizes.small)
    .fillColor(colour)
    .text(shown(words), x, y, { width, align, lineBreak: false, ellipsis: true });
};

/** The least round number (1, 2 or 5 times a power of ten) of which `most` needs at most `steps`. */
export const stepFor = (most: number, steps: number): number => {
  const rough = Math.max(1, most / steps);
  const power = 10 ** Math.floor(Math.log10(rough));
  const times = [1, 2, 5, 10].find((one) => one * power >= rough) ?? 10;
  return times * power;
};

export interface Stack {
  /** The beginning of the day, week or month. */
  readonly from: string;
  /** One for each series, from the ground up. */
  readonly values: readonly number[];
}

export interface Series {
  readonly name: string;
  readonly colour: string;
}

const BAR = { left: 44, top: 22, bottom: 20, legend: 8 } as const;
const LABEL_WIDTH = 52;

/** Bars standing on each other, one for each stretch of time, with the series named above. */
export const drawStacks =
  (series: readonly Series[], stacks: readonly Stack[], height: number) =>
  (doc: Doc, x: number, y: number, width: number): void => {
    const most = Math.max(1, ...stacks.map(({ values }) => values.reduce((a, b) => a + b, 0)));
    const step = stepFor(most, 5);
    const top = Math.ceil(most / step) * step;
    const [left, ground] = [x + BAR.left, y + height - BAR.bottom];
    const [wide, high] = [width - BAR.left, height - BAR.top - BAR.bottom];
    legend(doc, series, left, y);
    for (let value = 0; value <= top; value += step) {
      const at = ground - (value / top) * high;
      doc
        .moveTo(left, at)
        .lineTo(left + wide, at)
        .lineWidth(value === 0 ? 0.8 : 0.4)
        .strokeColor(value === 0 ? colours.faint : colours.rule)
        .stroke();
      text(doc, number(value), x, at - 3.5, BAR.left - 6, 'right');
    }
    const each = wide / Math.max(1, stacks.length);
    const gap = Math.min(3, each * 0.25);
    const every = Math.max(1, Math.ceil(LABEL_WIDTH / each));
    for (const [i, { from, values }] of stacks.entries()) {
      let base = ground;
      for (const [k, value] of values.entries()) {
        if (value === 0) continue;
        const tall = (value / top) * high;
        doc
          .rect(left + i * each + gap / 2, base - tall, each - gap, tall)
          .fillColor(series[k]?.colour ?? colours.faint)
          .fill();
        base -= tall;
      }
      if (i % every === 0 && (i + 0.5) * each + LABEL_WIDTH / 2 <= wide + LABEL_WIDTH / 2) {
        text(
          doc,
          from.slice(0, 10),
          left + (i + 0.5) * each - LABEL_WIDTH / 2,
          ground + 6,
          LABEL_WIDTH,
          'center',
        );
      }
    }
  };

const legend = (doc: Doc, series: readonly Series[], left: number, y: number): void => {
  let x = left;
  for (const { name, colour } of series) {
    doc
      .rect(x, y + 1, BAR.legend, BAR.legend)
      .fillColor(colour)
      .fill();
    doc.font(fonts.text).fontSize(sizes.small);
    const wide = doc.widthOfString(shown(name)) + 4;
    text(doc, name, x + BAR.legend + 4, y + 2, wide, 'left', colours.ink);
    x += BAR.legend + wide + 16;
  }
};

export interface Bar {
  readonly name: string;
  readonly value: number;
}

export const ROW_HEIGHT = 15;
const NAME_WIDTH = 150;

/** Lying bars with their names to the left and their values at the end. */
export const drawBars =
  (bars: readonly Bar[], colour: string) =>
  (doc: Doc, x: number, y: number, width: number): void => {
    const most = Math.max(1, ...bars.map(({ value }) => value));
    const wide = width - NAME_WIDTH - 60;
    for (const [i, { name, value }] of bars.entries()) {
      const top = y + i * ROW_HEIGHT;
      text(doc, name, x, top + 4, NAME_WIDTH - 8, 'right', colours.ink);
      const long = Math.max(value === 0 ? 0 : 0.8, (value / most) * wide);
      doc
        .rect(x + NAME_WIDTH, top + 2, long, ROW_HEIGHT - 5)
        .fillColor(colour)
        .fill();
      text(doc, number(value), x + NAME_WIDTH + long + 4, top + 4, 56);
    }
  };

export interface Lane {
  readonly name: string;
  /** Ms since 1970; what lies outside the period is cut off. */
  readonly spans: readonly { readonly from: number; readonly to: number }[];
}

export const LANE_HEIGHT = 16;
const LANE_NAME = 150;

/** When what was out of order, one lane for each part. What is too short to be seen is drawn as thin as can be seen. */
export const drawLanes =
  (lanes: readonly Lane[], period: { readonly from: number; readonly to: number }) =>
  (doc: Doc, x: number, y: number, width: number): void => {
    const left = x + LANE_NAME;
    const wide = width - LANE_NAME;
    const all = period.to - period.from;
    const at = (ms: number): number =>
      left + (Math.min(Math.max(ms, period.from), period.to) - period.from) * (wide / all);
    const ground = y + lanes.length * LANE_HEIGHT;
    for (const [i, { name }] of lanes.entries()) {
      const top = y + i * LANE_HEIGHT;
      doc
        .rect(left, top + 2, wide, LANE_HEIGHT - 4)
        .fillColor(colours.band)
        .fill();
      text(doc, name, x, top + 4.5, LANE_NAME - 8, 'right', colours.ink);
    }
    for (const moment of marks(period)) {
      const place = at(moment);
      doc
        .moveTo(place, y)
        .lineTo(place, ground + 3)
        .lineWidth(0.4)
        .strokeColor(colours.rule)
        .stroke();
      if (place + 26 > left + wide) continue;
      text(doc, new Date(moment).toISOString().slice(0, 10), place - 26, ground + 6, 52, 'center');
    }
    for (const [i, { spans }] of lanes.entries()) {
      for (const { from, to } of spans) {
        const begin = Math.min(at(from), left + wide - 0.9);
        doc
          .rect(begin, y + i * LANE_HEIGHT + 2, Math.max(0.9, at(to) - begin), LANE_HEIGHT - 4)
          .fillColor(colours.bad)
          .fill();
      }
    }
  };

const DAY_MS = 86_400_000;

/** The first of each month, or for short periods days, but never more than there is room for. */
const marks = ({ from, to }: { readonly from: number; readonly to: number }): number[] => {
  const found: number[] = [];
  if (to - from > 62 * DAY_MS) {
    const begin = new Date(from);
    for (let month = begin.getUTCMonth(); ; month += 1) {
      const at = Date.UTC(begin.getUTCFullYear(), month, 1);
      if (at >= to) break;
      if (at >= from) found.push(at);
    }
  } else {
    for (let at = Math.ceil(from / DAY_MS) * DAY_MS; at < to; at += DAY_MS) found.push(at);
  }
  const every = Math.max(1, Math.ceil(found.length / 6));
  return found.filter((_, i) => i % every === 0);
};

/** What a lane says in words. */
export const laneText = ({ name, spans }: Lane): string =>
  `${name}: ${spans.length} times, ${duration(spans.reduce((sum, { from, to }) => sum + Math.max(0, to - from), 0))}`;
