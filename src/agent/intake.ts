import type { Context } from './context.js';
import type { Doorway } from './doorway.js';
import { quickHead } from './quick-refusal.js';
import { sentKey } from './server-transaction.js';
import type { Flow, Framing } from './transport.js';
import { WaitingRoom } from './waiting-room.js';

/** New calls that are read in one turn of the event loop; the others wait for the next ones. */
const perTurn = 2;

/** Reads new calls a few at a time; everything else is read as it comes. */
export class Intake {
  readonly #context: Context;
  readonly #doorway: Doorway;
  readonly #guarded: (run: () => void) => void;
  readonly #read: (text: string, flow: Flow, framing: Framing) => void;
  readonly #room = new WaitingRoom<() => void>();
  #left = perTurn;
  #turn: NodeJS.Immediate | undefined;

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
    // Behind what has no end its connection is closed: it is answered now or never.
    if (framing !== 'unframed' && text.startsWith('INVITE ')) {
      if (this.#keeps(text, flow, framing)) return;
    } else if (this.#room.size > 0 && text.startsWith('CANCEL ')) this.#hurry(text);
    this.#read(text, flow, framing);
  }

  stop(): void {
    clearImmediate(this.#turn);
    this.#turn = undefined;
    this.#room.clear();
  }

  /** True if a new call waits now, or was turned away. What is no new call, or nobody's of ours, does not wait. */
  #keeps(text: string, flow: Flow, framing: Framing): boolean {
    this.#turn ??= setImmediate(() => this.#serve());
    if (this.#room.size === 0 && this.#left > 0) {
      this.#left -= 1;
      return false;
    }
    const { door, serverTransactions, telemetry, timers } = this.#context;
    const source = door.sourceOf(flow);
    const head = source === undefined ? undefined : quickHead(text);
    if (source === undefined || head === undefined) return false;
    const key = sentKey(head.via, head.method);
    if (serverTransactions.has(key)) return false;
    if (this.#room.has(key)) {
      telemetry.repeats.requestsIn++;
      return true;
    }
    const read = (): void => this.#read(text, flow, framing);
    if (this.#room.enter(source, key, read, text.length, timers.clock.now())) return true;
    return this.#doorway.sheds(head, key, flow, source);
  }

  /** Its INVITE first: a CANCEL of a call nobody knows would come too early. */
  #hurry(text: string): void {
    const head = quickHead(text);
    if (head !== undefined) this.#room.pull(sentKey(head.via, 'INVITE'))?.();
  }

  #serve(): void {
    this.#turn = undefined;
    this.#left = perTurn;
    const now = this.#context.timers.clock.now();
    while (this.#left > 0) {
      const read = this.#room.next(now);
      if (read === undefined) return;
      this.#left -= 1;
      this.#guarded(read);
    }
    this.#turn ??= setImmediate(() => this.#serve());
  }
}
