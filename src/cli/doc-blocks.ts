import { Metrics } from '../api/metrics.js';
import { alarmCodes, alarmTexts } from '../call/events.js';
import { configReference } from '../config/reference.js';
import { decisionTable } from '../core/decide.js';
import { endingCodes, endings } from '../core/ending.js';
import { reasonCodes, reasonTexts } from '../core/reason.js';
import { weights } from '../recording/three-way/signs.js';

/**
 * The tables of the documentation, made from the code. `sallyport docs` writes them between their markers, and a
 * test proves both ways that no page differs from the code and that none is missing.
 */
export const docBlocks = (): Readonly<Record<string, string>> => ({
  'decision-table': table(
    ['order', 'question', 'outcome'],
    decisionTable.map((row) => [String(row.order), row.question, row.outcome]),
  ),
  reasons: table(
    ['code', 'meaning'],
    reasonCodes.map((code) => [`\`${code}\``, reasonTexts[code]]),
  ),
  endings: table(
    ['ending', 'SIP', 'Q.850', 'disposition', 'whose doing', 'Retry-After'],
    endingCodes.map((code) => {
      const row = endings[code];
      return [
        `\`${code}\``,
        `${row.status} ${row.phrase}`,
        String(row.cause),
        row.disposition,
        row.fault,
        row.retry ? 'yes' : '',
      ];
    }),
  ),
  alarms: table(
    ['alarm', 'meaning'],
    alarmCodes.map((code) => [`\`${code}\``, alarmTexts[code]]),
  ),
  metrics: table(
    ['metric', 'type', 'labels', 'meaning'],
    [...new Metrics(() => 0).docs]
      .sort((a, b) => a.name.localeCompare(b.name))
      .map((metric) => [`\`${metric.name}\``, metric.type, metric.labels.join(', '), metric.help]),
  ),
  'three-way-signs': table(
    ['sign', 'part of the story', 'by the called party', 'by the caller'],
    Object.entries(weights).map(([sign, { part, called, caller }]) => [
      `\`${sign}\``,
      part,
      String(called),
      String(caller),
    ]),
  ),
  configuration: configReference(),
});

const cell = (text: string): string => text.replaceAll('|', '\\|');
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n');

const marker = /<!-- generated: ([a-z-]+) -->\n([\s\S]*?)<!-- end -->/g;

export interface MarkedBlock {
  readonly name: string;
  readonly text: string;
}

/** The generated blocks a page holds, as they stand in it. */
export const blocksIn = (page: string): readonly MarkedBlock[] =>
  [...page.matchAll(marker)].map((match) => ({ name: match[1] ?? '', text: (match[2] ?? '').trim() }));

/** The page with every generated block made anew. Throws where it names a block that does not exist. */
export const withBlocks = (page: string): string => {
  const blocks = docBlocks();
  return page.replace(marker, (_all, name: string) => {
    const block = blocks[name];
    if (block === undefined) throw new Error(`no generated block is called ${name}`);
    return `<!-- generated: ${name} -->\n${block.trim()}\n<!-- end -->`;
  });
};
