import { type EndingCode, endings } from '../core/ending.js';
import { type ReasonCode, reasonTexts } from '../core/reason.js';
import type { PastCall } from './call-log.js';
import { type Principal, seesNumber } from './roles.js';

/** What of a call somebody may see. What is not plainly theirs to see is left out. */

export const verdictTexts: Readonly<Record<string, string>> = {
  monitored: 'monitored: it was recorded, and both were told',
  private: 'private: it could not be recorded',
  refused: 'refused: nobody was connected',
  undecided: 'it ended before it was decided',
};
export const wordsOf = (code: string): string => code.replaceAll('-', ' ');
export const verdictText = (verdict: string): string => verdictTexts[verdict] ?? 'unknown';
export const reasonText = (code: string): string =>
  Object.hasOwn(reasonTexts, code) ? reasonTexts[code as ReasonCode] : wordsOf(code);
export const endingText = (code: string): string =>
  Object.hasOwn(endings, code)
    ? `${wordsOf(code)} (${endings[code as EndingCode].disposition})`
    : wordsOf(code);

/** Enough to tell two calls apart, and no number to dial. */
const maskedNumber = (number: string | null): string | null => (number === null ? null : '…');

export const shownCall = (call: PastCall, who: Principal) => {
  const { journal: _journal, firstSeq: _first, seq: _seq, number, class: of, ...open } = call;
  const sees = seesNumber(who, call.verdict);
  return {
    ...open,
    number: sees ? number : maskedNumber(number),
    numberShown: sees,
    // What kind of counsel somebody called is nobody's business who may not see whom.
    class: call.verdict === 'private' && !sees ? null : of,
    reasons: call.reasons.map((code) => ({ code, words: reasonText(code) })),
    verdictText: verdictText(call.verdict),
    endingText: endingText(call.ending),
  };
};

/** Members of a row's body that hold no number, whatever the call was. What is not named here is left out. */
const harmless: ReadonlySet<string> = new Set([
  ...[
    'callId',
    'trunk',
    'facility',
    'unit',
    'phone',
    'caller',
    'verdict',
    'again',
    'other',
    'outcome',
    'row',
  ],
  ...['decidedAt', 'claimsPrivate', 'policy', 'epoch', 'ending', 'disposition', 'fault', 'status', 'cause'],
  ...[
    'arrivedAt',
    'durationMs',
    'connectedMs',
    'delay',
    'node',
    'carrier',
    'media',
    'armed',
    'spool',
    'sealed',
  ],
  ...['alarm', 'state', 'code', 'by', 'command', 'kind', 'score', 'how'],
]);

/** The body of a row of one call, as far as this person may see it. */
export const shownBody = (
  body: Readonly<Record<string, unknown>>,
  verdict: string,
  who: Principal,
): Readonly<Record<string, unknown>> => {
  if (seesNumber(who, verdict)) return body;
  return Object.fromEntries(Object.entries(body).filter(([name]) => harmless.has(name)));
};
