import { rmSync } from 'node:fs';
import t from 'tap';
import { actsOf } from '../../src/cli/demo.js';
import { fromRoot } from '../../src/root.js';
import { Terminal } from './terminal.js';

t.setTimeout(180_000);

t.test('some calls of the demo: each side’s hearing is told, and all is as expected', async (t) => {
  t.teardown(() => rmSync(fromRoot('var', 'demo'), { recursive: true, force: true }));
  const run = await new Terminal(['demo', '--only', 'c,g']).done;
  t.equal(run.code, 0, run.err || run.out);
  t.match(run.out, /caller hears +long .* called party hears/, 'what each side heard, and when');
  t.match(run.out, /^\(c\) .*refused/im);
  for (const heard of ['notice-private', 'you-accepted', 'told-private', 'presses 1 (SIP INFO)']) {
    t.ok(run.out.includes(heard), heard);
  }
  t.notMatch(run.out, /^\((?:a|b|d|e|f|h|i|j|k)\)/m, 'and no other call was placed');
  t.match(run.out, /\neverything was as expected; the report is \S+report\.json\n/);
});

t.test('which calls', async (t) => {
  t.equal([...actsOf(undefined)].join(''), 'abcdefghijk');
  t.same([...actsOf('a, g')], ['a', 'g']);
  t.same([...actsOf('k')], ['k', 'h'], 'what is left behind must have been left');
  for (const wrong of ['', 'x', 'ab', 'a,,b']) t.throws(() => actsOf(wrong), { code: 'act-unknown' }, wrong);
});
