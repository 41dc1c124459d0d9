import type {
  Clock,
  Emit,
  FollowedRows,
  Journal,
  JsonObject,
  Ledger,
  PastRow,
  SpoolFinding,
} from '../call/ports.js';
import type { Ending } from '../core/ending.js';
import type { CallId, WallMs } from '../core/leg.js';
import { inParallel } from './in-parallel.js';
import { arrivedAt, type Closed, decisionOf, heardMs, leftCdr, nodeOf, verdictOf } from './left-cdr.js';
import type { Unfinished } from './unfinished.js';

/** The roles that closing an earlier run's calls needs filled. */
export interface RecoveryParts {
  /** Every media node. A call is deleted on all of them: which one had it may not have been noted any more. */
  readonly nodes: readonly string[];
  readonly media: { endLeftover(node: string, callId: CallId): Promise<boolean> };
  readonly recorder: {
    recover(left: {
      readonly callId: CallId;
      readonly node: string;
      readonly receivedAt: WallMs;
      readonly decision: JsonObject;
      readonly proof: JsonObject;
      readonly sealed?: string;
    }): Promise<SpoolFinding>;
    abandon(callId: CallId): Promise<SpoolFinding>;
    verifyAbsence(callId: CallId): Promise<SpoolFinding>;
  };
  readonly sip: {
    endLeft(
      what: 'dialog' | 'invite',
      trace: JsonObject,
      ending: Ending,
      deadlineMs: number,
    ): Promise<string>;
  };
  readonly counters: { giveBack(trace: JsonObject, wasConnected: boolean): Promise<boolean> };
  readonly journal: Journal;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly emit: Emit;
  /** What the earlier run wrote of these calls; empty where that cannot be read. */
  pastRows(calls: readonly Unfinished[]): Promise<ReadonlyMap<CallId, readonly PastRow[]>>;
  /** When the earlier run was last seen to work, in ms since the epoch. */
  readonly lastSeen: number | null;
}

/** How long a far end may take to answer our BYE: one that is gone must not hold up the others. */
const tellMs = 2000;
/** Calls told and deleted at a time; each takes some milliseconds where everybody answers. */
const atOnce = 256;
/** Recordings looked at at a time; the recorder itself makes no more than two. */
const recordingsAtOnce = 64;
/** The longest that a CDR waits for rows of its call that are on their way to the disk. */
const rowsMs = 1000;
const retryMs = 500;
const maxTries = 20;

const crashed: Ending = { code: 'controller-crashed' };

const traceOf = (fact: JsonObject | undefined): JsonObject | null => {
  const trace = fact?.trace;
  return typeof trace === 'object' && trace !== null && !Array.isArray(trace) ? (trace as JsonObject) : null;
};

/** True if the dialog is what became of the INVITE. */
const isOf = (dialog: JsonObject, invite: JsonObject): boolean =>
  dialog.callId === invite.callId && dialog.local === invite.local;

/** Closes the calls of an earlier run of this controller. Whatever fails, each gets its CDR; and done twice, it is as done once. */
export class CallRecovery {
  readonly #calls: readonly Unfinished[];
  readonly #parts: RecoveryParts;
  readonly #urgent = new Map<CallId, Pick<Closed, 'told' | 'mediaLeft'>>();
  readonly #followed = new Map<CallId, FollowedRows>();
  #stopped = false;
  #recordings = Promise.resolve(0);

  constructor(calls: readonly Unfinished[], parts: RecoveryParts) {
    this.#calls = calls;
    this.#parts = parts;
  }

  /**
   * Frees the media first, so that nobody is heard or recorded any more, then tells both sides, and gives back what
   * the call was counted for. Never rejects. From its end on, `close` finishes the recordings and writes the CDRs.
   */
  async end(): Promise<void> {
    if (this.#calls.length === 0) return;
    const { emit, journal } = this.#parts;
    for (const { callId } of this.#calls) {
      const followed = journal.follow?.(callId);
      if (followed !== undefined) this.#followed.set(callId, followed);
    }
    emit({
      event: 'alarm',
      alarm: 'controller-crashed',
      callId: null,
      detail: `calls: ${this.#calls.length}`,
    });
    await inParallel(this.#calls, atOnce, (call) => this.#end(call));
  }

  /** Resolves with the number of CDRs written, when all are or `stop` was called. Never rejects. */
  close(): Promise<number> {
    this.#recordings = this.#close();
    return this.#recordings;
  }

  /** Begins no further call; waits for those under way. What is left, the next start does. */
  async stop(withinMs: number): Promise<void> {
    this.#stopped = true;
    let timer: NodeJS.Timeout | undefined;
    const bound = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, withinMs);
    });
    await Promise.race([this.#recordings, bound]);
    clearTimeout(timer);
  }

  async #end(call: Unfinished): Promise<void> {
    const { callId, notes } = call;
    const { nodes, media, counters } = this.#parts;
    const ended = await Promise.all(
      nodes.map(async (node) => ({ node, gone: await quietly(media.endLeftover(node, callId), false) })),
    );
    const mediaLeft = ended.flatMap(({ node, gone }) => (gone ? [] : [node]));
    const place = notes?.place;
    const [told] = await Promise.all([
      this.#tell(call),
      place === undefined ? null : quietly(counters.giveBack(place, notes?.opened !== undefined), false),
    ]);
    this.#urgent.set(callId, { told, mediaLeft });
  }

  async #tell({ notes }: Unfinished): Promise<Closed['told']> {
    const { sip } = this.#parts;
    const tell = async (what: 'dialog' | 'invite', trace: JsonObject | null): Promise<string | null> =>
      trace === null ? null : quietly(sip.endLeft(what, trace, crashed, tellMs), 'unsent');
    const answered = traceOf(notes?.called);
    const out = traceOf(notes?.dialling);
    // Whoever answered an INVITE that had been given up is hung up on, and rings no less on the one after it.
    const rings = out !== null && !(answered !== null && isOf(answered, out));
    const [caller, inDialog, ringing] = await Promise.all([
      tell('dialog', traceOf(notes?.caller)),
      tell('dialog', answered),
      tell('invite', rings ? out : null),
    ]);
    return { caller, called: inDialog === 'told' ? inDialog : (ringing ?? inDialog) };
  }

  async #close(): Promise<number> {
    let written = 0;
    await this.#nameRows();
    await inParallel(this.#calls, recordingsAtOnce, async (call) => {
      if (this.#stopped) return;
      const closed = await this.#record(call);
      if (await this.#write(call, closed)) written += 1;
    });
    return written;
  }

  /** Rows that cannot be read are not named, and whoever asks for the call's evidence is told so. */
  async #nameRows(): Promise<void> {
    const past = await quietly(this.#parts.pastRows(this.#calls), null);
    for (const [callId, followed] of this.#followed) {
      const rows = past?.get(callId);
      if (rows !== undefined) {
        followed.knew(rows);
      } else {
        followed.end();
        this.#followed.delete(callId);
      }
    }
  }

  /** What there is of a recording is finished, or sealed, or removed; and where none may be, none is looked for in vain. */
  async #record(call: Unfinished): Promise<Closed> {
    const { callId, proof, notes } = call;
    const { told, mediaLeft } = this.#urgent.get(callId) ?? {
      told: { caller: null, called: null },
      mediaLeft: [],
    };
    const becamePrivate = call.becamePrivate !== null || notes?.sealing !== undefined;
    // Without the ledger nobody knows whether the two were let through: what was recorded is kept.
    const connected = notes === null || notes.opened !== undefined;
    let spool: JsonObject | null = null;
    let sealed: JsonObject | null = null;
    if (call.decision?.verdict === 'monitored' && proof !== null && connected) {
      const finding = await this.#finding(call, this.#recover(call, proof, becamePrivate));
      if (becamePrivate) sealed = finding;
      else spool = finding;
    }
    if (spool === null) {
      const { recorder } = this.#parts;
      // What a private call has on a disk, or one that could not be sealed, is an alarm; it is not made to disappear.
      const removable = call.decision?.verdict === 'monitored' && sealed === null;
      const looking = removable ? recorder.abandon(callId) : recorder.verifyAbsence(callId);
      spool = await this.#finding(call, looking);
    }
    return { told, mediaLeft, spool, sealed, rows: null, lastSeen: this.#parts.lastSeen };
  }

  #recover(call: Unfinished, proof: JsonObject, becamePrivate: boolean): Promise<SpoolFinding> {
    const { verdict, reasons, epoch, policy } = call.decision ?? {};
    return this.#parts.recorder.recover({
      callId: call.callId,
      node: String(proof.node),
      receivedAt: (arrivedAt(call) ?? this.#parts.clock.wall()) as WallMs,
      decision: {
        verdict: verdict ?? null,
        reasons: reasons ?? [],
        epoch: epoch ?? null,
        policy: policy ?? null,
      },
      proof,
      ...(becamePrivate ? { sealed: 'became-private' } : {}),
    });
  }

  async #finding({ callId, notes }: Unfinished, looking: Promise<SpoolFinding>): Promise<JsonObject> {
    const alarm = (code: 'recording-missing' | 'absence-unverified' | 'private-file-found', detail: string) =>
      this.#parts.emit({ event: 'alarm', alarm: code, callId, detail });
    try {
      const found = await looking;
      switch (found.state) {
        case 'recording-finished':
        case 'recording-sealed':
          return { state: found.state, file: found.recording.file, ...found.recording.evidence };
        case 'recording-missing':
          // Nothing to miss where nobody had been let through.
          if (found.code !== 'no-audio' || notes?.opened !== undefined)
            alarm('recording-missing', found.code);
          return { state: found.state, code: found.code, ...found.evidence };
        case 'nothing-found':
          return { state: found.state, ...found.evidence };
        case 'violation':
          alarm('private-file-found', 'recovered');
          return { state: found.state, ...found.evidence };
        default: {
          const never: never = found;
          return never;
        }
      }
    } catch (error) {
      const code = codeOf(error);
      alarm('absence-unverified', code);
      return { state: 'unknown', code };
    }
  }

  /** False where the journal does not take it: then the next start does it all again. */
  async #write(call: Unfinished, closed: Closed): Promise<boolean> {
    const { journal, ledger, emit } = this.#parts;
    const { callId } = call;
    const followed = this.#followed.get(callId);
    const node = nodeOf(call);
    const nodes = node === null ? [] : [node];
    await followed?.settled(rowsMs, nodes);
    for (let tried = 0; tried < maxTries && !this.#stopped; tried++) {
      try {
        // Named in the same moment as the CDR is given to the journal: no row of the call comes between the two.
        const rows = followed?.named(nodes) ?? null;
        await journal.append('cdr', leftCdr(call, { ...closed, rows }));
        ledger.over(callId);
        followed?.end();
        const verdict = verdictOf(call);
        const connectedMs = heardMs(call, closed);
        emit({ event: 'call-ended', callId, verdict, ending: crashed.code, detail: null, connectedMs });
        return true;
      } catch (error) {
        emit({ event: 'call-effect-failed', callId, effect: 'write-cdr', code: codeOf(error) });
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      }
    }
    return false;
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : 'failed';

const quietly = <T>(work: Promise<T>, otherwise: T): Promise<T> => work.catch(() => otherwise);

/** How many of the calls there were of each verdict, for the row that says what was closed. */
export const countsOf = (calls: readonly Unfinished[]): JsonObject => {
  const counts: Record<string, number> = {};
  for (const call of calls) {
    const verdict = verdictOf(call);
    counts[verdict] = (counts[verdict] ?? 0) + 1;
    if (decisionOf(call) === null) counts.withoutDecision = (counts.withoutDecision ?? 0) + 1;
  }
  return counts;
};
