import { consequences, type FaultName } from './faults.js';
import { kindFacts } from './mix.js';
import type { Seen } from './seen.js';

/** A break of what must hold whatever fails, or an outcome that no fault explains. */
export interface Finding {
  readonly code: FindingCode;
  readonly text: string;
}

export const findingCodes = {
  'private-recorded': 'No call to a privileged number leaves a file, and none is decided as monitored.',
  'refused-connected': 'A number that is refused is never connected, and its called party never rung.',
  'silently-unrecorded': 'A monitored call is connected only with a recording proved armed.',
  'recording-missing': 'Each monitored call that was up has its recording, or its CDR says why not.',
  'recording-wrong': 'A recording opens with its key and holds both parties, each in its own channel.',
  'media-unconnected': 'No packet passes between parties that were not connected.',
  'foreign-sound': 'A party hears the other party of its own call and nobody else.',
  'not-heard': 'Parties that are connected hear each other.',
  'cdr-count': 'Each call has exactly one CDR.',
  'cdr-differs': 'The CDR agrees with what the phones saw.',
  'dialogs-differ': 'Both phones agree on whether there is a call, and both are told of its end.',
  unexplained: 'No call is refused or lost unless a fault explains it.',
  'plain-audio': 'No sound lies anywhere unencrypted once its call is over.',
  'stray-file': 'Every file in a spool belongs to a monitored call.',
  'redis-left': 'No place of a call is counted in Redis once all calls are over.',
  'node-left': 'No media node keeps anything of a call that is over.',
  'fds-left': 'No process keeps file descriptors or sockets of calls that are over.',
  'memory-grows': 'No process grows without end.',
  'private-node-wrote': 'A private media node writes no byte to any disk.',
  'journal-unsound': 'The journal verifies.',
  'process-died': 'No process ends by itself.',
  'not-healed': 'After a fault everything is well again within its time.',
} as const;
export type FindingCode = keyof typeof findingCodes;

/** This machine gave the soak itself no time: others than the product keep its processors busy. */
export const machineStalled = 'machine-stalled';

/** The time in which calls are judged as under a fault. Wall time in ms; `to` null while it is not over. */
export interface FaultWindow {
  readonly name: FaultName | typeof machineStalled;
  readonly from: number;
  readonly to: number | null;
}

/** A CDR, as far as it is judged. */
export interface CdrFacts {
  readonly callId: string;
  readonly verdict: string;
  readonly ending: string;
  readonly status: number | null;
  readonly connectedMs: number;
  readonly node: string | null;
  readonly armed: boolean;
  /** What was found of its recording: `finished`, `recording-missing`, `nothing-found`, … null where nobody looked. */
  readonly spool: string | null;
  readonly file: string | null;
  readonly recovered: boolean;
  /** It says that plain sound stays in the spool: the node did not let go of it in time. Custody takes it away. */
  readonly leftInSpool: boolean;
}

const textAt = (body: Readonly<Record<string, unknown>>, name: string): string | null => {
  const value = body[name];
  return typeof value === 'string' ? value : null;
};

/** Null where it is no CDR of a call. */
export const cdrFacts = (body: Readonly<Record<string, unknown>>): CdrFacts | null => {
  const callId = textAt(body, 'callId');
  if (callId === null) return null;
  const found = body.sealed ?? body.spool;
  const spool = (typeof found === 'object' && found !== null ? found : {}) as Readonly<
    Record<string, unknown>
  >;
  return {
    callId,
    verdict: textAt(body, 'verdict') ?? 'none',
    ending: textAt(body, 'ending') ?? 'none',
    status: typeof body.status === 'number' ? body.status : null,
    connectedMs: typeof body.connectedMs === 'number' ? body.connectedMs : 0,
    node: textAt(body, 'node'),
    armed: body.armed !== null && body.armed !== undefined,
    spool: textAt(spool, 'state'),
    file: textAt(spool, 'file'),
    recovered: body.recovered === true,
    leftInSpool: JSON.stringify(found ?? null).includes('"leftInSpool":true'),
  };
};

interface Excuse {
  readonly names: readonly FaultWindow['name'][];
  readonly refuses: boolean;
  readonly loses: boolean;
  /** The controller itself was killed: it knows what it had written down, and no more. */
  readonly crashed: boolean;
}

/** The phones are done with a call when the controller still is not: its recording, its CDR. */
const closingMs = 3000;

/** What the faults at the time of a call may have cost it. */
export const excuseOf = (seen: Seen, windows: readonly FaultWindow[]): Excuse => {
  const { side } = kindFacts[seen.plan.kind];
  const names = windows
    .filter(({ from, to }) => from - closingMs <= seen.overAt && (to === null || seen.placedAt <= to))
    .map(({ name }) => name);
  const faults = names.flatMap((name) => (name === machineStalled ? [] : [consequences[name]]));
  const crashed = faults.some(({ forgets }) => forgets);
  return {
    names,
    // Deadlines pass while nobody is served: calls may be refused then, and nothing else may happen to them.
    refuses: names.includes(machineStalled) || faults.some(({ refuses }) => refuses.includes(side)),
    loses: faults.some(({ loses }) => loses.includes(side)),
    crashed,
  };
};

/** What the caller's own measurement and the CDR may differ by, in ms: the way of a BYE, and a busy machine. */
const durationSlackMs = 2500;
/** A packet may overtake its 200 in two sockets of one phone by this much. */
const earlySlackMs = 250;
/** Talking shorter than this leaves too little to be heard for certain. */
const heardAfterMs = 2000;
const leastHeardMs = 300;
const leastPurity = 0.6;

const privacy = (seen: Seen, cdrs: readonly CdrFacts[]): Finding[] => {
  const { side } = kindFacts[seen.plan.kind];
  const found: Finding[] = [];
  for (const cdr of cdrs) {
    if (side === 'private' && (cdr.verdict === 'monitored' || cdr.armed || cdr.spool === 'violation'))
      found.push({
        code: 'private-recorded',
        text: `decided as ${cdr.verdict}, armed: ${cdr.armed}, on the disk: ${cdr.spool}`,
      });
    if (side === 'private' && cdr.node?.startsWith('recorded'))
      found.push({ code: 'private-recorded', text: `its media was on ${cdr.node}` });
    if (side === 'refused' && (cdr.verdict === 'monitored' || cdr.verdict === 'private'))
      found.push({ code: 'refused-connected', text: `decided as ${cdr.verdict}` });
    if (side === 'monitored' && cdr.verdict === 'monitored' && seen.status === 200 && !cdr.armed)
      found.push({ code: 'silently-unrecorded', text: 'it was connected, and nothing says it was armed' });
    if (side === 'monitored' && cdr.verdict === 'private')
      found.push({ code: 'silently-unrecorded', text: 'decided as private' });
  }
  if (side === 'refused' && (seen.status === 200 || seen.legs > 0))
    found.push({
      code: 'refused-connected',
      text: `the caller got ${seen.status}, ${seen.legs} legs were dialled`,
    });
  return found;
};

const media = ({ plan, sound, talkedMs }: Seen, excuse: Excuse): Finding[] => {
  if (sound === null) return [];
  const found: Finding[] = [];
  if (sound.unconnected > 0)
    found.push({ code: 'media-unconnected', text: `${sound.unconnected} packets came to one of them` });
  if (sound.earlyMs > earlySlackMs)
    found.push({
      code: 'media-unconnected',
      text: `the caller was sent media ${Math.round(sound.earlyMs)} ms before the 200`,
    });
  for (const [who, purity] of [
    ['the caller', sound.callerPurity],
    ['the called party', sound.calledPurity],
  ] as const) {
    if (purity < leastPurity)
      found.push({
        code: 'foreign-sound',
        text: `${Math.round((1 - purity) * 100)} % of what ${who} heard was not the other party`,
      });
  }
  const least = Math.min(sound.callerHeardMs, sound.calledHeardMs);
  if (excuse.names.length === 0 && talkedMs >= heardAfterMs && least < leastHeardMs)
    found.push({
      code: 'not-heard',
      text: `the caller heard ${sound.callerHeardMs} ms of ${plan.tones.called} Hz, the called party ${sound.calledHeardMs} ms of ${plan.tones.caller} Hz`,
    });
  return found;
};

const dialogs = (seen: Seen, excuse: Excuse): Finding[] => {
  const found: Finding[] = [];
  if (seen.status === 200 && seen.called?.answered !== true)
    found.push({ code: 'dialogs-differ', text: 'the caller was connected and the called party was not' });
  if (seen.legs > 1)
    found.push({ code: 'dialogs-differ', text: `${seen.legs} legs were dialled for one call` });
  for (const mishap of seen.mishaps) {
    const never = mishap.endsWith('was never told');
    // What was only ringing at the caller when the controller was killed has no transaction left to answer it.
    if (excuse.crashed && seen.status === 0 && mishap.startsWith('the caller')) continue;
    // A controller that was killed answers no BYE; it has to tell both sides all the same.
    if (never || excuse.names.length === 0) found.push({ code: 'dialogs-differ', text: mishap });
  }
  return found;
};

/**
 * Turned away at the door, which is one row a second and no CDR (docs/overload.md). Whether the rows count as many is
 * asked once, at the end.
 */
export const wasShed = (seen: Seen, cdr: CdrFacts | null): boolean =>
  cdr === null && seen.status === 503 && seen.legs === 0;

const records = (seen: Seen, cdrs: readonly CdrFacts[], excuse: Excuse): Finding[] => {
  const [cdr, second] = cdrs;
  if (second !== undefined)
    return [{ code: 'cdr-count', text: `${cdrs.length} CDRs: ${cdrs.map((one) => one.ending).join(', ')}` }];
  if (cdr === undefined) {
    const mayBeForgotten = excuse.crashed && seen.legs === 0 && seen.status !== 200;
    const neverCame = excuse.refuses && seen.unanswered && seen.legs === 0;
    // Whether it may be turned away at all is another question, and so is whether it was counted.
    return mayBeForgotten || neverCame || wasShed(seen, null) ? [] : [{ code: 'cdr-count', text: 'no CDR' }];
  }
  const found: Finding[] = [];
  const differs = (text: string): void => void found.push({ code: 'cdr-differs', text });
  // With the connection to its agent gone a controller cannot know what that told the caller in its place.
  const untold = cdr.status === null && cdr.ending === 'agent-lost';
  const lost = untold || cdr.recovered || seen.unanswered || seen.status === 0;
  if (!lost && cdr.status !== seen.status && !excuse.crashed)
    differs(`the caller got ${seen.status}, the CDR says ${cdr.status} (${cdr.ending})`);
  if (excuse.names.length > 0) return found;
  const facts = kindFacts[seen.plan.kind];
  // Who hangs up at once may have done so before the caller's ACK, and the opening of the media after it.
  const atOnce = seen.talkedMs < durationSlackMs && cdr.ending === 'called-hung-up-early';
  if (facts.statuses.includes(seen.status) && !facts.endings.includes(cdr.ending as never) && !atOnce)
    differs(`it ended as ${cdr.ending}, expected was ${facts.endings.join(' or ')}`);
  if (
    seen.status === 200 &&
    seen.talkedMs > 0 &&
    Math.abs(cdr.connectedMs - seen.talkedMs) > durationSlackMs
  ) {
    differs(`the phones talked for ${Math.round(seen.talkedMs)} ms, the CDR says ${cdr.connectedMs}`);
  }
  return found;
};

/**
 * The controller was killed between the caller's 200 and the opening of the media, which is noted before it is asked for: the
 * two never heard each other, and what the node had begun to record is removed (docs/recovery.md).
 */
const wasNeverOpened = ({ sound }: Seen, { recovered, connectedMs, spool }: CdrFacts): boolean =>
  recovered &&
  connectedMs === 0 &&
  spool === 'nothing-found' &&
  (sound === null || sound.callerHeardMs + sound.calledHeardMs === 0);

const recording = (seen: Seen, cdrs: readonly CdrFacts[], excuse: Excuse): Finding[] => {
  const { side } = kindFacts[seen.plan.kind];
  if (side !== 'monitored' || seen.status !== 200 || seen.talkedMs < 1000) return [];
  return cdrs.flatMap((cdr): Finding[] => {
    if (cdr.file !== null) return [];
    const said = cdr.spool === 'recording-missing';
    // What the parties sent comes some hundred ms after the answer: a fault may have ended it before.
    if (said && (excuse.loses || excuse.refuses)) return [];
    if (excuse.crashed && wasNeverOpened(seen, cdr)) return [];
    return [{ code: 'recording-missing', text: `its CDR says of the recording: ${cdr.spool ?? 'nothing'}` }];
  });
};

const outcome = (seen: Seen, cdrs: readonly CdrFacts[], excuse: Excuse): Finding[] => {
  const facts = kindFacts[seen.plan.kind];
  const cut = seen.status === 200 && seen.caller?.by === 'them' && seen.called?.end?.by !== 'us';
  if (cut && !excuse.loses)
    return [{ code: 'unexplained', text: `it was ended by neither party: ${cdrs[0]?.ending ?? 'no CDR'}` }];
  if (facts.statuses.includes(seen.status) || excuse.refuses || excuse.loses) return [];
  return [
    {
      code: 'unexplained',
      text: `the caller got ${seen.status} (${cdrs[0]?.ending ?? 'no CDR'}), expected was ${facts.statuses.join(' or ')}`,
    },
  ];
};

/** Holds one call against what may come of it. Pure; empty where all is as it must be. */
export const judgeCall = (
  seen: Seen,
  cdrs: readonly CdrFacts[],
  windows: readonly FaultWindow[],
): readonly Finding[] => {
  const excuse = excuseOf(seen, windows);
  return [
    ...privacy(seen, cdrs),
    ...media(seen, excuse),
    ...dialogs(seen, excuse),
    ...records(seen, cdrs, excuse),
    ...recording(seen, cdrs, excuse),
    ...outcome(seen, cdrs, excuse),
  ];
};
