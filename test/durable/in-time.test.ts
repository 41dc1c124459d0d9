import t from 'tap';
import { inTime, MayHang } from '../../src/durable/in-time.js';

const never = new Promise<never>(() => undefined);
/** Keeps this process from everything else. */
const spin = (ms: number): void => {
  const end = performance.now() + ms;
  while (performance.now() < end);
};
/** As many questions to the system, one after the other, each answered in the next turn of a loop that is busy. */
const inBusyTurns = async (turns: number, ms: number): Promise<string> => {
  for (let i = 0; i < turns; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    spin(ms);
  }
  return 'answered';
};

t.test('what comes in time, and what does not', async (t) => {
  t.equal(await inTime(1000, Promise.resolve('a')), 'a');
  await t.rejects(inTime(1000, Promise.reject(new Error('no'))), { message: 'no' });
  t.equal(await inTime(40, never), 'late');
  const begun = performance.now();
  t.equal(await inTime(200, never), 'late');
  t.ok(performance.now() - begun >= 190, 'not before');
});

t.test('a process that was kept from its work has not waited', async (t) => {
  t.equal(await inTime(60, inBusyTurns(12, 15)), 'answered', 'twelve turns of three times as long');
  const answer = new Promise((resolve) => setImmediate(() => resolve('answered')));
  const waited = inTime(60, answer);
  spin(200);
  t.equal(await waited, 'answered', 'it stood still for longer than that at once');
});

t.test('what hangs is asked once, and waited for once', async (t) => {
  let asked = 0;
  let settle: { readonly answers: (value: string) => void; readonly fails: (why: Error) => void } | undefined;
  const disk = new MayHang(() => {
    asked += 1;
    return new Promise<string>((answers, fails) => {
      settle = { answers, fails };
    });
  });
  t.strictSame(await Promise.all([disk.within(40), disk.within(40)]), ['late', 'late']);
  const begun = performance.now();
  t.equal(await disk.within(60_000), 'late', 'at once');
  t.ok(performance.now() - begun < 10_000);
  t.equal(asked, 1);
  settle?.answers('of long ago');
  await new Promise((resolve) => setImmediate(resolve));
  const fresh = disk.within(60_000);
  t.equal(asked, 2, 'asked anew');
  settle?.answers('of now');
  t.equal(await fresh, 'of now');
  const broken = disk.within(60_000);
  settle?.fails(new Error('broken'));
  await t.rejects(broken, { message: 'broken' });
  t.equal(await disk.within(40), 'late', 'and may hang again');
  t.equal(asked, 4);
  settle?.fails(new Error('after all, and nobody waits for it'));
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(await disk.within(40), 'late');
  t.equal(asked, 5);
});
