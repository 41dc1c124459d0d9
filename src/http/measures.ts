/** What the controller's metrics come to for people: out of Prometheus' text, and nothing that holds a number or a caller. */

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Measure {
  /** Which delay. */
  readonly measure: string;
  /** Of what: a phase, a kind of row, a command. */
  readonly of: string;
  /** How many were measured since the controller's start. */
  readonly count: number;
  /** In milliseconds, estimated within the histogram's buckets; null where it lies beyond the last of them. */
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
}

export interface Measures {
  readonly delays: readonly Measure[];
  readonly workers: readonly { readonly worker: string; readonly up: boolean; readonly starts: number }[];
  readonly trunks: readonly { readonly trunk: string; readonly up: boolean }[];
  readonly underWay: number;
  readonly setUps: { readonly underWay: number; readonly limit: number };
}

const MOST_SAMPLES = 50_000;

const samplesOf = (text: string): readonly Sample[] => {
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    const read = /^(sallyport_[a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (read === null || samples.length >= MOST_SAMPLES) continue;
    const [, name = '', labels = '', value = ''] = read;
    samples.push({
      ...{ name, value: Number(value) },
      labels: Object.fromEntries(
        [...labels.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map((match) => [match[1] ?? '', match[2] ?? '']),
      ),
    });
  }
  return samples;
};

/** Histograms that are shown, and the label that tells one from the other. */
const histograms: readonly (readonly [name: string, measure: string, label: string])[] = [
  ['sallyport_call_phase_seconds', 'call-phase', 'phase'],
  ['sallyport_list_lookup_seconds', 'list-look-up', 'outcome'],
  ['sallyport_journal_append_seconds', 'journal-append', 'outcome'],
  ['sallyport_ng_command_seconds', 'media-command', 'command'],
];

/** Upper bounds in seconds, rising, with how many were at most so long. */
type Buckets = readonly (readonly [le: number, count: number])[];

/** Linear within the bucket that holds it, as Prometheus' own `histogram_quantile` does it; milliseconds. */
const quantile = (buckets: Buckets, total: number, part: number): number | null => {
  const rank = part * total;
  let [low, before] = [0, 0];
  for (const [le, count] of buckets) {
    if (count >= rank && count > before) {
      if (le === Number.POSITIVE_INFINITY) return null;
      return (low + (le - low) * ((rank - before) / (count - before))) * 1000;
    }
    [low, before] = [le, count];
  }
  return null;
};

const delaysOf = (samples: readonly Sample[]): readonly Measure[] =>
  histograms.flatMap(([name, measure, label]) => {
    const families = new Map<string, Map<number, number>>();
    for (const { name: own, labels, value } of samples) {
      if (own !== `${name}_bucket`) continue;
      const of = labels[label] ?? '';
      const le = labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le);
      const family = families.get(of) ?? new Map<number, number>();
      // Several nodes and workers have each its own: together they are one.
      family.set(le, (family.get(le) ?? 0) + value);
      families.set(of, family);
    }
    return [...families].map(([of, family]) => {
      const buckets = [...family].sort(([a], [b]) => a - b);
      const count = buckets.at(-1)?.[1] ?? 0;
      const at = (part: number): number | null => (count === 0 ? null : quantile(buckets, count, part));
      return { measure, of, count, p50: at(0.5), p95: at(0.95), p99: at(0.99) };
    });
  });

/** Reads the text of `/metrics`. What is not in it counts as nothing measured. */
export const measuresOf = (text: string): Measures => {
  const samples = samplesOf(text);
  const sum = (name: string): number =>
    samples.reduce((total, one) => (one.name === name ? total + one.value : total), 0);
  const each = (name: string, label: string) =>
    samples
      .filter((one) => one.name === name)
      .map(({ labels, value }) => ({ of: labels[label] ?? '', value }))
      .sort((a, b) => a.of.localeCompare(b.of));
  const starts = each('sallyport_worker_starts_total', 'worker');
  return {
    delays: delaysOf(samples),
    workers: each('sallyport_worker_up', 'worker').map(({ of, value }) => ({
      ...{ worker: of, up: value === 1 },
      starts: starts.find((one) => one.of === of)?.value ?? 0,
    })),
    trunks: each('sallyport_trunk_up', 'trunk').map(({ of, value }) => ({ trunk: of, up: value === 1 })),
    underWay: sum('sallyport_calls_under_way'),
    setUps: { underWay: sum('sallyport_set_ups_under_way'), limit: sum('sallyport_set_ups_limit') },
  };
};
