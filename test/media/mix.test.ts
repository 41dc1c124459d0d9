import dgram from 'node:dgram';
import t from 'tap';
import { FRAME, mixFrame, toMulaw, VoiceStream } from '../../src/media/mix.js';
import { checkSdp, peerRules, placeholderFor } from '../../src/media/sdp-in.js';
import { openTap } from '../../src/media/tap.js';
import { RtpPhone, strengthOf, until } from './rtp-phone.js';

/** ITU-T G.711, written apart from the product's. */
const fromMulaw = (byte: number): number => {
  const value = ~byte & 0xff;
  const magnitude = (((value & 0x0f) << 3) + 132) << ((value >> 4) & 7);
  return value & 0x80 ? 132 - magnitude : magnitude - 132;
};

const packet = (
  sequence: number,
  byte: number,
  change: { type?: number; source?: number; first?: number } = {},
) => {
  const bytes = Buffer.alloc(12 + FRAME, byte);
  bytes[0] = change.first ?? 0x80;
  bytes[1] = change.type ?? 0;
  bytes.writeUInt16BE(sequence & 0xffff, 2);
  bytes.writeUInt32BE(0, 4);
  bytes.writeUInt32BE(change.source ?? 7, 8);
  return bytes;
};

const next = (stream: VoiceStream): number => {
  const sum = new Int32Array(FRAME);
  stream.addTo(sum);
  return sum[FRAME - 1] ?? 0;
};

t.test('µ-law: every value comes back, and what is between goes to the nearest', async (t) => {
  for (let byte = 0; byte < 256; byte++) {
    const value = fromMulaw(byte);
    // There are two zeros.
    t.equal(fromMulaw(toMulaw(value)), value);
  }
  let worst = 0;
  for (let sample = -32_768; sample <= 32_767; sample += 7) {
    const off = Math.abs(fromMulaw(toMulaw(sample)) - sample);
    worst = Math.max(worst, off / (Math.abs(sample) + 132));
  }
  t.ok(worst < 1 / 30, `${worst}`);
});

t.test('a stream: in order, once, bounded, and only sound', async (t) => {
  const loud = toMulaw(8000);
  const value = fromMulaw(loud);
  const stream = new VoiceStream();
  stream.push(packet(1, loud));
  t.equal(next(stream), 0, 'nothing before there is a head start');
  stream.push(packet(2, loud));
  t.equal(next(stream), value);
  t.equal(next(stream), value);
  t.equal(next(stream), 0, 'nothing where nothing comes');
  for (const odd of [
    packet(3, loud, { type: 101 }),
    packet(3, loud, { type: 9 }),
    packet(3, loud, { first: 0x00 }),
    packet(3, loud, { first: 0x90 }),
    packet(3, loud, { first: 0xa0 }),
    packet(3, loud, { first: 0x81 }),
    packet(3, loud).subarray(0, 12),
    Buffer.alloc(0),
    Buffer.alloc(1501, 0x80),
    // Two that are late, and one that came before.
    packet(1, loud),
    packet(0, loud),
    packet(2, loud),
  ])
    stream.push(odd);
  t.equal(next(stream), 0, 'no sound, or not in its turn');
  stream.push(packet(0, loud, { source: 8 }));
  stream.push(packet(0xffff, loud, { source: 9 }));
  stream.push(packet(0, loud, { source: 9 }));
  t.equal(next(stream), value, 'another source begins anew, and numbers wrap');
  const flooded = new VoiceStream();
  for (let i = 0; i < 1000; i++) flooded.push(packet(i, loud));
  let frames = 0;
  while (next(flooded) !== 0) frames++;
  t.ok(frames <= 10, `${frames} frames wait at most`);

  const [one, two] = [new VoiceStream(), new VoiceStream()];
  for (const each of [one, two]) for (let i = 0; i < 2; i++) each.push(packet(i, toMulaw(30_000)));
  t.equal(fromMulaw(mixFrame([one, two])[0] ?? 0), fromMulaw(toMulaw(32_767)), 'clipped, not wrapped');
});

const nodeOffer = (ports: readonly number[], change = (text: string): string => text): string =>
  change(
    [
      'v=0',
      'o=- 1 1 IN IP4 127.0.0.1',
      's=x',
      't=0 0',
      ...ports.flatMap((port) => [
        `m=audio ${port} RTP/AVP 0 101`,
        'c=IN IP4 127.0.0.1',
        'a=rtpmap:0 PCMU/8000',
        'a=rtpmap:101 telephone-event/8000',
        'a=sendonly',
      ]),
      '',
    ].join('\r\n'),
  );

t.test('a tap takes sound from the node alone', async (t) => {
  const rules = peerRules(['127.0.0.0/8'], []);
  const tap = await openTap('127.0.0.1', rules);
  t.teardown(() => tap.close());
  const [node, other, stranger, ear] = await Promise.all(
    [500, 700, 2000, 1].map((hz) => new RtpPhone({ hz }).open()),
  );
  if (node === undefined || other === undefined || stranger === undefined || ear === undefined) return;
  t.teardown(() => {
    for (const each of [node, other, stranger, ear]) each.close();
  });
  const answer = tap.answerTo(nodeOffer([node.port, other.port]), '127.0.0.1');
  const ports = [...answer.matchAll(/^m=audio (\d+)/gm)].map(([, port]) => Number(port));
  t.equal(ports.length, 2);
  const at = (port: number | undefined): string => `c=IN IP4 127.0.0.1\r\nm=audio ${port} RTP/AVP 0`;
  node.talkTo(at(ports[0]));
  other.talkTo(at(ports[1]));
  stranger.talkTo(at(ports[0]));
  await tap.answer(ear.sdp({ formats: '0' }));
  await until('both', () => ear.hears(500) && ear.hears(700));
  t.ok(strengthOf(ear.heard, 2000) < 0.01, 'a stranger is not heard');
  for (const [what, sdp] of [
    ['one stream', nodeOffer([node.port])],
    ['three', nodeOffer([node.port, other.port, node.port])],
    [
      'an address that is not the node',
      nodeOffer([5000, 5002], (text) => text.replace(/127\.0\.0\.1\r\na=/, '203.0.113.1\r\na=')),
    ],
    ['another codec', nodeOffer([5000, 5002], (text) => text.replace('PCMU', 'G722'))],
    ['video', nodeOffer([5000, 5002], (text) => text.replace('m=audio', 'm=video'))],
  ] as const)
    t.throws(() => tap.answerTo(sdp, '127.0.0.1'), { message: /sdp-unexpected/ }, what);
  await t.rejects(tap.answer(ear.sdp({ formats: '0', connection: '203.0.113.9' })), {
    code: 'answer-unusable',
  });
  await tap.end();
  await t.rejects(tap.answer(ear.sdp({ formats: '0' })), { message: /released/ });
  await t.rejects(openTap('203.0.113.9', rules), { message: /ear-unbound/ });
  // Its ports are free again.
  const socket = dgram.createSocket('udp4');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(ports[0], '127.0.0.1', resolve);
  });
  socket.close();
});

t.test('the answer in the name of a called party that is not there yet', async (t) => {
  const rules = peerRules(['127.0.0.0/8'], []);
  const phone = await new RtpPhone({ hz: 440 }).open();
  t.teardown(() => phone.close());
  for (const [formats, wanted] of [
    ['0 8 101', '0 101'],
    ['8 0', '8'],
    ['9 18 8 101', '8 101'],
    ['101 0', '0 101'],
    ['0', '0'],
  ] as const) {
    const text = placeholderFor(phone.sdp({ formats }), '127.0.0.1');
    t.match(text, `m=audio 9 RTP/AVP ${wanted}\r\n`);
    t.match(text, 'c=IN IP4 127.0.0.1\r\n');
  }
  t.match(placeholderFor(phone.sdp(), '2001:db8::1'), 'c=IN IP6 2001:db8::1\r\n');
  // Our own, and nobody else's: a party that named the discard port is refused.
  t.throws(() => checkSdp(placeholderFor(phone.sdp(), '127.0.0.1'), 'answer', rules), {
    message: /port-not-allowed/,
  });
});

t.end();
