import { type FindingCode, findingCodes } from '../judge.js';
import { lasting } from '../lasting.js';
import { type Verdict, verdictOf } from '../verdict.js';
import type { ReportData } from './data.js';
import { leftSection, outcomesSection, repeatSection } from './figures.js';
import { breaksSection, faultsSection, invariantsSection } from './findings.js';
import { plotsSection } from './plots.js';
import { style } from './style.js';
import { count, duration, escaped } from './text.js';

const tile = (value: string, name: string): string =>
  `<li><b>${escaped(value)}</b><span>${escaped(name)}</span></li>`;

/** Invariants that were looked at at all, and how many of them held. */
const heldOf = ({ breakCounts, checked }: ReportData): { readonly held: number; readonly looked: number } => {
  const codes = Object.keys(findingCodes) as FindingCode[];
  const broken = codes.filter((code) => (breakCounts[code] ?? 0) > 0);
  const looked = codes.filter((code) => (checked[code] ?? 0) > 0 || broken.includes(code));
  return { held: looked.length - broken.length, looked: looked.length };
};

const summary = (data: ReportData, verdict: Verdict): string => {
  const { counts, setup, faults, lengthMs } = data;
  const done = faults.filter(({ skipped }) => !skipped);
  const healed = done.filter(({ healedMs }) => healedMs !== null).length;
  const { held, looked } = heldOf(data);
  return [
    `<section class="verdict ${verdict.ok ? 'good' : 'bad'}" aria-label="Verdict"><strong>${escaped(verdict.headline)}</strong>`,
    ...verdict.reasons.map((reason) => `<p>${escaped(reason)}</p>`),
    '</section><ul class="tiles">',
    tile(count(counts.placed), `calls made in ${lasting(lengthMs)}`),
    tile(count(counts.asPlanned), 'came out as planned'),
    tile(count(counts.excused), 'cost by a fault, as it may'),
    tile(`${healed} of ${done.length}`, 'faults that healed in time'),
    tile(`${held} of ${looked}`, 'invariants that were looked at held'),
    tile(`${duration(setup.p50)}, ${duration(setup.p99)}`, 'set-up: median, and 99th percentile'),
    '</ul>',
  ].join('');
};

/** The whole report: one page that needs nothing else, neither scripts nor a network. */
export const reportHtml = (data: ReportData): string => {
  const verdict = verdictOf(data);
  const when = new Date(data.startedAt).toISOString().replace('T', ' ').slice(0, 16);
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width,initial-scale=1">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    `<title>Soak of ${when}: ${escaped(verdict.headline)}</title><style>${style}</style></head><body><main>`,
    `<h1>Sallyport ${escaped(data.version)}: soak of ${when} UTC, ${data.asked.rate} calls a second for ${lasting(data.lengthMs)}, seed ${data.seed}</h1>`,
    summary(data, verdict),
    breaksSection(data),
    invariantsSection(data),
    plotsSection(data),
    faultsSection(data),
    leftSection(data),
    outcomesSection(data),
    repeatSection(data),
    '</main></body></html>\n',
  ].join('\n');
};
