import { type Case, countOf, listOf, objectOf, textOf } from './case.js';
import { type Finding, found, seqsOf, type Verdict } from './finding.js';
import type { ProvedRow } from './genuine.js';

/** What the rows show of the media nodes a call was on. */

export const nodeFindings = (one: Case, verdict: Verdict): Finding[] => {
  const { cdr } = one;
  const nodes = new Set(Object.keys(one.named?.nodes ?? {}));
  if (textOf(cdr.body.node) !== '') nodes.add(textOf(cdr.body.node));
  if (nodes.size === 0)
    return [
      cdr.body.node === null
        ? found('proved', 'no-node', 'no media node ever had the call', cdr.seq)
        : found('missing', 'node-not-told', 'the CDR does not say which media node had the call', cdr.seq),
    ];
  return [...nodes].flatMap((node) => ofNode(one, verdict, node));
};

const ofNode = (one: Case, verdict: Verdict, node: string): Finding[] => {
  const { cdr } = one;
  const looks = one.attestations.filter(({ body }) => body.node === node);
  const first = one.own[0]?.seq ?? cdr.seq;
  const before = looks.findLast(({ seq }) => seq < first) ?? looks[0];
  const pool = textOf(before?.body.pool);
  // A monitored call’s recording is proved by itself; where nothing may be recorded, all depends on the node.
  const must = pool !== 'recorded' && verdict !== 'monitored';
  if (before === undefined)
    return [found(must ? 'missing' : 'told', 'node-not-attested', `${node}: nothing says what it was`)];
  const wasRecorded = one.armed.length > 0;
  const findings: Finding[] = [];
  if (verdict !== 'monitored' && pool !== 'private' && !wasRecorded)
    findings.push(found('contrary', 'node-may-record', `${node} is of the ${pool} pool`, before.seq));
  const replies = repliesOf(cdr, node);
  const looked = { node, pool, before, after: lookAfter(looks, replies), must };
  findings.push(...attested(looked, looks), afterwards(looked, replies));
  findings.push(...replied(node, pool, cdr, replies, must));
  return findings;
};

/** What is known of one node beside the call. `must`: the conclusion depends on it. */
interface Looked {
  readonly node: string;
  readonly pool: string;
  readonly before: ProvedRow;
  readonly after: ProvedRow | undefined;
  readonly must: boolean;
}

const repliesOf = (cdr: ProvedRow, node: string): Readonly<Record<string, unknown>> | null => {
  const all = listOf(cdr.body.replies).map(objectOf);
  return all.find((one) => one.node === node) ?? null;
};

/** The first look that began after the call had left its node (within the same millisecond is not after) and saw something. */
const lookAfter = (
  looks: readonly ProvedRow[],
  replies: Readonly<Record<string, unknown>> | null,
): ProvedRow | undefined => {
  const leftAt = replies?.leftAt;
  if (typeof leftAt !== 'number') return undefined;
  return looks.find(
    ({ body }) => typeof body.at === 'number' && body.at > leftAt && body.verdict !== 'unseen',
  );
};

const isSame = (before: ProvedRow, after: ProvedRow): boolean => {
  const [was, is] = [objectOf(before.body.seen), objectOf(after.body.seen)];
  return was.pid === is.pid && was.startTime === is.startTime;
};

/** From the last look before the call to the first one after it: what the node was found to be. */
const attested = ({ node, pool, before, after, must }: Looked, looks: readonly ProvedRow[]): Finding[] => {
  const during = looks.filter(({ seq }) => seq >= before.seq && seq <= (after?.seq ?? seq));
  const failed = during.filter(({ body }) => body.verdict !== 'attested' && body.verdict !== 'unseen');
  if (failed.length > 0) {
    const why = failed.map(({ body }) =>
      [textOf(body.verdict), ...listOf(body.failures).map(textOf)].join(' '),
    );
    const state = must ? 'contrary' : 'told';
    return [found(state, 'attestation-failed', `${node}: ${why.join('; ')}`, ...seqsOf(failed))];
  }
  const { seen, notSeen, verdict } = before.body;
  const { recordingDir, maxFileBytes, pid } = objectOf(seen);
  const impossible = recordingDir === null || maxFileBytes === '0';
  if (verdict !== 'attested' || (must && pool === 'private' && !impossible))
    return [
      found(
        must ? 'missing' : 'told',
        'node-not-seen',
        `${node}: nothing was seen that makes recording impossible`,
        before.seq,
      ),
    ];
  const facts = [
    recordingDir === null ? 'it has no recording directory' : '',
    typeof recordingDir === 'string' ? 'it records into our spool' : '',
    maxFileBytes === '0' ? `its process ${countOf(pid)} may write no byte to any file (RLIMIT_FSIZE 0)` : '',
  ].filter((fact) => fact !== '');
  const unseen = listOf(notSeen).map(textOf);
  const limits = unseen.length === 0 ? '' : `; not seen: ${unseen.join(', ')}`;
  const words = `${node} (${pool} pool) was attested: ${facts.join(', ')}${limits}`;
  return [
    found('proved', 'node-attested', words, before.seq),
    ...unseenMeanwhile({ node, pool, before, after, must }, during),
  ];
};

/** A look that a busy machine did not answer in time is no failure, if the same process was found as before it. */
const unseenMeanwhile = ({ node, before, after, must }: Looked, during: readonly ProvedRow[]): Finding[] => {
  const unseen = during.filter(({ body }) => body.verdict === 'unseen');
  if (unseen.length === 0) return [];
  const known = objectOf(before.body.seen).pid !== undefined;
  const same = after !== undefined && known && isSame(before, after);
  const words = `${node} could not be looked at ${unseen.length} time(s) meanwhile${same ? ', and was the same process after it' : ''}`;
  return [found(same || !must ? 'told' : 'missing', 'node-unseen-meanwhile', words, ...seqsOf(unseen))];
};

/** The look after the call, which must find the same process. */
const afterwards = (
  { node, before, after, must }: Looked,
  replies: Readonly<Record<string, unknown>> | null,
): Finding => {
  const lacks = must ? 'missing' : 'told';
  if (after === undefined)
    return found(lacks, 'node-not-seen-after', `${node}: no look at it after the call is among these rows`);
  if (!isSame(before, after))
    return found(lacks, 'node-restarted', `${node}: after the call it was another process`, after.seq);
  const known = objectOf(before.body.seen).pid !== undefined;
  const ms = Number(after.body.at) - Number(replies?.leftAt);
  const what = `${known ? 'the same process, ' : ''}still as its pool requires`;
  return found(
    'proved',
    'node-same-after',
    `${node} was looked at again ${Math.round(ms / 100) / 10} s after the call had left it: ${what}`,
    after.seq,
  );
};

/** Commands that only a recording needs. */
const recordingCommands: ReadonlySet<string> = new Set([
  'start recording',
  'start forwarding',
  'subscribe request',
  'subscribe answer',
]);

const replied = (
  node: string,
  pool: string,
  cdr: ProvedRow,
  replies: Readonly<Record<string, unknown>> | null,
  must: boolean,
): Finding[] => {
  if (replies === null)
    return [
      found(
        must ? 'missing' : 'told',
        'replies-not-told',
        `${node}: the CDR does not say what it was told`,
        cdr.seq,
      ),
    ];
  const commands = objectOf(replies.commands);
  const said = Object.entries(commands)
    .map(([command, count]) => `${command} ${countOf(count)}`)
    .join(', ');
  const taps = Object.keys(commands).filter((command) => recordingCommands.has(command));
  const recordings = countOf(replies.recordings);
  if (pool === 'private' && (recordings > 0 || taps.length > 0))
    return [
      found('contrary', 'node-recorded', `${node}: told to record or to fork, or named a recording`, cdr.seq),
    ];
  const packets = objectOf(objectOf(cdr.body.media).packets);
  const counted =
    cdr.body.node === node && cdr.body.media !== null
      ? `; it counted ${countOf(packets.caller)} packets of the caller and ${countOf(packets.called)} of the called party`
      : '';
  const named =
    pool === 'private'
      ? ', and no reply named a recording'
      : `; ${recordings} of its replies named a recording`;
  const gone = replies.deleted === true ? '' : '; it did not confirm that the call was deleted';
  return [found('proved', 'replies', `${node} was told: ${said}${named}${counted}${gone}`, cdr.seq)];
};
