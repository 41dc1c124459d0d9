import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { parse as parseYaml, stringify } from 'yaml';
import { parseConfig } from '../../src/config/load.js';
import { configKeys } from '../../src/config/reference.js';
import { askingStep, beginAsking, toldOf } from '../../src/core/accept.js';
import { againOutcome } from '../../src/core/again.js';
import { type DecisionInput, decide, explainAgain } from '../../src/core/decide.js';
import type { Connectable } from '../../src/core/decision.js';
import { keys } from '../../src/core/key.js';
import { type PrivilegedEntry, unknownWhys } from '../../src/core/lists.js';
import { fromRoot } from '../../src/root.js';
import {
  absent,
  allowEntry,
  aMonitored,
  answers,
  aPrivate,
  input,
  leg,
  limits,
  listed,
  now,
  policy,
  privilegedEntry,
  usageOf,
} from '../core/samples.js';
import type { Named } from './named.js';

/** What was decided wrongly, or could be set aside: by a second flag, by an administrator, by what was announced. */

const pending: Named = {
  cause: 1,
  name: 'a number that waits for review is refused, and never connected and recorded meanwhile',
  run: async () => {
    const waiting = listed({ id: 'q1' as never });
    const decision = decide(input({ answers: answers({ pending: waiting }) }));
    assert.equal(decision.verdict, 'refused');
    assert.equal(decision.reasons[0].code, 'review-pending');
  },
};

const claimed: Named = {
  cause: 1,
  name: 'a private call to a number nobody registered is refused, and never connected and recorded',
  run: async () => {
    const decision = decide(input({ leg: leg({ claimsPrivate: true }) }));
    assert.equal(decision.verdict, 'refused');
    assert.equal(decision.reasons[0].code, 'private-claim-unlisted');
  },
};

// Everything a list, an order, a schedule or a policy can say besides. What speaks for a recording comes up most, so
// that a call the privileged list alone keeps from being recorded is no rarity.
const mostly = <T>(usual: T, ...others: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 8, arbitrary: fc.constant(usual) }, fc.constantFrom(...others));
const anyAnswer = <E>(entry: E, usually: 'absent' | 'listed' = 'absent') =>
  fc.oneof(
    { weight: usually === 'absent' ? 10 : 1, arbitrary: fc.constant(absent) },
    { weight: usually === 'listed' ? 10 : 1, arbitrary: fc.constant(listed(entry)) },
    fc.constantFrom(...unknownWhys).map((why) => ({ state: 'unknown', why }) as const),
  );
const inForce = fc.record({
  match: fc.constantFrom('number', 'extension', 'main-number-of-extension', 'range', 'prefix', 'alias'),
  class: fc.constantFrom('attorney', 'court', 'physician', 'clergy', 'hotline', 'relay'),
  scope: fc.constantFrom('global', 'north', 'elsewhere'),
  validFrom: fc.constantFrom(null, now - 1, now),
  validTo: fc.constantFrom(null, now + 1),
});
const protecting = inForce.map((change) => listed(privilegedEntry(change as Partial<PrivilegedEntry>)));
const anyList = fc.oneof(anyAnswer(privilegedEntry()), protecting);

const privilegedInput: fc.Arbitrary<DecisionInput> = fc
  .record({
    first: protecting,
    second: anyList,
    swap: fc.boolean(),
    pending: anyAnswer({ id: 'q1' as never }),
    block: anyAnswer({ id: 'b1' as never, cause: 'security' as const, expires: null }),
    allow: anyAnswer(allowEntry, 'listed'),
    age: mostly<number | null>(59_999, null, 10 ** 9),
    epoch: mostly(true, false),
    claimsPrivate: mostly(false, true),
    caller: mostly(true, false),
    lockdown: mostly('off', 'on', 'unknown'),
    schedule: mostly('open', 'closed', 'unknown'),
    suspended: mostly(false, true),
    text: fc.boolean(),
    calls: mostly(0, 5),
    lockdownPolicy: fc.constantFrom('private', 'refused'),
    onBecomingPrivate: fc.constantFrom('move', 'end'),
    acceptance: fc.constantFrom('key', 'notice'),
  })
  .map((is) =>
    input({
      leg: leg({ claimsPrivate: is.claimsPrivate, ...(is.caller ? {} : { caller: null }) }),
      answers: answers({
        privileged: is.swap ? is.second : is.first,
        snapshot: is.swap ? is.first : is.second,
        pending: is.pending,
        block: is.block,
        allow: is.allow,
        heartbeatAgeMs: is.age,
        ...(is.epoch ? {} : { epoch: null }),
      }),
      circumstances: {
        lockdown: is.lockdown as 'off',
        schedule: is.schedule as 'open',
        suspended: is.suspended,
        usage: usageOf(is.calls),
        recording: 'armed',
        text: is.text,
      },
      policy: policy({
        privilegedInLockdown: is.lockdownPolicy as 'private',
        hotlineInLockdown: is.lockdownPolicy as 'private',
        onBecomingPrivate: is.onBecomingPrivate as 'move',
        acceptance: { monitored: is.acceptance as 'key', private: 'key', machine: 'none' },
        limits: { monitored: limits(10), private: limits(2), alone: limits() },
      }),
    }),
  );

const noSecondField: Named = {
  cause: 6,
  name: 'no second field, flag, list, order or policy makes a privileged number recorded',
  run: async () => {
    const seen = { private: 0, refused: 0 };
    const recorded = fc.check(
      fc.property(privilegedInput, (one) => {
        for (const { verdict } of [decide(one), explainAgain(one).decision]) {
          if (verdict === 'monitored') return false;
          seen[verdict] += 1;
        }
        return true;
      }),
      { numRuns: 5000 },
    );
    assert.equal(recorded.counterexample, null, 'a privileged number would be recorded');
    assert.ok(seen.private > 1000 && seen.refused > 100, `both came up: ${JSON.stringify(seen)}`);
  },
};

const ratchet: Named = {
  cause: 9,
  name: 'a private call stays private whatever is decided about it again',
  run: async () => {
    const current = aPrivate();
    const recorded = fc.check(
      fc.property(privilegedInput, (one) => {
        const free = { ...one, answers: { ...one.answers, privileged: absent, snapshot: absent } };
        return [one, free].every((again) => {
          const { does } = againOutcome(current, explainAgain(again).decision);
          return does === 'nothing' || does === 'end';
        });
      }),
      { numRuns: 2000 },
    );
    assert.equal(recorded.counterexample, null);
    assert.equal(againOutcome(aMonitored(), current).does, 'become-private', 'and toward private it does go');
  },
};

/** Settings whose names speak of recording or of exceptions: each was judged by a person, with what it can do. */
const judged: ReadonlySet<string> = new Set([
  // Addresses on which calls come in.
  'sip.listen',
  // Whether a called party that was told of the recording also presses a key: it asks for more, never for less.
  'policy.acceptance.monitored',
  // How an address of the storage service is written.
  'recording.vault.store.s3.forcePathStyle',
  // How many recordings one round of expiry may remove: it makes none.
  'recording.retention.guard.recordings',
  // The number a test call is to be recorded at; that it is privileged fails the test.
  'canaries.facilities.<name>.monitored',
]);
const speaksOfRecording = /record|monitor|listen|tap(?!e)|fork|siprec|wiretap/i;
const speaksOfExceptions = /overrid|overrul|hide|hidden|bypass|exempt|force|anyway|insecure|unsafe/i;

const noSetting: Named = {
  cause: 9,
  name: 'no setting of the configuration asks for a recording, hides one, or overrules privilege',
  run: async () => {
    const settings = configKeys()
      .filter(({ type }) => type !== 'object')
      .map(({ key }) => key);
    const found = settings.filter((key) => {
      const name = key.split('.').at(-1) ?? '';
      return speaksOfRecording.test(name) || speaksOfExceptions.test(name);
    });
    assert.deepEqual(
      found.filter((key) => !judged.has(key)),
      [],
      'settings that nobody judged',
    );
    assert.equal(found.length, judged.size, 'the search finds what it looks for');
  },
};

const unknownKeys: Named = {
  cause: 9,
  name: 'a “hide recording” or “record anyway” key refuses to start, wherever it is put',
  run: async () => {
    const file = fromRoot('config', 'sallyport.yaml');
    const text = readFileSync(file, 'utf8');
    parseConfig(text, file);
    const places = [
      '',
      'policy',
      'policy.limits',
      'recording',
      'recording.vault',
      'facilities.north',
      'trunks.facilities.0',
      'trunks.carriers.0',
      'media.nodes.0',
      'lists',
      'control',
    ];
    for (const place of places) {
      for (const key of ['hideRecording', 'recordAnyway', 'doNotRecord']) {
        const config: unknown = parseYaml(text);
        const at = place
          .split('.')
          .filter((name) => name !== '')
          .reduce((found, name) => (found as Record<string, unknown>)[name], config);
        Object.assign(at as object, { [key]: true });
        assert.throws(() => parseConfig(stringify(config), file), new RegExp(key), `${key} in ${place}`);
      }
    }
  },
};

const said = (decision: Connectable, pressed: readonly number[]): readonly string[] => {
  const heard: string[] = [toldOf(decision)];
  let step = beginAsking(decision, 'en');
  for (const press of pressed) {
    if (step.state !== 'asking') break;
    const { next } = step;
    for (const does of step.do) {
      if (does.does === 'say') for (const clip of does.clips) if (clip.kind === 'prompt') heard.push(clip.id);
    }
    const key = keys[press % keys.length] ?? '1';
    const spoken = { type: 'said', turn: next.turn } as const;
    const after = askingStep(decision, next, press % 3 === 0 ? spoken : { type: 'key', key }, true);
    step = after.state === 'ignored' ? { ...step, do: [] } : after;
  }
  return heard;
};

const truthful: Named = {
  cause: 14,
  name: 'what the parties are told follows from the decision: no path of the dialogue tells a private call that it is recorded',
  run: async () => {
    let spoken = 0;
    const wrong = fc.check(
      fc.property(fc.array(fc.nat(200), { minLength: 1, maxLength: 14 }), (pressed) => {
        const told = said(aPrivate(), pressed);
        spoken += told.length;
        return (
          told.every((id) => !id.includes('recorded')) &&
          said(aMonitored(), pressed).every((id) => !id.endsWith('-private'))
        );
      }),
      { numRuns: 2000 },
    );
    assert.equal(wrong.counterexample, null, 'a private call would be told that it is recorded');
    assert.ok(spoken > 10_000);
  },
};

export const decisionCases: readonly Named[] = [
  pending,
  claimed,
  noSecondField,
  noSetting,
  unknownKeys,
  ratchet,
  truthful,
];
