import t, { type Test } from 'tap';
import { verifyJournal } from '../../src/journal/verify.js';
import { bothTold, dial, hearBoth, incomingOf, Nodes, paired, type Up } from '../faults/kit.js';
import { defaultLists, type ListWords, numbers, openSite } from '../site/site.js';
import { childrenOf, Stack } from './kit.js';

const longest = 300_000;
t.setTimeout(longest);

const open = '+16465550190';
const lists: ListWords = { ...defaultLists, allow: { '*': [open] } };
const answers = { do: 'answer', ring: {}, afterMs: 20 } as const;

t.test('two workers on one agent', { timeout: longest }, async (t) => {
  const site = await openSite(t, { config: paired, lists, controller: false });
  site.called.answerWith(answers);
  const nodes = new Nodes(t, site);
  const stack = await Stack.start(t, site, { workers: 2 });
  const up = async (as: string, number = open): Promise<Up> => {
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

  stack.child.kill('SIGTERM');
  t.strictSame(await stack.exited, { code: 0, signal: null });
  await nodes.untilEmpty();
  for (const dir of stack.journals) t.ok((await verifyJournal(dir)).ok, dir);
});
