import { readFileSync } from 'node:fs';
import { agentMetricDocs } from '../api/agent-metrics.js';
import { Metrics } from '../api/metrics.js';
import { alarmCodes, alarmTexts } from '../call/events.js';
import { canaryCodes } from '../canary/judge.js';
import { configReference } from '../config/reference.js';
import { decisionTable } from '../core/decide.js';
import { type EndingCode, endingCodes, endings } from '../core/ending.js';
import { farewells, refusalPrompt } from '../core/farewell.js';
import { type PromptId, promptIds, prompts } from '../core/prompt.js';
import { reasonCodes, reasonTexts } from '../core/reason.js';
import { custodyTexts } from '../custody/codes.js';
import { retentionTexts } from '../custody/retention/codes.js';
import { evidenceErrorTexts } from '../evidence/verify/codes.js';
import { access } from '../http/access.js';
import { problems } from '../http/problems.js';
import { roleTexts, scopeTexts } from '../http/roles.js';
import { weights } from '../recording/three-way/signs.js';
import { registryErrors } from '../registry/errors.js';
import { faultTexts } from '../registry/faults.js';
import { importProblems, isFatal } from '../registry/import/problems.js';
import { changeTexts } from '../review/change.js';
import { nearnessTexts } from '../review/near-index.js';
import { notReplayableTexts } from '../review/past-decision.js';
import { reviewErrorTexts } from '../review/review-error.js';
import { fromRoot } from '../root.js';
import { vaultErrorCodes, vaultErrorTexts } from '../vault/errors.js';
import {
  acceptanceRows,
  boundRows,
  diagram,
  endingRows,
  forwardRows,
  heardBy,
  menuRows,
  otherRows,
} from './call-flow.js';

/**
 * The tables of the documentation, made from the code. `sallyport docs` writes them between their markers, and a
 * test proves both ways that no page differs from the code and that none is missing.
 */
export const docBlocks = (words = wordsOf()): Readonly<Record<string, string>> => ({
  'http-roles': table(
    ['role', 'who'],
    Object.entries(roleTexts).map(([role, text]) => [`\`${role}\``, text]),
  ),
  'http-scopes': table(
    ['scope', 'what a key with it may do'],
    Object.entries(scopeTexts).map(([scope, text]) => [`\`${scope}\``, text]),
  ),
  'http-access': table(
    ['route', 'roles', 'scope of a key', 'facilities'],
    Object.entries(access).map(([route, { who, limit }]) => {
      const kept = typeof limit === 'string' ? limit.replaceAll('-', ' ') : limit.how.replaceAll('-', ' ');
      return typeof who === 'string'
        ? [`\`${route}\``, who === 'everybody' ? 'everybody' : 'whoever is signed in', '', kept]
        : [`\`${route}\``, who.roles.join(', '), who.scope === null ? '' : `\`${who.scope}\``, kept];
    }),
  ),
  'http-problems': table(
    ['code', 'status', 'what it means'],
    Object.entries(problems).map(([code, [status, text]]) => [`\`${code}\``, String(status), text]),
  ),
  'decision-table': table(
    ['order', 'question', 'outcome'],
    decisionTable.map((row) => [String(row.order), row.question, row.outcome]),
  ),
  'what-if-changes': table(
    ['change', 'what it means'],
    Object.entries(changeTexts).map(([code, text]) => [`\`${code}\``, text]),
  ),
  'not-replayable': table(
    ['reason', 'what it means'],
    Object.entries(notReplayableTexts).map(([code, text]) => [`\`${code}\``, text]),
  ),
  nearness: table(
    ['why', 'what it means'],
    Object.entries(nearnessTexts).map(([code, text]) => [`\`${code}\``, text]),
  ),
  'review-errors': table(
    ['error', 'what it means'],
    Object.entries(reviewErrorTexts).map(([code, text]) => [`\`${code}\``, text]),
  ),
  reasons: table(
    ['code', 'meaning'],
    reasonCodes.map((code) => [`\`${code}\``, reasonTexts[code]]),
  ),
  endings: table(
    [
      'ending',
      'SIP',
      'Q.850',
      'disposition',
      'whose doing',
      'Retry-After',
      'caller hears',
      'called party hears',
    ],
    endingCodes.map((code) => {
      const row = endings[code];
      return [
        `\`${code}\``,
        `${row.status} ${row.phrase}`,
        String(row.cause),
        row.disposition,
        row.fault,
        row.retry ? 'yes' : '',
        callerHears(code),
        quoted(farewells[code].called),
      ];
    }),
  ),
  alarms: table(
    ['alarm', 'meaning'],
    alarmCodes.map((code) => [`\`${code}\``, alarmTexts[code]]),
  ),
  metrics: table(
    ['metric', 'type', 'labels', 'meaning'],
    [...new Metrics(() => 0).docs, ...agentMetricDocs]
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
  'import-problems': table(
    ['code', 'holds it up', 'what it means'],
    (Object.keys(importProblems) as (keyof typeof importProblems)[]).map((code) => [
      `\`${code}\``,
      isFatal(code) ? 'yes' : '',
      importProblems[code],
    ]),
  ),
  'registry-codes': table(
    ['code', 'meaning'],
    Object.entries(registryErrors).map(([code, text]) => [`\`${code}\``, text]),
  ),
  'registry-faults': table(
    ['code', 'what is wrong with the field'],
    Object.entries(faultTexts).map(([code, text]) => [`\`${code}\``, text]),
  ),
  'canary-codes': table(
    ['code', 'outcome', 'meaning'],
    Object.entries(canaryCodes).map(([code, [outcome, text]]) => [`\`${code}\``, outcome, text]),
  ),
  'vault-codes': table(
    ['code', 'meaning'],
    vaultErrorCodes.map((code) => [`\`${code}\``, vaultErrorTexts[code]]),
  ),
  'retention-codes': table(
    ['code', 'meaning'],
    Object.entries(retentionTexts).map(([code, text]) => [`\`${code}\``, text]),
  ),
  'evidence-codes': table(
    ['code', 'meaning'],
    Object.entries(evidenceErrorTexts).map(([code, text]) => [`\`${code}\``, text]),
  ),
  'custody-codes': table(
    ['code', 'meaning'],
    Object.entries(custodyTexts).map(([code, text]) => [`\`${code}\``, text]),
  ),
  configuration: configReference(),
  'call-here': diagram('here'),
  'call-elsewhere': diagram('elsewhere'),
  'forward-here': table(['in', 'when', 'goes to', 'and does'], forwardRows('here')),
  'forward-elsewhere': table(['in', 'when', 'goes to', 'and does'], forwardRows('elsewhere')),
  'ways-to-the-end': table(['when', 'ending', 'in'], endingRows()),
  'other-parties': table(['how', 'the other party', 'a recorded call', 'a private call'], otherRows()),
  'acceptance-keys': table(
    [
      'key',
      'meaning',
      'in the notice: recorded call',
      'in the menu: recorded call',
      'in the menu: private call',
    ],
    acceptanceRows(),
  ),
  'acceptance-bounds': table(['bound', 'value'], boundRows()),
  menus: table(
    ['question', 'prompt', 'keys', 'heard before its end', 'rounds', 'time for a key', 'no answer means'],
    menuRows(),
  ),
  prompts: table(
    ['prompt', 'of recording it says', 'heard by', 'English words'],
    promptIds.map((id) => [`\`${id}\``, saysText[prompts[id]], heardBy(id), words.get(id) ?? '']),
  ),
});

const saysText = { recorded: '**recorded**', 'not-recorded': '**not recorded**', nothing: '' } as const;
const quoted = (id: PromptId | null): string => (id === null ? '' : `\`${id}\``);

/** What the caller hears where there never was a called party, and where there was one, if that is not the same. */
const callerHears = (code: EndingCode): string => {
  const [refused, left] = [refusalPrompt(code), farewells[code].caller];
  return refused === left ? quoted(left) : `${quoted(refused)}; in a call ${quoted(left)}`;
};

/** The words of every prompt, as the catalogue's manifest has them. */
const wordsOf = (): ReadonlyMap<string, string> => {
  const text = readFileSync(fromRoot('config', 'prompts', 'manifest.json'), 'utf8');
  const { sounds } = JSON.parse(text) as {
    readonly sounds: readonly { readonly id: string; readonly language: string; readonly text: string }[];
  };
  return new Map(sounds.filter(({ language }) => language === 'en').map(({ id, text }) => [id, text]));
};

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
