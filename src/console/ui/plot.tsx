import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import UPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useCell } from '../app/cell.js';
import { type Language, language, theme } from '../app/settings.js';
import { useWords } from '../app/words.js';
import { Table } from './table.js';
import { numberText, timeText } from './value.js';
import { uiWords } from './words.js';

interface PlotProps {
  readonly title: string;
  /** What is on the x axis: moments (seconds since 1970), or values with a name of their own. */
  readonly x:
    | { readonly kind: 'time'; readonly label: string; readonly at: readonly number[] }
    | { readonly kind: 'named'; readonly label: string; readonly names: readonly string[] };
  readonly series: readonly {
    readonly label: string;
    readonly values: readonly (number | null)[];
    /** What stands for one decision has its colour here as everywhere. Default: one colour after the other. */
    readonly of?: 'monitored' | 'private' | 'refused';
  }[];
  readonly unit?: string;
  /** `points`: several values of each named thing, beside a line of its own. */
  readonly shape?: 'line' | 'bars' | 'points';
  /** Pixels; default 220. */
  readonly height?: number;
  readonly digits?: number;
  /** Orders of magnitude rather than differences. */
  readonly log?: boolean;
}

/** The name of a series' colour: `plot-1` and on, or that of a decision. */
const colourOf = ({ of }: PlotProps['series'][number], at: number): string =>
  of ?? `plot-${(at % PLOT_COLOURS) + 1}`;

/** What a colour of the style sheet comes to now: a canvas knows no variables. */
const colour = (probe: HTMLElement, name: string): string => {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
};

const PLOT_COLOURS = 5;

const axesOf = (
  { x, unit, digits = 0 }: PlotProps,
  of: Language,
  ink: () => string,
  line: () => string,
): UPlot.Axis[] => {
  const common = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  const font = '12px system-ui, sans-serif';
  return [
    x.kind === 'time'
      ? {
          ...common,
          font,
          values: (_plot, at) =>
            at.map((one) => timeText(new Date(one * 1000).toISOString(), of, 'time').slice(0, 5)),
        }
      : {
          ...common,
          font,
          splits: () => x.names.map((_name, at) => at),
          values: () => [...x.names],
          grid: { show: false },
        },
    {
      ...common,
      font,
      size: 84,
      values: (_plot, values) =>
        values.map((one) =>
          one === null ? '' : `${numberText(one, of, digits)}${unit === undefined ? '' : ` ${unit}`}`,
        ),
    },
  ];
};

/** A plot that is the same as a table to whoever cannot see it; the table is there for everybody. */
export const Plot = (props: PlotProps): JSX.Element => {
  const { title, x, series, unit, shape = 'line', height = 220, digits = 0, log = false } = props;
  const words = useWords(uiWords);
  const of = useCell(language);
  const look = useCell(theme);
  const place = useRef<HTMLDivElement>(null);
  const probe = useRef<HTMLSpanElement>(null);
  const key = JSON.stringify([x, series, unit, shape, height, digits, log, of, look]);
  // The key holds everything that is drawn.
  useEffect(() => {
    const { current: box } = place;
    const { current: test } = probe;
    if (box === null || test === null) return;
    const ink = (): string => colour(test, '--ink-soft');
    const line = (): string => colour(test, '--line');
    const named = x.kind === 'named';
    const plot = new UPlot(
      {
        width: Math.max(200, box.clientWidth),
        height,
        padding: [12, 12, 0, 0],
        cursor: { show: false },
        legend: { show: false },
        scales: {
          x: named ? { time: false, range: () => [-0.5, x.names.length - 0.5] } : { time: true },
          y: log ? { distr: 3, log: 10 } : { range: (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1] },
        },
        axes: axesOf(props, of, ink, line),
        series: [
          {},
          ...series.map((one, at) => ({
            label: one.label,
            width: 2,
            stroke: () => colour(test, `--${colourOf(one, at)}`),
            ...(shape === 'bars'
              ? {
                  paths: UPlot.paths.bars?.({ size: [0.7 / series.length, 48], align: 0 }) ?? (() => null),
                  fill: () => colour(test, `--${colourOf(one, at)}`),
                }
              : shape === 'points'
                ? {
                    paths: () => null,
                    points: {
                      ...{ show: true, size: 10, width: 2 },
                      fill: () => colour(test, `--${colourOf(one, at)}`),
                    },
                  }
                : { points: { show: (x.kind === 'time' ? x.at : x.names).length < 40 } }),
          })),
        ],
      },
      [named ? x.names.map((_name, at) => at) : [...x.at], ...series.map(({ values }) => [...values])],
      box,
    );
    const fit = new ResizeObserver(() => plot.setSize({ width: Math.max(200, box.clientWidth), height }));
    fit.observe(box);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const redraw = (): void => plot.redraw();
    dark.addEventListener('change', redraw);
    return () => {
      dark.removeEventListener('change', redraw);
      fit.disconnect();
      plot.destroy();
    };
  }, [key]);
  const names =
    x.kind === 'named' ? x.names : x.at.map((at) => timeText(new Date(at * 1000).toISOString(), of));
  return (
    <figure class="plot">
      <figcaption>{title}</figcaption>
      <div class="plot-legend" aria-hidden="true">
        {series.length > 1 &&
          series.map((one, at) => (
            <span key={one.label} class={`plot-key plot-key-of-${colourOf(one, at)}`}>
              {one.label}
            </span>
          ))}
      </div>
      <div class="plot-canvas" aria-hidden="true" ref={place} />
      <span class="plot-probe" ref={probe} aria-hidden="true" />
      <details>
        <summary>{words.asTable}</summary>
        <Table
          caption={title}
          hideCaption
          rows={names.map((name, at) => ({ name, at }))}
          rowKey={({ at }) => String(at)}
          columns={[
            { key: 'x', head: x.label, cell: ({ name }) => name, rowHead: true },
            ...series.map(({ label, values }, of_) => ({
              key: `s${of_}`,
              head: unit === undefined ? label : `${label} (${unit})`,
              numeric: true,
              cell: ({ at }: { readonly at: number }) => {
                const value = values[at] ?? null;
                return value === null ? '–' : numberText(value, of, Math.max(digits, 2));
              },
            })),
          ]}
        />
      </details>
    </figure>
  );
};
