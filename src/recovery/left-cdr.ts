import type { JsonObject } from '../call/ports.js';
import { endingRow } from '../core/ending.js';
import type { Unfinished } from './unfinished.js';

/** What was done for a call that an earlier run left. */
export interface Closed {
  /** What came of telling each side; null where there was nothing to tell, or no way to. */
  readonly told: { readonly caller: string | null; readonly called: string | null };
  /** The media nodes that may still have its media: they could not be asked. */
  readonly mediaLeft: readonly string[];
  readonly spool: JsonObject | null;
  readonly sealed: JsonObject | null;
  /** Which rows of the journal are the call's; null where nobody followed them. */
  readonly rows: JsonObject | null;
  /** When its controller was last seen to work, in ms since the epoch; null where nobody knows. */
  readonly lastSeen: number | null;
}

const fromDecision = [
  'trunk',
  'facility',
  'unit',
  'phone',
  'caller',
  'dialled',
  'verdict',
  'reasons',
  'epoch',
  'policy',
  'class',
] as const;

const numberOf = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value : null;

const timeOf = (value: unknown): number | null => {
  const time = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? null : time;
};

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

/** The decision a call went by when its controller ended. */
export const decisionOf = ({ decision, becamePrivate }: Unfinished): JsonObject | null =>
  becamePrivate ?? decision;

/** The media node a call is known to have been on. */
export const nodeOf = ({ proof, notes }: Unfinished): string | null => {
  const node = proof?.node ?? notes?.node?.node;
  return typeof node === 'string' ? node : null;
};

export const verdictOf = (call: Unfinished): 'monitored' | 'private' | 'refused' | 'undecided' => {
  const verdict = decisionOf(call)?.verdict;
  return verdict === 'monitored' || verdict === 'private' || verdict === 'refused' ? verdict : 'undecided';
};

/** When its INVITE came; the decision's time where the ledger is lost. */
export const arrivedAt = ({ notes, decision }: Unfinished): number | null =>
  numberOf(notes?.arrived?.at) ?? timeOf(decision?.decidedAt);

/**
 * How long the parties are known to have heard each other: nobody saw the end. With a recording it is the recording's
 * length; without one, the time to the controller's last sign of life.
 */
export const heardMs = ({ notes }: Unfinished, { spool, sealed, lastSeen }: Closed): number => {
  const seconds = numberOf(spool?.seconds) ?? numberOf(sealed?.seconds);
  const opened = numberOf(notes?.opened?.at);
  const seen = opened === null || lastSeen === null ? 0 : Math.max(0, Math.round(lastSeen - opened));
  return Math.max(seen, Math.round((seconds ?? 0) * 1000));
};

/** The CDR of a call whose controller was killed. It holds what is known, and says `recovered`. */
export const leftCdr = (call: Unfinished, closed: Closed): JsonObject => {
  const { callId, notes, proof } = call;
  const { cause, disposition, fault } = endingRow('controller-crashed');
  const decision = decisionOf(call);
  const leg = notes?.arrived?.leg;
  const known: Record<string, JsonObject[string]> = {};
  const source = decision ?? (typeof leg === 'object' && leg !== null && !Array.isArray(leg) ? leg : {});
  for (const name of fromDecision) {
    const value = (source as JsonObject)[name];
    if (value !== undefined) known[name] = value;
  }
  const arrived = arrivedAt(call);
  const { lastSeen, told, mediaLeft, spool, sealed } = closed;
  const answered = notes?.caller !== undefined;
  const ending = notes?.ending?.code;
  return {
    callId,
    trunk: null,
    facility: null,
    ...known,
    verdict: verdictOf(call),
    ending: 'controller-crashed',
    // What the call had come to by then, where it was ending by itself.
    detail: typeof ending === 'string' ? ending : null,
    disposition,
    fault,
    // A caller whose INVITE was not answered yet got nothing at all.
    status: answered ? 200 : null,
    cause,
    arrivedAt: iso(arrived),
    durationMs: arrived === null || lastSeen === null ? 0 : Math.max(0, Math.round(lastSeen - arrived)),
    connectedMs: heardMs(call, closed),
    node: nodeOf(call),
    carrier: notes?.called?.trunk ?? null,
    armed: proof,
    spool,
    ...(sealed === null ? {} : { sealed }),
    ...(closed.rows === null ? {} : { rows: closed.rows }),
    recovered: true,
    told: { ...told },
    mediaLeft: [...mediaLeft],
    conversation: { held: notes?.arrived?.held ?? null },
  };
};
