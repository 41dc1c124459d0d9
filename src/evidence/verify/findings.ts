import { type Case, countOf, listOf, objectOf, textOf } from './case.js';
import { type Finding, found, seqsOf, type Verdict, verdictOf } from './finding.js';
import { nodeFindings } from './findings-node.js';
import { recordingFindings } from './findings-recording.js';
import type { Genuine, ProvedRow, SecondParty } from './genuine.js';

/** Everything the rows show, in the order in which somebody would ask. */
export const findingsOf = (one: Case, genuine: Genuine): Finding[] => [
  ...decisionFindings(one),
  ...(verdictOf(one) === 'refused' || verdictOf(one) === 'undecided' ? nobodyFindings(one) : []),
  ...nodeFindings(one, verdictOf(one)),
  ...recordingFindings(one, verdictOf(one)),
  ...toldFindings(one),
  ...wholeFindings(one),
  ...secondPartyFindings(one, genuine.countersigned),
];

const reasonsOf = (body: Readonly<Record<string, unknown>>): string =>
  listOf(body.reasons)
    .map((reason) => textOf(objectOf(reason).code))
    .join(', ');

const decisionFindings = (one: Case): Finding[] => {
  const { decisions, cdr, started } = one;
  const verdict = verdictOf(one);
  const findings: Finding[] = [];
  const [first] = decisions;
  if (first === undefined) {
    findings.push(undecidedFinding(cdr, verdict));
  } else {
    const fits = decisions.findLast(({ body }) => body.verdict === verdict);
    const { epoch, policy } = first.body;
    const list = epoch === null ? 'no list' : `list epoch ${countOf(objectOf(epoch).id)}`;
    findings.push(
      fits === undefined
        ? found(
            'contrary',
            'decision-differs',
            `the CDR says ${verdict}, and no decision of the call does`,
            cdr.seq,
          )
        : found(
            'proved',
            'decided',
            `decided ${verdict} (${reasonsOf(fits.body)}) by ${list} and policy ${textOf(policy)}`,
            fits.seq,
          ),
    );
    findings.push(...beforeConnected(first, cdr));
    if (decisions.length > 1)
      findings.push(
        found(
          'told',
          'decided-again',
          `decided ${decisions.length} times: ${decisions.map(({ body }) => textOf(body.verdict)).join(', then ')}`,
          ...decisions.map(({ seq }) => seq),
        ),
      );
    // Nothing may have been armed before there was a decision to record.
    const early = one.armed.filter(({ seq }) => seq < first.seq);
    if (early.length > 0)
      findings.push(
        found('contrary', 'armed-undecided', 'a recording was armed before the decision', ...seqsOf(early)),
      );
  }
  findings.push(
    started === null
      ? found('missing', 'start-missing', 'nothing says which version and configuration decided it')
      : found(
          'proved',
          'controller',
          `by version ${textOf(started.body.version)} of the controller with configuration ${textOf(started.body.config).slice(0, 16)}…`,
          started.seq,
        ),
  );
  return findings;
};

/** No decision of the call counts: it ended before there was one, or before it was durable, which connects nobody. */
const undecidedFinding = (cdr: ProvedRow, verdict: Verdict): Finding => {
  const { ending, attempts, connectedMs } = cdr.body;
  if (verdict === 'undecided')
    return found('proved', 'ended-undecided', `it ended before it was decided: ${textOf(ending)}`, cdr.seq);
  if (
    ending === 'journal-unavailable' &&
    connectedMs === 0 &&
    Array.isArray(attempts) &&
    attempts.length === 0
  )
    return found(
      'proved',
      'decision-not-durable',
      `decided ${verdict}; the decision could not be made durable, so nobody was dialled`,
      cdr.seq,
    );
  return found(
    'missing',
    'decision-missing',
    `the CDR says ${verdict}, and there is no row of that decision`,
    cdr.seq,
  );
};

/** The first decision was on the disk before the two could speak; by the controller's clock, as all times here are. */
const beforeConnected = (first: ProvedRow, cdr: ProvedRow): Finding[] => {
  const { arrivedAt, durationMs, connectedMs } = cdr.body;
  if (countOf(connectedMs) === 0) return [];
  const spoke = Date.parse(textOf(arrivedAt)) + countOf(durationMs) - countOf(connectedMs);
  const ms = spoke - Date.parse(first.at);
  // Not a number where a time cannot be read, which is no proof either. Times of the two are cut and rounded.
  return ms >= -1
    ? [
        found(
          'proved',
          'decided-before',
          `the decision was durable ${ms} ms before the two could speak`,
          first.seq,
          cdr.seq,
        ),
      ]
    : [
        found(
          'missing',
          'decided-late',
          'by the clock the decision was not durable before the two could speak',
          first.seq,
          cdr.seq,
        ),
      ];
};

/** A call that was refused, or ended before it was decided: nobody was called. */
const nobodyFindings = ({ cdr }: Case): Finding[] => {
  const { attempts, carrier, connectedMs } = cdr.body;
  const none = Array.isArray(attempts) && attempts.length === 0 && carrier === null && connectedMs === 0;
  if (none)
    return [
      found(
        'proved',
        'nobody-dialled',
        'no carrier was asked to call anybody, and nobody was connected',
        cdr.seq,
      ),
    ];
  if (attempts === undefined)
    return [
      found('missing', 'attempts-not-told', 'the CDR does not say whether anybody was dialled', cdr.seq),
    ];
  return [found('contrary', 'somebody-dialled', 'somebody was dialled all the same', cdr.seq)];
};

/** What was said and which keys were pressed, where the conversation was held here. */
const toldFindings = ({ cdr, own }: Case): Finding[] => {
  const { held, course, more } = objectOf(cdr.body.conversation);
  const findings: Finding[] = [];
  if (held === 'here') {
    const words = listOf(course).map((each) => {
      const { party, key, to, said } = objectOf(each);
      return key === undefined
        ? `${textOf(to)} heard ${listOf(said).map(textOf).join(' + ')}`
        : `${textOf(party)} pressed ${textOf(key)}`;
    });
    const over = countOf(more) > 0 ? `; ${countOf(more)} more were counted` : '';
    if (words.length > 0) findings.push(found('told', 'conversation', `${words.join('; ')}${over}`, cdr.seq));
  } else if (held === 'elsewhere')
    findings.push(
      found(
        'told',
        'conversation',
        'this controller said nothing to the parties: the conversation is held elsewhere',
        cdr.seq,
      ),
    );
  const others = own.filter(({ kind, body }) => kind === 'decision' && body.other !== undefined);
  if (others.length > 0)
    findings.push(
      found(
        'told',
        'other-parties',
        `other parties came into sight: ${others.map(({ body }) => `${textOf(body.other)} (${textOf(body.verdict)})`).join(', ')}`,
        ...seqsOf(others),
      ),
    );
  return findings;
};

const wholeFindings = (one: Case): Finding[] => {
  const { named, cdr, own, abandoned } = one;
  const findings: Finding[] = [];
  if (named === null)
    findings.push(
      found(
        'missing',
        'rows-not-named',
        'the CDR does not name the rows of its call: one may have been left out here',
        cdr.seq,
      ),
    );
  else if (named.unnamed > 0)
    findings.push(
      found(
        'missing',
        'rows-not-all-named',
        `the CDR could not name ${named.unnamed} row(s) of its call: they may be missing here`,
        cdr.seq,
      ),
    );
  else
    findings.push(
      found(
        'proved',
        'whole',
        'up to the CDR no row of the call was left out: the CDR names each of them, and its nodes’ attestations, by number and digest',
        cdr.seq,
      ),
    );
  const later = own.filter(({ seq }) => seq > cdr.seq);
  if (later.length > 0)
    findings.push(
      found(
        'told',
        'later-rows',
        `after the CDR: ${later.map(({ kind }) => kind).join(', ')}; there may be more`,
        ...seqsOf(later),
      ),
    );
  if (abandoned.size > 0)
    findings.push(
      found('told', 'abandoned', 'rows that were written too late, and again, do not count', ...abandoned),
    );
  return findings;
};

const secondPartyFindings = ({ cdr }: Case, parties: readonly SecondParty[]): Finding[] =>
  parties.map(({ key, size, at }) =>
    size >= cdr.seq
      ? found(
          'proved',
          'countersigned',
          `key ${key.id} of a second party signed a tree with all rows up to the CDR, ${at}`,
        )
      : found(
          'told',
          'countersigned-in-part',
          `key ${key.id} of a second party signed the rows up to ${size}, ${at}`,
        ),
  );
