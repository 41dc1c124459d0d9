import { parseCallerId, parseFacilityId, type WallMs } from '../../src/core/leg.js';
import { NORTH_AMERICAN_PLAN, parseNumberKeyText } from '../../src/core/number.js';
import { createRedisLists } from '../../src/lists/redis-lists.js';
import { type DeskOptions, startDesk } from '../../src/registry-desk.js';

/** The processes that test/bench/registry.ts starts: the desk that publishes, and a controller that reads. */

export type DeskSays =
  | { readonly what: 'published'; readonly epoch: number; readonly ms: number; readonly whole: boolean }
  | { readonly what: 'proved'; readonly same: boolean }
  | { readonly what: 'trouble'; readonly code: string }
  | { readonly what: 'beat-gap'; readonly ms: number }
  | { readonly what: 'held-up'; readonly ms: number };
export type ControllerSays =
  | { readonly what: 'armed' }
  | { readonly what: 'verified'; readonly epoch: number }
  | { readonly what: 'seen'; readonly number: string; readonly wanted: string }
  | { readonly what: 'asked'; readonly allowed: number; readonly refused: number; readonly late: number }
  | { readonly what: 'held-up'; readonly ms: number };

const say = (said: DeskSays | ControllerSays): void => void process.send?.({ ...said, at: Date.now() });
const clock = { wall: () => Date.now() as WallMs, mono: () => performance.now() };

/** Says each new longest time in which nothing else could run. */
const watchLoop = (): void => {
  let last = performance.now();
  setInterval(() => {
    const late = performance.now() - last - 5;
    last = performance.now();
    if (late > 20) say({ what: 'held-up', ms: Math.round(late) });
  }, 5);
};

const desk = async (given: Pick<DeskOptions, 'config' | 'settings'>): Promise<void> => {
  let beat = performance.now();
  const open = await startDesk({
    ...given,
    plan: NORTH_AMERICAN_PLAN,
    clock,
    tell: (event) => {
      if (event.event === 'published') say({ what: 'published', ...event });
      else if (event.event === 'proved') say({ what: 'proved', same: event.same });
      else if (event.event === 'trouble') say({ what: 'trouble', code: event.code });
      else if (event.event === 'beat') {
        say({ what: 'beat-gap', ms: Math.round(performance.now() - beat) });
        beat = performance.now();
      }
    },
  });
  process.on('message', (message) => void (message === 'prove' ? open.prove() : open.rebuild()));
};

interface Asked {
  readonly number: string;
  readonly caller: string;
  readonly facility: string;
  readonly wanted: string;
}
const need = <T>(value: T | null): T => {
  if (value === null) throw new Error('malformed');
  return value;
};

interface Given {
  readonly host: string;
  readonly port: number;
  readonly keyPrefix: string;
  readonly publicPem: string;
  readonly snapshot: string;
  readonly callers: number;
  readonly each: number;
}

const controller = async ({ host, port, callers, each, ...given }: Given): Promise<void> => {
  const lists = await createRedisLists({
    redis: { host, port },
    keyPrefix: given.keyPrefix,
    publisherKeys: [given.publicPem],
    snapshotPath: given.snapshot,
    emit: () => undefined,
    clock,
  });
  const answer = async (asked: Omit<Asked, 'wanted'>) => {
    const { privileged, allow } = await lists.lookUp({
      key: need(parseNumberKeyText(asked.number)),
      caller: need(parseCallerId(asked.caller)),
      facility: need(parseFacilityId(asked.facility)),
    });
    if (privileged.state === 'listed') return 'privileged';
    return allow.state === 'listed' ? 'allowed' : allow.state === 'unknown' ? allow.why : 'absent';
  };
  process.on('message', (asked: Asked) => {
    const look = async (): Promise<void> => {
      if ((await answer(asked)) === asked.wanted)
        say({ what: 'seen', number: asked.number, wanted: asked.wanted });
      else setTimeout(() => void look(), 3);
    };
    void look();
  });
  let told = 0;
  setInterval(() => {
    const epoch = lists.epoch()?.id ?? 0;
    if (epoch === told) return;
    told = epoch;
    say({ what: 'verified', epoch });
  }, 2);
  // Ordinary calls of callers whose lists nobody touches: what they are told should never change.
  let at = 0;
  let counted = { allowed: 0, refused: 0, late: 0 };
  setInterval(() => {
    at += 1;
    const [c, i] = [(at * 7919) % callers, at % each];
    const number = `+1${2_000_000_000 + ((c * 7919 + i * 104_729) % 899_999_999)}`;
    void answer({ number, caller: `c${c}`, facility: `f${c % 3_000}` }).then((got) => {
      counted[
        got === 'allowed' || got === 'privileged' ? 'allowed' : got === 'timeout' ? 'late' : 'refused'
      ] += 1;
    });
  }, 10);
  setInterval(() => {
    say({ what: 'asked', ...counted });
    counted = { allowed: 0, refused: 0, late: 0 };
  }, 200);
  const waiting = setInterval(() => {
    if (!lists.armed().armed) return;
    clearInterval(waiting);
    say({ what: 'armed' });
  }, 5);
  watchLoop();
};

// Whoever started it is gone: there is nobody left to measure for.
process.on('disconnect', () => process.exit(0));

const [name, json = '{}'] = process.argv.slice(2);
if (name === 'desk') {
  watchLoop();
  await desk(JSON.parse(json));
} else if (name === 'controller') await controller(JSON.parse(json));
