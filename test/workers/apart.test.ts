import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Config } from '../../src/config/schema.js';
import { verifyJournal } from '../../src/journal/verify.js';
import { fromRoot } from '../../src/root.js';
import { freeTcpPort, freeUdpPort } from '../../src/stack/free-ports.js';
import { bothTold, dial, hearBoth, incomingOf, Nodes, paired, rowsOf, type Up } from '../faults/kit.js';
import { defaultLists, type ListWords, openSite, type Site } from '../site/site.js';
import { PromptEar } from '../site/spoken.js';
import { press } from '../site/talk.js';
import { Stack, until } from './kit.js';

const longest = 400_000;
t.setTimeout(longest);

const open = '+16465550190';
const lists: ListWords = { ...defaultLists, allow: { '*': [open] } };
const answers = { do: 'answer', ring: {}, afterMs: 20 } as const;

const isGone = (pid: number): true | undefined => {
  try {
    process.kill(pid, 0);
    return undefined;
  } catch {
    return true;
  }
};

t.test('workers that speak with the parties', { timeout: longest }, async (t) => {
  const site = await openSite(t, {
    config: paired,
    lists,
    controller: false,
    conversation: 'here',
    prompts: 'short',
    local: { nodes: { recorded: 2, private: 2 } },
  });
  site.called.answerWith(answers);
  const nodes = new Nodes(t, site);
  const ear = new PromptEar(join(site.dir, 'prompts'));
  const up = async (as: string): Promise<Up> => {
    const out = await dial(site, open, as);
    const called = await incomingOf(site, as).catch(async (error: unknown) => {
      const rows = [];
      for (const worker of [1, 2])
        for (const kind of ['decision', 'cdr']) rows.push(...(await first.rowsOf(worker, kind)));
      const own = rows.filter(({ body }) => body.caller === as);
      throw new Error(`${as}: ${JSON.stringify(own)} ${out.flow.join('\n')}`, { cause: error });
    });
    await ear.until(called, 'menu-recorded');
    await press(called, '1');
    const call = { as, out, in: called };
    await hearBoth(call);
    return call;
  };
  const first = await Stack.start(t, site, { workers: 2 });

  await t.test('keys reach whichever worker has the call', async (t) => {
    const workers = new Set<number>();
    for (const as of ['k1', 'k2']) {
      const call = await up(as);
      workers.add(await first.workerOf(as));
      await call.out.hangUp();
      await call.in.ended();
      t.match((await first.cdr(as)).body, { verdict: 'monitored', ending: 'caller-hung-up' }, as);
    }
    t.equal(workers.size, 2);
  });

  await t.test('kill -9 of the parent: the others end their calls in order, and themselves', async (t) => {
    const calls = [await up('p1'), await up('p2')];
    const told = Promise.all(calls.map((call) => bothTold(call)));
    first.child.kill('SIGKILL');
    for (const one of (await told).flat()) t.match(one, /^them bye Q\.850.*text="shutdown"/);
    for (const pid of first.pids()) await until(`${pid} ends`, () => isGone(pid));
    for (const as of ['p1', 'p2']) t.match((await first.cdr(as)).body, { ending: 'shutdown' }, as);
    await nodes.untilEmpty();
  });

  await t.test('all are killed, and one worker is run after: the other’s calls are closed too', async (t) => {
    const again = await Stack.start(t, site, { workers: 2 }, first.port);
    const calls = [await up('q1'), await up('q2')];
    t.not(await again.workerOf('q1'), await again.workerOf('q2'), 'one with each');
    const told = Promise.all(calls.map((call) => bothTold(call)));
    for (const pid of [again.child.pid, ...again.pids()]) if (pid !== undefined) process.kill(pid, 'SIGKILL');
    await again.exited;
    const last = await Stack.start(t, site, { workers: 1 }, first.port);
    for (const one of (await told).flat()) t.match(one, /^them bye Q\.850.*text="controller-crashed"/);
    for (const as of ['q1', 'q2'])
      t.match((await again.cdr(as)).body, { ending: 'controller-crashed', recovered: true }, as);
    await nodes.untilEmpty();
    last.child.kill('SIGTERM');
    t.strictSame(await last.exited, { code: 0, signal: null });
    t.equal(last.journals.length, 2, 'the journal of a worker that is no more counts');
    for (const dir of last.journals) t.ok((await verifyJournal(dir)).ok, dir);
  });
});

/** Starts the program with a configuration, and gives what ends it. */
const started = async (t: Test, site: Site, command: 'agent' | 'run', config: Config, says: RegExp) => {
  const file = join(site.dir, `${command}-${config.controller.name}.yaml`);
  writeFileSync(file, JSON.stringify(config));
  const child = spawn(
    process.execPath,
    [fromRoot('dist', 'src', 'cli', 'main.js'), command, '--config', file],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  t.teardown(() => child.kill('SIGKILL'));
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  await until(
    `${command} says that it is there`,
    () => {
      if (child.exitCode !== null) throw new Error(said);
      return says.test(said) || undefined;
    },
    () => said,
  );
  return { child, exited };
};

t.test('an agent that was started alone, with two controllers', async (t) => {
  const site = await openSite(t, { config: paired, lists, controller: false });
  site.called.answerWith(answers);
  const nodes = new Nodes(t, site);
  const secretFile = join(site.dir, 'agent-secret');
  writeFileSync(secretFile, 'a secret\n');
  const port = await freeUdpPort('127.0.0.1');
  const base: Config = {
    ...site.config,
    controller: { ...site.config.controller, drainSeconds: 30 },
    sip: {
      ...site.config.sip,
      agent: 'embedded',
      listen: [{ transport: 'udp', address: '127.0.0.1', port }],
      application: { port: await freeTcpPort('127.0.0.1'), secretFile },
    },
  };
  const keypads = [site.config.media.keypad.port, await freeUdpPort('127.0.0.1')];
  const named = (name: string, nth: number): Config => ({
    ...base,
    controller: { ...base.controller, name },
    journal: { ...base.journal, directory: join(site.dir, `journal-of-${name}`) },
    lists: { ...base.lists, orders: join(site.dir, `orders-of-${name}`) },
    control: { ...base.control, socket: join(site.dir, `${name}.sock`) },
    http: { address: '127.0.0.1', port: 0 },
    media: {
      ...base.media,
      keypad: { address: '127.0.0.1', port: keypads[nth] ?? 0 },
      // What nodes report goes to one controller each, as their keys do.
      notices: nth === 0 ? base.media.notices : undefined,
    },
  });
  const agent = await started(t, site, 'agent', base, /waits/);
  const [one, two] = [named('one', 0), named('two', 1)];
  const runs = [await started(t, site, 'run', one, /health/), await started(t, site, 'run', two, /health/)];
  site.callThrough({ host: '127.0.0.1', port });
  const ownerOf = async (as: string): Promise<string> =>
    until(`a CDR of ${as}`, async () => {
      for (const config of [one, two]) {
        const at = { ...site, config, rows: site.rows } as unknown as Site;
        if ((await rowsOf(at, as, 'cdr')).length > 0) return config.controller.name;
      }
      return undefined;
    });
  const call = async (as: string): Promise<Up> => {
    const out = await dial(site, open, as);
    await out.answered({ deadlineMs: 30_000 });
    return { as, out, in: await incomingOf(site, as) };
  };
  const whole = async (as: string): Promise<string> => {
    const done = await call(as);
    await done.out.hangUp();
    await done.in.ended();
    return ownerOf(as);
  };
  t.strictSame([await whole('a1'), await whole('a2')].sort(), ['one', 'two'], 'in turn');

  // Two calls up, one with each; the first controller is told to stop and drains.
  const [left, right] = [await call('b1'), await call('b2')];
  runs[0]?.child.kill('SIGTERM');
  const owners: string[] = [];
  // Until the agent was told, a call may still be its own; after that none is, and none is refused at any time.
  await until('all new calls are the other’s', async () => {
    owners.push(await whole(`c${owners.length}`));
    return owners.slice(-3).join() === 'two,two,two' ? true : undefined;
  });
  await hearBoth(left);
  await hearBoth(right);
  await left.out.hangUp();
  await right.out.hangUp();
  t.strictSame([await ownerOf('b1'), await ownerOf('b2')].sort(), ['one', 'two']);
  t.equal(await runs[0]?.exited, 0, 'it ends once its call is over');

  // The agent alone is told to stop: what is up goes on, what is new is refused, and it waits.
  const last = await call('d1');
  agent.child.kill('SIGTERM');
  let tries = 0;
  const refused = await until('a new call is refused', async () => {
    const out = await dial(site, open, `e${++tries}`);
    const final = await out.failed({ deadlineMs: 30_000 }).catch(() => undefined);
    if (final === undefined) await out.hangUp();
    return final?.status === 503 ? final : undefined;
  });
  t.match(refused.headers.get('retry-after'), /^\d+$/);
  await hearBoth(last);
  await last.out.hangUp();
  await last.in.ended();
  t.equal(await agent.exited, 0, 'it ends once the call is over');
  // Its agent is away, and the library goes on trying to reach it until it is told not to.
  runs[1]?.child.kill('SIGTERM');
  t.equal(await runs[1]?.exited, 0);
  await nodes.untilEmpty();
});
