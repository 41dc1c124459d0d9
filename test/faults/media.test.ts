import { chmodSync, existsSync, readdirSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { defaultLists, type ListWords, numbers, openSite } from '../site/site.js';
import {
  bothTold,
  callIdOf,
  callsOn,
  cdrOf,
  connect,
  dial,
  fillDisk,
  finish,
  hearBoth,
  incomingOf,
  Nodes,
  paired,
  rawNg,
  refusedCall,
  smallDisk,
  type Up,
  withPidFiles,
} from './kit.js';

const open = '+16465550190';
const lists: ListWords = { ...defaultLists, allow: { '*': [open] } };

/** The design's bound for a node that is gone, doubled for a machine that is busy with other tests. */
const nodeLostMs = 6000;

const isTold = (t: Test, told: readonly [string, string], code: string): void => {
  for (const one of told) t.match(one, new RegExp(`^them bye Q\\.850.*text="${code}"`), 'told by BYE');
};

t.test('media nodes die and freeze under calls', async (t) => {
  const site = await openSite(t, {
    config: (config) => paired({ ...config, media: { ...config.media, attestSeconds: 1 } }),
    overlay: withPidFiles,
    lists,
    local: { nodes: { recorded: 2, private: 2 }, portCount: 128 },
  });
  site.called.answerWith({ do: 'answer', ring: {}, afterMs: 20 });
  const nodes = new Nodes(t, site);
  const homeOf = async (call: Up) => nodes.of(await callIdOf(site, call.as));
  const other = (name: string) => (name.endsWith('1') ? name.replace('1', '2') : name.replace('2', '1'));
  const m1 = await connect(site, open, 'm1');
  const m2 = await connect(site, open, 'm2');
  const p1 = await connect(site, numbers.attorney, 'p1');
  const p2 = await connect(site, numbers.attorney, 'p2');
  const home = await homeOf(m1);

  await t.test('kill -9 of a recorded node ends its calls and no others', async (t) => {
    t.equal(await homeOf(m2), other(home), 'calls are spread over the pool');
    // The node writes in steps of 4 KiB: a call killed before the first has left nothing on the disk.
    const m1Id = await callIdOf(site, 'm1');
    const written = (): number => {
      const file = site.watch.named(m1Id).find((name) => name.endsWith('.pcap'));
      return file === undefined ? 0 : statSync(file).size;
    };
    await site.until('some of the call is on the disk', () => written() > 12_000);
    const told = bothTold(m1, nodeLostMs);
    await nodes.get(home).kill();
    isTold(t, await told, 'node-lost');
    await Promise.all([m2, p1, p2].map((call) => hearBoth(call)));
    const cdr = await cdrOf(site, 'm1');
    t.match(cdr, { verdict: 'monitored', ending: 'node-lost', node: home, fault: 'ours' });
    await site.event('node-state', (event) => event.node === home && event.state === 'down');
    t.equal(
      cdr.spool.state,
      'recording-finished',
      `what was recorded until then is kept: ${JSON.stringify(cdr.spool)}`,
    );
    const next = await finish(site, await connect(site, open, 'm3'));
    t.match(next, { verdict: 'monitored', node: other(home), spool: { state: 'recording-finished' } });
  });

  await t.test('the node comes back and takes calls again', async (t) => {
    const died = await callIdOf(site, 'm1');
    const ofIt = () =>
      readdirSync(nodes.get(home).spool ?? '', { recursive: true }).filter((name) =>
        String(name).includes(died),
      );
    t.same(ofIt(), [], 'what it wrote of the call it lost is in the vault, and not in plain any more');
    await nodes.restart(home);
    await nodes.until(home, true);
    t.same(await callsOn(nodes.get(home)), [], 'no call resumes');
    const cdr = await finish(site, await connect(site, open, 'm4'));
    t.same(ofIt(), [], 'nor does its recording');
    t.match(cdr, { node: home, spool: { state: 'recording-finished' } });
  });

  await t.test('a node restarted at once, between two looks, has lost its calls too', async (t) => {
    const call = await connect(site, open, 'm5');
    t.equal(await homeOf(call), home);
    const told = bothTold(call, nodeLostMs);
    await nodes.restart(home);
    isTold(t, await told, 'node-lost');
    await nodes.until(home, true);
    await Promise.all([m2, p1, p2].map((one) => hearBoth(one)));
  });

  await t.test('a frozen recorded node ends its calls; thawed, it keeps none of them', async (t) => {
    const frozen = other(home);
    const told = bothTold(m2, nodeLostMs);
    nodes.get(frozen).freeze();
    isTold(t, await told, 'node-lost');
    const next = await finish(site, await connect(site, open, 'm6'));
    t.match(next, { node: home, spool: { state: 'recording-finished' } });
    await Promise.all([p1, p2].map((one) => hearBoth(one)));
    nodes.get(frozen).thaw();
    await nodes.until(frozen, true);
    await nodes.untilEmpty([frozen]);
    t.match(await cdrOf(site, 'm2'), { ending: 'node-lost', node: frozen });
  });

  await t.test(
    'a recorded node that stands still as a recording is begun leaves nothing of it',
    async (t) => {
      site.called.answerWith({ do: 'ring' });
      const out = await dial(site, open, 'm9');
      const incoming = await incomingOf(site, 'm9');
      await out.progressed({ status: 180 });
      const callId = await callIdOf(site, 'm9');
      const where = await nodes.of(callId);
      nodes.get(where).freeze();
      incoming.answer();
      t.match(await out.failed({ deadlineMs: 2 * nodeLostMs }), { status: 503 });
      t.match(await cdrOf(site, 'm9'), { armed: null, spool: { state: 'nothing-found' } });
      nodes.get(where).thaw();
      // What it was asked to do is done now: the recording is begun, and the call deleted.
      const isPcap = (name: string): boolean => name.endsWith('.pcap');
      await site.until('the recording is begun', () => site.watch.named(callId).some(isPcap));
      await nodes.until(where, true);
      await nodes.untilEmpty([where]);
      const left = (): unknown[] =>
        readdirSync(nodes.get(where).spool ?? '', { recursive: true }).filter((name) =>
          String(name).includes(callId),
        );
      await site.until('nothing of it is left in the spool', () => left().length === 0);
      site.called.answerWith({ do: 'answer', ring: {}, afterMs: 20 });
    },
  );

  await t.test(
    'an unanswered call whose node dies is refused, and the called party’s phone stops',
    async (t) => {
      site.called.answerWith({ do: 'ring' });
      const out = await dial(site, open, 'm7');
      const incoming = await incomingOf(site, 'm7');
      await out.progressed({ status: 180 });
      const doomed = await nodes.of(await callIdOf(site, 'm7'));
      await nodes.get(doomed).kill();
      t.match(await out.failed({ deadlineMs: nodeLostMs }), { status: 503 });
      await incoming.cancelled();
      t.match(await cdrOf(site, 'm7'), { ending: 'node-lost', spool: { state: 'nothing-found' } });
      await nodes.restart(doomed);
      await nodes.until(doomed, true);
      site.called.answerWith({ do: 'answer', ring: {}, afterMs: 20 });
    },
  );

  await t.test('someone tells a private node to record: nothing is written, and its calls end', async (t) => {
    const callId = await callIdOf(site, 'p1');
    const where = await homeOf(p1);
    const told = bothTold(p1, nodeLostMs);
    t.match(
      await rawNg(nodes.get(where).ng, { command: 'start recording', 'call-id': callId }),
      { result: 'ok' },
      'rtpengine says ok, which proves nothing',
    );
    isTold(t, await told, 'node-lost');
    await site.event('alarm', (one) => one.alarm === 'attestation-failed' && one.detail.startsWith(where));
    t.match(await cdrOf(site, 'p1'), { verdict: 'private', spool: { state: 'nothing-found' } });
    t.same(site.watch.named(callId), []);
    await hearBoth(p2);
    await nodes.until(where, true);
  });

  await t.test('a frozen private node: the next one takes the call, before anyone has noticed', async (t) => {
    const where = await homeOf(p2);
    const frozen = other(where);
    nodes.get(frozen).freeze();
    const cdr = await finish(site, await connect(site, numbers.attorney, 'p3'));
    t.match(cdr, { verdict: 'private', node: where, spool: { state: 'nothing-found' } });
    nodes.get(frozen).thaw();
    await nodes.until(frozen, true);
    // The offer that timed out is carried out when the node wakes, and must not stay.
    await nodes.untilEmpty([frozen]);
  });

  await t.test('private nodes dead: refused, and never on a node that records', async (t) => {
    const first = await homeOf(p2);
    const told = bothTold(p2, nodeLostMs);
    await nodes.get(first).kill();
    isTold(t, await told, 'node-lost');
    const onOther = await connect(site, numbers.attorney, 'p4');
    t.equal(await homeOf(onOther), other(first), 'with one of two dead the other one takes it');
    const lost = bothTold(onOther, nodeLostMs);
    await nodes.get(other(first)).kill();
    // Both at once: the first is refused while nobody has noticed yet, the others when all have.
    for (const as of ['p5', 'p6', 'p7']) {
      const refusal = await refusedCall(site, numbers.attorney, as);
      t.match(refusal, { status: 503, ending: 'media-unavailable', verdict: 'private' }, as);
      t.match(refusal.retryAfter, /^\d+$/);
    }
    isTold(t, await lost, 'node-lost');
    for (const name of ['recorded-1', 'recorded-2']) t.same(await callsOn(nodes.get(name)), [], name);
    const cdr = await finish(site, await connect(site, open, 'm8'));
    t.match(cdr, { verdict: 'monitored', spool: { state: 'recording-finished' } }, 'monitored calls go on');
    for (const name of ['private-1', 'private-2']) await nodes.restart(name);
    for (const name of ['private-1', 'private-2']) await nodes.until(name, true);
    t.match(await finish(site, await connect(site, numbers.attorney, 'p8')), { verdict: 'private' });
  });

  await t.test('nothing is left, and no private call ever was a file', async (t) => {
    await site.until('no call is under way', () => site.sallyport.controller.size === 0);
    await nodes.untilEmpty();
    for (const row of await site.rows({ kinds: ['cdr'] })) {
      if (row.body.verdict === 'private') t.same(site.watch.named(row.body.callId), [], row.body.caller);
    }
  });
});

t.test('a node in the private pool that could record is never used', async (t) => {
  const site = await openSite(t, {
    config: (config) => paired({ ...config, media: { ...config.media, attestSeconds: 1 } }),
    lists,
    local: { nodes: { recorded: 3, private: 1 }, portCount: 64 },
    // Two recording nodes under private names: one looked at in every way, one that shows nothing of itself.
    overlay: (config) => ({
      ...config,
      media: {
        ...config.media,
        nodes: config.media.nodes.map((node) => {
          if (node.name !== 'recorded-2' && node.name !== 'recorded-3') return node;
          const { spool, pid, cli, ...rest } = node;
          const seen = node.name === 'recorded-2' ? { pid, cli } : { cli: config.media.nodes[3]?.cli ?? cli };
          return { ...rest, ...seen, name: node.name.replace('recorded', 'false'), pool: 'private' as const };
        }),
      },
    }),
  });
  site.called.answerWith({ do: 'answer', ring: {}, afterMs: 20 });
  for (const name of ['false-2', 'false-3']) {
    await site.event('alarm', (one) => one.alarm === 'attestation-failed' && one.detail.startsWith(name));
  }
  const calls: Up[] = [];
  for (const as of ['a', 'b', 'c', 'd']) calls.push(await connect(site, numbers.attorney, as));
  const truth = site.local.private[0];
  const lies = site.local.recorded.slice(1);
  if (truth === undefined) throw new Error('no private node');
  t.equal((await callsOn(truth)).length, 4, 'every call is on the one true node, however loaded');
  const told = calls.map((call) => bothTold(call, nodeLostMs));
  await truth.kill();
  for (const as of ['e', 'f']) {
    const refusal = await refusedCall(site, numbers.attorney, as);
    t.match(refusal, { status: 503, ending: 'media-unavailable', verdict: 'private' });
  }
  for (const one of await Promise.all(told)) isTold(t, one, 'node-lost');
  for (const as of ['g', 'h']) {
    t.match(await refusedCall(site, numbers.attorney, as), { status: 503, ending: 'media-unavailable' });
  }
  for (const node of lies) {
    t.same(await callsOn(node), []);
    const offers = await rawNg(node.ng, { command: 'statistics' });
    t.match(JSON.stringify(offers), /"totaloffercount":0/, 'it was never offered anything');
  }
  for (const row of await site.rows({ kinds: ['cdr'] })) {
    t.same(site.watch.named(row.body.callId), [], row.body.caller);
  }
});

t.test('spools fail under calls', async (t) => {
  const disk = smallDisk(t, 4096);
  if (disk === null) t.comment('no disk may be mounted here: the full disk is not tested');
  const site = await openSite(t, {
    config: (config) =>
      paired({
        ...config,
        media: { ...config.media, attestSeconds: 1 },
        // Proved within its usual second: given longer, a recording may begin in the room another one has just left.
        recording: { ...config.recording, growthSeconds: 0.5, minFreeMegabytes: 1, proveMs: 1000 },
      }),
    overlay: withPidFiles,
    lists,
    local: disk === null ? {} : { spool: disk },
  });
  site.called.answerWith({ do: 'answer', ring: {}, afterMs: 20 });
  const nodes = new Nodes(t, site);
  const spool = site.local.recorded[0]?.spool ?? '';
  const pcaps = join(spool, 'pcaps');
  const pcapOf = async (as: string): Promise<string> => {
    const callId = await callIdOf(site, as);
    const name = readdirSync(pcaps).find((one) => one.startsWith(callId));
    if (name === undefined) throw new Error(`no pcap of ${as}`);
    return join(pcaps, name);
  };
  const standing = await connect(site, numbers.attorney, 'standing');
  const losesRecording = async (
    t: Test,
    as: string,
    detail: string,
    harm: (pcap: string) => void,
  ): Promise<void> => {
    const call = await connect(site, open, as);
    const told = bothTold(call);
    harm(await pcapOf(as));
    isTold(t, await told, 'recording-lost');
    const callId = await callIdOf(site, as);
    await site.event('alarm', (one) => one.alarm === 'recording-lost' && one.callId === callId);
    t.match(await cdrOf(site, as), { verdict: 'monitored', ending: 'recording-lost', detail, fault: 'ours' });
    await hearBoth(standing);
  };
  const works = async (t: Test, as: string): Promise<void> => {
    await nodes.until('recorded-1', true);
    await site.until('the spool is usable', () => site.sallyport.media.status().ready.recorded);
    const cdr = await finish(site, await connect(site, open, as));
    t.match(cdr, { verdict: 'monitored', spool: { state: 'recording-finished' } }, 'works again');
  };
  const isRefused = async (t: Test, as: string): Promise<void> => {
    const refusal = await refusedCall(site, open, as);
    t.match(refusal, { status: 503, verdict: 'monitored' });
    t.match(refusal.ending, /^(recording-unproved|media-unavailable)$/);
    t.match(refusal.retryAfter, /^\d+$/);
    const cdr = await finish(site, await connect(site, numbers.attorney, `${as}-private`));
    t.match(cdr, { verdict: 'private' }, 'private calls need no spool');
  };
  const reviveIfDead = async (): Promise<void> => {
    // rtpengine may crash over a pcap that was taken from it (facts: rtpengine); a supervisor starts it again.
    if (!existsSync(`/proc/${nodes.get('recorded-1').pid}`)) await nodes.restart('recorded-1');
  };

  await t.test('the pcap is deleted', async (t) => {
    await losesRecording(t, 'deleted', 'file-vanished', (pcap) => rmSync(pcap));
    t.match((await cdrOf(site, 'deleted')).spool, { state: 'recording-missing', code: 'file-vanished' });
    await reviveIfDead();
    await works(t, 'after-deleted');
  });

  await t.test('the pcap is replaced by a link to elsewhere', async (t) => {
    await losesRecording(t, 'linked', 'file-replaced', (pcap) => {
      renameSync(pcap, join(spool, 'kept'));
      symlinkSync(join(spool, 'kept'), pcap);
    });
    t.match((await cdrOf(site, 'linked')).spool, { state: 'recording-missing', code: 'file-replaced' });
    await reviveIfDead();
    await works(t, 'after-linked');
  });

  await t.test('the folder of pcaps may not be written by the node’s user', async (t) => {
    const { mode } = statSync(pcaps);
    const up = await connect(site, open, 'before-chmod');
    chmodSync(pcaps, 0o500);
    await site.until('it is noticed', () => !site.sallyport.media.status().ready.recorded);
    await isRefused(t, 'unwritable');
    await hearBoth(up);
    chmodSync(pcaps, mode & 0o777);
    t.match((await finish(site, up)).spool.state, 'recording-finished', 'a call up goes on being recorded');
    await works(t, 'after-unwritable');
  });

  await t.test('the disk is full', { skip: disk === null }, async (t) => {
    let empty = (): void => undefined;
    await losesRecording(t, 'full', 'file-not-growing', () => {
      empty = fillDisk(spool);
    });
    const { spool: finding } = await cdrOf(site, 'full');
    t.match(finding.state, /^recording-(finished|missing)$/);
    if (finding.state === 'recording-finished') t.ok(finding.missingPackets !== 0, 'the loss is in the row');
    await isRefused(t, 'while-full');
    empty();
    await works(t, 'after-full');
  });

  await t.test('the folder of pcaps vanishes', async (t) => {
    await losesRecording(t, 'vanished', 'file-vanished', () => renameSync(pcaps, join(spool, 'moved')));
    await isRefused(t, 'while-gone');
    renameSync(join(spool, 'moved'), pcaps);
    await reviveIfDead();
    await works(t, 'after-vanished');
  });

  await t.test('no private call ever was a file', async (t) => {
    await finish(site, standing);
    for (const row of await site.rows({ kinds: ['cdr'] })) {
      if (row.body.verdict === 'private') t.same(site.watch.named(row.body.callId), [], row.body.caller);
    }
    await nodes.untilEmpty();
  });
});
