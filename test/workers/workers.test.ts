import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { verifyJournal } from '../../src/journal/verify.js';
import type { OutgoingCall } from '../../src/phones/outgoing-call.js';
import { fromRoot } from '../../src/root.js';
import { makeStatement } from '../../src/statement/statement.js';
import { bothTold, callHeader, dial, hearBoth, incomingOf, Nodes, paired, type Up } from '../faults/kit.js';
import { defaultLists, type ListWords, numbers, openSite, type Site } from '../site/site.js';
import { Stack, until } from './kit.js';

const longest = 400_000;
t.setTimeout(longest);

const open = '+16465550190';
const lists: ListWords = { ...defaultLists, allow: { '*': [open] } };
const answers = { do: 'answer', ring: {}, afterMs: 20 } as const;

const upIn = async (site: Site, as: string, number = open): Promise<Up> => {
  const out = await dial(site, number, as);
  await out.answered({ deadlineMs: 30_000 });
  const call = { as, out, in: await incomingOf(site, as) };
  await hearBoth(call);
  return call;
};

const hangUp = async (call: Up): Promise<void> => {
  await call.out.hangUp();
  await call.in.ended();
};

const verifies = async (t: Test, stack: Stack): Promise<void> => {
  t.equal(stack.journals.length, 2);
  for (const dir of stack.journals) t.ok((await verifyJournal(dir)).ok, dir);
};

/** A command of the program, as an operator types it. */
const cli = async (stack: Stack, ...args: readonly string[]): Promise<string> => {
  const main = fromRoot('dist', 'src', 'cli', 'main.js');
  const { stdout } = await promisify(execFile)(process.execPath, [main, ...args, '--config', stack.file]);
  return stdout;
};

t.test('two workers on one agent', { timeout: longest }, async (t) => {
  const site = await openSite(t, {
    config: paired,
    lists,
    controller: false,
    local: { nodes: { recorded: 2, private: 2 } },
  });
  site.called.answerWith(answers);
  const nodes = new Nodes(t, site);
  const stack = await Stack.start(t, site, { workers: 2 });
  const up = (as: string, number?: string): Promise<Up> => upIn(site, as, number);
  /** One call with each of the workers, the first worker's first. */
  const oneEach = async (prefix: string): Promise<readonly [Up, Up]> => {
    const calls = new Map<number, Up>();
    for (let n = 1; calls.size < 2; n++) {
      const call = await up(`${prefix}${n}`, n % 2 === 0 ? numbers.attorney : open);
      const worker = await stack.workerOf(call.as);
      if (calls.has(worker)) await hangUp(call);
      else calls.set(worker, call);
    }
    const [first, second] = [calls.get(1), calls.get(2)];
    if (first === undefined || second === undefined) throw new Error('a worker took no call');
    return [first, second];
  };

  await t.test('take calls in turn', async (t) => {
    const workers: number[] = [];
    for (const as of ['a1', 'a2', 'a3', 'a4']) {
      const call = await up(as);
      workers.push(await stack.workerOf(as));
      await hangUp(call);
      t.match((await stack.cdr(as)).body, {
        ending: 'caller-hung-up',
        spool: { state: 'recording-finished' },
      });
    }
    t.strictSame(workers.slice(0, 2), workers.slice(2), 'in turn');
    t.strictSame(workers.slice(0, 2).sort(), [1, 2]);
  });

  await t.test('are asked and ordered as one', async (t) => {
    const [first, second] = await oneEach('b');
    const listed = JSON.parse(await cli(stack, 'calls', '--json')) as { calls: { callId: string }[] };
    t.equal(listed.calls.length, 2, 'calls of both');
    const metrics = (await stack.get('/metrics')).text;
    for (const worker of [1, 2]) {
      t.match(metrics, `sallyport_calls_under_way{worker="${stack.worker(worker)}"} 1`);
    }
    t.equal(metrics.split('# TYPE sallyport_calls_under_way ').length, 2, 'each family once');
    t.match(
      metrics,
      /^sallyport_agent_messages_total\{worker="agent",transport="udp",direction="in",kind="INVITE"\} \d/m,
    );
    t.match(metrics, 'sallyport_agent_connections{worker="agent",transport="app"} 2', 'both workers');
    t.equal(metrics.split('# TYPE sallyport_agent_dialogs ').length, 2, 'the agent’s once');
    const idOf = async (as: string): Promise<string> => {
      for (const worker of [1, 2]) {
        const row = (await stack.rowsOf(worker, 'decision')).find(({ body }) => body.caller === as);
        if (row !== undefined) return row.body.callId;
      }
      throw new Error(`no decision of ${as}`);
    };
    const monitored = first.as === 'b1' ? first : second;
    const other = monitored === first ? second : first;
    await cli(stack, 'calls', 'end', await idOf(monitored.as), '--why', 'test', '--by', 'test');
    await monitored.in.ended();
    await hearBoth(other);
    const on = ['--facility', 'north', '--why', 'test', '--by', 'test'];
    await cli(stack, 'lockdown', 'on', ...on);
    const during = await Promise.all(['b8', 'b9'].map((as) => dial(site, open, as)));
    for (const out of during) t.not((await out.failed()).status, 503, 'both workers know');
    t.match(await cli(stack, 'lockdown', 'show'), /north/);
    await cli(stack, 'lockdown', 'off', ...on);
    for (const as of ['b8', 'b9']) t.match((await stack.cdr(as)).body, { ending: 'lockdown' }, as);
    const rows = await Promise.all([1, 2].map((worker) => stack.rowsOf(worker, 'supervision')));
    t.equal(rows.flat().filter(({ body }) => body.use === 'lockdown').length, 2, 'each order is one row');
    if (other.out.ending === undefined) await other.out.hangUp();
    await other.in.ended();
  });

  await t.test('kill -9 of one: its calls end, the other’s go on, and new ones are taken', async (t) => {
    const [first, second] = await oneEach('c');
    const told = bothTold(first);
    const lines = stack.lines.length;
    stack.signal(stack.worker(1), 'SIGKILL');
    await stack.line('part-ended', ({ part }) => part === stack.worker(1), lines);
    const meanwhile = await up('c0');
    await hangUp(meanwhile);
    for (const one of await told) t.match(one, /^them bye Q\.850.*text="controller-crashed"/, 'told by BYE');
    await hearBoth(second);
    t.match(await stack.cdr(first.as), {
      worker: 1,
      body: { ending: 'controller-crashed', recovered: true },
    });
    await hangUp(second);
    t.match(await stack.cdr(second.as), { worker: 2, body: { ending: 'caller-hung-up' } });
    await nodes.untilEmpty();
    await stack.untilReady();
  });

  await t.test(
    'one that is stopped gets no new calls for long, and takes them again when it wakes',
    async (t) => {
      stack.signal(stack.worker(2), 'SIGSTOP');
      // What it was given before the agent noticed is refused after a while, not kept waiting.
      const placed: OutgoingCall[] = [];
      const takenBy1 = async (nth: number): Promise<boolean> => {
        const as = `d${nth}`;
        const out = await dial(site, open, as);
        placed.push(out);
        const end = performance.now() + 3000;
        while (out.final === undefined && performance.now() < end) {
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        if (out.final?.status !== 200) return false;
        await out.hangUp();
        return true;
      };
      let nth = 0;
      let inRow = 0;
      while (inRow < 4 && nth < 30) inRow = (await takenBy1(nth++)) ? inRow + 1 : 0;
      t.equal(inRow, 4, 'four in a row are taken by the other');
      for (const out of placed) {
        if (out.final === undefined) t.equal((await out.failed({ deadlineMs: 60_000 })).status, 503);
      }
      stack.signal(stack.worker(2), 'SIGCONT');
      await stack.untilReady();
      await until('the second takes calls again', async () => {
        const call = await up(`e${nth++}`);
        const worker = await stack.workerOf(call.as);
        await hangUp(call);
        return worker === 2 ? true : undefined;
      });
      await nodes.untilEmpty();
    },
  );

  await t.test(
    'kill -9 of the agent: both are told, nothing is left, and calls are taken again',
    async (t) => {
      const [first, second] = await oneEach('f');
      site.called.answerWith({ do: 'ring' });
      const ringing = await dial(site, open, 'f0');
      const rings = await incomingOf(site, 'f0');
      const told = Promise.all([first, second].map((call) => bothTold(call)));
      const lines = stack.lines.length;
      stack.signal('agent', 'SIGKILL');
      await stack.line('part-started', ({ part }) => part === 'agent', lines);
      const began = performance.now();
      for (const one of (await told).flat())
        t.match(one, /^them bye Q\.850.*text="agent-lost"/, 'told by BYE');
      await rings.cancelled();
      const toldMs = performance.now() - began;
      await nodes.untilEmpty();
      t.comment(
        `told ${Math.round(toldMs)} ms, empty ${Math.round(performance.now() - began)} ms after its start`,
      );
      for (const as of [first.as, second.as, 'f0']) {
        t.match((await stack.cdr(as)).body, { ending: 'agent-lost' }, as);
      }
      await ringing.giveUp();
      site.called.answerWith(answers);
      await stack.untilReady();
      for (const as of ['g1', 'g2']) await hangUp(await up(as));
      await nodes.untilEmpty();
    },
  );

  await t.test('a rolling restart under steady calls drops and refuses none', async (t) => {
    site.called.answerWith(answers);
    const pids = [1, 2].map((worker) => stack.pid(stack.worker(worker)));
    const calls: Promise<void>[] = [];
    let done = false;
    let placed = 0;
    const one = async (as: string): Promise<void> => {
      const out = await site.call(open, { as, headers: { [callHeader]: as } });
      await out.answered({ deadlineMs: 30_000 });
      await new Promise((resolve) => setTimeout(resolve, 700));
      if (out.ending !== undefined) throw new Error(`${as} was ended: ${out.ending.how}`);
      await out.hangUp();
    };
    const lines = stack.lines.length;
    const steady = setInterval(() => {
      if (!done) calls.push(one(`h${placed++}`));
    }, 200);
    stack.child.kill('SIGHUP');
    await stack.line('restart-done', () => true, lines);
    done = true;
    clearInterval(steady);
    const results = await Promise.allSettled(calls);
    t.ok(placed > 5, `${placed} calls were placed`);
    t.same(
      results.flatMap((each) => (each.status === 'rejected' ? [String(each.reason)] : [])),
      [],
    );
    for (const [at, pid] of pids.entries())
      t.not(stack.pid(stack.worker(at + 1)), pid, 'it is another process');
    const workers = new Set<number>();
    for (let nth = 0; nth < placed; nth++) {
      const { worker, body } = await stack.cdr(`h${nth}`);
      workers.add(worker);
      if (body.ending !== 'caller-hung-up') t.fail(`h${nth}: ${body.ending}`);
    }
    t.equal(workers.size, 2, 'both took part');
  });

  await t.test('what looks back sees the calls of both', async (t) => {
    const past = (await cli(stack, 'calls', '--past', '--last', '1000', '--json'))
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { body: { caller: string } }).body.caller);
    for (const as of ['a1', 'a2', 'a3', 'a4']) t.ok(past.includes(as), as);
    const verified = (await cli(stack, 'journal', 'verify', '--json')).trim().split('\n');
    t.strictSame(
      verified.map((line) => (JSON.parse(line) as { ok: boolean }).ok),
      [true, true],
    );
    const { body } = await stack.cdr('a2');
    const evidence = JSON.parse(await cli(stack, 'evidence', body.callId)) as { callId: string };
    t.equal(evidence.callId, body.callId, 'evidence is found, whoever’s call it was');
    const period = { from: '2020-01-01T00:00:00.000Z', to: '2100-01-01T00:00:00.000Z' };
    const scope = { period, facility: null, words: true };
    const { controllers } = await makeStatement({
      journals: stack.journals,
      custody: [],
      scope,
      version: '0',
    });
    t.strictSame(
      controllers.map(({ node }) => node).sort(),
      [stack.worker(1), stack.worker(2)],
      'one statement of both',
    );
  });

  stack.child.kill('SIGTERM');
  t.strictSame(await stack.exited, { code: 0, signal: null });
  await nodes.untilEmpty();
  await verifies(t, stack);
});
