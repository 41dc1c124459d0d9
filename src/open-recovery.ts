import { dirname, join, resolve } from 'node:path';
import type { Clock, Emit, Journal } from './call/ports.js';
import type { Config } from './config/schema.js';
import type { CallId } from './core/leg.js';
import type { Journal as JournalFile } from './journal/log.js';
import { readJournal } from './journal/read.js';
import type { SharedCounters } from './lists/counters.js';
import type { MediaPools } from './media/media.js';
import { readPastRows } from './past-rows.js';
import type { SpoolRecorder } from './recording/recorder.js';
import { type OpenLedger, openLedger } from './recovery/ledger.js';
import { nodeOf } from './recovery/left-cdr.js';
import { CallRecovery, countsOf, type RecoveryParts } from './recovery/recover-calls.js';
import { firstRowToRead, kindsRead, Unclosed, type Unfinished } from './recovery/unfinished.js';
import type { SipEndpoint } from './sip/endpoint.js';

/** The longest that new calls wait for the calls of a killed run to be told; what is left is done beside them. */
const holdMs = 3000;
/** How long a stop waits for the recordings of a killed run. */
const stopMs = 10_000;

/** The ledger of calls under way, and the calls an earlier run left. */
export interface LeftCalls {
  readonly ledger: OpenLedger;
  readonly unfinished: readonly Unfinished[];
  /** Calls that have their CDR, and may have a place in the counts yet. */
  readonly closed: readonly CallId[];
  readonly lastSeen: number | null;
  /** The rows of the journal that may be about them. */
  readonly written: { readonly from: number; readonly through: number };
}

/** Only while the journal is open: its lock says that no other process is this controller. */
export const readLeftCalls = async (config: Config, journal: JournalFile, emit: Emit): Promise<LeftCalls> => {
  const { name, ledger: folder } = config.controller;
  const directory = resolve(config.journal.directory);
  const through = (): number => journal.head().seq;
  const ledger = openLedger({
    file: join(folder ?? join(dirname(directory), 'ledger'), `${encodeURIComponent(name)}.ledger`),
    node: name,
    through,
    emit,
  });
  if (ledger.found.damaged > 0) emit({ event: 'fault', where: 'ledger', code: 'lines-damaged' });
  const fromSeq = firstRowToRead(ledger.found, through());
  const unclosed = new Unclosed(ledger.found);
  for await (const row of readJournal(directory, { kinds: kindsRead, fromSeq })) unclosed.take(row);
  const { unfinished, closed } = unclosed.end();
  // With nothing to close, whatever is behind us need not be read again.
  if (unfinished.length === 0) ledger.settled();
  const written = { from: fromSeq, through: through() };
  return { ledger, unfinished, closed, lastSeen: ledger.lastSeen, written };
};

export interface RecoveryNeeds {
  readonly config: Config;
  readonly media: MediaPools;
  readonly recorder: SpoolRecorder;
  readonly endpoint: SipEndpoint;
  readonly counters: SharedCounters;
  readonly rows: Journal;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** Calls whose controller was killed between their CDR and their leaving the counts. */
const giveBack = async ({ ledger, closed }: LeftCalls, counters: SharedCounters): Promise<void> => {
  for (const callId of closed) {
    const notes = ledger.found.calls.get(callId);
    if (notes?.place !== undefined)
      await counters.giveBack(notes.place, notes.opened !== undefined).catch(() => false);
    ledger.over(callId);
  }
};

/**
 * Closes the calls an earlier run left, once the agent is connected. Resolves when both sides of each were told, or
 * after a bound; the recordings and the CDRs follow. Gives what stops it.
 */
export const closeLeftCalls = async (left: LeftCalls, needs: RecoveryNeeds): Promise<() => Promise<void>> => {
  const { ledger, unfinished, lastSeen, written } = left;
  void giveBack(left, needs.counters);
  if (unfinished.length === 0) return async () => undefined;
  const { config, media, recorder, endpoint, counters, rows, clock, emit } = needs;
  const nodes = config.media.nodes.map(({ name }) => name);
  const parts = { nodes, media, recorder, sip: endpoint, counters, journal: rows, ledger, clock, emit };
  const pastRows: RecoveryParts['pastRows'] = (calls) => {
    const sought = calls.map((call) => ({ callId: call.callId, nodes: [nodeOf(call) ?? []].flat() }));
    return readPastRows(config.journal.directory, written, sought);
  };
  const recovery = new CallRecovery(unfinished, { ...parts, lastSeen, pastRows });
  const began = performance.now();
  const ended = recovery.end();
  const closing = ended
    .then(() => recovery.close())
    .then(async (written) => {
      if (written < unfinished.length) return;
      ledger.settled();
      const counts = countsOf(unfinished);
      const ledgerState = ledger.found.head === null ? 'lost' : 'read';
      const ms = Math.round(performance.now() - began);
      await rows.append('calls-recovered', { calls: written, ...counts, ledger: ledgerState, ms });
    })
    .catch(() => undefined);
  await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, holdMs).unref())]);
  return async () => {
    await recovery.stop(stopMs);
    await Promise.race([closing, new Promise((resolve) => setTimeout(resolve, 1000).unref())]);
  };
};
