import t from 'tap';
import { askController } from '../../src/cli/control-client.js';
import { numbers, openSite } from '../site/site.js';
import { bothTold, callIdOf, cdrOf, connect, finish, hearBoth, Nodes, paired } from './kit.js';

/** Media that dies, nodes that are emptied, and SRTP, through the whole of a site. */

const open = '+16465550190';

t.test('a call whose media died is ended, told to both and counted', async (t) => {
  const site = await openSite(t, {
    srtp: { caller: true, called: true },
    config: (config) =>
      paired({
        ...config,
        media: { ...config.media, silence: { bothSeconds: 2, oneSeconds: 6, everySeconds: 1 } },
      }),
    local: { nodes: { recorded: 1, private: 1 }, portCount: 128 },
  });
  site.called.answerWith({ do: 'answer', ring: {}, afterMs: 20 });
  for (const [number, verdict, as] of [
    [open, 'monitored', 'm1'],
    [numbers.attorney, 'private', 'p1'],
  ] as const) {
    const call = await connect(site, number, as);
    t.match(
      call.out.media.remote?.text,
      /m=audio \d+ RTP\/SAVP .*\r\n(?:.*\r\n)*a=crypto:1 AES_CM_128_HMAC_SHA1_80 /,
    );
    const told = bothTold(call);
    call.out.audio.mute();
    call.in.audio.mute();
    for (const one of await told) t.match(one, /^them bye Q\.850.*text="media-timeout"/);
    const cdr = await cdrOf(site, as);
    t.match(cdr, {
      verdict,
      ending: 'media-timeout',
      detail: 'silent-both',
      fault: 'network',
      disposition: 'completed',
    });
    t.match(
      cdr.replies,
      [{ protection: { caller: 'srtp-sdes', called: 'srtp-sdes' } }],
      'and how it was protected',
    );
  }
  const held = await connect(site, open, 'm2');
  await held.out.hold();
  const one = await connect(site, open, 'm3');
  const told = bothTold(one);
  one.in.audio.mute();
  await told;
  t.match(await cdrOf(site, 'm3'), { ending: 'media-timeout', detail: 'silent-called' });
  // That took longer than either limit, all of which the other one was silent.
  await held.out.resume();
  await hearBoth(held);
  t.match(await finish(site, held), { ending: 'caller-hung-up' }, 'a call on hold is not dead');
});

t.test('a drained node takes no new calls, and its own go on', async (t) => {
  const site = await openSite(t, {
    config: (config) => paired(config),
    overlay: (config) => ({
      ...config,
      media: {
        ...config.media,
        nodes: config.media.nodes.map((node) =>
          node.name === 'recorded-2' ? { ...node, weight: 300 } : node,
        ),
      },
    }),
    local: { nodes: { recorded: 2, private: 1 }, portCount: 128 },
  });
  site.called.answerWith({ do: 'answer', ring: {}, afterMs: 20 });
  const nodes = new Nodes(t, site);
  const ask = (request: { command: string } & Record<string, unknown>): Promise<unknown> =>
    askController(site.config.control.socket, request);
  const by = { by: 'alice', why: 'new kernel' };
  const homes: string[] = [];
  const calls = [];
  for (const as of ['w1', 'w2', 'w3', 'w4']) {
    const call = await connect(site, open, as);
    homes.push(await nodes.of(await callIdOf(site, as)));
    calls.push(call);
  }
  t.strictSame(
    [...homes].sort(),
    ['recorded-1', 'recorded-2', 'recorded-2', 'recorded-2'],
    'one to three, by weight',
  );
  await t.rejects(ask({ command: 'drain', node: 'recorded-9', state: 'on', ...by }), {
    code: 'node-unknown',
  });
  t.match(await ask({ command: 'drain', node: 'recorded-2', state: 'on', ...by }), {
    note: '3 calls go on there',
  });
  const fifth = await connect(site, open, 'd1');
  t.equal(
    await nodes.of(await callIdOf(site, 'd1')),
    'recorded-1',
    'lighter, busier, and the only one that takes calls',
  );
  await Promise.all(calls.map((call) => hearBoth(call)));
  t.match(await ask({ command: 'drain', node: 'private-1', state: 'on', ...by }), {
    note: 'no node of the private pool takes calls now',
  });
  const refused = await site.call(numbers.attorney, { as: 'd2' });
  t.equal((await refused.failed({ deadlineMs: 30_000 })).status, 503, 'and never on a node that records');
  t.match(await cdrOf(site, 'd2'), { verdict: 'private', ending: 'media-unavailable', detail: 'no-node' });
  for (const call of [...calls, fifth]) await finish(site, call);
  await site.stop();
  await site.start({ ready: false });
  const view = (): unknown =>
    site.sallyport.media.status().nodes.map(({ name, drained }) => `${name} ${drained}`);
  t.strictSame(
    view(),
    ['private-1 true', 'recorded-1 false', 'recorded-2 true'],
    'a restart forgets none of it',
  );
  for (const node of ['private-1', 'recorded-2']) await ask({ command: 'drain', node, state: 'off', ...by });
  t.match(await ask({ command: 'nodes' }), {
    nodes: [
      { name: 'private-1', drained: false },
      { name: 'recorded-1', weight: 100 },
      { name: 'recorded-2', drained: false, weight: 300, calls: 0 },
    ],
  });
  await site.until('all is ready', () => site.sallyport.checks().every(({ ok }) => ok));
  t.match(await finish(site, await connect(site, numbers.attorney, 'd3')), { node: 'private-1' });
  const rows = await site.rows({ kinds: ['supervision'] });
  t.match(rows[0]?.body, { use: 'drain', by: 'alice', why: 'new kernel', node: 'recorded-2', state: 'on' });
  const metrics = await (await fetch(`http://127.0.0.1:${site.sallyport.healthPort}/metrics`)).text();
  t.match(metrics, /sallyport_media_node_weight\{node="recorded-2",pool="recorded"\} 300/);
  t.match(metrics, /sallyport_media_node_drained\{node="private-1",pool="private"\} 0/);
});
