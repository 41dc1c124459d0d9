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
  const lacks = must ? 'missing' : 'told';
  if (before === undefined) return [found(lacks, 'node-not-attested', `${node}: nothing says what it was`)];
  const wasRecorded = one.armed.length > 0;
  const findings: Finding[] = [];
  if (verdict !== 'monitored' && pool !== 'private' && !wasRecorded)
    findings.push(found('contrary', 'node-may-record', `${node} is of the ${pool} pool`, before.seq));
  const replies = repliesOf(cdr, node);
  findings.push(...attested(node, pool, before, looks, must));
  findings.push(after(node, before, looks, replies, lacks));
  findings.push(...replied(node, pool, cdr, replies, must));
  return findings;
};

const repliesOf = (cdr: ProvedRow, node: string): Readonly<Record<string, unknown>> | null => {
  const all = listOf(cdr.body.replies).map(objectOf);
  return all.find((one) => one.node === node) ?? null;
};

/** From the last look before the call to the last one, each found what its pool requires. */
const attested = (
  node: string,
  pool: string,
  before: ProvedRow,
  looks: readonly ProvedRow[],
  must: boolean,
): Finding[] => {
  const failed = looks.filter(({ body }) => body.verdict !== 'attested');
  if (failed.length > 0) {
    const why = failed.map(({ body }) =>
      [textOf(body.verdict), ...listOf(body.failures).map(textOf)].join(' '),
    );
    const state = must ? 'contrary' : 'told';
    return [found(state, 'attestation-failed', `${node}: ${why.join('; ')}`, ...seqsOf(failed))];
  }
  const { seen, notSeen } = before.body;
  const { recordingDir, maxFileBytes, pid } = objectOf(seen);
  const facts = [
    recordingDir === null ? 'it has no recording directory' : '',
    typeof recordingDir === 'string' ? 'it records into our spool' : '',
    maxFileBytes === '0' ? `its process ${countOf(pid)} may write no byte to any file (RLIMIT_FSIZE 0)` : '',
  ].filter((fact) => fact !== '');
  const unseen = listOf(notSeen).map(textOf);
  const limits = unseen.length === 0 ? '' : `; not seen: ${unseen.join(', ')}`;
  const words = `${node} (${pool} pool) was attested: ${facts.join(', ')}${limits}`;
  const impossible = recordingDir === null || maxFileBytes === '0';
  if (must && pool === 'private' && !impossible)
    return [
      found(
        'missing',
        'node-not-seen',
        `${node}: nothing was seen that makes recording impossible`,
        before.seq,
      ),
    ];
  return [found('proved', 'node-attested', words, before.seq)];
};

/** The first look after the call had left, which must find the same process. */
const after = (
  node: string,
  before: ProvedRow,
  looks: readonly ProvedRow[],
  replies: Readonly<Record<string, unknown>> | null,
  lacks: 'missing' | 'told',
): Finding => {
  const leftAt = replies?.leftAt;
  const look =
    typeof leftAt === 'number'
      ? looks.find(({ body }) => typeof body.at === 'number' && body.at >= leftAt)
      : undefined;
  if (look === undefined)
    return found(lacks, 'node-not-seen-after', `${node}: no look at it after the call is among these rows`);
  const [was, is] = [objectOf(before.body.seen), objectOf(look.body.seen)];
  const same = was.pid === is.pid && was.startTime === is.startTime;
  const known = was.pid !== undefined;
  if (!same)
    return found(lacks, 'node-restarted', `${node}: after the call it was another process`, look.seq);
  return found(
    'proved',
    'node-same-after',
    `${node} was looked at again ${Math.round((Number(look.body.at) - Number(leftAt)) / 100) / 10} s after the call had left it: ${known ? 'the same process, ' : ''}still as its pool requires`,
    look.seq,
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
