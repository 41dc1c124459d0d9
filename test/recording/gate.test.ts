import t from 'tap';
import { Gate } from '../../src/recording/gate.js';

/** Work that ends when it is told to; `order` tells what was begun, in order. */
const gateOf = (limit: number) => {
  let time = 0;
  const order: string[] = [];
  const ends = new Map<string, () => void>();
  const gate = new Gate(limit, 3, 100, () => time);
  const run = (name: string, since?: number): Promise<void> =>
    gate.run(() => {
      order.push(name);
      return new Promise<void>((resolve) => ends.set(name, resolve));
    }, since);
  const end = async (name: string): Promise<void> => {
    ends.get(name)?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { gate, order, run, end, at: (ms: number) => (time = ms) };
};

t.test('what nobody waits for any more goes last, and is done all the same', async (t) => {
  const { gate, order, run, end, at } = gateOf(1);
  const all = [run('first'), run('given-up', 0)];
  at(90);
  all.push(run('waited-for'));
  at(110);
  await end('first');
  t.same(order, ['first', 'waited-for']);
  await end('waited-for');
  t.same(order, ['first', 'waited-for', 'given-up']);
  await end('given-up');
  await Promise.all(all);
  t.equal(gate.load, 0);
});

t.test('it tells how far behind it is', async (t) => {
  const { gate, run, end, at } = gateOf(1);
  const all = [run('first')];
  at(50);
  t.equal(gate.behindMs, 0, 'nothing waits');
  all.push(run('second'));
  at(70);
  t.equal(gate.behindMs, 70, 'nothing has moved since');
  await end('first');
  t.equal(gate.behindMs, 0);
  all.push(run('third'));
  at(300);
  t.equal(gate.behindMs, 230, 'nobody waits for the third any more; still nothing moves');
  await end('second');
  await end('third');
  await Promise.all(all);
});

t.test('there is a bound, and a failure gives its place on', async (t) => {
  const { gate, run, end } = gateOf(1);
  const failing = gate.run(() => Promise.reject(new Error('broken')));
  const next = [run('a'), run('b'), run('c')];
  await t.rejects(run('d'), { code: 'finish-queue-full' });
  await t.rejects(failing, { message: 'broken' });
  for (const name of ['a', 'b', 'c']) await end(name);
  await Promise.all(next);
  t.equal(gate.load, 0);
});
