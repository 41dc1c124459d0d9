import fc from 'fast-check';
import t from 'tap';
import { type CallEvent, type CallState, type Effect, newCall, step } from '../../src/core/call.js';
import type { Decision } from '../../src/core/decision.js';
import { endingCodes } from '../../src/core/ending.js';
import { aMonitored, aPrivate, aRefused } from './samples.js';

const decisions: readonly Decision[] = [aMonitored(), aPrivate(), aRefused()];
const failed = { code: 'media-unavailable' } as const;

/** The outcomes the shell may answer an effect with; the first is the good one. */
const outcomes = (effect: Effect, decision: Decision): readonly CallEvent[] => {
  switch (effect.type) {
    case 'look-up-and-decide':
      return [{ type: 'decided', decision }];
    case 'journal-decision':
      return [{ type: 'decision-journalled' }, { type: 'journal-failed', detail: 'x' }];
    case 'ready-recorder':
      return [{ type: 'recorder-ready' }, { type: 'recorder-unready', detail: 'x' }];
    case 'anchor':
      return [{ type: 'anchored' }, { type: 'anchor-failed', ending: failed }];
    case 'dial':
      return [{ type: 'answered' }, { type: 'dial-failed', ending: { code: 'called-busy' } }];
    case 'arm':
      return [{ type: 'armed' }, { type: 'arm-failed', ending: { code: 'recording-unproved' } }];
    case 'answer-media':
      return [{ type: 'media-answered' }, { type: 'media-answer-failed', ending: failed }];
    case 'connect-caller':
      return [{ type: 'caller-connected' }, { type: 'caller-connect-failed', detail: 'x' }];
    case 'open-media':
      return [{ type: 'media-opened' }, { type: 'media-open-failed', detail: 'x' }];
    case 'refuse-caller':
    case 'hang-up-caller':
      return [{ type: 'caller-closed' }];
    case 'hang-up-called':
      return [{ type: 'called-closed' }];
    case 'release-media':
      return [{ type: 'media-released' }];
    case 'inspect-spool':
      return [{ type: 'spool-inspected' }];
    case 'write-cdr':
      return [{ type: 'cdr-written' }];
    case 'ring-caller':
    case 'cancel-dial':
    case 'watch':
      return [];
    default: {
      const never: never = effect;
      return never;
    }
  }
};

const news: readonly CallEvent[] = [
  { type: 'rang' },
  { type: 'caller-gone', how: 'caller-cancelled' },
  { type: 'caller-gone', how: 'caller-hung-up' },
  { type: 'caller-gone', how: 'ack-missing' },
  { type: 'called-gone' },
  { type: 'ring-limit-reached' },
  { type: 'time-limit-reached' },
  { type: 'recording-lost', detail: 'x' },
  { type: 'node-lost', detail: 'x' },
  { type: 'shutdown' },
  { type: 'agent-lost' },
  { type: 'fault', detail: 'x' },
];
// Acknowledgements nobody is waiting for: a confused or hostile shell must not move a call forward.
const strays: readonly CallEvent[] = [
  { type: 'decision-journalled' },
  { type: 'answered' },
  { type: 'armed' },
  { type: 'media-answered' },
  { type: 'caller-connected' },
  { type: 'media-opened' },
  { type: 'spool-inspected' },
  { type: 'media-released' },
];

interface Trace {
  state: CallState;
  readonly effects: Effect[];
  readonly events: CallEvent[];
  readonly due: Effect[];
}

/** Plays one history: each choice either answers an effect under way or brings news from outside. */
const play = (decision: Decision, choices: readonly number[], withStrays: boolean): Trace => {
  const trace: Trace = { state: newCall, effects: [], events: [], due: [] };
  const feed = (event: CallEvent): void => {
    const result = step(trace.state, event);
    trace.events.push(event);
    trace.state = result.next;
    for (const effect of result.effects) {
      trace.effects.push(effect);
      if (outcomes(effect, decision).length > 0) trace.due.push(effect);
    }
  };
  feed({ type: 'arrived' });
  for (const choice of choices) {
    const roll = choice % 16;
    if (roll < 11 && trace.due.length > 0) {
      const [effect] = trace.due.splice((choice >> 4) % trace.due.length, 1);
      if (effect === undefined) continue;
      const possible = outcomes(effect, decision);
      feed(possible[roll < 9 ? 0 : possible.length - 1] as CallEvent);
    } else if (roll < 15 || !withStrays) {
      feed(news[(choice >> 4) % news.length] as CallEvent);
    } else {
      feed(strays[(choice >> 4) % strays.length] as CallEvent);
    }
  }
  return trace;
};

const count = (trace: Trace, type: Effect['type']): number =>
  trace.effects.filter((e) => e.type === type).length;
const choices = fc.array(fc.nat({ max: 4095 }), { maxLength: 40 });
const decision = fc.constantFrom(...decisions);

t.test('a good call takes every step in order', async (t) => {
  for (const [kind, decision] of [
    ['monitored', aMonitored()],
    ['private', aPrivate()],
  ] as const) {
    const trace = play(decision, Array<number>(9).fill(0), false);
    t.equal(trace.state.phase, 'connected', kind);
    const wanted =
      kind === 'monitored'
        ? [
            'look-up-and-decide',
            'journal-decision',
            'ready-recorder',
            'anchor',
            'dial',
            'arm',
            'connect-caller',
            'open-media',
            'watch',
          ]
        : [
            'look-up-and-decide',
            'journal-decision',
            'anchor',
            'dial',
            'answer-media',
            'connect-caller',
            'open-media',
            'watch',
          ];
    t.same(
      trace.effects.map((effect) => effect.type),
      wanted,
    );
  }
});

t.test('a refused call anchors, dials and connects nothing', async (t) => {
  const trace = play(aRefused(), Array<number>(9).fill(0), false);
  t.equal(trace.state.phase, 'ended');
  t.same(
    trace.effects.map((effect) => effect.type),
    ['look-up-and-decide', 'journal-decision', 'refuse-caller', 'write-cdr'],
  );
});

t.test('no history breaks the order of a call', async (t) => {
  // With strays from a confused shell: nothing but the acknowledgement of the step before moves a call on.
  fc.assert(
    fc.property(decision, choices, (decision, choices) => {
      const seen = new Set<string>();
      let state: CallState = newCall;
      const trace = play(decision, choices, false);
      for (const event of trace.events) {
        const before: CallState = state;
        const result = step(state, event);
        seen.add(event.type);
        for (const effect of result.effects) {
          const needs: Partial<Record<Effect['type'], string[]>> = {
            anchor: ['decision-journalled'],
            dial: ['decision-journalled', 'anchored'],
            arm: ['decision-journalled', 'anchored', 'answered'],
            'answer-media': ['decision-journalled', 'anchored', 'answered'],
            'connect-caller': [
              'decision-journalled',
              decision.verdict === 'monitored' ? 'armed' : 'media-answered',
            ],
            'open-media': ['caller-connected', decision.verdict === 'monitored' ? 'armed' : 'media-answered'],
          };
          for (const need of needs[effect.type] ?? []) {
            if (!seen.has(need)) throw new Error(`${effect.type} without ${need} in ${before.phase}`);
          }
          if (
            decision.verdict !== 'monitored' &&
            (effect.type === 'arm' || effect.type === 'ready-recorder')
          ) {
            throw new Error(`${effect.type} on a ${decision.verdict} call`);
          }
          if (
            decision.verdict === 'refused' &&
            ['anchor', 'dial', 'connect-caller', 'open-media'].includes(effect.type)
          ) {
            throw new Error(`${effect.type} on a refused call`);
          }
        }
        state = result.next;
      }
    }),
    { numRuns: 20_000 },
  );
  t.pass('20,000 histories');
});

t.test('a confused shell cannot connect a call or make the core throw', async (t) => {
  fc.assert(
    fc.property(decision, choices, (decision, choices) => {
      const trace = play(decision, choices, true);
      // Each forward effect happens at most once, whatever is acknowledged twice or out of turn.
      for (const type of [
        'journal-decision',
        'anchor',
        'dial',
        'arm',
        'answer-media',
        'connect-caller',
        'open-media',
        'write-cdr',
      ] as const) {
        if (count(trace, type) > 1) throw new Error(`${type} twice`);
      }
      if (decision.verdict === 'refused' && count(trace, 'open-media') + count(trace, 'dial') > 0) {
        throw new Error('a refused call went forward');
      }
      if (decision.verdict === 'private' && count(trace, 'arm') > 0)
        throw new Error('a private call was armed');
    }),
    { numRuns: 20_000 },
  );
  t.pass('20,000 histories with strays');
});

t.test('every history ends, with one CDR and nothing left open', async (t) => {
  fc.assert(
    fc.property(decision, choices, (decision, choices) => {
      const trace = play(decision, choices, false);
      let guard = 0;
      const feed = (event: CallEvent): void => {
        const result = step(trace.state, event);
        trace.events.push(event);
        trace.state = result.next;
        for (const effect of result.effects) {
          trace.effects.push(effect);
          if (outcomes(effect, decision).length > 0) trace.due.push(effect);
        }
      };
      if (trace.state.phase !== 'ended' && trace.state.phase !== 'ending') feed({ type: 'shutdown' });
      while (trace.due.length > 0 && guard++ < 100) {
        const effect = trace.due.shift() as Effect;
        feed(outcomes(effect, decision)[0] as CallEvent);
      }
      if (trace.state.phase !== 'ended') throw new Error(`stuck in ${JSON.stringify(trace.state)}`);
      const happened = (type: CallEvent['type']): boolean =>
        trace.events.some((event) => event.type === type);
      if (count(trace, 'write-cdr') !== 1) throw new Error('not one CDR');
      if (happened('anchored') && count(trace, 'release-media') !== 1)
        throw new Error('media not released once');
      if (!happened('anchored') && count(trace, 'release-media') !== 0)
        throw new Error('released what was never held');
      if (count(trace, 'inspect-spool') !== (happened('anchored') ? 1 : 0))
        throw new Error('spool not inspected');
      if (happened('answered') && !happened('called-gone') && count(trace, 'hang-up-called') !== 1) {
        throw new Error('the called party was left up');
      }
      if (count(trace, 'hang-up-called') > 1 || count(trace, 'hang-up-caller') > 1)
        throw new Error('two BYEs');
      const callerToldOrGone =
        count(trace, 'refuse-caller') + count(trace, 'hang-up-caller') === 1 || happened('caller-gone');
      if (!callerToldOrGone) throw new Error('the caller was told nothing');
      if (happened('caller-connected') && !happened('caller-gone') && count(trace, 'hang-up-caller') !== 1) {
        throw new Error('the caller was left up');
      }
      if (!endingCodes.includes(trace.state.ending.code))
        throw new Error('an ending that is not in the table');
    }),
    { numRuns: 20_000 },
  );
  t.pass('20,000 histories');
});

t.test('a 200 that crosses our CANCEL is hung up, and the CDR waits for it', async (t) => {
  const trace = play(aMonitored(), Array<number>(4).fill(0), false);
  t.equal(trace.state.phase, 'dialling');
  const cancelled = step(trace.state, { type: 'caller-gone', how: 'caller-cancelled' });
  t.same(
    cancelled.effects.map((effect) => effect.type),
    ['cancel-dial', 'release-media'],
  );
  const released = step(step(cancelled.next, { type: 'media-released' }).next, { type: 'spool-inspected' });
  t.same(released.effects, [], 'no CDR while the dialling is open');
  const crossed = step(released.next, { type: 'answered' });
  t.same(
    crossed.effects.map((effect) => effect.type),
    ['hang-up-called'],
  );
  t.same(
    step(crossed.next, { type: 'called-closed' }).effects.map((effect) => effect.type),
    ['write-cdr'],
  );
});

t.test('the call is over when its recording is lost, and both are told', async (t) => {
  const trace = play(aMonitored(), Array<number>(9).fill(0), false);
  const lost = step(trace.state, { type: 'recording-lost', detail: 'not-growing' });
  t.same(
    lost.effects.map((effect) => effect.type),
    ['hang-up-caller', 'hang-up-called', 'release-media'],
  );
  t.match(lost.next, { phase: 'ending', ending: { code: 'recording-lost', detail: 'not-growing' } });
});
