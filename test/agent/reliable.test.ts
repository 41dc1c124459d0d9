import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type Agent, startAgent } from '../../src/agent/agent.js';
import { Timers } from '../../src/agent/clock.js';
import { Telemetry } from '../../src/agent/events.js';
import { parseRAck, ReliableResponses } from '../../src/agent/reliable.js';
import type { FacilityId, TrunkId } from '../../src/core/leg.js';
import { NORTH_AMERICAN_PLAN } from '../../src/core/number.js';
import type { SipCallerLeg } from '../../src/sip/caller-leg.js';
import { SipEndpoint } from '../../src/sip/endpoint.js';
import { leg, now } from '../core/samples.js';
import { decisionFor, FakeAnchor, nodeSdp } from '../sip/house.js';
import {
  type Frame,
  header,
  ManualClock,
  RawApp,
  RawUdp,
  request,
  response,
  sdp,
  tagOf,
  until,
} from './support.js';

interface Bench {
  readonly agent: Agent;
  readonly clock: ManualClock;
  readonly app: RawApp;
  readonly peer: RawUdp;
  readonly udp: number;
}

async function bench(test: Test): Promise<Bench> {
  const clock = new ManualClock();
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'sesame' },
    sip: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
    supported: ['100rel'],
    clock,
  });
  const app = await RawApp.open(agent.appPort, 'sesame', 'invite', 'prack', 'update');
  const peer = await RawUdp.open();
  test.teardown(async () => {
    app.socket.destroy();
    peer.close();
    await agent.stop();
    if (clock.pending !== 0) throw new Error(`${clock.pending} timers are left`);
  });
  return { agent, clock, app, peer, udp: agent.sip[0]?.port ?? 0 };
}

const txnOf = (event: Frame): string => event.tokens[8] ?? '';
const dialogOf = (event: Frame): string => event.tokens[9] ?? '';

const within = (
  b: { peer: RawUdp },
  method: string,
  invite: string,
  ringing: string,
  seq: number,
  ...lines: string[]
) =>
  request({
    method,
    port: b.peer.port,
    callId: header(invite, 'Call-ID'),
    fromTag: tagOf(header(invite, 'From')),
    to: header(ringing, 'To'),
    seq,
    lines,
  });

t.test('a caller who requires it gets its ringing until it acknowledges', async (t) => {
  const b = await bench(t);
  const invite = request({ port: b.peer.port, body: sdp(), lines: ['Require: 100rel'] });
  b.peer.send(invite, b.udp);
  const event = await b.app.event('INVITE');
  await b.peer.next('SIP/2.0 100');
  // Not asked for by the application, but required by the caller: reliable all the same.
  t.equal((await b.app.answer(b.app.sip(txnOf(event), '', 'SIP/2.0 180 Ringing', []))).tokens[3], 'OK');
  const echo = await b.app.answer(
    b.app.sip(txnOf(event), '', 'SIP/2.0 183 Progress', ['require: 100rel'], sdp()),
  );
  const first = (await b.peer.next('SIP/2.0 180')).text;
  const rseq = Number(header(first, 'RSeq'));
  t.equal(header(first, 'Require'), '100rel');
  t.ok(rseq >= 1 && rseq < 2 ** 31);
  t.equal(header(echo.sip, 'RSeq'), String(rseq + 1), 'the application is told what will be sent');
  for (const ms of [500, 1000, 2000, 4000, 8000]) {
    b.clock.advance(ms);
    t.equal(header((await b.peer.next('SIP/2.0 180')).text, 'RSeq'), String(rseq), `again after ${ms}`);
  }
  let seq = 1;
  const rack = (n: number, seq = 1): string => `RAck: ${n} ${seq} INVITE`;
  for (const wrong of [rack(rseq + 1), rack(rseq, 2), `RAck: ${rseq} 1 UPDATE`, 'RAck: x', 'X: y']) {
    b.peer.send(within(b, 'PRACK', invite, first, ++seq, wrong), b.udp);
    t.ok(await b.peer.next('SIP/2.0 481'), wrong);
  }
  b.peer.send(within(b, 'PRACK', invite, first, 2_000_000, rack(rseq)), b.udp);
  const second = (await b.peer.next('SIP/2.0 183')).text;
  t.equal(header(second, 'RSeq'), String(rseq + 1), 'the next only after that');
  const prack = await b.app.event('PRACK');
  t.equal(dialogOf(prack), echo.tokens[11]);
  await b.app.answer(b.app.sip(txnOf(prack), dialogOf(prack), 'SIP/2.0 200 OK', []));
  await b.peer.next('SIP/2.0 200');
  const early = await b.app.answer(b.app.sip(txnOf(event), '', 'SIP/2.0 200 OK', [], sdp()));
  t.equal(early.tokens[3], 'NOK', 'a 2xx waits for the PRACK of a description (section 3)');
  b.peer.send(within(b, 'PRACK', invite, first, 2_000_001, rack(rseq + 1)), b.udp);
  await b.app.event('PRACK');
  await b.app.answer(b.app.sip(txnOf(event), '', 'SIP/2.0 200 OK', [], sdp()));
  t.ok(await b.peer.next('SIP/2.0 200'));
});

t.test('who does not acknowledge is refused; who does not know it gets none', async (t) => {
  const b = await bench(t);
  const invite = request({ port: b.peer.port, body: sdp(), lines: ['Supported: replaces, 100rel'] });
  b.peer.send(invite, b.udp);
  const event = await b.app.event('INVITE');
  await b.app.answer(b.app.sip(txnOf(event), '', 'SIP/2.0 180 Ringing', ['require: 100rel']));
  await b.peer.next('SIP/2.0 180');
  b.clock.advance(32_000);
  t.ok(await b.peer.next('SIP/2.0 504'), 'after 64*T1');
  t.match((await b.app.event('CANCEL')).tokens, { 8: txnOf(event) });

  b.peer.send(request({ port: b.peer.port, body: sdp() }), b.udp);
  const other = await b.app.event('INVITE');
  const echo = await b.app.answer(
    b.app.sip(txnOf(other), '', 'SIP/2.0 183 Progress', ['require: 100rel'], sdp()),
  );
  t.match(echo.tokens, { 3: 'NOK', 4: 'Remote endpoint does not support 100rel' });
  await b.app.answer(b.app.sip(txnOf(other), '', 'SIP/2.0 180 Ringing', ['RSeq: 7']));
  await until('ringing', () =>
    b.peer.inbox.items.some(
      (m) => m.text.includes(header(other.sip, 'Call-ID')) && m.text.startsWith('SIP/2.0 180'),
    ),
  );
  t.equal(
    header(
      (
        await b.peer.inbox.next(
          (m) => m.text.includes(header(other.sip, 'Call-ID')) && m.text.startsWith('SIP/2.0 180'),
        )
      ).text,
      'RSeq',
    ),
    '',
    'an RSeq is the agent’s alone',
  );
});

t.test('as a caller: in order, once each, and every fork is acknowledged', async (t) => {
  const b = await bench(t);
  b.app.sip(
    '',
    '',
    `INVITE sip:200@127.0.0.1:${b.peer.port} SIP/2.0`,
    ['from: sip:1@localhost', 'supported: 100rel'],
    sdp(),
  );
  const invite = (await b.peer.next('INVITE')).text;
  const ring = (rseq: number, tag = 'a'): string =>
    response(invite, 180, {
      tag,
      lines: [`RSeq: ${rseq}`, 'Require: 100rel', `Contact: <sip:${tag}@127.0.0.1:${b.peer.port}>`],
    });
  for (const one of [ring(10), ring(10), ring(12), ring(11), ring(12), ring(9)]) b.peer.send(one, b.udp);
  const seen: string[] = [];
  for (let i = 0; i < 3; i++) {
    const event = await b.app.event('SIP/2.0 180');
    seen.push(header(event.sip, 'RSeq'));
    // The library names the first CSeq whatever the agent made of it since.
    b.app.sip('', dialogOf(event), 'PRACK sip:x SIP/2.0', [`rack: ${header(event.sip, 'RSeq')} 99 INVITE`]);
    const prack = (await b.peer.next('PRACK')).text;
    t.match(header(prack, 'RAck'), / 1 INVITE$/);
    b.peer.send(response(prack, 200), b.udp);
    await b.app.event('SIP/2.0 200');
  }
  t.same(seen, ['10', '11', '12']);
  b.peer.send(ring(77, 'b'), b.udp);
  const fork = await b.app.event('SIP/2.0 180');
  t.equal(header(fork.sip, 'RSeq'), '', 'the library would acknowledge it in the wrong dialog');
  const prack = (await b.peer.next('PRACK sip:b@')).text;
  t.equal(header(prack, 'RAck'), '77 1 INVITE');
  t.match(header(prack, 'To'), ';tag=b');
});

t.test('RAck, and the order of acknowledgements', async (t) => {
  t.same(parseRAck('776656 1 INVITE'), { rseq: 776656, seq: 1, method: 'INVITE' });
  for (const wrong of ['', '1', '1 2', '1 2 ', '-1 2 INVITE', '1 2 IN VITE', `${'9'.repeat(11)} 1 INVITE`])
    t.equal(parseRAck(wrong), undefined, wrong);
  const step = fc.oneof(
    fc.constant('send' as const),
    fc.integer({ min: -1, max: 3 }),
    fc.integer({ min: 1, max: 4 }).map((n) => ({ ms: n * 500 })),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const clock = new ManualClock();
      const timers = new Timers(clock, (error) => {
        throw error;
      });
      const out: number[] = [];
      let failed = 0;
      const sent = new ReliableResponses(1, {
        timers,
        sip: { t1: 500, t2: 4000, t4: 5000 },
        repeats: new Telemetry(undefined).repeats,
        send: (data) => void out.push(Number(data.toString())),
        failed: () => failed++,
      });
      const given: number[] = [];
      let acknowledged = 0;
      for (const one of steps) {
        if (one === 'send') {
          const text = sent.send((rseq) => String(rseq), false);
          if (text !== undefined) given.push(Number(text));
        } else if (typeof one === 'number') {
          const rseq = (given[0] ?? 0) + acknowledged + one;
          const right = sent.acknowledge({ rseq, seq: 1, method: 'INVITE' });
          // Only what is out may be acknowledged, and only once.
          if (
            right !==
            (one === 0 &&
              acknowledged < given.length &&
              (failed === 0 || acknowledged === given.indexOf(out.at(-1) ?? 0)))
          )
            return false;
          if (right) acknowledged++;
        } else clock.advance(one.ms);
        // Nothing goes out before what stands before it was acknowledged.
        const last = out.at(-1);
        if (last !== undefined && given.indexOf(last) > acknowledged) return false;
      }
      sent.stop();
      return timers.size === 0 && out.every((rseq, i) => i === 0 || rseq >= (out[i - 1] ?? 0));
    }),
  );
});

t.test('the library of applications, on both sides', async (t) => {
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'test' },
    sip: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
    supported: ['100rel'],
  });
  const peer = await RawUdp.open();
  const far = await RawUdp.open();
  const legs: SipCallerLeg[] = [];
  const endpoint = new SipEndpoint({
    agent: { host: '127.0.0.1', port: agent.appPort, secret: 'test' },
    trunks: [
      {
        kind: 'facility',
        name: 'north' as TrunkId,
        facility: 'north' as FacilityId,
        addresses: ['127.0.0.1'],
        port: null,
        transports: ['udp'],
        caller: { from: 'from-user' },
        unitHeader: null,
        phoneHeader: null,
        plan: NORTH_AMERICAN_PLAN,
        carriers: ['west' as TrunkId],
        presentedNumber: '+12125550100',
      },
      {
        kind: 'carrier',
        name: 'west' as TrunkId,
        address: '127.0.0.1',
        port: far.port,
        transport: 'udp',
        keepaliveSeconds: 0,
        firstResponseMs: 5000,
        copyHeaders: [],
        reliableProvisionals: true,
      },
    ],
    clock: { wall: () => now, mono: () => performance.now() },
    emit: () => undefined,
    newCallId: () => leg().callId,
  });
  t.teardown(async () => {
    endpoint.stop();
    peer.close();
    far.close();
    await agent.stop();
  });
  await endpoint.start({
    refusal: () => null,
    crowded: () => null,
    take: (caller) => legs.push(caller as SipCallerLeg),
    reject: () => undefined,
    agentLost: () => undefined,
  });
  const udp = agent.sip[0]?.port ?? 0;
  const invite = request({
    port: peer.port,
    uri: `sip:2125550123@127.0.0.1:${udp}`,
    body: sdp(),
    lines: ['Require: 100rel', 'Content-Type: application/sdp'],
  });
  peer.send(invite, udp);
  await until('a call', () => legs.length === 1);
  const caller = legs[0];
  if (caller === undefined) throw new Error('no call');
  caller.ring();
  const ringing = (await peer.next('SIP/2.0 180')).text;
  t.equal(header(ringing, 'Require'), '100rel');
  peer.send(within({ peer }, 'PRACK', invite, ringing, 2, `RAck: ${header(ringing, 'RSeq')} 1 INVITE`), udp);
  t.match(header((await peer.next('SIP/2.0 200')).text, 'CSeq'), 'PRACK');
  peer.send(within({ peer }, 'UPDATE', invite, ringing, 3), udp);
  t.match((await peer.next('SIP/2.0 200')).text, /CSeq: 3 UPDATE[\s\S]*Content-Length: 0/);
  const offering = within({ peer }, 'UPDATE', invite, ringing, 4, 'Content-Type: application/sdp').replace(
    'Content-Length: 0\r\n\r\n',
    `Content-Length: ${sdp().length}\r\n\r\n${sdp()}`,
  );
  peer.send(offering, udp);
  t.ok(
    header((await peer.next('SIP/2.0 500')).text, 'Retry-After'),
    'their offer is open: theirs has to wait',
  );

  const anchor = new FakeAnchor('recorded', 30_000);
  const dialling = endpoint.dialer.dial(caller.leg, decisionFor(caller.leg.dialled), anchor.anchor, {
    rang: () => undefined,
  });
  const called = (await far.next('INVITE')).text;
  t.equal(header(called, 'Supported'), '100rel');
  const contact = `Contact: <sip:far@127.0.0.1:${far.port}>`;
  far.send(
    response(called, 183, {
      lines: ['RSeq: 1', 'Require: 100rel', contact, 'Content-Type: application/sdp'],
      body: nodeSdp(50_000),
    }),
    udp,
  );
  const prack = (await far.next('PRACK')).text;
  t.equal(header(prack, 'RAck'), '1 1 INVITE');
  far.send(response(prack, 200), udp);
  const update = (seq: number, body: string): string =>
    request({
      method: 'UPDATE',
      port: far.port,
      callId: header(called, 'Call-ID'),
      fromTag: 'peer',
      to: header(called, 'From'),
      seq,
      body,
      lines: ['Content-Type: application/sdp'],
    });
  far.send(update(1, nodeSdp(50_002)), udp);
  t.ok(await far.next('SIP/2.0 491'), 'our offer is open: theirs has to wait');
  far.send(update(2, ''), udp);
  t.match(
    (await far.next('SIP/2.0 200')).text,
    /Content-Length: 0/,
    'and without one nothing is offered back',
  );
  far.send(response(called, 200, { lines: [contact] }), udp);
  await far.next('ACK');
  const outcome = await dialling.outcome;
  t.match(outcome, { state: 'answered', answer: nodeSdp(50_000) }, 'answered before the 200');
});
