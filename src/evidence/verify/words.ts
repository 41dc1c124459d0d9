import { countOf, listOf, objectOf, textOf } from './case.js';
import type { Verified } from './check.js';
import { evidenceErrorTexts } from './codes.js';
import type { Finding } from './finding.js';
import type { ProvedRow } from './genuine.js';

/** What a person reads: each row in a sentence, what all of them show, and what nobody can show this way. */

const sentence = ({ kind, body }: ProvedRow): string => {
  switch (kind) {
    case 'decision':
      return decisionSentence(body);
    case 'armed':
      return `the recording was armed: file ${textOf(objectOf(body.proof).file)} seen, held open: ${String(objectOf(body.proof).heldOpen)}`;
    case 'cdr':
      return `closing record: ${textOf(body.verdict)}, ended ${textOf(body.ending)}, connected for ${countOf(body.connectedMs) / 1000} s, disk: ${textOf(objectOf(body.spool).state) || 'not told'}`;
    case 'claim':
      return `the caller’s claim that the number is privileged: ${textOf(body.outcome)}`;
    case 'answer':
      return `the called party asked: ${textOf(body.answer)}`;
    case 'attestation':
      return `media node ${textOf(body.node)} (${textOf(body.pool)} pool) was looked at: ${textOf(body.verdict)}`;
    case 'controller-started':
      return `the controller started, version ${textOf(body.version)}`;
    case 'alarm':
      return `alarm ${textOf(body.alarm)}`;
    case 'supervision':
      return `staff: ${textOf(body.use)} ${textOf(body.outcome)}`.trimEnd();
    case 'abandoned':
      return `rows ${countOf(body.firstSeq)} to ${countOf(body.lastSeq)} were too late and do not count`;
    default:
      return kind;
  }
};

const decisionSentence = (body: ProvedRow['body']): string => {
  const { number, kind } = objectOf(body.dialled);
  const who = textOf(number) || textOf(kind) || 'nobody named';
  const reasons = listOf(body.reasons).map((reason) => textOf(objectOf(reason).code));
  const what = body.other === undefined ? 'the call' : `another party (${textOf(body.other)})`;
  const epoch = body.epoch === null ? 'no list' : `list epoch ${countOf(objectOf(body.epoch).id)}`;
  return `${body.again === true ? 'decided again' : 'decided'} of ${what} to ${who}: ${textOf(body.verdict)}, for ${reasons.join(', ')}, by ${epoch}`;
};

const marks: Readonly<Record<Finding['state'], string>> = {
  proved: 'yes',
  told: ' - ',
  missing: '???',
  contrary: 'NO ',
};

const headlines: Readonly<Record<Verified['verdict'], string>> = {
  private:
    'a private call: decided so before it was connected, on a node that cannot record, nothing left on any disk we looked at',
  monitored: 'a monitored call: decided so before it was connected, and recorded as said above',
  refused: 'a refused call: nobody was dialled, nothing was recorded',
  undecided: 'a call that ended before it was decided: nobody was dialled, nothing was recorded',
};

const limits = (verified: Verified): readonly string[] => [
  'that a row was true when the controller wrote it: a kernel, a media server or a controller that lies is believed',
  'recordings made elsewhere: on other machines, in the network, by either party’s own telephone',
  'the time: it is the controller’s clock; that the rows are not younger than the head is as good as the head’s key',
  `another journal signed with the same key${verified.genuine.countersigned.length > 0 ? '' : ': there is no countersignature here'}`,
  'rows about this call written after the CDR: those that are here are genuine, and there may be more',
];

/** A row’s text may hold whatever its writer was given: none of it moves a cursor or begins a line. */
const plain = (line: string): string => line.replace(/\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}/gu, '\ufffd');

export const verifiedText = (file: string, verified: Verified): string => {
  const { call, head, genuine, code, findings, verdict } = verified;
  const all = genuine.rows.map((row) => {
    const note = call.abandoned.has(row.seq) ? ' (does not count)' : '';
    return `  row ${row.seq}  ${row.at}  ${sentence(row)}${note}`;
  });
  const shown = findings.map(({ state, code, words }) => `  ${marks[state]}  ${words} [${code}]`);
  const result =
    code === null ? `PROVED: ${headlines[verdict]}.` : `GENUINE, BUT ${code}: ${evidenceErrorTexts[code]}`;
  return [
    `evidence  ${file}`,
    `call      ${call.callId}`,
    `journal   ${head.journal.slice(0, 16)}… of ${head.node}, ${genuine.rows.length} of the ${head.size} rows that head ${head.number} signed ${head.at}`,
    '',
    'Each of these rows is, byte for byte, what the journal held when its head was signed:',
    ...all,
    '',
    'What they show:',
    ...shown,
    '',
    'What no evidence of this kind can show:',
    ...limits(verified).map((line) => `   -   ${line}`),
    '',
    result,
  ]
    .map(plain)
    .join('\n');
};

/** The same for programs. */
export const verifiedJson = (verified: Verified): object => {
  const { code, verdict, head, genuine, call, findings } = verified;
  return {
    ok: code === null,
    code,
    callId: call.callId,
    verdict,
    head: {
      journal: head.journal,
      node: head.node,
      number: head.number,
      size: head.size,
      root: head.root,
      at: head.at,
    },
    countersigned: genuine.countersigned.map(({ key, at, size }) => ({ key: key.id, at, size })),
    rows: genuine.rows.map(({ seq, at, kind, hash }) => ({ seq, at, kind, hash })),
    findings,
  };
};
