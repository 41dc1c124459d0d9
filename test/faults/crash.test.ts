import { createHash } from 'node:crypto';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { canonicalJson } from '../../src/journal/canonical.js';
import { openJournal } from '../../src/journal/log.js';
import { verifyJournal } from '../../src/journal/verify.js';
import type { OutgoingCall } from '../../src/phones/outgoing-call.js';
import { defaultLists, type ListWords, numbers, openSite, type Row, type Site } from '../site/site.js';
import {
  bothTold,
  callIdOf,
  dial,
  hearBoth,
  incomingOf,
  Nodes,
  paired,
  redisClient,
  rowsOf,
  type Up,
} from './kit.js';
import { Processes } from './processes.js';

/** A minute and a half on a machine that has nothing else to do. */
const longest = 400_000;
t.setTimeout(longest);

const open = '+16465550190';
const lists: ListWords = { ...defaultLists, allow: { '*': [open] } };
const answers = { do: 'answer', ring: {}, afterMs: 20 } as const;

const isTold = (t: Test, told: readonly [string, string]): void => {
  for (const one of told) t.match(one, /^them bye Q\.850.*text="controller-crashed"/, 'told by BYE');
};

/** The one row of that kind of a caller's call, waited for. */
const rowOf = async (site: Site, as: string, kind: 'cdr' | 'decision'): Promise<Row['body']> => {
  const end = performance.now() + 60_000;
  for (;;) {
    const rows = await rowsOf(site, as, kind);
    if (rows.length > 1) throw new Error(`${rows.length} rows ${kind} of ${as}`);
    if (rows[0] !== undefined) return rows[0].body;
    if (performance.now() > end) throw new Error(`no ${kind} of ${as}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};
const recovered = (site: Site, as: string): Promise<Row['body']> => rowOf(site, as, 'cdr');

const placesIn = async (site: Site): Promise<readonly string[]> => {
  const redis = redisClient(site);
  const keys = await redis.keys('*use:places:*');
  await redis.quit();
  return keys;
};

t.test('kill -9 of the controller at each step of a call', { timeout: longest }, async (t) => {
  const site = await openSite(t, { config: paired, lists, controller: false });
  site.called.answerWith(answers);
  const nodes = new Nodes(t, site);
  const processes = new Processes(t, site);
  const spool = site.local.recorded[0]?.spool ?? '';
  const up = async (as: string, number: string): Promise<Up> => {
    const out = await dial(site, number, as);
    await out.answered({ deadlineMs: 30_000 }).catch(async (error: unknown) => {
      throw new Error(`${as}: ${JSON.stringify(await rowsOf(site, as, 'cdr'))}`, { cause: error });
    });
    const call = { as, out, in: await incomingOf(site, as) };
    await hearBoth(call);
    return call;
  };
  const kill = async (running: Awaited<ReturnType<Processes['start']>>): Promise<void> => {
    running.child.kill('SIGKILL');
    await running.exited;
  };
  let running = await processes.start();

  await t.test('ringing: the called party’s phone stops', async (t) => {
    site.called.answerWith({ do: 'ring' });
    const out = await dial(site, open, 'r1');
    const incoming = await incomingOf(site, 'r1');
    await out.progressed({ status: 180 });
    await kill(running);
    t.equal(incoming.ending, undefined, 'a dead controller tells nobody');
    running = await processes.start();
    await incoming.cancelled();
    t.match(await recovered(site, 'r1'), {
      ending: 'controller-crashed',
      disposition: 'failed',
      status: null,
      connectedMs: 0,
      recovered: true,
      told: { caller: null, called: 'told' },
      spool: { state: 'nothing-found' },
    });
    t.equal(out.final, undefined, 'limit: a caller who was not answered yet hears nothing');
    await out.giveUp();
    site.called.answerWith(answers);
  });

  await t.test('answered while there was no controller: acknowledged, and hung up on', async (t) => {
    site.called.answerWith({ do: 'wait', lateAnswerAfterCancel: true });
    const out = await dial(site, open, 'r2');
    const incoming = await incomingOf(site, 'r2');
    await kill(running);
    await incoming.answer();
    running = await processes.start();
    await incoming.ended();
    t.match(incoming.ending, { by: 'them', how: 'bye' });
    t.match(await recovered(site, 'r2'), { ending: 'controller-crashed', connectedMs: 0 });
    await out.giveUp();
    site.called.answerWith(answers);
  });

  await t.test(
    'answered in the moment it was killed: acknowledged by the next one, and hung up on',
    async (t) => {
      site.called.answerWith({ do: 'wait' });
      const out = await dial(site, open, 'r3');
      const incoming = await incomingOf(site, 'r3');
      // It stands still, so that the answer is there and nobody has read it.
      running.child.kill('SIGSTOP');
      incoming.answer();
      await kill(running);
      t.equal(incoming.acksReceived, 0);
      running = await processes.start();
      t.match(await incoming.ended(), { by: 'them', how: 'bye' });
      t.ok(incoming.acksReceived > 0, 'its answer was acknowledged before');
      t.match(await recovered(site, 'r3'), { ending: 'controller-crashed', told: { called: 'told' } });
      await out.giveUp();
      site.called.answerWith(answers);
    },
  );

  await t.test('killed as soon as the answer is acknowledged: hung up on', async (t) => {
    const out = await dial(site, numbers.attorney, 'r4');
    const incoming = await incomingOf(site, 'r4');
    await incoming.acknowledged200();
    await kill(running);
    running = await processes.start();
    t.match(await incoming.ended(), { by: 'them', how: 'bye' });
    t.match(await recovered(site, 'r4'), { ending: 'controller-crashed', told: { called: 'told' } });
    await out.giveUp();
  });

  const recordedNodes = nodes.names
    .filter((name) => name.startsWith('recorded'))
    .map((name) => nodes.get(name));
  /** That no session, count or file is left of what came to nothing. */
  const nothingLeft = async (t: Test, as: string): Promise<void> => {
    await nodes.untilEmpty();
    t.same(await placesIn(site), [], 'no call is counted as under way');
    const [decision] = await rowsOf(site, as, 'decision');
    const id = String(decision?.body.callId ?? 'none');
    const files = readdirSync(join(spool, 'pcaps')).filter((name) => name.startsWith(id));
    t.same(files, [], 'nor a file in the spool');
  };

  await t.test('while it waits for Redis', async (t) => {
    site.local.redis.freeze();
    const out = await dial(site, open, 's1');
    await out.progressed({ status: 100 });
    await kill(running);
    site.local.redis.thaw();
    running = await processes.start();
    await nothingLeft(t, 's1');
    const cdrs = await rowsOf(site, 's1', 'cdr');
    t.equal(
      cdrs.length,
      (await rowsOf(site, 's1', 'decision')).length,
      'a CDR for a decision, if there was one',
    );
    t.equal(out.final, undefined);
    await out.giveUp();
  });

  await t.test(
    'decided, while it waits for a media node: what the node makes of it late is deleted',
    async (t) => {
      for (const node of recordedNodes) node.freeze();
      const out = await dial(site, open, 's2');
      await rowOf(site, 's2', 'decision');
      await kill(running);
      for (const node of recordedNodes) node.thaw();
      running = await processes.start();
      t.match(await recovered(site, 's2'), {
        ending: 'controller-crashed',
        status: null,
        connectedMs: 0,
        told: { caller: null, called: null },
        spool: { state: 'nothing-found' },
      });
      await nothingLeft(t, 's2');
      await out.giveUp();
    },
  );

  await t.test('answered, while the recording is being armed: hung up on', async (t) => {
    site.called.answerWith({ do: 'wait' });
    const out = await dial(site, open, 's3');
    const incoming = await incomingOf(site, 's3');
    for (const node of recordedNodes) node.freeze();
    incoming.answer();
    await incoming.acknowledged200();
    await kill(running);
    for (const node of recordedNodes) node.thaw();
    running = await processes.start();
    t.match(await incoming.ended(), { by: 'them', how: 'bye' });
    t.match(await recovered(site, 's3'), {
      ending: 'controller-crashed',
      status: null,
      connectedMs: 0,
      told: { called: 'told' },
    });
    await nothingLeft(t, 's3');
    t.equal(out.final, undefined);
    await out.giveUp();
    site.called.answerWith(answers);
  });

  await t.test('up: both are told, nothing is left, and the recording can be heard', async (t) => {
    const calls = [await up('m1', open), await up('p1', numbers.attorney)];
    const ids = [await callIdOf(site, 'm1'), await callIdOf(site, 'p1')];
    await kill(running);
    const began = performance.now();
    const told = Promise.all(calls.map((call) => bothTold(call))).then((all) => {
      t.comment(`told ${Math.round(performance.now() - began)} ms after the start`);
      return all;
    });
    running = await processes.start();
    for (const one of await told) isTold(t, one);
    const cdr = await recovered(site, 'm1');
    t.match(cdr, { verdict: 'monitored', spool: { state: 'recording-finished' }, mediaLeft: [] });
    t.ok(cdr.connectedMs > 100, 'how long they heard each other, as far as it is known');
    t.ok(existsSync(cdr.spool.file) || existsSync(join(site.config.recording.directory, cdr.spool.file)));
    const priv = await recovered(site, 'p1');
    for (const [id = 'none', one] of [
      [ids[0], cdr],
      [ids[1], priv],
    ]) {
      // With the journal's own hashes: what the earlier run wrote, and what was written while it was recovered.
      const rows = await site.rows();
      const own = rows.filter((row) => row.body.callId === id && row.kind !== 'cdr');
      t.same(
        one.rows.own,
        own.map(({ seq }) => seq),
        'the CDR names each row of its call',
      );
      t.ok(one.rows.nodes[one.node].length > 0, 'and the attestation of its node that was in force');
      const named = [...one.rows.own, ...one.rows.nodes[one.node]].sort((a, b) => a - b);
      const places = named.map((seq) => [seq, rows.find((row) => row.seq === seq)?.hash ?? 'none']);
      t.equal(one.rows.sha256, createHash('sha256').update(canonicalJson(places)).digest('hex'));
    }
    t.match(priv, { verdict: 'private', class: 'attorney', spool: { state: 'nothing-found' } });
    t.same(site.watch.named(ids[1] ?? 'none'), []);
    await nodes.untilEmpty();
    t.same(await placesIn(site), [], 'no call is counted as under way');
    t.same(
      readdirSync(join(spool, 'pcaps')).filter((name) => ids.some((id) => name.startsWith(id))),
      [],
    );
  });

  await t.test('killed again while it ends them: the next one does it all, once', async (t) => {
    const calls = [await up('m2', open), await up('m3', open), await up('p2', numbers.attorney)];
    await kill(running);
    const told = calls.map((call) => bothTold(call));
    // At moments of its start that are as good as any: nobody waits until it says that it is ready.
    for (const ms of [300, 600, 900]) await processes.startAndKill(ms);
    running = await processes.start();
    for (const one of await Promise.all(told)) isTold(t, one);
    for (const as of ['m2', 'm3']) {
      t.match(await recovered(site, as), { spool: { state: 'recording-finished' }, recovered: true }, as);
    }
    t.match(await recovered(site, 'p2'), { verdict: 'private', spool: { state: 'nothing-found' } });
    await nodes.untilEmpty();
  });

  await t.test('the ledger is lost: every decision has its CDR all the same', async (t) => {
    const call = await up('m4', open);
    await kill(running);
    rmSync(join(dirname(site.config.journal.directory), 'ledger'), { recursive: true });
    running = await processes.start();
    t.match(await recovered(site, 'm4'), {
      ending: 'controller-crashed',
      verdict: 'monitored',
      spool: { state: 'recording-finished' },
      told: { caller: null, called: null },
    });
    await nodes.untilEmpty();
    await call.out.giveUp();
    await call.in.giveUp();
  });

  await t.test('calls of another controller are left alone', async (t) => {
    const call = await up('m5', open);
    await kill(running);
    const stranger = await processes.start('another');
    await hearBoth(call);
    t.equal(call.out.ending ?? call.in.ending, undefined);
    t.same(await rowsOf(site, 'm5', 'cdr'), []);
    stranger.child.kill('SIGTERM');
    await stranger.exited;
    const told = bothTold(call);
    running = await processes.start();
    isTold(t, await told);
    t.match(await recovered(site, 'm5'), { spool: { state: 'recording-finished' } });
  });

  running.child.kill('SIGTERM');
  t.same(await running.exited, { code: 0, signal: null });
  const rows = await site.rows({ kinds: ['calls-recovered'] });
  t.ok(rows.length >= 5, 'each recovery says so in the journal');
  t.ok((await verifyJournal(site.config.journal.directory)).ok, 'the journal verifies');
});

t.test('killed while the conversation is held here', async (t) => {
  const site = await openSite(t, {
    config: paired,
    lists,
    controller: false,
    conversation: 'here',
    prompts: 'short',
  });
  site.called.answerWith(answers);
  const nodes = new Nodes(t, site);
  const processes = new Processes(t, site);
  let running = await processes.start();
  const killedAt = async (as: string, number: string, at: (out: OutgoingCall) => Promise<unknown>) => {
    const out = await dial(site, number, as);
    await at(out);
    running.child.kill('SIGKILL');
    await running.exited;
    running = await processes.start();
    return out;
  };
  await t.test('the caller hears a hold tone, the called party is asked for a key', async (t) => {
    const out = await killedAt('a1', open, async (call) => {
      await call.answered({ deadlineMs: 30_000 });
      const asked = await incomingOf(site, 'a1');
      await asked.acknowledged200({ deadlineMs: 30_000 });
      await site.until(
        'the called party hears what it is asked',
        () => asked.audio.counters.received > 0,
        () => JSON.stringify(asked.audio.counters),
      );
    });
    const incoming = await incomingOf(site, 'a1');
    await Promise.all([out.ended(), incoming.ended()]);
    t.match(
      [out.ending, incoming.ending],
      [
        { by: 'them', how: 'bye' },
        { by: 'them', how: 'bye' },
      ],
    );
    t.match(await recovered(site, 'a1'), {
      verdict: 'monitored',
      status: 200,
      connectedMs: 0,
      told: { caller: 'told', called: 'told' },
      spool: { state: 'nothing-found' },
    });
    await nodes.untilEmpty();
  });
  running.child.kill('SIGTERM');
  await running.exited;
  t.ok((await verifyJournal(site.config.journal.directory)).ok, 'the journal verifies');
});

t.test('a thousand calls that nobody ended', async (t) => {
  const site = await openSite(t, { config: paired, lists, controller: false });
  site.called.answerWith(answers);
  const processes = new Processes(t, site);
  const first = await processes.start();
  const out = await dial(site, open, 'm1');
  await out.answered({ deadlineMs: 30_000 });
  const [decision] = await rowsOf(site, 'm1', 'decision');
  first.child.kill('SIGKILL');
  await first.exited;
  const journal = await openJournal({
    dir: site.config.journal.directory,
    nodeId: site.config.controller.name,
  });
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
  const name = (n: number): string => `c${'a'.repeat(24)}${alphabet[n >> 5]}${alphabet[n & 31]}`;
  const body = JSON.parse(canonicalJson(decision?.body ?? {})) as Record<string, string>;
  await Promise.all(
    Array.from({ length: 1000 }, (_, n) => journal.append('decision', { ...body, callId: name(n) })),
  );
  await journal.close();
  const began = performance.now();
  const again = await processes.start();
  const ready = performance.now() - began;
  const cdrs = async (): Promise<number> => (await site.rows({ kinds: ['cdr'] })).length;
  const end = performance.now() + 60_000;
  while ((await cdrs()) < 1001 && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  t.equal(await cdrs(), 1001, 'each has its CDR');
  t.comment(
    `ready after ${Math.round(ready)} ms, all CDRs after ${Math.round(performance.now() - began)} ms`,
  );
  await out.giveUp();
  again.child.kill('SIGTERM');
  t.same(await again.exited, { code: 0, signal: null });
});
