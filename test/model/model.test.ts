import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { sampleRules } from '../../src/cli/call-walk.js';
import type { Decision } from '../../src/core/decision.js';
import { attorney, monitored, World } from '../core/call-world.js';

/**
 * The model of one call (sallyport.pml), checked by spin in every order of events: what must hold, what must be
 * reachable, and that each wrong design is found out by the property it is there for.
 */

const run = promisify(execFile);
const source = join(fileURLToPath(new URL('../../../', import.meta.url)), 'test/model/sallyport.pml');
const text = await readFile(source, 'utf8');
const formulas = [...text.matchAll(/^ltl (\w+) /gm)].map(([, name]) => String(name));
const reached = formulas.filter((name) => name.startsWith('never_'));
const held = formulas.filter((name) => !name.startsWith('never_'));

interface Checker {
  /** Of each formula whether it holds in every history. Throws where spin did not go through all of them. */
  holds(formula: string): Promise<boolean>;
}

const checkerOf = async (directory: string, designs: readonly string[]): Promise<Checker> => {
  const bounds = { cwd: directory, timeout: 100_000, maxBuffer: 16 * 1024 * 1024 };
  await run('spin', [...designs.map((design) => `-D${design}`), '-a', 'sallyport.pml'], bounds);
  // Compiling costs more than it saves where the search ends at the first history that is wrong.
  await run('gcc', [designs.length === 0 ? '-O2' : '-O0', '-w', '-o', 'pan', 'pan.c'], bounds);
  return {
    holds: async (formula) => {
      const { stdout } = await run('./pan', ['-a', '-f', '-n', '-m1000000', '-N', formula], bounds);
      const errors = /errors: (\d+)/.exec(stdout)?.[1];
      // A search that was cut short has shown nothing.
      if (errors === undefined || /max search depth too small|out of memory|truncated/i.test(stdout))
        throw new Error(`${formula}: spin did not finish\n${stdout}`);
      return errors === '0';
    },
  };
};

const inFolder = async <T>(use: (directory: string) => Promise<T>): Promise<T> => {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-model-'));
  try {
    await copyFile(source, join(directory, 'sallyport.pml'));
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
};

t.test('the design as it is', async (t) => {
  await inFolder(async (directory) => {
    const checker = await checkerOf(directory, []);
    t.ok(held.length >= 11 && reached.length >= 7, 'every formula of the model was found');
    for (const formula of held) t.equal(await checker.holds(formula), true, `${formula} holds`);
    for (const formula of reached) t.equal(await checker.holds(formula), false, `${formula}: it happens`);
  });
});

/** Each wrong design with the properties that must find it out. */
const wrong: Readonly<Record<string, readonly string[]>> = {
  'ONE_MEDIA RESUMES': ['record_listed'],
  ABSENT_OK: ['record_listed', 'unknown_connects'],
  NO_SNAPSHOT: ['protect_open'],
  NAIVE_ORDER: ['undurable_media'],
  UNPROVED: ['unrecorded'],
  NO_WATCH: ['unrecorded_goes_on'],
  OWN_FLAG: ['untrue'],
  NO_RECOVERY: ['orphans'],
  NO_CUSTODY: ['unsealed'],
  LATE_STOP: ['record_private'],
  RESUMES: ['record_private'],
};

t.test('wrong designs are found out', async (t) => {
  for (const [designs, broken] of Object.entries(wrong)) {
    await inFolder(async (directory) => {
      const checker = await checkerOf(directory, designs.split(' '));
      for (const formula of broken) t.equal(await checker.holds(formula), false, `${designs}: ${formula}`);
      if (designs === 'RESUMES')
        t.equal(
          await checker.holds('record_listed'),
          true,
          'who is listed when the call is decided is safe from a node that resumes: it is on another one',
        );
    });
  }
  const named = [...text.matchAll(/^#ifn?def (\w+)$/gm)].map(([, name]) => String(name));
  const tried = new Set(Object.keys(wrong).flatMap((designs) => designs.split(' ')));
  t.same(
    [...new Set(named)].filter((name) => name !== 'CALM').sort(),
    [...tried].sort(),
    'all the model has are tried',
  );
});

/** The steps of a call in which nothing goes wrong, in the model. */
const modelled = async (calm: number): Promise<string[]> =>
  inFolder(async (directory) => {
    const { stdout } = await run('spin', [`-DCALM=${calm}`, '-n1', '-u20000', 'sallyport.pml'], {
      cwd: directory,
    });
    return [...stdout.matchAll(/^ +([a-z-]+)$/gm)]
      .map(([, step]) => String(step))
      .filter((step) => step !== 'timeout');
  });

/** The same, of the code: its effects, each answered well. Only those the model has a name for. */
const walked = (first: Decision, later: Decision | null, names: ReadonlySet<string>): string[] => {
  const manner = { held: 'here', pin: false, offersPrivate: false } as const;
  const world = new World({ manner, rules: sampleRules, identified: true, lists: [first] });
  const toTheEnd = (): void => {
    for (let left = 50; world.due.length > 0 && left > 0; left -= 1) {
      const next = world.due.findIndex(({ type }) => type !== 'await-key');
      if (next >= 0) world.answer(next, 0);
      else if (world.state.phase === 'asking') world.feed({ type: 'key', party: 'called', key: '1' });
      else return;
    }
  };
  world.feed({ type: 'arrived' });
  toTheEnd();
  if (later !== null) world.feed({ type: 'decided-again', decision: later });
  toTheEnd();
  world.feed({ type: 'caller-gone', how: 'caller-hung-up' });
  toTheEnd();
  return world.effects.filter((name) => names.has(name));
};

t.test('the model takes the steps that the code takes, in the same order', async (t) => {
  const names = new Set([...text.matchAll(/DID\("([a-z-]+)\\n"\)/g)].map(([, name]) => String(name)));
  t.ok(names.size >= 12);
  t.same(await modelled(1), walked(monitored, null, names), 'a monitored call');
  t.same(await modelled(2), walked(attorney, null, names), 'a private call');
  t.same(await modelled(3), walked(monitored, attorney, names), 'a call that becomes private');
});
