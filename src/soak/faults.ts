import type { Side } from './mix.js';
import { parseWeights } from './spec.js';

export const faultNames = [
  'controller-killed',
  'controller-frozen',
  'recorded-killed',
  'recorded-frozen',
  'private-killed',
  'private-frozen',
  'redis-killed',
  'redis-frozen',
  'lists-flushed',
  'lists-stale',
  'spool-full',
  'ng-loss',
] as const;
export type FaultName = (typeof faultNames)[number];

/** What a fault may cost, while it lasts and until it has healed. Nothing excuses a private call that is recorded. */
export interface Consequence {
  readonly words: string;
  readonly expected: string;
  /** New calls to these may be refused, with 503 or no answer at all. */
  readonly refuses: readonly Side[];
  /** Calls to these that are up may end. */
  readonly loses: readonly Side[];
  /** Calls may be without a CDR: nobody had written anything down yet when the controller was killed. */
  readonly forgets: boolean;
  /** How long it lasts, in seconds, from and to. */
  readonly lasts: readonly [number, number];
  /** Once it is mended, all must be well again within this many seconds. */
  readonly healsWithin: number;
  /**
   * How long after the healing calls are still judged as under the fault, in seconds: what was queued meanwhile, and
   * responses that are sent again.
   */
  readonly aftermath: number;
}

const all: readonly Side[] = ['monitored', 'private', 'refused'];
const listsGone = (words: string, lasts: readonly [number, number]): Consequence => ({
  words,
  expected:
    'ordinary calls are refused with 503, privileged numbers stay private from the signed snapshot, calls that are up go on',
  refuses: ['monitored', 'refused'],
  loses: [],
  forgets: false,
  lasts,
  healsWithin: 30,
  aftermath: 2,
});
const nodeGone = (pool: 'monitored' | 'private', words: string, lasts: readonly [number, number]) => ({
  words,
  expected: `${pool} calls on that node are lost, new ones go to the other node of the same pool or are refused; calls of the other kind notice nothing`,
  refuses: [pool],
  loses: [pool],
  forgets: false,
  lasts,
  healsWithin: 30,
  aftermath: 3,
});

export const consequences: Readonly<Record<FaultName, Consequence>> = {
  'controller-killed': {
    words: 'the controller is killed (SIGKILL) and started again, as by a supervisor',
    expected:
      'calls that are up are ended on both sides after the restart, each with a CDR; new calls are not answered or refused until it is ready',
    refuses: all,
    loses: all,
    forgets: true,
    lasts: [0, 2],
    healsWithin: 60,
    aftermath: 5,
  },
  'controller-frozen': {
    words: 'the controller stands still (SIGSTOP) and goes on (SIGCONT)',
    expected: 'new calls wait or are refused; calls may be lost where a deadline passed meanwhile',
    refuses: all,
    loses: ['monitored', 'private'],
    forgets: false,
    lasts: [1, 5],
    healsWithin: 30,
    aftermath: 5,
  },
  'recorded-killed': nodeGone('monitored', 'a recorded media node is killed and started again', [1, 5]),
  'recorded-frozen': nodeGone('monitored', 'a recorded media node stands still and goes on', [2, 8]),
  'private-killed': nodeGone('private', 'a private media node is killed and started again', [1, 5]),
  'private-frozen': nodeGone('private', 'a private media node stands still and goes on', [2, 8]),
  'redis-killed': listsGone('Redis is killed, comes back empty, and the lists are published again', [1, 5]),
  'redis-frozen': listsGone('Redis stands still and goes on', [2, 6]),
  'lists-flushed': listsGone('Redis loses all it holds, and the lists are published again', [2, 6]),
  'lists-stale': listsGone('the publisher stops: its heartbeat grows too old', [11, 15]),
  'spool-full': {
    words: 'the spool of a recorded media node is full',
    expected:
      'monitored calls go to the other node or are refused, those recorded there end; private calls notice nothing',
    refuses: ['monitored'],
    loses: ['monitored'],
    forgets: false,
    lasts: [5, 12],
    healsWithin: 30,
    aftermath: 5,
  },
  'ng-loss': {
    words: 'one in four datagrams between the controller and the media nodes is lost',
    expected:
      'commands are sent again; a call may be refused, or end, where that was not enough; set-ups take so long that calls of any kind are turned away for a moment',
    // At the door nobody knows yet what a call is.
    refuses: all,
    loses: ['monitored', 'private'],
    forgets: false,
    lasts: [5, 10],
    healsWithin: 30,
    aftermath: 3,
  },
};

export type FaultMix = Readonly<Partial<Record<FaultName, number>>>;

const every: FaultMix = Object.fromEntries(faultNames.map((name) => [name, 1]));

/** `all`, `none`, or `redis-killed,controller-killed=2,…`. Throws SpecError `faults-malformed`. */
export const parseFaults = (text: string): FaultMix => {
  const trimmed = text.trim();
  if (trimmed === 'all') return every;
  return trimmed === 'none' ? {} : parseWeights(trimmed, faultNames, 'faults-malformed');
};
