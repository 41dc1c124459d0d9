import t from 'tap';
import {
  type Asking,
  type AskingInput,
  type AskingStep,
  acceptance,
  acceptanceKeys,
  askingStep,
  beginAsking,
} from '../../src/core/accept.js';
import { againOutcome } from '../../src/core/again.js';
import type { Connectable, Decision } from '../../src/core/decision.js';
import { forwardOutcome, mayFollow } from '../../src/core/forward.js';
import { type Key, keys } from '../../src/core/key.js';
import { beginMenu, claimMenu, kindMenu, type Menu, type MenuStep, menuStep } from '../../src/core/menu.js';
import { type ReasonCode, reasonCodes } from '../../src/core/reason.js';
import { attorney, hotline, monitored, refusals } from './call-world.js';

/** The small tables of the call, each against a table of its own. */

/** A refusal as the table gives it, named by its first reason, and whether the number is privileged all the same. */
const nameOf = (decision: Decision): string =>
  decision.reasons.map(({ code }) => code).join('+') +
  (decision.reasons[0].code === 'privileged-lockdown' ? ` ${decision.reasons[0].detail}` : '');

t.test('the refusals are of every reason', async (t) => {
  const seen = new Set<ReasonCode>(refusals.map(({ reasons }) => reasons[0].code));
  const never: readonly ReasonCode[] = [
    'privileged-listed',
    'privileged-in-snapshot',
    'privileged-main-number',
    'undecided',
    'code-call',
    'allowed-by-caller-list',
    'allowed-by-facility-list',
  ];
  t.same(
    reasonCodes.filter((code) => !seen.has(code)),
    never,
  );
});

t.test('a new decision on a call in progress', async (t) => {
  // What becomes of a monitored call, and of a private one; '-' for nothing.
  const table: Readonly<Record<string, readonly [string, string]>> = {
    'trunk-unknown': ['-', '-'],
    'emergency-number': ['-', '-'],
    'service-code': ['-', '-'],
    'number-unparseable': ['-', '-'],
    'privileged-lockdown attorney': ['became-private', 'lockdown'],
    'privileged-lockdown hotline': ['became-private', 'lockdown'],
    'too-many-calls+privileged-listed': ['became-private', '-'],
    'lists-unknown': ['-', '-'],
    'snapshot-unknown': ['-', '-'],
    'review-pending': ['review-pending', '-'],
    'private-claim-unlisted': ['-', '-'],
    lockdown: ['lockdown', '-'],
    'lockdown-unknown': ['-', '-'],
    blocked: ['blocked', 'blocked'],
    'number-type-barred': ['-', '-'],
    'caller-unidentified': ['-', '-'],
    'not-allowed': ['-', '-'],
    'schedule-closed': ['-', '-'],
    'schedule-unknown': ['-', '-'],
    'caller-suspended': ['caller-suspended', '-'],
    'too-many-calls': ['-', '-'],
    'too-often': ['-', '-'],
    'cool-down': ['-', '-'],
    'recording-disarmed': ['-', '-'],
  };
  const got = (current: Connectable, again: Decision): string => {
    const outcome = againOutcome(current, again);
    return outcome.does === 'nothing' ? '-' : outcome.does === 'end' ? outcome.ending.code : outcome.does;
  };
  for (const again of refusals) {
    t.same([got(monitored, again), got(attorney, again)], table[nameOf(again)] ?? 'no row', nameOf(again));
  }
  t.equal(Object.keys(table).length, refusals.length, 'every refusal has its row');
  t.equal(got(monitored, monitored), '-');
  t.equal(got(monitored, attorney), 'become-private');
  t.equal(got(attorney, hotline), '-');
  t.equal(got(attorney, monitored), '-', 'nothing turns a private call into a monitored one (I5)');
});

t.test('another party', async (t) => {
  // What it means to a monitored call, and to a private one.
  const table: Readonly<Record<string, readonly [string, string]>> = {
    'trunk-unknown': ['flag', 'flag'],
    'emergency-number': ['end', 'end'],
    'service-code': ['end', 'end'],
    'number-unparseable': ['end', 'end'],
    'privileged-lockdown attorney': ['end', 'end'],
    'privileged-lockdown hotline': ['end', 'end'],
    'too-many-calls+privileged-listed': ['end', 'flag'],
    'lists-unknown': ['end', 'flag'],
    'snapshot-unknown': ['end', 'flag'],
    'review-pending': ['end', 'end'],
    'private-claim-unlisted': ['end', 'end'],
    lockdown: ['end', 'end'],
    'lockdown-unknown': ['end', 'end'],
    blocked: ['end', 'end'],
    'number-type-barred': ['flag', 'flag'],
    'caller-unidentified': ['flag', 'flag'],
    'not-allowed': ['flag', 'flag'],
    'schedule-closed': ['flag', 'flag'],
    'schedule-unknown': ['flag', 'flag'],
    'caller-suspended': ['flag', 'flag'],
    'too-many-calls': ['flag', 'flag'],
    'too-often': ['flag', 'flag'],
    'cool-down': ['flag', 'flag'],
    'recording-disarmed': ['flag', 'flag'],
  };
  for (const target of refusals) {
    t.same(
      [forwardOutcome(monitored, target), forwardOutcome(attorney, target)],
      table[nameOf(target)] ?? 'no row',
      nameOf(target),
    );
    t.notOk(
      mayFollow(monitored, target) || mayFollow(attorney, target),
      `${nameOf(target)} is never dialled`,
    );
  }
  t.equal(Object.keys(table).length, refusals.length, 'every refusal has its row');
  const pairs: readonly [Connectable, Decision | null, string, boolean][] = [
    [monitored, monitored, 'same', true],
    [monitored, attorney, 'end', false],
    [monitored, hotline, 'end', false],
    [attorney, monitored, 'end', false],
    [attorney, attorney, 'same', true],
    [attorney, hotline, 'same', false],
    [hotline, attorney, 'same', false],
    [hotline, hotline, 'same', true],
    [monitored, null, 'flag', false],
    [attorney, null, 'flag', false],
  ];
  for (const [current, target, outcome, follow] of pairs) {
    const name = `${current.reasons[0].detail ?? 'monitored'} -> ${target?.reasons[0].detail ?? target?.verdict}`;
    t.equal(forwardOutcome(current, target), outcome, name);
    t.equal(mayFollow(current, target), follow, name);
  }
});

/** A dialogue's way through inputs: what it did at each, in a word. */
type Input = 'said' | 'late' | 'timeout' | Key;

const menuWords = (menu: Menu<string>, inputs: readonly Input[]): readonly string[] => {
  const word = (did: MenuStep<string>): string =>
    did.state === 'say'
      ? `say ${did.prompt}`
      : did.state === 'await-key'
        ? `wait ${did.ms}`
        : did.state === 'chosen'
          ? did.choice
          : '-';
  let did = beginMenu(menu, 40);
  const words = [word(did)];
  let at = 'next' in did ? did.next : null;
  for (const input of inputs) {
    if (at === null) break;
    const { turn } = at;
    did = menuStep(
      menu,
      at,
      input === 'said'
        ? { type: 'said', turn }
        : input === 'late'
          ? { type: 'said', turn: turn - 1 }
          : input === 'timeout'
            ? { type: 'key-timeout', turn }
            : { type: 'key', key: input },
    );
    words.push(word(did));
    if ('next' in did) at = did.next;
    else if (did.state === 'chosen') at = null;
  }
  return words;
};

t.test('the caller’s menus', async (t) => {
  const table: readonly [Menu<string>, readonly Input[], readonly string[]][] = [
    [kindMenu, ['1'], ['say kind-menu', 'ordinary']],
    [kindMenu, ['2'], ['say kind-menu', 'private']],
    [kindMenu, ['said', '2'], ['say kind-menu', 'wait 5000', 'private']],
    [kindMenu, ['late', 'timeout', '3', 'flash'], ['say kind-menu', '-', '-', '-', '-']],
    [kindMenu, ['said', 'said'], ['say kind-menu', 'wait 5000', '-']],
    [
      kindMenu,
      ['said', 'timeout', 'said', 'timeout'],
      ['say kind-menu', 'wait 5000', 'say kind-menu', 'wait 5000', 'ordinary'],
    ],
    [claimMenu, ['5', '1', 'said', '5'], ['say claim-unlisted', '-', '-', 'wait 8000', 'withdrawn']],
    [claimMenu, ['5', 'late', '5', 'timeout'], ['say claim-unlisted', '-', '-', '-', '-']],
    [
      claimMenu,
      ['5', 'said', '1', 'timeout', '2', '5'],
      ['say claim-unlisted', '-', 'wait 8000', '-', 'say claim-unlisted', '-', 'withdrawn'],
    ],
    [
      claimMenu,
      ['said', '1', '2', 'timeout', '1', 'said', '2', 'timeout'],
      ['say claim-unlisted', 'wait 8000', '-', '-', 'say claim-unlisted', '-', 'wait 8000', '-', 'stands'],
    ],
  ];
  for (const [menu, inputs, words] of table) t.same(menuWords(menu, inputs), words, inputs.join(' '));
  t.match(beginMenu(kindMenu, 40), { next: { turn: 41 } }, 'turns go on from those before');
});

const askWords = (decision: Connectable, inputs: readonly Input[], menu = true): readonly string[] => {
  const word = (did: AskingStep): string =>
    did.state === 'answered'
      ? `${did.answer} ${did.language}`
      : did.state === 'ignored'
        ? '-'
        : did.do
            .map((one) =>
              one.does === 'say'
                ? `${one.language} ${one.clips.map((clip) => (clip.kind === 'prompt' ? clip.id : clip.of)).join('+')}`
                : `wait ${one.ms}`,
            )
            .join(', ');
  let did = beginAsking(decision, 'en', 40);
  const words: string[] = [];
  let at: Asking | null = did.state === 'asking' ? did.next : null;
  for (const input of inputs) {
    if (at === null) break;
    const { turn } = at;
    const given: AskingInput =
      input === 'said'
        ? { type: 'said', turn }
        : input === 'late'
          ? { type: 'said', turn: turn - 1 }
          : input === 'timeout'
            ? { type: 'key-timeout', turn }
            : { type: 'key', key: input };
    did = askingStep(decision, at, given, menu);
    words.push(word(did));
    if (did.state === 'asking') at = did.next;
    else if (did.state === 'answered') at = null;
  }
  return words;
};

t.test('positive acceptance', async (t) => {
  const menu = 'en menu-recorded';
  const wait = `wait ${acceptance.keyMs}`;
  const again = 'en wrong-key+menu-recorded';
  const es = 'es greeting+from-facility+facility+from-caller+caller+notice-recorded';
  const table: readonly [readonly Input[], readonly string[]][] = [
    [
      ['said', 'said', '1'],
      [menu, wait, 'accepted en'],
    ],
    [
      ['said', '1'],
      [menu, 'accepted en'],
    ],
    [
      ['1', '4', '9', 'timeout', 'late', 'said'],
      ['-', '-', '-', '-', '-', menu],
    ],
    [['2'], ['declined en']],
    [['3'], ['protected en']],
    [['7'], ['blocked en']],
    [
      ['said', '2'],
      [menu, 'declined en'],
    ],
    [
      ['said', 'said', 'timeout'],
      [menu, wait, menu],
    ],
    [
      ['said', 'said', 'said'],
      [menu, wait, '-'],
    ],
    [
      ['said', '9', '9', '9'],
      [menu, menu, menu, 'no-key en'],
    ],
    [
      ['said', '4', '4', '4'],
      [menu, again, again, 'no-key en'],
    ],
    [
      ['said', '4', 'said', 'timeout', '4', '4'],
      [menu, again, wait, menu, 'no-key en'],
    ],
    [
      ['said', '4', '8', 'said', '4', '4'],
      [menu, again, es, 'es menu-recorded', 'es wrong-key+menu-recorded', 'no-key es'],
    ],
    [
      ['said', '9', '8', 'said', '9', '9', '9'],
      [menu, menu, es, 'es menu-recorded', 'es menu-recorded', 'es menu-recorded', 'no-key es'],
    ],
    [
      ['8', 'said', '1'],
      [es, 'es menu-recorded', 'accepted es'],
    ],
    [
      ['said', '8', '1', 'said', '1'],
      [menu, es, '-', 'es menu-recorded', 'accepted es'],
    ],
    [
      ['8', '8', '8', '8', 'said'],
      [es, es.replace('es ', 'en '), es, '-', 'es menu-recorded'],
    ],
  ];
  for (const [inputs, words] of table) t.same(askWords(monitored, inputs), words, inputs.join(' '));
  t.same(askWords(attorney, ['said', '3', '3', '3']), [
    'en menu-private',
    'en wrong-key+menu-private',
    'en wrong-key+menu-private',
    'no-key en',
  ]);
  t.same(askWords(hotline, ['8']), ['es greeting+from-facility+facility+from-caller+notice-private']);
  t.same(askWords(monitored, ['1', '2', '3', '7', '9', '4', 'said'], false), [
    ...Array<string>(6).fill('-'),
    'accepted en',
  ]);
  for (const key of keys) {
    if (key in acceptanceKeys) continue;
    t.same(askWords(monitored, ['said', key]), [menu, again], `${key} is a wrong key`);
  }
});
