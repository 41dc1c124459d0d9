import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Between, Sdp } from '../../src/call/ports.js';
import type { BencodeDict } from '../../src/media/bencode.js';
import { NgSocket } from '../../src/media/ng-socket.js';
import { startRtpengine } from '../../src/stack/rtpengine.js';
import { newCallId, privateDecision } from './decisions.js';
import { until } from './rtp-phone.js';
import { startSpokenSite } from './spoken-site.js';
import { wiredPhone } from './srtp-phone.js';

/**
 * DTLS-SRTP on the wire between our node and another rtpengine, which stands for the carrier's gateway: it speaks DTLS
 * to us and plain RTP to the phone behind it.
 */

const dir = await mkdtemp(join(tmpdir(), 'sallyport-dtls-'));
await chmod(dir, 0o755);
const site = await startSpokenSite();
const gateway = await startRtpengine({ kind: 'private', dir, name: 'gateway', portCount: 64 });
const ng = new NgSocket({ node: 'gateway', ...gateway.ng, emit: () => undefined });
t.teardown(async () => {
  ng.close();
  await Promise.all([site.stop(), gateway.stop()]);
  await rm(dir, { recursive: true, force: true });
});

const DTLS = 'UDP/TLS/RTP/SAVP';

/** The gateway's half of an exchange: what it makes of a description for the side that speaks `protocol`. */
const through = async (command: 'offer' | 'answer', id: string, sdp: Sdp, protocol: string): Promise<Sdp> => {
  const message: BencodeDict = {
    command,
    'call-id': id,
    'from-tag': 'a',
    ...(command === 'answer' ? { 'to-tag': 'b' } : {}),
    sdp,
    'transport-protocol': protocol,
    ICE: 'remove',
    replace: ['origin', 'session-connection'],
    ...(protocol === DTLS ? { SDES: ['off'], 'DTLS-fingerprint': 'SHA-256' } : {}),
  };
  const reply = await ng.ask(message);
  if (reply.result !== 'ok') throw new Error(JSON.stringify(reply));
  return String(reply.sdp);
};

t.test('a call to a carrier by DTLS-SRTP', async (t) => {
  const { media } = await site.media();
  const between: Between = { caller: 'rtp', called: 'srtp-dtls' };
  const caller = await wiredPhone({ tone: 440 });
  const called = await wiredPhone({ tone: 1000 });
  t.teardown(() => {
    for (const one of [caller, called]) one.close();
  });
  const id = newCallId();
  const decision = privateDecision(id);
  const call = await media.anchorPrivate(id, decision, caller.offer(), { between });
  t.teardown(() => call.release());
  t.match(call.offerForCalled, new RegExp(`m=audio \\d+ ${DTLS} `));
  t.match(call.offerForCalled, /a=fingerprint:sha-256 /i);
  t.notMatch(call.offerForCalled, /a=crypto/);
  const offer = await through('offer', 'x', call.offerForCalled, 'RTP/AVP');
  const answer = await through('answer', 'x', called.answer(offer), DTLS);
  await t.rejects(call.answer(decision, answer.replace(/a=fingerprint.*\r\n/, '')), {
    code: 'answer-unusable',
    detail: 'encryption-missing',
  });
  const agreed = await call.answer(decision, answer);
  t.equal(caller.takes(agreed), true);
  await call.open();
  await Promise.all([
    caller.audio.untilHears(1000, { deadlineMs: 20_000 }),
    called.audio.untilHears(440, { deadlineMs: 20_000 }),
  ]);
  t.match(call.replies?.(), { protection: between });
  // The caller's side re-offers: no new handshake, and it goes on.
  const again = await call.reoffer('caller', caller.offer());
  const second = await through('offer', 'x', again, 'RTP/AVP');
  const other = await through('answer', 'x', called.answer(second), DTLS);
  t.equal(caller.takes(await call.reanswer('called', other)), true);
  await Promise.all([
    caller.audio.untilHears(1000, { deadlineMs: 20_000 }),
    called.audio.untilHears(440, { deadlineMs: 20_000 }),
  ]);
});

t.test('a certificate that is not the one of the fingerprint is not spoken to', async (t) => {
  const { media } = await site.media();
  const caller = await wiredPhone({ tone: 440 });
  const called = await wiredPhone({ tone: 1000 });
  t.teardown(() => {
    caller.close();
    called.close();
  });
  const id = newCallId();
  const decision = privateDecision(id);
  const between: Between = { caller: 'rtp', called: 'srtp-dtls' };
  const call = await media.anchorPrivate(id, decision, caller.offer(), { between });
  t.teardown(() => call.release());
  const offer = await through('offer', 'y', call.offerForCalled, 'RTP/AVP');
  const answer = await through('answer', 'y', called.answer(offer), DTLS);
  const [, first = ''] = /sha-256 (..)/i.exec(answer) ?? [];
  const forged = answer.replace(`${first}:`, first === '00' ? '11:' : '00:');
  t.not(forged, answer);
  t.equal(caller.takes(await call.answer(decision, forged)), true);
  await t.rejects(call.open(), { code: 'node-error', detail: 'fingerprint-unverified' });
  caller.forget();
  await until('the caller speaks', () => caller.packets('out').length >= 50);
  t.equal(called.packets('in').length, 0, 'the called party gets nothing');
  t.equal(caller.packets('in').length, 0, 'nor does the caller');
});
