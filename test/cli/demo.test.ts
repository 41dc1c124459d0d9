import { existsSync, rmSync } from 'node:fs';
import t from 'tap';
import { actsOf } from '../../src/cli/demo.js';
import { fromRoot } from '../../src/root.js';
import { launchBrowser } from '../console/console-site.js';
import { until } from '../lists/redis-server.js';
import { Terminal } from './terminal.js';

t.setTimeout(300_000);

interface Shown {
  readonly total?: number;
  readonly rows?: readonly { readonly state: string }[];
}

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
  t.match(
    run.out,
    /the console was at http:\S+ and ended with the demo; .*--keep/,
    'no link into what is gone',
  );
  t.notMatch(run.out, /#link=/);
});

t.test('--keep leaves a site up whose console’s links sign in, until a signal', async (t) => {
  t.teardown(() => rmSync(fromRoot('var', 'demo'), { recursive: true, force: true }));
  const terminal = new Terminal(['demo', '--only', 'c', '--keep']);
  t.teardown(() => terminal.child.kill('SIGKILL'));
  await until('the links are printed', async () => terminal.out.split('#link=').length === 3, 120_000);
  const url =
    /the console is at (http:\/\/[\d.:]+); everything stays up until Ctrl-C/.exec(terminal.out)?.[1] ?? '';
  const [demo, second] = [...terminal.out.matchAll(/#link=(\S+)/g)].map(([, token]) => token);
  const enter = (token: string | undefined) =>
    fetch(`${url}/v1/session/link`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: url },
      body: JSON.stringify({ token }),
    });
  const signed = await enter(demo);
  t.equal(signed.status, 200, 'the origin that is printed is the one that is served');
  t.equal((await enter(demo)).status, 401, 'once');
  const cookie = signed.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  const asked = async (path: string) =>
    (await (await fetch(`${url}${path}`, { headers: { cookie } })).json()) as Shown;
  t.match(await asked('/v1/session'), {
    account: 'demo',
    roles: [{ role: 'operator' }, { role: 'registrar' }, { role: 'approver' }],
  });
  t.equal((await asked('/v1/lists/privileged')).total, 12, 'the registry holds the example lists');
  const changes = await asked('/v1/changes');
  t.same(
    changes.rows?.map(({ state }) => state),
    ['applied', 'applied', 'applied'],
  );
  t.equal((await asked('/v1/calls/now')).rows?.length, 0, 'the controller answers');
  const browser = await launchBrowser();
  t.teardown(() => browser.close());
  const page = await browser.newPage();
  await page.goto(`${url}/sign-in#link=${second}`);
  await page.waitForURL((at) => at.pathname !== '/sign-in', { timeout: 60_000 });
  t.notMatch(page.url(), /link=/, 'the secret is out of the address');
  const shown = await page.evaluate(() => fetch('/v1/session').then((answer) => answer.json()));
  t.match(shown, { account: 'second', roles: [{ role: 'approver' }] }, 'a browser took the cookie');
  await browser.close();
  terminal.child.kill('SIGINT');
  const { code, err } = await terminal.done;
  t.equal(code, 0, err);
  await t.rejects(fetch(`${url}/v1/health`), 'nothing is left');
  t.notOk(existsSync(fromRoot('var', 'demo', 'postgres', 'data')), 'nor a database');
});

t.test('which calls', async (t) => {
  t.equal([...actsOf(undefined)].join(''), 'abcdefghijk');
  t.same([...actsOf('a, g')], ['a', 'g']);
  t.same([...actsOf('k')], ['k', 'h'], 'what is left behind must have been left');
  for (const wrong of ['', 'x', 'ab', 'a,,b']) t.throws(() => actsOf(wrong), { code: 'act-unknown' }, wrong);
});
