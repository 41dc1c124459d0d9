import fc from 'fast-check';
import t from 'tap';
import type { CallerId } from '../../src/core/leg.js';
import { absent, answers, limits, listed, privilegedEntry } from '../core/samples.js';
import {
  type Behaviour,
  type DialScript,
  type FakeCall,
  inWorld,
  type Operation,
  operations,
  type World,
} from './fakes.js';
import { checkInvariants } from './invariants.js';

/** Around every bound of the controller: at once, quick, slow, after the deadline, long after all is over. */
const ms = fc.constantFrom(0, 1, 30, 700, 3100, 4500, 6000, 16_000, 50_000, 200_000);
const soon = fc.constantFrom(0, 0, 1, 20, 40, 400);

const behaviour: fc.Arbitrary<Behaviour> = fc.oneof(
  { weight: 30, arbitrary: fc.constant<Behaviour>({ ends: 'well' }) },
  { weight: 30, arbitrary: soon.map((ms): Behaviour => ({ ends: 'well', ms })) },
  { weight: 2, arbitrary: ms.map((ms): Behaviour => ({ ends: 'well', ms })) },
  { weight: 1, arbitrary: ms.map((ms): Behaviour => ({ ends: 'fails', ms })) },
  { weight: 1, arbitrary: fc.constant<Behaviour>({ ends: 'throws' }) },
  { weight: 1, arbitrary: fc.constant<Behaviour>({ ends: 'hangs' }) },
);

const dial: fc.Arbitrary<DialScript> = fc.record({
  rings: fc.option(soon, { freq: 4 }),
  ends: fc.constantFrom('answered', 'answered', 'answered', 'answered', 'failed', 'rejects', 'hangs'),
  ms: fc.oneof(soon, ms),
  ending: fc.constant({ code: 'called-busy', detail: 'sip-486' } as const),
  afterCancel: fc.constantFrom('failed', 'answered', 'hangs'),
  cancelMs: fc.oneof(soon, ms),
  goneAtOnce: fc.boolean(),
});

const newsOf: Readonly<Record<string, (world: World, call: FakeCall) => void>> = {
  cancel: (_world, call) => call.caller.leave('caller-cancelled'),
  'hang up': (_world, call) => call.caller.leave('caller-hung-up'),
  'no ack': (_world, call) => call.caller.leave('ack-missing'),
  'called gone': (_world, call) => call.called?.leave(),
  'node lost': (_world, call) => call.loseNode('restarted'),
  'recording lost': (_world, call) => call.loseRecording('not-growing'),
  'agent lost': (world) => world.controller.agentLost(),
};
const news = fc.record({
  what: fc.constantFrom(...Object.keys(newsOf)),
  at: fc.oneof(soon, fc.integer({ min: 0, max: 500 }), ms),
});

const call = fc.record({
  kind: fc.constantFrom('monitored', 'monitored', 'private', 'private', 'refused'),
  startsAt: soon,
  caller: fc.constantFrom('one', 'two', 'three'),
  behaviours: fc.record(
    Object.fromEntries(operations.map((operation) => [operation, behaviour])) as Record<
      Operation,
      fc.Arbitrary<Behaviour>
    >,
  ),
  dial,
  news: fc.array(news, { maxLength: 3 }),
});
type CallPlan = typeof call extends fc.Arbitrary<infer P> ? P : never;

const plan = fc.record({
  calls: fc.array(call, { minLength: 1, maxLength: 3 }),
  // The journal's contract is that an append settles; how late, and how often it refuses, is anyone's guess.
  journal: fc.record({ refusals: fc.nat({ max: 4 }), ms: fc.oneof(soon, ms) }),
  stop: fc.option(fc.record({ at: ms, drainMs: soon }), { freq: 8 }),
});
type Plan = typeof plan extends fc.Arbitrary<infer P> ? P : never;

const seen = new Map<string, number>();
const count = (what: string): void => {
  seen.set(what, (seen.get(what) ?? 0) + 1);
};

const play = (plan: Plan): Promise<World> =>
  inWorld(
    { policy: { limits: { monitored: limits(2), private: limits(), alone: limits() } } },
    async (world) => {
      const plans = new Map<string, CallPlan>();
      // A stop waits for no journal: what that loses it says, and the cases beside this one test it.
      const journal = plan.stop === null ? plan.journal : { refusals: 0, ms: 1 };
      let { refusals } = journal;
      world.behave = (operation, call) => {
        if (operation === 'append cdr') {
          refusals -= 1;
          return { ends: refusals >= 0 ? 'fails' : 'well', ms: journal.ms };
        }
        const one = call === null ? plan.calls[0] : plans.get(call);
        return one?.behaviours[operation] ?? { ends: 'well' };
      };
      world.dial = (call) => {
        const script = plans.get(call)?.dial;
        if (script === undefined) throw new Error('a call without a plan');
        return script;
      };
      const kinds = new Map<string, CallPlan['kind']>();
      world.answers = (caller) => {
        const kind = kinds.get(caller);
        if (kind === 'refused') return answers({ allow: absent });
        return kind === 'private' ? answers({ privileged: listed(privilegedEntry()) }) : answers();
      };
      for (const one of plan.calls) {
        setTimeout(() => {
          if (world.controller.refusal() !== null) return;
          kinds.set(one.caller, one.kind);
          world.on(world.trace.length, () => {
            const id = [...world.calls.keys()].at(-1);
            if (id !== undefined) plans.set(id, one);
          });
          const call = world.take({ caller: one.caller as CallerId });
          for (const item of one.news) setTimeout(() => newsOf[item.what]?.(world, call), item.at);
        }, one.startsAt);
      }
      if (plan.stop !== null) {
        const { at, drainMs } = plan.stop;
        setTimeout(() => void world.controller.stop(drainMs, 120_000), at);
      }
      await world.time.runOut();
      checkInvariants(world);
      for (const cdr of world.cdrs()) {
        count(`ending ${String(cdr.ending)}`);
        if (Number(cdr.connectedMs) > 0) count(`connected ${String(cdr.verdict)}`);
      }
      for (const what of world.whats()) if (!what.includes(' ok')) count(what);
    },
  );

t.test(
  'whatever the parts do, a call keeps its order and comes to one CDR with nothing left open',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(plan, async (plan) => {
        await play(plan);
      }),
      {
        numRuns: 2500,
        seed: Number(process.env.SEED ?? 11),
        interruptAfterTimeLimit: 60_000,
        markInterruptAsFailure: true,
      },
    );
    // The property means something only where the plans reach everything: a fixed seed keeps that true in CI, and
    // SEED=n explores others.
    for (const what of [
      ...operations,
      'connected monitored',
      'connected private',
      ...[
        'caller-cancelled',
        'caller-hung-up',
        'called-hung-up',
        'called-hung-up-early',
        'called-no-answer',
      ].map((code) => `ending ${code}`),
      ...['recording-lost', 'recording-unproved', 'media-unavailable', 'journal-unavailable', 'shutdown'].map(
        (code) => `ending ${code}`,
      ),
      ...['node-lost', 'agent-lost', 'time-limit', 'internal-error', 'lists-unavailable'].map(
        (code) => `ending ${code}`,
      ),
    ]) {
      t.ok((seen.get(what) ?? 0) >= 1, `${what}: ${seen.get(what) ?? 0}`);
    }
  },
);
