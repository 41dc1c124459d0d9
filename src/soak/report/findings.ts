import { type FindingCode, findingCodes } from '../judge.js';
import type { ReportData, ReportFault } from './data.js';
import { type Cell, table } from './table.js';
import { clock, count, duration, escaped } from './text.js';

/** Of each kind; the rest is folded away. */
const shownBreaks = 3;

const article = ({ text, callId, context, atMs }: ReportData['breaks'][number]): string =>
  [
    `<article class="break"><p><strong>At ${clock(atMs)}</strong>${callId === null ? '' : `, call <code>${escaped(callId)}</code>`}</p>`,
    `<p>${escaped(text)}</p>`,
    context === ''
      ? ''
      : `<details><summary>All that is known of it</summary><pre>${escaped(context)}</pre></details>`,
    '</article>',
  ].join('');

/** What broke, each with all that is known of it; nothing where nothing did. */
export const breaksSection = ({ breaks, breakCounts }: ReportData): string => {
  const codes = (Object.keys(breakCounts) as FindingCode[]).filter((code) => (breakCounts[code] ?? 0) > 0);
  if (codes.length === 0) return '';
  const groups = codes.map((code) => {
    const all = breaks.filter((one) => one.code === code);
    const [shown, folded] = [all.slice(0, shownBreaks), all.slice(shownBreaks)];
    const unkept = (breakCounts[code] ?? 0) - all.length;
    return [
      `<h3>${escaped(code)}: ${count(breakCounts[code] ?? 0)}</h3><p class="soft">${escaped(findingCodes[code])}</p>`,
      ...shown.map(article),
      folded.length === 0
        ? ''
        : `<details><summary>${count(folded.length)} more</summary>${folded.map(article).join('')}</details>`,
      unkept > 0 ? `<p class="soft">and ${count(unkept)} that were only counted</p>` : '',
    ].join('');
  });
  return `<h2>What broke</h2>${groups.join('')}`;
};

/** Every invariant, how often it was looked at, and how often it did not hold. */
export const invariantsSection = ({ breakCounts, checked }: ReportData): string => {
  const codes = Object.keys(findingCodes) as FindingCode[];
  const rows = codes.map((code): readonly Cell[] => {
    const broken = breakCounts[code] ?? 0;
    const looked = checked[code] ?? 0;
    const said =
      broken > 0
        ? { html: '<span class="no">✗ broken</span>' }
        : looked === 0
          ? { html: '<span class="soft">not looked at</span>' }
          : { html: '<span class="ok">✓ held</span>' };
    return [code, findingCodes[code], said, count(looked), count(broken)];
  });
  return [
    '<h2>What must always hold</h2>',
    '<p class="soft">Seen from outside: by the phones, the kernel, Redis, the media nodes’ own command line, and the files with the journal among them. The controller was asked for none of it.</p>',
    table(
      'Invariants, how often each was looked at, and how often it broke',
      [
        { title: 'code' },
        { title: 'invariant' },
        { title: 'result' },
        { title: 'looked at', number: true },
        { title: 'broken', number: true },
      ],
      rows,
      (row) => (breakCounts[codes[row] as FindingCode] ?? 0) > 0,
    ),
  ].join('');
};

const healing = ({ skipped, healedMs, mendedMs, note }: ReportFault): Cell => {
  if (skipped) return { html: `<span class="soft">skipped: ${escaped(note ?? '')}</span>` };
  if (healedMs === null || mendedMs === null)
    return { html: `<span class="no">✗ not healed</span><br>${escaped(note ?? '')}` };
  return duration(healedMs - mendedMs);
};

const costOf = ({ cost }: ReportFault): Cell => {
  if (cost.length === 0) return 'nothing';
  const shown = cost.slice(0, 5).map(([what, times]) => `${count(times)} × ${escaped(what)}`);
  return { html: [...shown, ...(cost.length > 5 ? ['and others'] : [])].join('<br>') };
};

/** Every fault with what may come of it, what came of it, and how long it took to heal. */
export const faultsSection = ({ faults }: ReportData): string => {
  if (faults.length === 0) return '<h2>Faults</h2><p>None were made.</p>';
  const rows = faults.map((fault): readonly Cell[] => [
    String(fault.serial),
    clock(fault.fromMs),
    { html: `<strong>${escaped(fault.name)}</strong> (${escaped(fault.target)})<br>${escaped(fault.words)}` },
    fault.mendedMs === null ? '–' : duration(fault.mendedMs - fault.fromMs),
    healing(fault),
    { html: costOf(fault) === 'nothing' ? 'nothing' : (costOf(fault) as { html: string }).html },
  ]);
  const kinds = [...new Map(faults.map((fault) => [fault.name, fault.expected]))].sort();
  return [
    '<h2>Faults and what they cost</h2>',
    table(
      'Faults in their order. “Healed after” counts from the moment the broken part was mended',
      [
        { title: '#', number: true },
        { title: 'at' },
        { title: 'what' },
        { title: 'lasted', number: true },
        { title: 'healed after', number: true },
        { title: 'calls that did not come out as planned' },
      ],
      rows,
      (row) => faults[row]?.skipped === false && faults[row]?.healedMs === null,
    ),
    '<details><summary>What each may cost</summary>',
    table(
      'Consequences that are taken for explained',
      [{ title: 'fault' }, { title: 'may' }],
      kinds.map(([name, expected]) => [name, expected]),
    ),
    '</details>',
  ].join('');
};
