import type { AnswerPolicy } from '../../../src/phones/answer-policy.js';
import type { IncomingCall } from '../../../src/phones/incoming-call.js';
import type { OutgoingCall } from '../../../src/phones/outgoing-call.js';
import { type Cell, expected, howOf, isUp, type Shown, uriOf } from './cells.js';
import { calledHz, callerHz, heard, hearEachOther, rowsNow, type Stage } from './stage.js';

/** What the called side does with the call of a cell. */
const policyOf = (cell: Cell, goesOn: boolean): AnswerPolicy => {
  const uri = uriOf(cell);
  // Rings on where the call must end before anybody answers: it is for the product to end it.
  const then = goesOn ? ({ do: 'answer', afterMs: 40 } as const) : ({ do: 'ring' } as const);
  const hint = (headers: Record<string, string>): AnswerPolicy => ({
    ...then,
    ring: [{ status: 181, headers }, { afterMs: 20 }],
  });
  switch (cell.manner) {
    case '302':
      return { do: 'redirect', contact: `<${uri}>`, ring: false };
    case '181 + Diversion':
      return hint({ Diversion: `<${uri}>;reason=unconditional` });
    case '181 + History-Info':
      return hint({
        'History-Info': `<sip:${cell.dialled}@carrier.invalid>;index=1, <${uri}>;index=1.1;mp=1`,
      });
    case '200 + identity':
      return { do: 'answer', ring: false, headers: { 'P-Asserted-Identity': `<${uri}>` } };
    default:
      return { do: 'answer', ring: false };
  }
};

/** Says within the call who else it is. */
const name = async (cell: Cell, other: IncomingCall): Promise<number> => {
  const uri = uriOf(cell);
  const headers = { 'P-Asserted-Identity': `<${uri}>` };
  switch (cell.manner) {
    case 'UPDATE + identity':
      return (await other.update({ headers })).status;
    case 're-INVITE + identity':
      return (await other.reinvite({ headers })).status;
    case 'REFER':
      return (await other.refer(uri)).status;
    default:
      return 0;
  }
};

/** Watches when the row about another party comes to lie on the disk, and when the product first acts on it. */
export class FirstRows {
  readonly #stage: Stage;
  readonly #seen = new Map<string, boolean>();

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** To be called in the moment something is done about the other parties of this call. */
  acted(callId: string, how: string): void {
    const key = `${callId} ${how}`;
    if (this.#seen.has(key)) return;
    const rows = rowsNow(this.#stage.site);
    this.#seen.set(
      key,
      rows.some((row) => row.kind === 'decision' && row.body.callId === callId && row.body.other === how),
    );
  }

  of(callId: string, how: string): boolean | undefined {
    return this.#seen.get(`${callId} ${how}`);
  }
}

/** Plays a cell with real phones and gives what was seen of it, or why it could not be played. */
export const runCell = async (
  stage: Stage,
  cell: Cell,
  rows: FirstRows,
  forwardEnds = false,
): Promise<{ readonly callId: string; readonly shown: Shown } | { readonly broken: string }> => {
  try {
    return await played(stage, cell, rows, forwardEnds);
  } catch (error) {
    return { broken: String(error).slice(0, 600) };
  }
};

const played = async (stage: Stage, cell: Cell, rows: FirstRows, forwardEnds: boolean) => {
  const { site } = stage;
  const want = expected(cell, forwardEnds);
  const how = howOf[cell.manner];
  const goesOn = want.ending === 'caller-hung-up';
  const known: { callId?: string } = {};
  stage.on(cell.dialled, policyOf(cell, goesOn));
  stage.on(cell.number, () => {
    if (known.callId !== undefined) rows.acted(known.callId, how);
    return { do: 'answer', ring: false };
  });
  const uri = uriOf(cell);
  const headers: Record<string, string> =
    cell.manner === 'INVITE + Diversion' ? { Diversion: `<${uri}>;reason=unconditional` } : {};
  const { call, callId } = await stage.place(cell.dialled, cell.caller, { headers });
  known.callId = callId;
  const talkedTo = want.spokeWith === 'target' ? cell.number : cell.dialled;
  if (goesOn || isUp(cell.manner)) {
    await call.answered();
    const other = await stage.incoming(talkedTo);
    await stage.up(callId);
    await hearEachOther(call, other);
    const status = await name(cell, other);
    if (cell.manner === 'REFER' && status !== 603) throw new Error(`the REFER was answered with ${status}`);
    await site.event('other-party', (event) => event.callId === callId && event.how === how);
    if (goesOn) {
      await hearEachOther(call, other, 200);
      await call.hangUp();
    } else {
      await Promise.all([call.ended(), other.ended()]);
      if (call.ending?.by !== 'them' || other.ending?.by !== 'them')
        throw new Error('nobody hung up on both');
    }
  } else {
    await call.failed();
  }
  await stage.over(callId);
  return { callId, shown: await seen(stage, cell, rows, call, callId) };
};

const seen = async (
  stage: Stage,
  cell: Cell,
  rows: FirstRows,
  call: OutgoingCall,
  callId: string,
): Promise<Shown> => {
  const cdr = await stage.site.cdr(callId);
  const how = howOf[cell.manner];
  const others = cdr.otherParties ?? [];
  const party = others.findLast((one: { how: string }) => one.how === how);
  const dialled = stage.callOf(cell.dialled);
  const target = stage.callOf(cell.number);
  const talker = heard(dialled, callerHz) ? dialled : heard(target, callerHz) ? target : undefined;
  const ofCall = stage.site.watch.named(callId);
  const sealed = cdr.sealed?.state === 'recording-sealed';
  const recorded = cdr.spool?.state === 'recording-finished';
  return {
    decided: party?.verdict ?? 'none',
    outcome: party?.outcome ?? null,
    rowFirst: cell.target === 'unreadable' ? null : (rows.of(callId, how) ?? false),
    ending: cdr.ending,
    status: cdr.status,
    callerHeard: heard(call, calledHz) ? 'called' : 'nothing',
    calledHeard: talker === undefined ? 'nothing' : 'caller',
    spokeWith: talker === undefined ? 'nobody' : talker === dialled ? 'dialled' : 'target',
    pool: String(cdr.node).startsWith('private') ? 'private' : 'recorded',
    // A file of a private call is found by the kernel's own events, whatever the product says.
    spool: sealed
      ? 'sealed'
      : recorded || (cell.verdict === 'private' && ofCall.length > 0)
        ? 'recording'
        : 'nothing',
  };
};
