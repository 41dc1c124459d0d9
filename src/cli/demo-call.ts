import type { AppEvent } from '../call/events.js';
import type { Phone } from '../phones/sip-phone.js';
import { type DemoRecording, level, recordingAt } from './demo-recording.js';
import type { FileWatch } from './demo-watch.js';
import { standingRows } from './standing-rows.js';

/** One call of the demo as its outside saw it: the phones, the disk, the journal. */
export interface DemoCall {
  readonly name: string;
  readonly dialled: string;
  readonly verdict: string;
  readonly reasons: readonly string[];
  readonly sipStatus: number;
  readonly recording: DemoRecording | null;
  /** Files of this call seen in any media node's spool, at any moment. */
  readonly spoolFilesForCall: readonly string[];
  readonly heard: {
    readonly caller: { readonly hz1000: number };
    readonly called: { readonly hz440: number };
  };
  /** Sequence number of the decision's row in the journal. */
  readonly journalSeq: number;
  readonly ending: string;
}

export interface DemoStage {
  readonly caller: Phone;
  readonly called: Phone;
  readonly sip: { readonly host: string; readonly port: number };
  readonly journal: string;
  readonly watch: FileWatch;
  /** File of the throw-away identity that opens this site's recordings. */
  readonly identity: string;
  /** Every event of the controller since the start. */
  readonly events: readonly AppEvent[];
  readonly talkMs: number;
  /** Resolves when this many calls have ended. */
  readonly ended: (count: number) => Promise<void>;
}

const rest = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Places one call, lets both talk for a while, hangs up, and gathers what everybody saw. */
export const placeCall = async (name: string, dialled: string, stage: DemoStage): Promise<DemoCall> => {
  const before = stage.events.filter((event) => event.event === 'call-ended').length;
  const arrivals = stage.events.length;
  const incoming = stage.called.invites.length;
  const call = await stage.caller.call({
    to: `sip:${encodeURI(dialled)}@${stage.sip.host}:${stage.sip.port}`,
    via: stage.sip,
    from: `<sip:4711@${stage.caller.host}>`,
  });
  // Rejects where the call is refused, which the final response then says.
  await call.answered({ deadlineMs: 20_000 }).catch(() => undefined);
  const status = call.final?.status ?? 0;
  let callerHeard = new Int16Array();
  let calledHeard = new Int16Array();
  if (status === 200) {
    // The demo shows a conversation; its length is what a listener would want to hear.
    await rest(stage.talkMs);
    callerHeard = call.audio.samples() as Int16Array<ArrayBuffer>;
    const taken = stage.called.incoming.at(-1);
    if (taken !== undefined && stage.called.invites.length > incoming) {
      calledHeard = taken.audio.samples() as Int16Array<ArrayBuffer>;
    }
    if (call.ending === undefined) await call.hangUp();
  }
  await stage.ended(before + 1);
  const arrived = stage.events.slice(arrivals).find((event) => event.event === 'call-arrived');
  const callId = arrived?.event === 'call-arrived' ? arrived.callId : '';
  const rows = await rowsOf(stage.journal, callId);
  const recording = rows.file === null ? null : await recordingAt(rows.file, stage.identity);
  return {
    name,
    dialled,
    verdict: rows.verdict,
    reasons: rows.reasons,
    sipStatus: status,
    recording,
    spoolFilesForCall: callId === '' ? [] : stage.watch.named(callId),
    heard: { caller: { hz1000: level(callerHeard, 1000) }, called: { hz440: level(calledHeard, 440) } },
    journalSeq: rows.seq,
    ending: rows.ending,
  };
};

interface Rows {
  readonly seq: number;
  readonly verdict: string;
  readonly reasons: readonly string[];
  readonly ending: string;
  readonly file: string | null;
}

interface DecisionBody {
  readonly verdict: string;
  readonly reasons: readonly { readonly code: string }[];
}
interface CdrBody {
  readonly ending: string;
  readonly spool: { readonly state: string; readonly file?: string } | null;
}

/** What the journal on the disk says of the call. */
const rowsOf = async (journal: string, callId: string): Promise<Rows> => {
  let rows: Rows = { seq: 0, verdict: 'undecided', reasons: [], ending: 'none', file: null };
  for await (const row of standingRows(journal, { callId, kinds: ['decision', 'cdr'] })) {
    if (row.kind === 'decision') {
      const body = row.body as unknown as DecisionBody;
      rows = { ...rows, seq: row.seq, verdict: body.verdict, reasons: body.reasons.map((one) => one.code) };
    } else {
      const body = row.body as unknown as CdrBody;
      rows = { ...rows, ending: body.ending, file: body.spool?.file ?? null };
    }
  }
  return rows;
};
