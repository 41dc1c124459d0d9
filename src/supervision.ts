import type {
  CallersChange,
  CanaryView,
  CodeCallAsked,
  Control,
  ControlOutcome,
  FollowedEvent,
  NodeView,
  OnOff,
  OrderView,
} from './api/control.js';
import { maskedNumber } from './api/control.js';
import { FollowedCalls } from './api/control-follow.js';
import type { CallRun } from './call/call-run.js';
import type { CallView, Controller } from './call/controller.js';
import { codeOf } from './call/deadline.js';
import type { AppEvent } from './call/events.js';
import { listenIn } from './call/listen-in.js';
import type { Clock, Emit, Journal, JsonObject } from './call/ports.js';
import type { Locked, Order, OrderGiven } from './call/talk.js';
import type { Canaries } from './canary/canaries.js';
import type { CodeCalls } from './code-call/code-calls.js';
import type { Config } from './config/schema.js';
import { type CallId, type FacilityId, parseCallerId } from './core/leg.js';
import { numberKeyText, parseListed, parseNumberKeyText } from './core/number.js';
import type { SharedOrders } from './lists/orders.js';
import type { MediaPools } from './media/media.js';
import { facilityTrunksOf, planOf } from './options.js';
import type { SupervisorDialer } from './sip/supervisor.js';

interface SupervisionParts {
  readonly controller: Controller;
  readonly orders: SharedOrders;
  readonly supervisors: SupervisorDialer;
  readonly journal: Journal;
  readonly emit: Emit;
  readonly clock: Clock;
  readonly config: Config;
  readonly media: Pick<MediaPools, 'status' | 'drain'>;
  /** Null where the configuration has no test calls. */
  readonly canaries: Canaries | null;
  /** Null where the configuration has no calls with a code, or another controller makes them. */
  readonly codeCalls: CodeCalls | null;
}

const refused = (code: string, message: string): ControlOutcome => ({ ok: false, code, message });
const done = (note: string | null = null): ControlOutcome => ({ ok: true, note });

const noCanaries = refused('no-canaries', 'the configuration has no test calls (canaries)');
const canaryUnknown = refused('facility-unknown', 'there are no test calls of this facility');

const privateCall = refused(
  'call-private',
  'this is a private call: no role can listen to it or end it by hand, and there is no function that could',
);

/**
 * What operators may do to a running controller. Each use is a journal row with who and why before it takes effect;
 * where the row cannot be written, nothing is done.
 */
export class Supervision implements Control {
  readonly #parts: SupervisionParts;
  readonly #followed: FollowedCalls;
  /** Called numbers that ring an investigator, by the number's text. */
  readonly #alerts: ReadonlyMap<string, string>;

  constructor(parts: SupervisionParts) {
    this.#parts = parts;
    const facilities = new Map(facilityTrunksOf(parts.config).map(({ name, facility }) => [name, facility]));
    this.#followed = new FollowedCalls({
      facilityOf: (trunk) => facilities.get(trunk) ?? 'unknown',
      clock: parts.clock,
    });
    const plan = planOf(parts.config, Object.keys(parts.config.dialPlans)[0] ?? 'default');
    this.#alerts = new Map(
      parts.config.control.alerts.flatMap(({ number, phone }) => {
        const read = parseListed(number, plan);
        return read.kind === 'number' ? [[numberKeyText(read.key), phone] as const] : [];
      }),
    );
  }

  calls(): readonly CallView[] {
    return this.#parts.controller.calls();
  }

  follow(listener: (event: FollowedEvent) => void): () => void {
    return this.#followed.follow(listener);
  }

  /** Turns the product's own events into what operators follow, and rings investigators. */
  observe(event: AppEvent): void {
    if (event.event === 'call-phase' && event.phase === 'connected') this.#alert(event.callId);
    this.#followed.observe(event);
  }

  async end(callId: string, by: string, why: string, block: boolean): Promise<ControlOutcome> {
    const run = this.#parts.controller.find(callId);
    if (run === null) return refused('call-unknown', 'no such call is under way');
    if (run.record.decision?.verdict === 'private') return privateCall;
    return this.#journalled('end', run.callId, by, { why, block }, async () => {
      const { dialled } = run.leg;
      if (block && dialled.kind === 'number') {
        await this.#order({ kind: 'block', key: dialled.key, cause: 'security' }, 'on', by, why, run.callId);
      }
      run.feed({ type: 'ended-by-staff' });
      return done(block ? 'the call is being ended, and its number is blocked' : 'the call is being ended');
    });
  }

  async listen(callId: string, to: string, by: string, why: string): Promise<ControlOutcome> {
    const run = this.#parts.controller.find(callId);
    if (run === null) return refused('call-unknown', 'no such call is under way');
    if (run.record.decision?.verdict === 'private') return privateCall;
    return this.#journalled('listen', run.callId, by, { why, to }, () => this.#listen(run, to));
  }

  async lockdown(place: Locked, state: OnOff, by: string, why: string): Promise<ControlOutcome> {
    if (place.level !== 'global' && this.#parts.config.facilities[place.facility] === undefined) {
      return refused('facility-unknown', `the configuration has no facility ${place.facility}`);
    }
    return this.#journalled('lockdown', null, by, { why, state, place: { ...place } }, async () => {
      await this.#order({ kind: 'lockdown', place }, state, by, why, null);
      const under = this.#parts.controller.calls().length;
      return done(state === 'on' ? `${under} calls are under way; those it covers end now` : null);
    });
  }

  async suspend(caller: string, state: OnOff, by: string, why: string): Promise<ControlOutcome> {
    const id = parseCallerId(caller);
    if (id === null) return refused('caller-invalid', 'a caller is 1-64 letters, digits, dots, hyphens');
    return this.#journalled('suspension', null, by, { why, state, caller: id }, async () => {
      await this.#order({ kind: 'suspension', caller: id }, state, by, why, null);
      return done();
    });
  }

  async review(numberText: string, _verdict: 'clear', by: string, why: string): Promise<ControlOutcome> {
    const { config, orders } = this.#parts;
    const plan = planOf(config, Object.keys(config.dialPlans)[0] ?? 'default');
    const read = parseListed(numberText, plan);
    if (read.kind !== 'number') return refused('number-malformed', 'this is not a number of the dial plan');
    const number = numberKeyText(read.key);
    const standing = orders
      .list()
      .filter(
        ({ state, order }) =>
          state === 'on' &&
          (order.kind === 'pending' || order.kind === 'block') &&
          numberKeyText(order.key) === number,
      );
    if (standing.length === 0) return refused('nothing-stands', 'nothing stands for this number');
    return this.#journalled('review', null, by, { why, cleared: standing.map(({ id }) => id) }, async () => {
      for (const { order } of standing) await this.#order(order, 'off', by, why, null);
      return done(`${standing.length} taken back; the number is judged by the lists again`);
    });
  }

  noteCallers(change: CallersChange, by: string, why: string | null): Promise<ControlOutcome> {
    return this.#journalled('callers', null, by, { why, ...change }, async () => done());
  }

  nodes(): readonly NodeView[] {
    return this.#parts.media.status().nodes;
  }

  async drainNode(node: string, state: OnOff, by: string, why: string): Promise<ControlOutcome> {
    const { media } = this.#parts;
    const known = media.status().nodes.find(({ name }) => name === node);
    if (known === undefined) return refused('node-unknown', 'the configuration has no such media node');
    if (known.drained === (state === 'on')) return done('it was so already');
    return this.#journalled('drain', null, by, { why, node, pool: known.pool, state }, async () => {
      media.drain(node, state === 'on');
      if (state === 'off') return done();
      // An order, and not a fault: who empties the last node of a pool is told what it means.
      const { ready } = media.status();
      if (!ready[known.pool]) return done(`no node of the ${known.pool} pool takes calls now`);
      return done(`${known.calls} calls go on there`);
    });
  }

  canaries(): readonly CanaryView[] {
    return this.#parts.canaries?.view() ?? [];
  }

  async runCanaries(facility: FacilityId | null): Promise<ControlOutcome> {
    const { canaries } = this.#parts;
    if (canaries === null) return noCanaries;
    return canaries.runNow(facility) ? done('test calls are being made') : canaryUnknown;
  }

  async clearCanary(facility: FacilityId, by: string, why: string): Promise<ControlOutcome> {
    const { canaries } = this.#parts;
    if (canaries === null) return noCanaries;
    if (!canaries.has(facility)) return canaryUnknown;
    if (canaries.recording(facility) === 'armed') {
      return refused('nothing-stands', 'recording is armed in this facility');
    }
    return this.#journalled('canary-clear', null, by, { why, facility }, async () => {
      await canaries.clear(facility, by);
      return done('test calls go on; the next that fails disarms it again');
    });
  }

  async codeCall(
    { number, code, language }: CodeCallAsked,
    by: string,
  ): Promise<ControlOutcome & { readonly callId?: CallId | null }> {
    const { codeCalls } = this.#parts;
    const key = parseNumberKeyText(number);
    if (codeCalls === null)
      return refused('no-code-calls', 'the configuration has no calls with a code (counsel.calls)');
    if (key === null) return refused('number-malformed', 'this is no number in its canonical writing');
    let callId: CallId | null = null;
    const outcome = await this.#journalled(
      'code-call',
      null,
      by,
      { why: 'code asked for', language },
      async () => {
        const placed = await codeCalls.place({ key, code, language });
        switch (placed.state) {
          case 'placed':
            callId = placed.callId;
            return done();
          case 'busy':
            return refused('code-calls-busy', 'as many such calls are under way as may be');
          case 'not-sent':
            return refused('code-call-not-sent', 'the call could not be begun');
          default: {
            const never: never = placed;
            return never;
          }
        }
      },
    );
    return { ...outcome, callId };
  }

  orders(): readonly OrderView[] {
    const standing = this.#parts.orders.list().filter(({ state }) => state === 'on');
    const views: OrderView[] = [];
    const counted = new Map<
      string,
      { kind: 'pending' | 'block'; cause: string; count: number; newest: string[] }
    >();
    for (const { order, by, why, at } of [...standing].sort((a, b) => b.at - a.at)) {
      const since = new Date(at).toISOString();
      if (order.kind === 'lockdown') views.push({ kind: 'lockdown', place: order.place, by, why, since });
      else if (order.kind === 'suspension') {
        views.push({ kind: 'suspension', caller: order.caller, by, why, since });
      } else {
        const name = `${order.kind} ${order.cause}`;
        const view = counted.get(name) ?? { kind: order.kind, cause: order.cause, count: 0, newest: [] };
        view.count += 1;
        if (view.newest.length < 5) view.newest.push(maskedNumber(numberKeyText(order.key)));
        counted.set(name, view);
      }
    }
    return [...views, ...counted.values()];
  }

  async #order(order: Order, state: OnOff, by: string, why: string, callId: CallId | null): Promise<void> {
    const given: OrderGiven = { order, state, by, why, callId };
    await this.#parts.orders.give(given);
  }

  async #listen(run: CallRun, to: string): Promise<ControlOutcome> {
    const outcome = await listenIn(run, (offer) => this.#parts.supervisors.dial(to, offer));
    if (outcome.state === 'listening') return done('the phone hears both parties, and neither hears it');
    if (outcome.code === 'call-private') return privateCall;
    return refused(outcome.code, listenTexts[outcome.code] ?? `the phone could not listen: ${outcome.code}`);
  }

  /** A covert alert: an investigator's phone rings when a monitored call to a watched number is up. */
  #alert(callId: CallId): void {
    if (this.#alerts.size === 0) return;
    const run = this.#parts.controller.find(callId);
    if (run === null || run.record.decision?.verdict !== 'monitored') return;
    const { dialled } = run.leg;
    const phone = dialled.kind === 'number' ? this.#alerts.get(numberKeyText(dialled.key)) : undefined;
    if (phone === undefined) return;
    void this.#journalled('listen', callId, 'alert', { why: 'alert number', to: phone }, () =>
      this.#listen(run, phone),
    );
  }

  async #journalled(
    use: Extract<AppEvent, { event: 'supervision' }>['use'],
    callId: CallId | null,
    by: string,
    body: JsonObject,
    work: () => Promise<ControlOutcome>,
  ): Promise<ControlOutcome> {
    const { journal, emit } = this.#parts;
    let outcome: ControlOutcome;
    try {
      await journal.append('supervision', { use, callId, by, ...body });
      outcome = await work();
    } catch (error) {
      outcome = refused(
        codeOf(error),
        'it could not be written down or not be done to its end; `sallyport orders` shows what stands',
      );
    }
    emit({ event: 'supervision', callId, use, outcome: outcome.ok ? 'done' : outcome.code });
    return outcome;
  }
}

const listenTexts: Readonly<Record<string, string>> = {
  'call-not-up': 'the parties do not hear each other yet, or no longer',
  'too-many-listeners': 'as many phones listen to this call as may',
  'call-over': 'the call was over before the phone answered',
  'supervisor-not-allowed': 'this phone is not among `control.supervisors` of the configuration',
  'supervisor-no-answer': 'the phone did not answer',
};
