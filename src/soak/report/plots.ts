import { heldName, outsideName } from '../final-look.js';
import type { Sample } from '../sample.js';
import type { ReportData } from './data.js';
import { legend, type PlotBand, type PlotOptions, type PlotSeries, plot } from './plot.js';
import { table } from './table.js';
import { clock, duration } from './text.js';

/** Rows of the table behind a plot: the values themselves, thinned out. */
const maxRows = 40;

const mebibytesOf = (bytes: number | null): number | null => (bytes === null ? null : bytes / 2 ** 20);

type Read = (sample: Sample) => number | null;

const seriesOf = (samples: readonly Sample[], reads: Readonly<Record<string, Read>>): PlotSeries[] =>
  Object.entries(reads).map(([name, read]) => ({
    name,
    points: samples.map((sample) => [sample.atMs, read(sample)] as const),
  }));

const rangeText = ({ name, points }: PlotSeries, tick: (value: number) => string): string => {
  const values = points.flatMap(([, value]) => (value === null ? [] : [value]));
  if (values.length === 0) return `${name}: no values`;
  const [min, max] = [Math.min(...values), Math.max(...values)];
  return `${name}: from ${tick(min)} to ${tick(max)}, at the end ${tick(values.at(-1) ?? 0)}`;
};

const behind = (title: string, series: readonly PlotSeries[], tick: (value: number) => string): string => {
  const length = series[0]?.points.length ?? 0;
  const step = Math.max(1, Math.ceil(length / maxRows));
  const rows = Array.from({ length: Math.ceil(length / step) }, (_, i) => {
    const at = i * step;
    return [
      clock(series[0]?.points[at]?.[0] ?? 0),
      ...series.map(({ points }) => {
        const value = points[at]?.[1] ?? null;
        return value === null ? '–' : tick(value);
      }),
    ];
  });
  const columns = [{ title: 'at' }, ...series.map(({ name }) => ({ title: name, number: true }))];
  return `<details><summary>The values</summary>${table(step === 1 ? title : `${title}; every ${step}th value`, columns, rows)}</details>`;
};

const figure = (options: Omit<PlotOptions, 'description'> & { readonly note?: string }): string => {
  const { series, title, tick, note } = options;
  const description = series.map((one) => rangeText(one, tick)).join('; ');
  return [
    `<figure><figcaption>${title}</figcaption>`,
    note === undefined ? '' : `<p class="soft">${note}</p>`,
    legend(series),
    plot({ ...options, description }),
    behind(title, series, tick),
    '</figure>',
  ].join('');
};

const whole = (value: number): string => String(Math.round(value * 100) / 100);

/** The plots over time; the faults are the bands in all of them. */
export const plotsSection = ({ samples, faults, lengthMs }: ReportData): string => {
  if (samples.length === 0) return '<h2>Over time</h2><p>It was too short for a measurement.</p>';
  const bands: PlotBand[] = faults
    .filter(({ skipped }) => !skipped)
    .map(({ serial, fromMs, healedMs, mendedMs }) => ({
      label: String(serial),
      fromMs,
      toMs: healedMs ?? mendedMs ?? lengthMs,
    }));
  const names = [...new Set(samples.flatMap(({ processes }) => Object.keys(processes)))];
  const ofProcess = (read: (look: Sample['processes'][string]) => number): Record<string, Read> =>
    Object.fromEntries(
      names.map((name) => [
        name,
        ({ processes }: Sample) => {
          const look = processes[name];
          return look === undefined ? null : read(look);
        },
      ]),
    );
  const common = { bands, lengthMs };
  return [
    '<h2>Over time</h2><p class="soft">Shaded: a fault, from its beginning until all was well again; the number is that of the table below.</p>',
    figure({
      ...common,
      id: 'setup',
      title: 'Set-up: INVITE to 200, as the caller waited',
      note: 'The called party’s own time to answer, up to 0.8 s, is part of it. A call that was dialled while nobody answered is sent again by the phone, and waits for seconds.',
      scale: 'log',
      tick: (value) => duration(value),
      series: seriesOf(samples, {
        median: ({ p50 }) => p50,
        '95 %': ({ p95 }) => p95,
        '99 %': ({ p99 }) => p99,
      }),
    }),
    figure({
      ...common,
      id: 'calls',
      title: 'Calls under way, and calls made a second',
      scale: 'linear',
      tick: whole,
      series: seriesOf(samples, { 'under way': ({ up }) => up, 'made a second': ({ rate }) => rate }),
    }),
    figure({
      ...common,
      id: 'memory',
      title: 'Memory (resident), by process',
      note: 'What the controller holds is without its garbage, as it was after the last full collection. Beside its heap are buffers, code and its workers.',
      scale: 'linear',
      tick: (value) => `${whole(value)} MiB`,
      series: seriesOf(samples, {
        ...ofProcess(({ rssBytes }) => rssBytes / 2 ** 20),
        [heldName]: ({ liveHeapBytes }: Sample) => mebibytesOf(liveHeapBytes),
        [outsideName]: ({ outsideHeapBytes }: Sample) => mebibytesOf(outsideHeapBytes),
      }),
    }),
    figure({
      ...common,
      id: 'fds',
      title: 'File descriptors, by process',
      note: 'Ports, connections and open files. They follow the calls under way, and must come back to where they began.',
      scale: 'linear',
      tick: whole,
      series: seriesOf(
        samples,
        ofProcess(({ fds }) => fds),
      ),
    }),
    figure({
      ...common,
      id: 'ports',
      title: 'Ports and connections, by process',
      note: 'Sockets, among the file descriptors above: each media port in use is one.',
      scale: 'linear',
      tick: whole,
      series: seriesOf(
        samples,
        ofProcess(({ sockets }) => sockets),
      ),
    }),
    figure({
      ...common,
      id: 'loop',
      title: 'Event loop delay, 99th percentile',
      note: 'The controller’s as it says itself; the soak’s own beside it: where that is high, the machine was too busy for the times above to mean much.',
      scale: 'log',
      tick: (value) => duration(value),
      series: seriesOf(samples, {
        controller: ({ loopMs }) => loopMs,
        'the soak itself': ({ ownLoopMs }) => ownLoopMs,
      }),
    }),
  ].join('');
};
