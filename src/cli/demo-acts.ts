import type { SpokenAct } from './demo-spoken.js';

const introduction = ['greeting', 'from-facility', 'from-caller'] as const;
const spanish = (...names: readonly string[]): readonly string[] => names.map((name) => `${name} (es)`);

/** The spoken calls that are placed at the same time: other callers, other numbers. */
export const spokenActs: readonly SpokenAct[] = [
  {
    name: 'f-accepted',
    title:
      '(f) Monitored. The called party hears who calls and that it is recorded, hears the whole menu, presses 1.',
    caller: '4711',
    shown: '+1 212 555 0142',
    presses: [{ after: 'menu-recorded', heard: 'all', key: '1', by: 'RFC 4733' }],
    expected: {
      verdict: 'monitored',
      reason: 'allowed-by-caller-list',
      ending: 'caller-hung-up',
      caller: ['please-hold', 'told-recorded'],
      called: [...introduction, 'notice-recorded', 'menu-recorded', 'you-accepted'],
      talk: true,
      recorded: true,
    },
  },
  {
    name: 'g-attorney',
    title: '(g) An attorney: both are told that nobody records, and nobody does. The key comes as SIP INFO.',
    caller: '4711',
    shown: '9 1 (212) 555-0111',
    presses: [{ after: 'menu-private', heard: 5, key: '1', by: 'SIP INFO' }],
    expected: {
      verdict: 'private',
      reason: 'privileged-listed',
      ending: 'caller-hung-up',
      caller: ['please-hold', 'told-private'],
      called: [...introduction, 'notice-private', 'menu-private', 'you-accepted'],
      talk: true,
      recorded: false,
    },
  },
  {
    name: 'h-protected',
    title: '(h) The called party presses 3, “I am an attorney”: nobody is connected, nothing recorded.',
    caller: '4712',
    shown: '(212) 555-0144',
    presses: [{ after: 'menu-recorded', heard: 9, key: '3', by: 'RFC 4733' }],
    expected: {
      verdict: 'monitored',
      reason: 'allowed-by-caller-list',
      ending: 'called-protected',
      caller: ['please-hold', 'refused-review'],
      called: [...introduction, 'notice-recorded', 'menu-recorded', 'you-protected'],
      talk: false,
      recorded: false,
    },
  },
  {
    name: 'i-spanish',
    title: '(i) Press 8 for Spanish: all of it again in Spanish, then 1. The caller hears English.',
    caller: '4713',
    shown: '+1 646 555 0190',
    presses: [
      { after: 'menu-recorded', heard: 4, key: '8', by: 'RFC 4733' },
      { after: 'menu-recorded', heard: 6, language: 'es', key: '1', by: 'RFC 4733' },
    ],
    expected: {
      verdict: 'monitored',
      reason: 'allowed-by-facility-list',
      ending: 'caller-hung-up',
      caller: ['please-hold', 'told-recorded'],
      called: [
        ...introduction,
        'notice-recorded',
        'menu-recorded',
        ...spanish(...introduction, 'notice-recorded', 'menu-recorded', 'you-accepted'),
      ],
      talk: true,
      recorded: true,
    },
  },
  {
    name: 'j-claim',
    title:
      '(j) *7 asks for a private call, and the number is not registered: the caller hears how, and hangs up.',
    caller: '4714',
    shown: '*7 212 555 0199',
    presses: [],
    hangsUpAfter: 'claim-unlisted',
    expected: {
      verdict: 'refused',
      reason: 'private-claim-unlisted',
      ending: 'caller-cancelled',
      caller: ['claim-unlisted'],
      called: null,
      talk: false,
      recorded: false,
    },
  },
];

/** Placed when those are over: what the 3 of (h) left behind. */
export const afterwards: SpokenAct = {
  name: 'k-under-review',
  title: '(k) The same number again after (h): under review, refused, and the caller is told so.',
  caller: '4712',
  shown: '(212) 555-0144',
  presses: [],
  expected: {
    verdict: 'refused',
    reason: 'review-pending',
    ending: 'review-pending',
    caller: ['refused-review'],
    called: null,
    talk: false,
    recorded: false,
  },
};
