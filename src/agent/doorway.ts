import type { Context } from './context.js';
import type { ShedWhy } from './door.js';
import { type QuickHead, QuickRefusals, quickHead } from './quick-refusal.js';
import { type Refusal, retryAfter } from './refusals.js';
import { sentKey } from './server-transaction.js';
import type { Flow } from './transport.js';
import { replyFlow } from './transports.js';

/** Methods that belong to something that is there already: they are always read. */
const followUps: ReadonlySet<string> = new Set(['ACK', 'CANCEL', 'BYE', 'PRACK', 'UPDATE']);

const status = (why: ShedWhy): 403 | 503 => (why === 'unknown-source' ? 403 : 503);
const linesOf = (why: ShedWhy): string => (why === 'unknown-source' ? '' : retryAfter());

/**
 * Where new requests are turned away before they cost anything. While that goes on, they are answered from their first
 * lines alone; whatever is not plainly a new request is left to those who read it in full.
 */
export class Doorway {
  readonly #context: Context;
  readonly #quick = new QuickRefusals();
  /** The request that is being read in full was let in already. */
  #letIn = false;

  constructor(context: Context) {
    this.#context = context;
  }

  /** True if the message was dealt with here: turned away, or the ACK of that. */
  takes(text: string, flow: Flow): boolean {
    this.#letIn = false;
    const { door, telemetry, serverTransactions, timers } = this.#context;
    if (door.open || !door.pressed) return false;
    if (this.#quick.acknowledges(text)) {
      telemetry.drop('shed-ack');
      return true;
    }
    const code = text.charCodeAt(0);
    // Responses begin with SIP/, keep-alives with a line end.
    if (text.startsWith('SIP/') || code < 65 || this.#isProbe(text)) return false;
    const head = quickHead(text);
    if (head === undefined || followUps.has(head.method) || door.undecided(flow)) return false;
    const key = sentKey(head.via, head.method);
    if (serverTransactions.has(key)) return false;
    const hashed = this.#quick.keyOf(key);
    const now = timers.clock.now();
    let why = this.#quick.refusedLately(hashed, now);
    if (why === undefined) {
      why = door.refusal(flow, head.method, undefined);
      if (why === undefined) {
        this.#letIn = true;
        return false;
      }
      this.#quick.remember(hashed, why, now);
    } else telemetry.repeats.requestsIn++;
    this.#answer(head, hashed, why, flow);
    return true;
  }

  /** Whether the request that was looked at last was let in while others were turned away. */
  hasLetIn(): boolean {
    return this.#letIn;
  }

  /** The request that is read next was let in before. */
  letIn(): void {
    this.#letIn = true;
  }

  /** Turns away a new call of that source for the length of its line; false where nobody is turned away here. */
  sheds(head: QuickHead, key: string, flow: Flow, source: string): boolean {
    const { door, timers } = this.#context;
    if (door.open) return false;
    const hashed = this.#quick.keyOf(key);
    door.shed(source, 'load');
    this.#quick.remember(hashed, 'load', timers.clock.now());
    this.#answer(head, hashed, 'load', flow);
    return true;
  }

  #answer(head: QuickHead, hashed: number, why: ShedWhy, flow: Flow): void {
    const { telemetry, transports } = this.#context;
    telemetry.refuse('shed');
    const { address, port } = flow;
    const data = this.#quick.response(head, hashed, status(why), linesOf(why), address, port);
    transports.send(data, replyFlow(flow, head.via));
  }

  /** The application asks itself through us whether it is there: a flood is no reason to say that it is not. */
  #isProbe(text: string): boolean {
    const { probeUser } = this.#context;
    return probeUser !== undefined && text.startsWith(`OPTIONS sip:${probeUser}@`);
  }

  /** The same for a request that was read in full, once it is known who sent it. */
  refusal(flow: Flow, method: string, identity: string | undefined, key: string): Refusal | undefined {
    if (this.#letIn) {
      this.#letIn = false;
      return undefined;
    }
    const why = this.#context.door.refusal(flow, method, identity);
    if (why === undefined) return undefined;
    this.#quick.remember(this.#quick.keyOf(key), why, this.#context.timers.clock.now());
    return { status: status(why), why: 'shed', extra: linesOf(why) };
  }
}
