import { existsSync } from 'node:fs';
import t from 'tap';
import { heardMs } from '../../src/phones/goertzel.js';
import { readWav } from '../../src/phones/wav.js';
import { openSite } from '../site/site.js';

t.test('the main job, with real SIP, Redis, media and audio', async (t) => {
  const site = await openSite(t);
  const { called } = site;
  called.answerWith({ do: 'answer', ring: {}, afterMs: 50 });

  await t.test(
    'an allowed number is monitored: both hear each other, and both channels are on the disk',
    async (t) => {
      const call = await site.call('2125550142');
      await call.answered();
      const other = await called.incomingCall({ nth: 1 });
      await call.audio.untilHears(1000);
      await other.audio.untilHears(440);
      await call.hangUp();
      await site.ended(1);
      const [callId = ''] = site.callIds();
      const cdr = await site.cdr(callId);
      t.match(cdr, {
        verdict: 'monitored',
        ending: 'caller-hung-up',
        disposition: 'completed',
        status: 200,
        node: 'recorded-1',
      });
      t.equal(cdr.spool.state, 'recording-finished');
      t.ok(existsSync(cdr.spool.file), 'the recording is there');
      const { channels, sampleRate } = readWav(site.opened(cdr.spool.file));
      const [left = new Int16Array(), right = new Int16Array()] = channels;
      t.equal(sampleRate, 8000);
      t.ok(heardMs(left, 440) >= 200 && heardMs(left, 1000) === 0, 'the caller alone is left');
      t.ok(heardMs(right, 1000) >= 200 && heardMs(right, 440) === 0, 'the called party alone is right');
      // It is a process of its own, and may be a moment behind.
      await site.until('the watcher does see files of recorded calls', () =>
        site.watch.named(callId).some((file) => file.endsWith('.pcap')),
      );
      t.equal(
        called.invites.at(-1)?.uri.split('@')[0],
        'sip:+12125550142',
        'the number dialled is the number decided',
      );
    },
  );

  await t.test(
    'a privileged number, dialled in another format, is private: the disk sees nothing at all',
    async (t) => {
      const call = await site.call('9-1-(212)-555-0111');
      await call.answered();
      const other = await called.incomingCall({ nth: 2 });
      await call.audio.untilHears(1000);
      await other.audio.untilHears(440);
      await other.hangUp();
      await call.ended();
      await site.ended(2);
      const callId = site.callIds()[1] ?? '';
      const cdr = await site.cdr(callId);
      t.match(cdr, {
        verdict: 'private',
        class: 'attorney',
        ending: 'called-hung-up',
        node: 'private-1',
        armed: null,
      });
      t.equal(cdr.spool.state, 'nothing-found');
      t.same(site.watch.named(callId), [], 'no file of it, at any moment');
      for (const told of [call.media.received, other.media.received].flat()) {
        t.same(
          [...new Set(told.addresses)],
          [site.local.private[0]?.mediaAddress],
          'only the node’s address was told',
        );
      }
    },
  );

  await t.test('what is refused is refused with its own status, and nobody is dialled', async (t) => {
    const dialledBefore = called.invites.length;
    const cases = [
      ['2125550199', 403, 'not-allowed'],
      ['2125550143', 603, 'blocked'],
      ['2125550170', 403, 'review-pending'],
      ['911', 403, 'emergency-number'],
      ['9911', 403, 'emergency-number'],
      ['*67', 403, 'service-barred'],
      ['*672125550142', 403, 'service-barred'],
      ['411', 403, 'service-barred'],
      ['2125550142,,123', 484, 'number-unparseable'],
      ['%EF%BC%92125550142', 484, 'number-unparseable'],
      ['212555014', 484, 'number-unparseable'],
      ['2125550142%0D%0AX-Evil:%201', 484, 'number-unparseable'],
      ['7042;phone-context=example.com', 484, 'number-unparseable'],
    ] as const;
    let count = site.endedCalls;
    for (const [dialled, status, ending] of cases) {
      const call = await site.call(dialled);
      const final = await call.failed();
      await site.ended(++count);
      const cdr = await site.cdr(site.callIds().at(-1) ?? '');
      t.match({ status: final.status, ending: cdr.ending }, { status, ending }, dialled);
    }
    t.equal(called.invites.length, dialledBefore, 'nobody was dialled');
    t.ok(
      site.events.some((event) => event.event === 'alarm' && event.alarm === 'emergency-dialled'),
      '911 raises the alarm',
    );
  });

  await t.test('percent-encoded digits are the number they spell', async (t) => {
    const call = await site.call('%32%31%32%35%35%35%30%31%31%31');
    await call.answered();
    await call.hangUp();
    await site.until('its CDR is written', () => site.sallyport.controller.size === 0);
    t.match(await site.cdr(site.callIds().at(-1) ?? ''), { verdict: 'private' });
  });

  await t.test('a stranger’s call is refused, and nothing is dialled', async (t) => {
    const before = called.invites.length;
    const at = site.sip();
    const call = await called.call({ to: `sip:2125550142@${at.host}:${at.port}`, via: at });
    t.equal((await call.failed()).status, 403, 'a carrier may not call in');
    await site.event('call-rejected', (event) => event.ending === 'trunk-unknown');
    t.equal(called.invites.length, before);
  });

  await t.test('no number, caller or SDP in any event, metric or health page', async (t) => {
    // Every line of the log and every metric is made from these events (src/log.ts, src/api/metrics.ts).
    const said = JSON.stringify(site.events).replace(/\d+\.\d+/g, '');
    t.ok(site.events.length > 100, `${site.events.length} events were looked at`);
    const page = async (path: string): Promise<string> =>
      (await fetch(`http://127.0.0.1:${site.sallyport.healthPort}${path}`)).text();
    const pages = {
      metrics: await page('/metrics'),
      ready: await page('/ready'),
      calls: await page('/calls'),
    };
    // Times and counts have digits of their own, and some of them look like a number.
    const words = { events: said, ...pages, metrics: pages.metrics.replace(/ [0-9.e+-]+$/gm, '') };
    for (const [name, text] of Object.entries(words)) {
      t.notMatch(text, /555-?0\d{3}|%32|4711|v=0|m=audio/, name);
    }
    t.match(pages.metrics, /sallyport_calls_total\{verdict="private",ending="called-hung-up"\} 1/);
    t.match(
      pages.metrics,
      /sallyport_agent_messages_total\{transport="udp",direction="in",kind="INVITE"\} \d/,
    );
    t.match(pages.metrics, /sallyport_alarms_total\{alarm="emergency-dialled"\} \d/);
    t.match(JSON.parse(pages.ready), { ready: true });
    t.equal((await fetch(`http://127.0.0.1:${site.sallyport.healthPort}/live`)).status, 200);
  });

  await t.test('the journal verifies, and every call has one decision before its CDR', async (t) => {
    const { verifyJournal } = await import('../../src/journal/verify.js');
    t.ok((await verifyJournal(site.config.journal.directory)).ok);
    for (const callId of site.callIds()) {
      const kinds = (await site.rows({ callId, kinds: ['decision', 'cdr'] })).map((row) => row.kind);
      t.same(kinds, ['decision', 'cdr'], callId);
    }
  });
});
