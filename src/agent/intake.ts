import type { Context } from './context.js';
import type { Doorway } from './doorway.js';
import { type QuickHead, quickHead } from './quick-refusal.js';
import { sentKey } from './server-transaction.js';
import type { Flow, Framing } from './transport.js';
import { WaitingRoom } from './waiting-room.js';

/** New calls that are read in one turn of the event loop; the others wait for the next ones. */
const perTurn = 2;
/**
 * Messages in one turn that tell that there are more in the kernel's buffer, of which libuv takes 32 a turn: turns without
 * new calls are quick, and take them all in.
 */
const manyMessages = 24;
const mostTurnsWithout = 8;
/** Turned away in one turn for having waited too long; the others are in the next one. */
const mostOverdue = 64;

/** A new call that waits. */
interface Waiting {
  /** True if it was read; false where it was turned away instead, which costs next to nothing. */
  readonly read: () => boolean;
  readonly turnAway: () => void;
}

/** Reads new calls a few at a time; everything else is read as it comes. */
export class Intake {
  readonly #context: Context;
  readonly #doorway: Doorway;
  readonly #guarded: (run: () => void) => void;
  readonly #read: (text: string, flow: Flow, framing: Framing) => void;
  readonly #room = new WaitingRoom<Waiting>();
  #left = perTurn;
  #turn: NodeJS.Immediate | undefined;
  /** Messages since new calls were last served, and turns since then in which none were. */
  #messages = 0;
  #turnsWithout = 0;

  constructor(
    context: Context,
    doorway: Doorway,
    guarded: (run: () => void) => void,
    read: (text: string, flow: Flow, framing: Framing) => void,
  ) {
    this.#context = context;
    this.#doorway = doorway;
    this.#guarded = guarded;
    this.#read = read;
  }

  /** Calls that wait to be read. */
  get waiting(): number {
    return this.#room.size;
  }

  message(text: string, flow: Flow, framing: Framing): void {
    this.#messages += 1;
    // Behind what has no end its connection is closed: it is answered now or never.
    const mayWait = framing !== 'unframed' && text.startsWith('INVITE ');
    if (mayWait && this.#waits(text)) {
      this.#context.telemetry.repeats.requestsIn++;
      return;
    }
    if (this.#doorway.takes(text, flow)) return;
    if (mayWait) {
      if (this.#keeps(text, flow, framing)) return;
    } else if (this.#room.size > 0 && text.startsWith('CANCEL ')) this.#hurry(text);
    this.#read(text, flow, framing);
  }

  stop(): void {
    clearImmediate(this.#turn);
    this.#turn = undefined;
    this.#room.clear();
  }

  /** True if it waits already. */
  #waits(text: string): boolean {
    const head = this.#room.size === 0 ? undefined : quickHead(text);
    return head !== undefined && this.#room.has(sentKey(head.via, head.method));
  }

  /** True if a new call waits now, or was turned away. What is no new call, or nobody's of ours, does not wait. */
  #keeps(text: string, flow: Flow, framing: Framing): boolean {
    if (this.#turn === undefined) this.#await();
    if (this.#room.size === 0 && this.#left > 0) {
      this.#left -= 1;
      return false;
    }
    const { door, serverTransactions, timers } = this.#context;
    const source = door.sourceOf(flow);
    const head = source === undefined ? undefined : quickHead(text);
    if (source === undefined || head === undefined) return false;
    const key = sentKey(head.via, head.method);
    if (serverTransactions.has(key)) return false;
    const waiting = this.#waiting(text, flow, framing, head, key, source);
    if (!this.#room.enter(source, key, waiting, text.length, timers.clock.now())) waiting.turnAway();
    return true;
  }

  #waiting(
    text: string,
    flow: Flow,
    framing: Framing,
    head: QuickHead,
    key: string,
    source: string,
  ): Waiting {
    // Let in before it waited: it took its place in the rates of its source then.
    const letIn = this.#doorway.hasLetIn();
    return {
      read: () => {
        if (letIn) this.#doorway.letIn();
        else if (this.#doorway.takes(text, flow)) return false;
        this.#read(text, flow, framing);
        return true;
      },
      turnAway: () => {
        // What the door let in was too much.
        if (letIn) this.#context.door.congested();
        if (!this.#doorway.sheds(head, key, flow, source)) this.#read(text, flow, framing);
      },
    };
  }

  /** Its INVITE first: a CANCEL of a call nobody knows would come too early. */
  #hurry(text: string): void {
    const head = quickHead(text);
    if (head !== undefined) this.#room.pull(sentKey(head.via, 'INVITE'))?.read();
  }

  #await(): void {
    this.#messages = 0;
    this.#turn = setImmediate(() => this.#serve());
  }

  #serve(): void {
    this.#turn = undefined;
    const now = this.#context.timers.clock.now();
    this.#turnAwayOverdue(now);
    if (this.#messages >= manyMessages && this.#turnsWithout < mostTurnsWithout) {
      this.#turnsWithout += 1;
      this.#await();
      return;
    }
    this.#turnsWithout = 0;
    this.#left = perTurn;
    while (this.#left > 0) {
      const waiting = this.#room.next(now);
      if (waiting === undefined) return;
      this.#guarded(() => {
        if (waiting.read()) this.#left -= 1;
      });
    }
    if (this.#turn === undefined) this.#await();
  }

  #turnAwayOverdue(now: number): void {
    // Where nobody is turned away there is no line that could be too long.
    if (this.#context.door.open) return;
    for (let i = 0; i < mostOverdue; i++) {
      const waiting = this.#room.overdue(now);
      if (waiting === undefined) return;
      this.#guarded(() => waiting.turnAway());
    }
  }
}
