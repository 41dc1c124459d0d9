import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startAgent } from '../../src/agent/agent.js';
import { verifyJournal } from '../../src/journal/verify.js';
import { defaultLists, type ListWords, numbers, openSite, type Site } from '../site/site.js';
import { Cut } from './cut.js';
import {
  bothTold,
  callIdOf,
  cdrOf,
  connect,
  dial,
  fillDisk,
  finish,
  hearBoth,
  incomingOf,
  Nodes,
  paired,
  rowsOf,
  smallDisk,
  type Up,
} from './kit.js';
import { Processes } from './processes.js';

const open = '+16465550190';
const lists: ListWords = { ...defaultLists, allow: { '*': [open] } };
const answers = { do: 'answer', ring: {}, afterMs: 20 } as const;

const isTold = (t: Test, told: readonly [string, string], code: string): void => {
  for (const one of told) t.match(one, new RegExp(`^them bye Q\\.850.*text="${code}"`), 'told by BYE');
};

const verifies = async (t: Test, site: Site): Promise<void> => {
  const result = await verifyJournal(site.config.journal.directory);
  t.ok(result.ok, `the journal verifies: ${JSON.stringify(result)}`);
};

t.test('the journal’s disk is full', async (t) => {
  const disk = smallDisk(t, 1024);
  if (disk === null) {
    t.comment('no disk may be mounted here: not tested');
    return;
  }
  const site = await openSite(t, {
    config: (config) => paired({ ...config, controller: { ...config.controller, maxUnwrittenCdrs: 2 } }),
    overlay: (config) => ({ ...config, journal: { ...config.journal, directory: join(disk, 'journal') } }),
    lists,
  });
  site.called.answerWith(answers);
  const nodes = new Nodes(t, site);
  const up: Record<'m1' | 'm2' | 'p1' | 'p2' | 'p3', Up> = {
    m1: await connect(site, open, 'm1'),
    m2: await connect(site, open, 'm2'),
    p1: await connect(site, numbers.attorney, 'p1'),
    p2: await connect(site, numbers.attorney, 'p2'),
    p3: await connect(site, numbers.attorney, 'p3'),
  };
  const dialled = site.called.invites.length;
  const isRefused = async (as: string, number: string): Promise<void> => {
    const final = await (await dial(site, number, as)).failed();
    t.equal(final.status, 503, as);
    t.match(final.headers.get('retry-after'), /^\d+$/);
    t.match(final.headers.get('reason'), /journal-unavailable/);
  };
  const empty = fillDisk(disk);
  await fillLastPage(site);
  await isRefused('n1', open);
  await site.ended(1);
  await isRefused('n2', numbers.attorney);
  t.equal(site.called.invites.length, dialled, 'no row, no call: nobody was dialled');
  await Promise.all(Object.values(up).map((call) => hearBoth(call)));

  // One refused call is kept in memory (the next ones are refused before they are calls); this makes two.
  await up.p1.out.hangUp();
  await up.p1.in.ended();
  await site.ended(2);
  t.same(await rowsOf(site, 'p1', 'cdr'), [], 'its CDR cannot be written yet');
  await Promise.all([up.m1, up.m2, up.p2, up.p3].map((call) => hearBoth(call)));
  const told = [up.m1, up.m2, up.p3].map((call) => bothTold(call));
  await up.p2.out.hangUp();
  for (const one of await Promise.all(told)) isTold(t, one, 'shutdown');
  await site.ended(6);
  await isRefused('n3', open);

  empty();
  await site.until('the journal works again', () => site.sallyport.checks().every((check) => check.ok));
  await site.until(
    'CDRs are written, so calls are taken',
    () => site.sallyport.controller.refusal() === null,
  );
  for (const as of ['n1', 'm1', 'm2', 'p1', 'p2', 'p3']) {
    t.equal((await rowsOf(site, as, 'cdr')).length, 1, `${as} has one CDR`);
  }
  t.match((await rowsOf(site, 'm1', 'cdr'))[0]?.body, {
    ending: 'shutdown',
    spool: { state: 'recording-finished' },
  });
  t.match((await rowsOf(site, 'p1', 'cdr'))[0]?.body, { ending: 'caller-hung-up', verdict: 'private' });
  t.match((await rowsOf(site, 'n1', 'cdr'))[0]?.body, { ending: 'journal-unavailable' });
  t.same(await rowsOf(site, 'n1', 'decision'), [], 'what was not written was not decided');
  const cdr = await finish(site, await connect(site, open, 'after'));
  t.match(cdr, { verdict: 'monitored', spool: { state: 'recording-finished' } });
  const stranger = await site.caller.call({ to: `sip:x@${site.sip().host}`, via: site.sip(), sdp: 'none' });
  await stranger.failed();
  await site.until('its row is there', () =>
    site.events.some((one) => one.event === 'call-rejected' && one.ending !== 'journal-unavailable'),
  );
  await site.stop();
  const rejections = (await site.rows({ kinds: ['cdr'] })).filter((row) => row.body.callId === null);
  t.equal(
    rejections.reduce((sum, row) => sum + 1 + row.body.uncounted, 0),
    3,
    'attempts refused before they were calls are written or counted',
  );
  await verifies(t, site);
  await nodes.untilEmpty();
});

t.test('the connection to the SIP agent breaks', async (t) => {
  const secret = 'a-secret-of-this-test';
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret },
    sip: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
  });
  const cut = await Cut.open({ host: '127.0.0.1', port: agent.appPort });
  const site = await openSite(t, {
    config: paired,
    overlay: (config, dir) => {
      const secretFile = join(dir, 'agent.secret');
      writeFileSync(secretFile, secret);
      return { ...config, sip: { ...config.sip, agent: { host: '127.0.0.1', port: cut.port, secretFile } } };
    },
    lists,
  });
  t.teardown(async () => {
    await cut.close();
    await agent.stop();
  });
  site.called.answerWith(answers);
  site.callThrough(agent.sip[0] ?? null);
  const nodes = new Nodes(t, site);
  const m1 = await connect(site, open, 'm1');
  const p1 = await connect(site, numbers.attorney, 'p1');
  site.called.answerWith({ do: 'ring' });
  const ringing = await dial(site, open, 'r1');
  const rings = await incomingOf(site, 'r1');
  await ringing.progressed({ status: 180 });
  site.called.answerWith(answers);

  cut.break();
  await site.event('agent-state', (event) => event.state === 'down');
  await site.ended(3);
  for (const as of ['m1', 'p1']) t.match(await cdrOf(site, as), { ending: 'agent-lost', fault: 'ours' }, as);
  t.equal((await cdrOf(site, 'm1')).spool.state, 'recording-finished');
  await nodes.untilEmpty();
  t.equal(m1.out.ending, undefined, 'nobody could be told yet');
  const refusal = await (await dial(site, open, 'n1')).failed();
  t.equal(refusal.status, 503, 'the agent itself refuses new calls');
  t.match((await ringing.failed()).status, /^(480|500|503)$/, 'a ringing caller is let go');
  await rings.cancelled();

  const told = [bothTold(m1), bothTold(p1)];
  cut.mend();
  for (const one of await Promise.all(told)) isTold(t, one, 'agent-lost');
  await site.until('the agent is there again', () => site.sallyport.checks().every((check) => check.ok));
  t.match(await finish(site, await connect(site, numbers.attorney, 'p2')), { verdict: 'private' });
  t.match(await finish(site, await connect(site, open, 'm2')), { spool: { state: 'recording-finished' } });
  for (const as of ['m1', 'p1', 'r1', 'p2', 'm2']) {
    t.equal((await rowsOf(site, as, 'cdr')).length, 1, `${as} has one CDR`);
  }
  await site.until('the agent holds no dialog', () => agent.stats().dialogs === 0);
  await site.stop();
  await verifies(t, site);
});

t.test('the controller is stopped with calls up', async (t) => {
  const site = await openSite(t, {
    config: paired,
    lists,
  });
  site.called.answerWith(answers);
  const nodes = new Nodes(t, site);
  const m1 = await connect(site, open, 'm1');
  const m2 = await connect(site, open, 'm2');
  const p1 = await connect(site, numbers.attorney, 'p1');
  site.called.answerWith({ do: 'ring' });
  const ringing = await dial(site, open, 'r1');
  const rings = await incomingOf(site, 'r1');
  await ringing.progressed({ status: 180 });
  const told = [bothTold(m2), bothTold(p1)];
  const stopped = site.stop(2000);
  await site.event('controller-stopping');
  const final = await (await dial(site, open, 'n1')).failed();
  t.equal(final.status, 503);
  t.match(final.headers.get('reason'), /shutdown/);
  t.match(final.headers.get('retry-after'), /^\d+$/);
  const via = site.sip();
  const health = await site.caller.request('OPTIONS', { to: `sip:${via.host}:${via.port}`, via });
  t.equal(health.status, 503, 'the trunk’s health check is told as well');
  t.match(health.headers.get('retry-after'), /^\d+$/);
  await hearBoth(m1);
  await m1.out.hangUp();
  await m1.in.ended();
  await Promise.all([m2, p1].map((call) => hearBoth(call)));
  t.equal((await ringing.failed()).status, 503);
  await rings.cancelled();
  for (const one of await Promise.all(told)) isTold(t, one, 'shutdown');
  await stopped;
  const one = async (as: string) => (await rowsOf(site, as, 'cdr')).map((row) => row.body);
  t.match(await one('m1'), [{ ending: 'caller-hung-up', spool: { state: 'recording-finished' } }]);
  t.match(await one('m2'), [{ ending: 'shutdown', spool: { state: 'recording-finished' } }]);
  t.match(await one('p1'), [{ ending: 'shutdown', spool: { state: 'nothing-found' } }]);
  t.match(await one('r1'), [{ ending: 'shutdown', spool: { state: 'nothing-found' } }]);
  await nodes.untilEmpty();
  await verifies(t, site);
});

t.test('the real process is terminated, and killed, with calls up', async (t) => {
  const site = await openSite(t, {
    config: paired,
    lists,
    controller: false,
  });
  site.called.answerWith(answers);
  const nodes = new Nodes(t, site);
  const processes = new Processes(t, site);
  const up = async (as: string, number: string): Promise<Up> => {
    const out = await dial(site, number, as);
    await out.answered({ deadlineMs: 15_000 });
    const call = { as, out, in: await incomingOf(site, as) };
    await hearBoth(call);
    return call;
  };

  await t.test('SIGTERM: calls are ended, everything is written, exit code 0', async (t) => {
    const running = await processes.start();
    const calls = [await up('m1', open), await up('p1', numbers.attorney)];
    const told = calls.map((call) => bothTold(call));
    // Many service managers' "reload": there is nothing to read again here, and nothing ends by it.
    running.child.kill('SIGHUP');
    for (const call of calls) await hearBoth(call);
    running.child.kill('SIGTERM');
    for (const one of await Promise.all(told)) isTold(t, one, 'shutdown');
    t.same(await running.exited, { code: 0, signal: null });
    t.same(running.childrenLeft(), [], 'none of its children is left');
    for (const as of ['m1', 'p1'])
      t.match((await rowsOf(site, as, 'cdr'))[0]?.body, { ending: 'shutdown' }, as);
    const rows = await site.rows();
    t.equal(rows.at(-1)?.kind, 'closed', 'the journal was closed');
    await verifies(t, site);
    await nodes.untilEmpty();
  });

  await t.test('kill -9: the journal opens and verifies, and new calls work', async (t) => {
    const running = await processes.start();
    const monitored = await up('m2', open);
    const privileged = await up('p2', numbers.attorney);
    const ids = [await callIdOf(site, 'm2'), await callIdOf(site, 'p2')];
    running.child.kill('SIGKILL');
    t.equal((await running.exited).signal, 'SIGKILL');
    await verifies(t, site);
    const told = [monitored, privileged].map((call) => bothTold(call));
    const again = await processes.start();
    const m3 = await up('m3', open);
    const p3 = await up('p3', numbers.attorney);
    await m3.out.hangUp();
    await p3.out.hangUp();
    await Promise.all([m3.in.ended(), p3.in.ended()]);
    for (const one of await Promise.all(told)) isTold(t, one, 'controller-crashed');
    await nodes.untilEmpty();
    const rowOf = async (as: string) => {
      for (;;) {
        const [row, second] = await rowsOf(site, as, 'cdr');
        t.equal(second, undefined, `${as} has one CDR`);
        if (row !== undefined) return row.body;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    t.match(await rowOf('m2'), {
      verdict: 'monitored',
      ending: 'controller-crashed',
      fault: 'ours',
      recovered: true,
      told: { caller: 'told', called: 'told' },
      mediaLeft: [],
      spool: { state: 'recording-finished' },
    });
    t.match(await rowOf('p2'), {
      verdict: 'private',
      ending: 'controller-crashed',
      recovered: true,
      spool: { state: 'nothing-found' },
    });
    t.same(site.watch.named(ids[1] ?? 'none'), [], 'the private call is in no file, also so');
    const plain = readdirSync(join(site.local.recorded[0]?.spool ?? '', 'pcaps'));
    t.notOk(
      plain.some((name) => ids.some((id) => name.startsWith(id))),
      'nothing of them is left in plain',
    );
    again.child.kill('SIGTERM');
    t.same(await again.exited, { code: 0, signal: null });
    for (const as of ['m3', 'p3']) t.equal((await rowsOf(site, as, 'cdr')).length, 1, as);
    t.match((await rowsOf(site, 'm3', 'cdr'))[0]?.body, { spool: { state: 'recording-finished' } });
    await verifies(t, site);
  });
});

/** A full disk still takes bytes into the last page of a file: rows are written until one does not fit. */
const fillLastPage = async (site: Site): Promise<void> => {
  for (;;) {
    const fits = await site.sallyport.journal.append('filler', {}).then(
      () => true,
      () => false,
    );
    if (!fits) return;
  }
};
