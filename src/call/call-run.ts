import { type CallEvent, type CallState, type Effect, newCall, step } from '../core/call.js';
import type { Ending } from '../core/ending.js';
import { type CallRecord, cdrRow, connectedMs, newRecord } from './cdr.js';
import { codeOf } from './deadline.js';
import { brokenDown, carryOut } from './effects.js';
import type { CallParts } from './parts.js';
import type { Anchor, Armed, CalledLeg, CallerLeg, Dialling, JsonObject, RecordedAnchor } from './ports.js';

/**
 * One call carried out: feeds events to the pure step and runs the effects it asks for. All that is mutable about
 * a call lives here; every change of state happens in `feed`, one event at a time.
 */
export class CallRun {
  readonly caller: CallerLeg;
  readonly parts: CallParts;
  readonly record: CallRecord;
  /** Handles of what is open, set by the effects that opened them. */
  anchor: Anchor | null = null;
  recorded: RecordedAnchor | null = null;
  dialling: Dialling | null = null;
  called: CalledLeg | null = null;
  answerOfCalled: string | null = null;
  answerForCaller: string | null = null;
  armed: Armed | null = null;
  /** True from the moment the node was asked to let media pass: what it recorded since then is kept. */
  mayHaveFlowed = false;
  /** The dialling was given up without an outcome: what still comes of it is hung up. */
  dialAbandoned = false;
  /** The decision's row, until it is in the journal. */
  evidence: JsonObject | null = null;

  #state: CallState = newCall;
  readonly #startedMono: number;
  readonly #queue: CallEvent[] = [];
  #feeding = false;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #onEnded: (run: CallRun) => void;

  constructor(caller: CallerLeg, parts: CallParts, onEnded: (run: CallRun) => void) {
    this.caller = caller;
    this.parts = parts;
    this.record = newRecord(caller.leg);
    this.#startedMono = parts.clock.mono();
    this.#onEnded = onEnded;
    this.record.times.arrived = 0;
  }

  get callId() {
    return this.caller.leg.callId;
  }

  get state(): CallState {
    return this.#state;
  }

  start(): void {
    try {
      this.caller.onGone((how) => this.feed({ type: 'caller-gone', how }));
    } catch (error) {
      this.feed({ type: 'fault', detail: codeOf(error) });
    }
    this.feed({ type: 'arrived' });
  }

  /** Milliseconds since the INVITE arrived, monotonic. */
  elapsed(): number {
    return this.parts.clock.mono() - this.#startedMono;
  }

  /** Takes one event. Safe to call from anywhere, also from within an effect's start. */
  feed(event: CallEvent): void {
    this.#queue.push(event);
    if (this.#feeding) return;
    this.#feeding = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) this.#take(next);
    } finally {
      this.#feeding = false;
    }
  }

  /** A timer that dies with the call. */
  after(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms);
    this.#timers.add(timer);
  }

  /** The CDR as it stands. */
  cdr(ending: Ending) {
    return cdrRow(this.record, ending);
  }

  #take(event: CallEvent): void {
    const before = this.#state.phase;
    const result = step(this.#state, event);
    this.#state = result.next;
    const { emit } = this.parts;
    if (result.stray) {
      // Late acknowledgements and second hang-ups are ordinary; a stray that is neither would be a fault of ours.
      emit({ event: 'call-stray-event', callId: this.callId, phase: before, stray: event.type });
      return;
    }
    if (result.next.phase !== before) {
      if (result.next.phase === 'ending') this.record.times.ended = this.elapsed();
      emit({ event: 'call-phase', callId: this.callId, phase: result.next.phase, ms: this.elapsed() });
    }
    for (const effect of result.effects) this.#run(effect);
    if (result.next.phase === 'ended' && before !== 'ended') this.#finish(result.next.ending);
  }

  #run(effect: Effect): void {
    carryOut(this, effect).then(
      (events) => {
        for (const event of events) this.feed(event);
      },
      (error: unknown) => {
        // carryOut answers every failure itself; reaching this is a fault of ours, and it ends the call. Each
        // effect is answered all the same, or an ending that waits for it would never come to its CDR.
        const code = codeOf(error);
        this.parts.emit({ event: 'call-effect-failed', callId: this.callId, effect: effect.type, code });
        for (const event of brokenDown(effect, code)) this.feed(event);
      },
    );
  }

  #finish(ending: Ending): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.parts.emit({
      event: 'call-ended',
      callId: this.callId,
      verdict: this.record.decision?.verdict ?? 'undecided',
      ending: ending.code,
      detail: ending.detail ?? null,
      connectedMs: connectedMs(this.record),
    });
    this.#onEnded(this);
  }
}
