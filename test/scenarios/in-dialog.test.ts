import t, { type Test } from 'tap';
import { hears } from '../../src/phones/goertzel.js';
import type { Answer } from '../../src/phones/line.js';
import type { PhoneCall } from '../../src/phones/phone-call.js';
import { packetTicker } from '../../src/phones/rtp-ticker.js';
import { createPhone } from '../../src/phones/sip-phone.js';
import { readWav } from '../../src/phones/wav.js';
import { bothHear, type Conversation, converse, hangUp, neitherHears } from '../site/conversation.js';
import { checkNothingLeft } from '../site/left-over.js';
import { openSite, type Site } from '../site/site.js';

t.setTimeout(180_000);

const monitored = '2125550142';
const privileged = '12125550111';

/** The description of the last message of that kind a side sent. */
const bodySent = (call: PhoneCall, title: string): string =>
  call.messages
    .filter((message) => message.direction === 'sent' && message.title === title)
    .at(-1)
    ?.text.split('\r\n\r\n')[1] ?? '';

/** CANCEL for the INVITE a side sent last, as RFC 3261 section 9.1 wants it. */
const cancelLast = (site: Site, call: PhoneCall): void => {
  const sent = call.messages.filter((one) => one.direction === 'sent' && one.title === 'INVITE').at(-1);
  const lines = (sent?.text.split('\r\n\r\n')[0] ?? '').split('\r\n');
  const kept = lines.filter((line) => /^(Via|From|To|Call-ID|Max-Forwards):/i.test(line));
  const cseq = lines.find((line) => line.startsWith('CSeq:'))?.replace('INVITE', 'CANCEL') ?? '';
  const start = lines[0]?.replace(/^INVITE/, 'CANCEL') ?? '';
  site.caller.sendRaw([start, ...kept, cseq, 'Content-Length: 0', '', ''].join('\r\n'), site.sip());
};

/** 'tone' and 'silence' in turn, as a channel of the recording has them; shorter than 150 ms counts as neither. */
const turns = (samples: Int16Array, hz: number): readonly string[] => {
  const block = 400;
  const runs: { kind: string; blocks: number }[] = [];
  for (let at = 0; at + block <= samples.length; at += block) {
    const kind = hears(samples.subarray(at, at + block), hz) ? 'tone' : 'silence';
    const last = runs.at(-1);
    if (last?.kind === kind) last.blocks++;
    else runs.push({ kind, blocks: 1 });
  }
  const long = runs.filter((run) => run.blocks >= 3).map((run) => run.kind);
  return long.filter((kind, index) => kind !== long[index - 1]);
};

const channelsOf = (site: Site, file: string): readonly Int16Array[] => readWav(site.opened(file)).channels;

const refusedWith = (t: Test, answer: Answer, status: number, warning: string | undefined, what: string) => {
  t.same(
    { status: answer.status, warning: answer.headers.get('warning') },
    { status, warning: warning === undefined ? undefined : `399 sallyport "${warning}"` },
    what,
  );
};

/** Only the node may have been named to either party (I9), whatever was negotiated. */
const onlyTheNode = (t: Test, site: Site, { call, other }: Conversation): void => {
  const node = site.local.recorded[0]?.mediaAddress;
  const told = [call, other].flatMap((one) => one.media.received.flatMap((sdp) => sdp.addresses));
  t.same([...new Set(told)], [node], 'only the node’s address was ever told');
};

t.test('what happens within a call', async (t) => {
  const site = await openSite(t, { t1Ms: 100, codecs: ['PCMU', 'PCMA'] });
  const { called } = site;
  called.answerWith({ do: 'answer', ring: false });

  t.afterEach(async () => {
    for (const method of ['re-INVITE', 'INFO']) called.replyTo(method, undefined);
    // Only a test that failed leaves a call; it must not make the next one fail too.
    if (site.sallyport.controller.size > 0) site.sallyport.controller.agentLost();
    await site.until('no call is left', () => site.sallyport.controller.size === 0);
  });

  for (const who of ['caller', 'called'] as const) {
    for (const direction of ['sendonly', 'inactive'] as const) {
      await t.test(`the ${who} holds (${direction}) and resumes; the recording goes on`, async (t) => {
        const skipsBefore = packetTicker.skips;
        const talk = await converse(site, monitored);
        const holder = who === 'caller' ? talk.call : talk.other;
        const held = who === 'caller' ? talk.other : talk.call;
        await bothHear(t, talk, 'before', 400);
        t.equal((await holder.hold({ direction })).status, 200);
        t.equal(
          held.media.remote?.direction,
          direction,
          'the held party is told what it is: the node does not invent a direction',
        );
        await neitherHears(t, talk, 'during the hold');
        t.equal((await holder.resume()).status, 200);
        await bothHear(t, talk, 'after', 800);
        onlyTheNode(t, site, talk);
        const cdr = await hangUp(site, talk);
        t.match(cdr, { ending: 'caller-hung-up', spool: { state: 'recording-finished' } });
        const [left = new Int16Array(), right = new Int16Array()] = channelsOf(site, cdr.spool.file);
        const around = (list: readonly string[]) => list.join(' ').replace(/^silence |( silence)$/g, '');
        const { spool } = cdr;
        // One silence is the hold. The phones keep another where this process was kept from the processor.
        const heard = new RegExp(`^tone( silence tone){1,${1 + packetTicker.skips - skipsBefore}}$`);
        t.match(around(turns(left, 440)), heard, 'the caller’s channel', { spool });
        t.match(around(turns(right, 1000)), heard, 'the called party’s channel', { spool });
      });
    }
  }

  await t.test('a private call is held and resumed, and the disk sees nothing', async (t) => {
    const talk = await converse(site, privileged);
    await bothHear(t, talk, 'before');
    t.equal((await talk.other.hold()).status, 200);
    await neitherHears(t, talk, 'during the hold');
    t.equal((await talk.other.resume()).status, 200);
    await bothHear(t, talk, 'after');
    t.match(await hangUp(site, talk), { verdict: 'private', ending: 'caller-hung-up' });
    t.same(site.watch.named(talk.callId), []);
  });

  await t.test('the codec changes from PCMU to PCMA, and both halves are in the recording', async (t) => {
    const talk = await converse(site, monitored);
    await bothHear(t, talk, 'with PCMU');
    const offer = talk.call.media
      .offer()
      .replace(/ 0 8 101/, ' 8 101')
      .replace(/a=rtpmap:0 [^\n]*\n/, '');
    const answer = await talk.call.reinvite({ sdp: offer });
    t.equal(answer.status, 200);
    t.match(answer.body, / RTP\/AVP 8/);
    await bothHear(t, talk, 'with PCMA');
    const cdr = await hangUp(site, talk);
    t.same(cdr.spool.caller.codecs, ['PCMU', 'PCMA']);
    t.same(cdr.spool.called.codecs, ['PCMU', 'PCMA']);
    const [left = new Int16Array(), right = new Int16Array()] = channelsOf(site, cdr.spool.file);
    t.ok(turns(left, 440).join() === 'tone' || turns(left, 440).includes('tone'), 'the caller');
    t.ok(turns(right, 1000).includes('tone'), 'the called party');
  });

  for (const status of [488, 603, 500, 302, 401]) {
    await t.test(`a re-INVITE the other side refuses with ${status} changes nothing`, async (t) => {
      const talk = await converse(site, monitored);
      called.replyTo('re-INVITE', { status, headers: { Contact: '<sip:nobody@192.0.2.1>' } });
      const answer = await talk.call.hold();
      called.replyTo('re-INVITE', undefined);
      refusedWith(t, answer, 488, `sip-${status}`, 'the caller hears that it was refused');
      t.equal(answer.headers.get('contact'), undefined);
      await bothHear(t, talk, 'all the same');
      t.equal((await talk.call.hold()).status, 200, 'and the next one is taken');
      await neitherHears(t, talk, 'then', 200);
      t.equal((await talk.call.resume()).status, 200);
      await bothHear(t, talk, 'again');
      t.match(await hangUp(site, talk), { ending: 'caller-hung-up', spool: { state: 'recording-finished' } });
    });
  }

  await t.test('descriptions nobody could record or that name strangers reach nobody', async (t) => {
    const talk = await converse(site, monitored);
    for (const from of [talk.call, talk.other] as const) {
      const to = from === talk.call ? talk.other : talk.call;
      const own = from.media.offer();
      const cases: [string, string][] = [
        [own.replace(/c=IN IP4 [^\r]*/, 'c=IN IP4 192.0.2.77'), 'address-not-allowed'],
        [own.replace('RTP/AVP', 'RTP/SAVP'), 'protocol-not-allowed'],
        [`${own}m=video 6000 RTP/AVP 96\r\n`, 'stream-not-allowed'],
        [own.replace(/m=audio \d+/, 'm=audio 0'), 'audio-rejected'],
        [own.replace(/ 0 8 101/, ' 18 101'), 'codec-not-allowed'],
        [`${own}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n`, 'encryption-not-allowed'],
      ];
      for (const [sdp, detail] of cases) {
        refusedWith(t, await from.reinvite({ sdp }), 488, detail, `re-INVITE: ${detail}`);
        refusedWith(t, await from.update({ sdp }), 488, detail, `UPDATE: ${detail}`);
      }
      refusedWith(t, await from.reinvite({ sdp: 'none' }), 488, 'offer-missing', 'a late offer');
      t.same(
        to.requests.map((request) => request.method),
        [],
        'the other side heard of none of them',
      );
    }
    await bothHear(t, talk, 'all the same');
    onlyTheNode(t, site, talk);
    await hangUp(site, talk);
  });

  await t.test('an answer nobody could use is refused, and the other side is led back', async (t) => {
    const talk = await converse(site, monitored);
    const body = talk.other.media.offer().replace(/c=IN IP4 [^\r]*/, 'c=IN IP4 192.0.2.77');
    const headers = { 'Content-Type': 'application/sdp', Contact: called.contact };
    called.replyTo('re-INVITE', { status: 200, body, headers });
    const answer = talk.call.hold();
    await talk.other.requested('INVITE');
    called.replyTo('re-INVITE', undefined);
    refusedWith(t, await answer, 488, 'address-not-allowed', 'the caller hears it');
    await talk.other.requested('INVITE', { nth: 2 });
    await bothHear(t, talk, 'all the same');
    t.equal(talk.other.media.remote?.direction, 'sendrecv', 'the other side is on no hold');
    onlyTheNode(t, site, talk);
    await hangUp(site, talk);
  });

  await t.test('a re-INVITE that is cancelled changes nothing', async (t) => {
    const talk = await converse(site, monitored);
    talk.call.media.steer('sendonly', false);
    const answer = talk.call.reinvite();
    cancelLast(site, talk.call);
    talk.call.media.steer('sendrecv', false);
    t.equal((await answer).status, 487);
    await talk.other.requested('INVITE', { nth: 2 });
    await bothHear(t, talk, 'all the same');
    t.equal(talk.other.media.remote?.direction, 'sendrecv', 'the other side is on no hold');
    await hangUp(site, talk);
  });

  await t.test('the old way to hold, 0.0.0.0, holds', async (t) => {
    const talk = await converse(site, monitored);
    await bothHear(t, talk, 'before');
    const sdp = talk.call.media.offer().replace(/c=IN IP4 [^\r]*/, 'c=IN IP4 0.0.0.0');
    t.equal((await talk.call.reinvite({ sdp })).status, 200);
    await talk.call.audio.untilSilent({ forMs: 300 });
    t.equal((await talk.call.reinvite()).status, 200);
    await bothHear(t, talk, 'after');
    await hangUp(site, talk);
  });

  await t.test(
    'a refresh is answered at once, with the same words, and the other side is left alone',
    async (t) => {
      const talk = await converse(site, monitored);
      // Of the first exchange, and of a later one.
      for (const exchange of [1, 2]) {
        if (exchange === 2) t.equal((await talk.call.reinvite()).status, 200);
        const ends = [
          [talk.call, bodySent(talk.call, 'INVITE'), talk.other],
          [talk.other, bodySent(talk.other, '200 INVITE'), talk.call],
        ] as const;
        for (const [from, sdp, to] of ends) {
          const told = from.media.remote?.text;
          const heardSoFar = to.requests.length;
          const again = await from.reinvite({ sdp });
          t.equal(again.status, 200);
          t.equal(again.body, told, 'the same description as before');
          const update = await from.update({ sdp });
          t.same([update.status, update.body], [200, told], 'by UPDATE too');
          t.equal((await from.update()).status, 200, 'an UPDATE without a body refreshes');
          t.equal((await from.request('OPTIONS')).status, 200);
          t.equal(to.requests.length, heardSoFar, 'nothing reached the other side');
        }
      }
      await bothHear(t, talk, 'all the same');
      await hangUp(site, talk);
    },
  );

  await t.test('an UPDATE with another description is an offer, and is passed on as one', async (t) => {
    const talk = await converse(site, monitored);
    await bothHear(t, talk, 'before');
    talk.call.media.steer('sendonly', true);
    t.equal((await talk.call.update({ sdp: 'offer' })).status, 200);
    t.equal(talk.other.media.remote?.direction, 'sendonly');
    await neitherHears(t, talk, 'during the hold');
    talk.call.media.steer('sendrecv', false);
    t.equal((await talk.call.update({ sdp: 'offer' })).status, 200);
    await bothHear(t, talk, 'after');
    await hangUp(site, talk);
  });

  await t.test('glare: both change the media at once', async (t) => {
    const talk = await converse(site, monitored);
    for (const first of ['caller', 'called']) {
      const [a, b] = first === 'caller' ? [talk.call, talk.other] : [talk.other, talk.call];
      const statuses = (await Promise.all([a.reinvite(), b.reinvite()])).map((answer) => answer.status);
      t.ok(statuses.includes(491), `one is told to wait: ${statuses}`);
      t.ok(
        statuses.every((status) => status === 200 || status === 491),
        'and none hears anything else',
      );
      t.same(
        (await Promise.all([a.update({ sdp: 'offer' }), b.update({ sdp: 'offer' })]))
          .map((answer) => answer.status)
          .filter((status) => status !== 200 && status !== 491 && status !== 500),
        [],
        'by UPDATE too',
      );
    }
    const offers = [talk.call.update({ sdp: 'offer' }), talk.call.update({ sdp: 'offer' })];
    const [one, two] = await Promise.all(offers);
    t.same([one?.status, two?.status], [200, 500], 'a second offer on top of one’s own is out of turn');
    t.equal(two?.headers.get('retry-after'), '1');
    called.replyTo('re-INVITE', { status: 491 });
    const pending = await talk.call.hold();
    called.replyTo('re-INVITE', undefined);
    refusedWith(t, pending, 491, undefined, 'the other side’s own 491 is passed on, to be tried again');
    await bothHear(t, talk, 'after all of it');
    t.equal((await talk.other.reinvite()).status, 200, 'and nothing is left pending');
    await bothHear(t, talk, 'at last');
    await hangUp(site, talk);
  });

  await t.test('digits by INFO go to the other side, and nothing else does', async (t) => {
    const talk = await converse(site, monitored);
    const ends = [
      [talk.call, talk.other],
      [talk.other, talk.call],
    ] as const;
    for (const [from, to] of ends) {
      t.equal((await from.sendInfo('application/dtmf-relay', 'Signal=5\r\nDuration=160\r\n')).status, 200);
      const info = await to.requested('INFO');
      t.same(
        [info.body, info.headers.get('content-type')],
        ['Signal=5\r\nDuration=160\r\n', 'application/dtmf-relay'],
      );
      t.equal((await from.sendInfo('text/plain', 'hello')).status, 415);
      t.equal((await from.sendInfo('application/dtmf-relay', 'x'.repeat(257))).status, 415);
      t.equal((await from.request('INFO')).status, 200, 'an empty one is a sign of life');
      t.equal(to.requests.length, 1, 'and no other came');
    }
    for (const [refused, heard] of [
      [415, 415],
      [469, 415],
      [603, 480],
      [302, 480],
      [699, 480],
    ] as const) {
      called.replyTo('INFO', { status: refused });
      const answer = await talk.call.sendInfo('application/dtmf', '5');
      t.equal(answer.status, heard, `a refusal with ${refused} is told`);
    }
    await hangUp(site, talk);
  });

  for (const [method, status] of [
    ['INFO', 481],
    ['re-INVITE', 481],
    ['re-INVITE', 408],
  ] as const) {
    await t.test(`a called party that knows the call no more (${status} to ${method}) ends it`, async (t) => {
      const talk = await converse(site, monitored);
      called.replyTo(method, { status });
      const answer =
        method === 'INFO' ? await talk.call.sendInfo('application/dtmf', '1') : await talk.call.reinvite();
      called.replyTo(method, undefined);
      t.notOk([408, 481].includes(answer.status), `the caller’s own dialog is not denied: ${answer.status}`);
      t.match(await talk.call.ended(), { by: 'them', how: 'bye' }, 'but it is hung up on');
      await site.event('call-ended', (event) => event.callId === talk.callId);
      t.match(await site.cdr(talk.callId), { ending: 'called-hung-up', status: 200 });
    });
  }

  await t.test('both hang up at once: two BYEs, two 200s, one CDR', async (t) => {
    for (const how of ['together', 'crossing'] as const) {
      const talk = await converse(site, monitored);
      if (how === 'crossing') talk.other.glareBye = true;
      const byes = how === 'together' ? [talk.call.hangUp(), talk.other.hangUp()] : [talk.call.hangUp()];
      for (const answer of await Promise.all(byes)) t.ok([200, 481].includes(answer.status));
      await talk.other.ended();
      await site.event('call-ended', (event) => event.callId === talk.callId);
      t.match(await site.cdr(talk.callId), { disposition: 'completed', status: 200 });
    }
  });

  await t.test('outside of calls', async (t) => {
    const at = site.sip();
    const to = `sip:${at.host}:${at.port}`;
    t.equal((await site.caller.request('OPTIONS', { to, via: at })).status, 200, 'a trunk finds us alive');
    t.equal((await called.request('OPTIONS', { to, via: at })).status, 200, 'a carrier too');
    const stranger = await createPhone({ name: 'stranger', host: '127.0.1.99', transport: 'udp' });
    t.teardown(() => stranger.close());
    t.equal((await stranger.request('OPTIONS', { to, via: at })).status, 403, 'a stranger does not');
    for (const method of ['MESSAGE', 'REGISTER', 'SUBSCRIBE', 'PUBLISH', 'NOTIFY', 'REFER', 'INFO']) {
      const answer = await site.caller.request(method, {
        to,
        via: at,
        headers: { 'Refer-To': '<sip:1@127.0.0.1>', Event: 'presence' },
      });
      t.equal(answer.status, 405, method);
    }
    for (const method of ['BYE', 'UPDATE', 'PRACK']) {
      t.equal((await site.caller.request(method, { to, via: at })).status, 481, method);
    }
  });

  await t.test(
    'a called party that goes silent at a re-INVITE is given up, and the call with it',
    async (t) => {
      const talk = await converse(site, monitored);
      called.replyTo('re-INVITE', 'silent');
      const answer = talk.call.reinvite({ deadlineMs: 60_000 });
      await talk.other.requested('INVITE');
      const second = await talk.call.update({ sdp: 'offer' });
      t.equal(second.status, 500, 'a second offer has to wait');
      t.match(second.headers.get('retry-after'), /^\d+$/);
      t.equal((await talk.other.update({ sdp: 'offer' })).status, 491, 'and one of the other side as well');
      t.equal((await talk.other.reinvite()).status, 491, 'in whatever request');
      const final = await answer;
      called.replyTo('re-INVITE', undefined);
      t.equal(final.status, 488);
      t.match(await talk.call.ended(), { by: 'them', how: 'bye' });
      t.match(await talk.other.ended(), { by: 'them', how: 'bye' });
      await site.event('call-ended', (event) => event.callId === talk.callId);
      t.match(await site.cdr(talk.callId), { ending: 'called-hung-up', status: 200 });
    },
  );

  await t.test('and nothing is left of any of it', (t) => checkNothingLeft(t, site));
});
