import type {
  CallersChange,
  CanaryView,
  CodeCallAsked,
  ControlOutcome,
  FarControl,
  FollowedEvent,
  LockedPlace,
  NodeView,
  OnOff,
  OrderView,
} from '../api/control.js';
import type { CallView } from '../call/controller.js';
import type { FacilityId } from '../core/leg.js';
import { type Answer, askWorker, followWorker, outcomeOf } from './worker-socket.js';

/** How long what forbids may take to get from one worker to the others by way of Redis. */
const SHARED_MS = 1000;
const LOOK_MS = 50;

const unreachable: ControlOutcome = {
  ok: false,
  code: 'no-worker',
  message: 'no worker answers on its control socket; nothing was done',
};

const isElsewhere: ReadonlySet<string> = new Set(['call-not-found', 'call-unknown', 'node-unknown']);

const samePlace = (left: LockedPlace, right: LockedPlace): boolean =>
  JSON.stringify(Object.entries(left).sort()) === JSON.stringify(Object.entries(right).sort());

/**
 * What operators may do to several controllers on one host. A call is looked for where it is; an order that all share is
 * given to one of them, which journals it, and the others have it from Redis. What forbids must not wait for a Redis that
 * is down: whoever has not heard of it in time is given it too.
 */
export class WorkersControl implements FarControl {
  /** Control sockets of the workers; the first of them makes the test calls. */
  readonly #sockets: readonly string[];

  constructor(sockets: readonly string[]) {
    this.#sockets = sockets;
  }

  async calls(): Promise<readonly CallView[]> {
    const answers = await Promise.all(this.#sockets.map((one) => askWorker(one, { command: 'calls' })));
    return answers.flatMap((answer) =>
      answer?.ok === true ? (answer.result.calls as readonly CallView[]) : [],
    );
  }

  follow(listener: (event: FollowedEvent) => void): () => void {
    const stops = this.#sockets.map((one) => followWorker(one, listener));
    return () => {
      for (const stop of stops) stop();
    };
  }

  end(call: string, by: string, why: string, block: boolean): Promise<ControlOutcome> {
    return this.#wherever({ command: 'end', call, block, by, why });
  }

  listen(call: string, to: string, by: string, why: string): Promise<ControlOutcome> {
    return this.#wherever({ command: 'listen', call, to, by, why });
  }

  async lockdown(place: LockedPlace, state: OnOff, by: string, why: string): Promise<ControlOutcome> {
    const stands = (order: OrderView): boolean => order.kind === 'lockdown' && samePlace(order.place, place);
    const outcome = await this.#shared({ command: 'lockdown', place, state, by, why }, state, stands);
    if (!outcome.ok || state === 'off') return outcome;
    const under = (await this.calls()).length;
    return { ok: true, note: `${under} calls are under way; those it covers end now` };
  }

  suspend(caller: string, state: OnOff, by: string, why: string): Promise<ControlOutcome> {
    const stands = (order: OrderView): boolean => order.kind === 'suspension' && order.caller === caller;
    return this.#shared({ command: 'suspend', caller, state, by, why }, state, stands);
  }

  review(number: string, verdict: 'clear', by: string, why: string): Promise<ControlOutcome> {
    return this.#one({ command: 'review', number, verdict, by, why });
  }

  noteCallers(change: CallersChange, by: string, why: string | null): Promise<ControlOutcome> {
    return this.#one({ command: 'callers', ...change, by, ...(why === null ? {} : { why }) });
  }

  async orders(): Promise<readonly OrderView[]> {
    for (const socket of this.#sockets) {
      const answer = await askWorker(socket, { command: 'orders' });
      if (answer?.ok === true) return answer.result.orders as readonly OrderView[];
    }
    return [];
  }

  /** Each worker has nodes of its own. */
  async nodes(): Promise<readonly NodeView[]> {
    const answers = await Promise.all(this.#sockets.map((one) => askWorker(one, { command: 'nodes' })));
    return answers.flatMap((answer) =>
      answer?.ok === true ? (answer.result.nodes as readonly NodeView[]) : [],
    );
  }

  drainNode(node: string, state: OnOff, by: string, why: string): Promise<ControlOutcome> {
    return this.#wherever({ command: 'drain', node, state, by, why });
  }

  async canaries(): Promise<readonly CanaryView[]> {
    const answer = await askWorker(this.#first, { command: 'canaries' });
    return answer?.ok === true ? (answer.result.canaries as readonly CanaryView[]) : [];
  }

  runCanaries(facility: FacilityId | null): Promise<ControlOutcome> {
    return this.#of(this.#first, { command: 'canary-run', facility });
  }

  clearCanary(facility: FacilityId, by: string, why: string): Promise<ControlOutcome> {
    return this.#of(this.#first, { command: 'canary-clear', facility, by, why });
  }

  /** The first of them has the phone such calls are made from. Which worker takes the call, its CDR tells. */
  async codeCall(call: CodeCallAsked, by: string): Promise<ControlOutcome> {
    return await this.#of(this.#first, { command: 'code-call', ...call, by });
  }

  get #first(): string {
    return this.#sockets[0] ?? '';
  }

  async #of(socket: string, request: Parameters<typeof askWorker>[1]): Promise<ControlOutcome> {
    const answer = await askWorker(socket, request);
    return answer === null ? unreachable : outcomeOf(answer);
  }

  /** The first that answers; one that goes before it has answered may have done it, so no other is asked then. */
  async #one(request: Parameters<typeof askWorker>[1]): Promise<ControlOutcome> {
    const given = await this.#given(request);
    return given === null ? unreachable : outcomeOf(given.answer);
  }

  async #given(
    request: Parameters<typeof askWorker>[1],
  ): Promise<{ readonly answer: Answer; readonly by: string } | null> {
    for (const by of this.#sockets) {
      // A look first: who cannot be asked is not given an order whose outcome nobody would know.
      if ((await askWorker(by, { command: 'calls' })) === null) continue;
      const answer = await askWorker(by, request);
      const gone: Answer = {
        ok: false,
        code: 'outcome-unknown',
        message: 'the worker went away before it answered; look before you try again',
      };
      return { answer: answer ?? gone, by };
    }
    return null;
  }

  async #shared(
    request: Parameters<typeof askWorker>[1],
    state: OnOff,
    stands: (order: OrderView) => boolean,
  ): Promise<ControlOutcome> {
    const given = await this.#given(request);
    if (given === null) return unreachable;
    if (given.answer.ok && state === 'on') {
      const others = this.#sockets.filter((one) => one !== given.by);
      await Promise.all(others.map((one) => this.#insist(one, request, stands)));
    }
    return outcomeOf(given.answer);
  }

  async #insist(
    socket: string,
    request: Parameters<typeof askWorker>[1],
    stands: (order: OrderView) => boolean,
  ): Promise<void> {
    const end = performance.now() + SHARED_MS;
    for (;;) {
      const answer = await askWorker(socket, { command: 'orders' });
      if (answer === null) return;
      if (answer.ok && (answer.result.orders as readonly OrderView[]).some(stands)) return;
      if (performance.now() > end) break;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    await askWorker(socket, request);
  }

  async #wherever(request: Parameters<typeof askWorker>[1]): Promise<ControlOutcome> {
    let last: ControlOutcome | null = null;
    for (const socket of this.#sockets) {
      const answer = await askWorker(socket, request);
      if (answer === null) continue;
      last = outcomeOf(answer);
      if (last.ok || !isElsewhere.has(last.code)) return last;
    }
    return last ?? unreachable;
  }
}
