import dgram from 'node:dgram';
import fc from 'fast-check';
import t from 'tap';
import { decodeG711, encodeG711 } from '../../src/phones/g711.js';
import { goertzelPower, heardMs, hears, rms, toneLevel } from '../../src/phones/goertzel.js';
import { openRtp } from '../../src/phones/rtp.js';
import { buildRtp, parseRtp } from '../../src/phones/rtp-packet.js';
import { ReceivedAudio } from '../../src/phones/rtp-receiver.js';
import { SampleRing } from '../../src/phones/sample-ring.js';
import { answerDirection, answerSdp, parseSdp } from '../../src/phones/sdp.js';
import { toneSamples } from '../../src/phones/tone.js';
import { readWav } from '../../src/phones/wav.js';

/** A small generator with a fixed seed, so that the noise is the same in every run. */
function noise(count: number, level: number): Int16Array {
  let state = 12345;
  return Int16Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state / 2 ** 31) * 32767 * level;
  });
}

function joined(...parts: Int16Array[]): Int16Array {
  return Int16Array.from(parts.flatMap((part) => [...part]));
}

const silence = (count: number): Int16Array => new Int16Array(count);

t.test('g711', (t) => {
  // The reference values of ITU-T G.711 tables 1 and 2: ends, zero and the first cells.
  const mulaw: [number, number][] = [
    [0, 0xff],
    [-1, 0x7f],
    [8, 0xfe],
    [32124, 0x80],
    [-32124, 0x00],
    [32767, 0x80],
    [1000, 0xce],
  ];
  for (const [sample, byte] of mulaw)
    t.equal(encodeG711('PCMU', Int16Array.of(sample))[0], byte, `µ-law ${sample}`);
  t.same(
    [...decodeG711('PCMU', Uint8Array.of(0xff, 0x7f, 0x80, 0x00, 0xfe, 0xce))],
    [0, 0, 32124, -32124, 8, 988],
  );
  const alaw: [number, number][] = [
    [0, 0xd5],
    [-1, 0x55],
    [32767, 0xaa],
    [-32768, 0x2a],
    [1000, 0xfa],
  ];
  for (const [sample, byte] of alaw)
    t.equal(encodeG711('PCMA', Int16Array.of(sample))[0], byte, `A-law ${sample}`);
  t.same([...decodeG711('PCMA', Uint8Array.of(0xd5, 0x55, 0xaa, 0x2a, 0xfa))], [8, -8, 32256, -32256, 1008]);

  for (const codec of ['PCMU', 'PCMA'] as const) {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 255 }), (byte) => {
        const once = decodeG711(codec, Uint8Array.of(byte));
        return decodeG711(codec, encodeG711(codec, once))[0] === once[0];
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: -32768, max: 32767 }), (sample) => {
        const back = decodeG711(codec, encodeG711(codec, Int16Array.of(sample)))[0] ?? 0;
        // Half a quantising step of the segment is at most 1/32 of the value (and 16 near zero); µ-law clips at 32635.
        return Math.abs(back - sample) <= Math.max(16, Math.abs(sample) / 31) + 4;
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: -32768, max: 32766 }), (sample) => {
        const [low = 0, high = 0] = decodeG711(codec, encodeG711(codec, Int16Array.of(sample, sample + 1)));
        return low <= high;
      }),
    );
  }
  t.end();
});

t.test('a tone is heard at its own frequency only', (t) => {
  const tone = toneSamples(440, 4000);
  t.equal(tone.length, 4000);
  t.ok(Math.abs(rms(tone) - (0.25 * 32767) / Math.SQRT2) < 10, 'a sine has its peak over root two');
  t.ok(toneLevel(tone, 440) > 0.99);
  t.ok(hears(tone, 440));
  for (const other of [1000, 480, 350, 880, 2000]) t.notOk(hears(tone, other), `${other} Hz is not heard`);
  t.notOk(hears(silence(4000), 440), 'silence');
  t.equal(toneLevel(silence(4000), 440), 0);
  t.notOk(hears(new Int16Array(0), 440), 'nothing at all');
  t.notOk(hears(noise(8000, 0.5), 440), 'noise');
  t.notOk(hears(toneSamples(440, 4000, { level: 0.001 }), 440), 'a tone at the level of residue');
  t.ok(
    hears(joined(tone.subarray(0, 1000), silence(160), tone.subarray(0, 1500), silence(80), tone), 440),
    'gaps',
  );
  t.ok(
    hears(
      Int16Array.from(tone, (sample, at) => sample + (toneSamples(1000, 4000)[at] ?? 0)),
      1000,
    ),
    'mixed',
  );
  t.notOk(hears(joined(tone.subarray(0, 800), silence(4000)), 440), 'a fifth of the time is not hearing');
  t.equal(
    heardMs(joined(silence(4000), tone.subarray(0, 800), silence(4000)), 440),
    100,
    'but it is noticed',
  );
  t.equal(heardMs(joined(silence(4000), tone, noise(4000, 0.1)), 1000), 0);
  // Parseval: the powers of all bins of a block add up to N times its energy.
  const block = noise(80, 0.3);
  const sum = Array.from({ length: 80 }, (_, bin) => goertzelPower(block, bin * 100)).reduce(
    (a, b) => a + b,
    0,
  );
  const energy = block.reduce((total, sample) => total + sample * sample, 0);
  t.ok(Math.abs(sum / (80 * energy) - 1) < 1e-6);
  fc.assert(
    fc.property(
      fc.integer({ min: 20, max: 190 }),
      fc.integer({ min: 20, max: 190 }),
      fc.boolean(),
      (a, b, mu) => {
        const codec = mu ? 'PCMU' : 'PCMA';
        const samples = decodeG711(codec, encodeG711(codec, toneSamples(a * 20, 1600)));
        return hears(samples, a * 20) && (a === b || !hears(samples, b * 20));
      },
    ),
  );
  t.throws(() => toneSamples(4000, 10), RangeError);
  t.throws(() => toneSamples(440, 10, { level: 1.5 }), RangeError);
  t.end();
});

function wavOf(
  channels: readonly Int16Array[],
  change: (bytes: Buffer) => Buffer = (bytes) => bytes,
): Buffer {
  const frames = channels[0]?.length ?? 0;
  const data = Buffer.alloc(frames * channels.length * 2);
  channels.forEach((channel, index) => {
    channel.forEach((sample, frame) => {
      data.writeInt16LE(sample, (frame * channels.length + index) * 2);
    });
  });
  const bytes = Buffer.alloc(50 + 8 + data.length);
  bytes.write('RIFF', 0);
  bytes.writeUInt32LE(bytes.length - 8, 4);
  bytes.write('WAVEfmt ', 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(channels.length, 22);
  bytes.writeUInt32LE(8000, 24);
  bytes.writeUInt32LE(8000 * channels.length * 2, 28);
  bytes.writeUInt16LE(channels.length * 2, 32);
  bytes.writeUInt16LE(16, 34);
  // A chunk of odd length with its padding byte, which readers have to skip.
  bytes.write('LIST', 36);
  bytes.writeUInt32LE(5, 40);
  bytes.write('data', 50);
  bytes.writeUInt32LE(data.length, 54);
  data.copy(bytes, 58);
  return change(bytes);
}

t.test('wav', (t) => {
  const sample = fc.integer({ min: -32768, max: 32767 });
  fc.assert(
    fc.property(fc.array(fc.tuple(sample, sample), { maxLength: 50 }), fc.boolean(), (frames, stereo) => {
      const left = Int16Array.from(frames, ([one]) => one);
      const channels = stereo ? [left, Int16Array.from(frames, ([, two]) => two)] : [left];
      const wav = readWav(wavOf(channels));
      return wav.sampleRate === 8000 && JSON.stringify(wav.channels) === JSON.stringify(channels);
    }),
  );
  const change = (at: number, value: number) => () =>
    readWav(
      wavOf([Int16Array.of(1, 2, 3)], (bytes) => {
        bytes.writeUInt16LE(value, at);
        return bytes;
      }),
    );
  t.throws(change(20, 3), /format 3 is neither PCM/);
  t.throws(change(20, 7), /16 bits a sample, only 8/);
  t.throws(change(22, 3), /3 channels/);
  t.throws(change(34, 8), /8 bits/);
  t.throws(change(32, 4), /block align 4/);
  t.throws(change(28, 1), /byte rate/);
  t.throws(change(54, 5), /ends inside a sample/);
  t.throws(change(54, 0xffff), /chunk "data" promises 65535 bytes, 6 are there/);
  t.throws(change(0, 0), /not with RIFF/);
  t.throws(() => readWav(wavOf([Int16Array.of(1)]).subarray(0, 55)), /the header promises/);
  t.throws(() => readWav(Buffer.from('RIFF')), /too short/);
  const headOnly = wavOf([Int16Array.of(1)]).subarray(0, 50);
  headOnly.writeUInt32LE(42, 4);
  t.throws(() => readWav(headOnly), /no data chunk/);
  for (const [format, codec] of [
    [6, 'PCMA'],
    [7, 'PCMU'],
  ] as const) {
    const companded = Buffer.from([0x00, 0x80, 0x2a, 0xff, 0xd5, 0x55]);
    const bytes = wavOf([new Int16Array(3)]);
    companded.copy(bytes, 58);
    bytes.writeUInt16LE(format, 20);
    bytes.writeUInt16LE(8, 34);
    for (const channels of [1, 2]) {
      bytes.writeUInt16LE(channels, 22);
      bytes.writeUInt32LE(8000 * channels, 28);
      bytes.writeUInt16LE(channels, 32);
      const all = [...decodeG711(codec, companded)];
      const wanted = Array.from({ length: channels }, (_, k) => all.filter((__, at) => at % channels === k));
      t.same(
        readWav(bytes).channels.map((channel) => [...channel]),
        wanted,
        `${codec}, ${channels} channels`,
      );
    }
  }
  t.end();
});

t.test('received packets are put in order, whatever the network does', (t) => {
  const tone = toneSamples(440, 160 * 40);
  const packet = (index: number, ssrc = 7) => ({
    payloadType: 0,
    marker: false,
    sequence: (65520 + index) & 0xffff,
    timestamp: (2 ** 32 - 1600 + index * 160) >>> 0,
    ssrc,
    payload: encodeG711('PCMU', tone.subarray(index * 160, (index + 1) * 160)),
  });
  const inOrder = decodeG711('PCMU', encodeG711('PCMU', tone));
  const audio = new ReceivedAudio(2000, 101);
  // Over both wrap-arounds, with every pair swapped, one packet lost and one doubled.
  for (let index = 0; index < 40; index += 2) {
    if (index !== 20) audio.take(packet(index + 1));
    audio.take(packet(index));
  }
  audio.take(packet(38));
  t.match(audio.counters, { received: 39, lost: 1, duplicates: 1, streams: 1 });
  const heard = audio.ring.read();
  // The first packet to arrive sets the beginning, so the one before it is too old.
  t.same(heard.subarray(0, 160 * 20), inOrder.subarray(160, 160 * 21));
  t.same(heard.subarray(160 * 20, 160 * 21), silence(160), 'what was lost is silence');
  t.same(heard.subarray(160 * 21), inOrder.subarray(160 * 22));

  const mark = audio.ring.end;
  audio.take(packet(0, 8));
  t.same(audio.ring.read(mark), inOrder.subarray(0, 160), 'another SSRC goes on where the buffer ends');
  t.equal(audio.counters.streams, 2);
  const jumped = audio.ring.end;
  audio.take({ ...packet(1, 8), timestamp: 500_000_000 });
  t.same(audio.ring.read(jumped), inOrder.subarray(160, 320), 'and so does a timestamp from somewhere else');
  const small = new ReceivedAudio(100, 101);
  for (let index = 0; index < 40; index++) small.take(packet(index));
  t.same(small.ring.read(), inOrder.subarray(-800), 'the buffer keeps its last 100 ms only');
  small.ring.clear();
  t.equal(small.ring.read().length, 0);
  t.end();
});

t.test('the ring holds the last samples of an endless tape', (t) => {
  const write = fc.record({
    skip: fc.integer({ min: -30, max: 60 }),
    length: fc.integer({ min: 1, max: 20 }),
  });
  fc.assert(
    fc.property(fc.array(write, { maxLength: 30 }), (writes) => {
      const ring = new SampleRing(50);
      const tape: number[] = [];
      let value = 0;
      for (const { skip, length } of writes) {
        const position = Math.max(0, tape.length + skip);
        const samples = Int16Array.from({ length }, () => ++value);
        const end = Math.max(tape.length, position + length);
        while (tape.length < end) tape.push(0);
        samples.forEach((sample, at) => {
          tape[position + at] = sample;
        });
        ring.write(position, samples);
      }
      return ring.end === tape.length && JSON.stringify([...ring.read()]) === JSON.stringify(tape.slice(-50));
    }),
  );
  t.end();
});

t.test('rtp headers', (t) => {
  const payload = fc.uint8Array({ maxLength: 40 });
  fc.assert(
    fc.property(
      fc.record({
        payloadType: fc.integer({ min: 0, max: 63 }),
        marker: fc.boolean(),
        sequence: fc.integer({ min: 0, max: 65535 }),
        timestamp: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        ssrc: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        payload,
      }),
      (packet) =>
        JSON.stringify(parseRtp(buildRtp(packet))) ===
        JSON.stringify({ ...packet, payload: Buffer.from(packet.payload) }),
    ),
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => parseRtp(Buffer.from(bytes)) !== null));
  const withExtras = Buffer.from('b1800001000000020000000300000004bede0001aabbccdd1122330000000004', 'hex');
  t.equal(
    parseRtp(withExtras)?.payload.toString(),
    Buffer.from('112233000000', 'hex').subarray(0, 4).toString(),
  );
  t.equal(parseRtp(Buffer.from('80c80001000000020000000300000004', 'hex')), undefined, 'RTCP');
  t.equal(parseRtp(Buffer.from('a0000001000000020000000300ff', 'hex')), undefined, 'more padding than bytes');
  t.end();
});

t.test('an RTP endpoint: tones, keys, mute, strangers', async (t) => {
  const a = await openRtp({ tone: 440 });
  const b = await openRtp({ tone: 1000, strictPeer: true, codec: 'PCMA' });
  const stranger = await openRtp({ tone: 2000 });
  t.teardown(() => {
    for (const endpoint of [a, b, stranger]) endpoint.close();
  });
  a.sendTo({ address: '127.0.0.1', port: b.port });
  b.sendTo({ address: '127.0.0.1', port: a.port });
  stranger.sendTo({ address: '127.0.0.1', port: b.port });
  await Promise.all([a.untilHears(1000), b.untilHears(440)]);
  await a.pressKeys('5#!', { durationMs: 40 });
  await b.untilKeys('5#!');
  const counters = b.counters;
  t.equal(counters.lost, 0);
  t.ok(counters.strangers > 5, 'the stranger was noticed');
  t.equal(counters.sources[`127.0.0.1:${stranger.port}`], counters.strangers);
  t.equal(heardMs(b.samples(), 2000), 0, 'and not heard');
  t.ok((counters.lastArrivalUs ?? 0) > (counters.firstArrivalUs ?? 0));

  a.mute();
  await b.untilSilent();
  const sent = a.counters.sent;
  const mark = b.mark();
  a.play(1200);
  a.unmute();
  await b.untilHears(1200);
  t.ok(a.counters.sent > sent);
  t.ok(b.mark() - mark > 1600, 'the pause is in the timestamps');
  await t.rejects(b.untilHears(700, { deadlineMs: 100 }), /no tone of 700 Hz within 100 ms\nrtp port/);
  await t.rejects(a.pressKeys('x'), /"x" is not a key/);
  await t.rejects(a.pressKeys('1'.repeat(33)), /more than 32 keys/);
  const waiting = t.rejects(b.untilHears(700), /the endpoint is closed/);
  b.close();
  await waiting;
});

t.test('packets are paced by the clock, without drift', async (t) => {
  const socket = dgram.createSocket('udp4');
  await new Promise<void>((resolve) => {
    socket.bind(0, '127.0.0.1', resolve);
  });
  const endpoint = await openRtp({ tone: 440 });
  t.teardown(() => {
    endpoint.close();
    socket.close();
  });
  const arrivals: number[] = [];
  const sequences: number[] = [];
  const timestamps: number[] = [];
  await new Promise<void>((resolve) => {
    socket.on('message', (bytes) => {
      arrivals.push(performance.now());
      const packet = parseRtp(bytes);
      sequences.push(packet?.sequence ?? -1);
      timestamps.push(packet?.timestamp ?? -1);
      // A process that stands still for less than 200 ms catches up.
      if (arrivals.length === 10) for (const until = performance.now() + 90; performance.now() < until; );
      if (arrivals.length === 40) resolve();
    });
    endpoint.sendTo({ address: '127.0.0.1', port: socket.address().port });
  });
  const elapsed = (arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0);
  t.ok(elapsed > 39 * 20 - 100, `39 packets took ${elapsed} ms`);
  const steps = (values: readonly number[], modulus: number): Set<number> =>
    new Set(values.slice(1).map((value, index) => (value - (values[index] ?? 0) + modulus) % modulus));
  t.same(steps(sequences, 2 ** 16), new Set([1]));
  // Only where this machine itself stood still for longer may packets be missing.
  const longest = Math.max(...arrivals.slice(1).map((arrival, index) => arrival - (arrivals[index] ?? 0)));
  if (longest < 150) t.same(steps(timestamps, 2 ** 32), new Set([160]), 'nothing was left out');
});

t.test('descriptions', (t) => {
  const text = [
    'v=0',
    'o=- 1 1 IN IP4 192.0.2.9',
    's=-',
    'c=IN IP4 192.0.2.1',
    't=0 0',
    'a=sendonly',
    'm=video 5000 RTP/AVP 96',
    'm=audio 4000 RTP/AVP 9 8 0 97',
    'c=IN IP4 192.0.2.2',
    'a=rtpmap:97 telephone-event/8000',
    'a=candidate:1 1 UDP 1 10.0.0.1 5 typ srflx raddr 10.0.0.2 rport 9',
    'a=rtcp:4001 IN IP4 192.0.2.3',
    'm=audio 6000 RTP/AVP 0',
  ].join('\r\n');
  const remote = parseSdp(text);
  t.match(remote, {
    address: '192.0.2.2',
    port: 4000,
    direction: 'sendonly',
    codecs: ['PCMA', 'PCMU'],
    eventType: 97,
  });
  t.same([...(remote?.addresses ?? [])].sort(), [
    '10.0.0.1',
    '10.0.0.2',
    '192.0.2.1',
    '192.0.2.2',
    '192.0.2.3',
    '192.0.2.9',
  ]);
  const own = {
    host: '127.0.0.1',
    port: 7000,
    codecs: ['PCMU'],
    direction: 'sendrecv',
    sessionId: 1,
    version: 1,
  } as const;
  const answer = remote === undefined ? undefined : answerSdp(own, remote);
  t.match(
    answer,
    /m=video 0 RTP\/AVP 96\r\nm=audio 7000 RTP\/AVP 0 97\r\n[\s\S]*a=recvonly\r\nm=audio 0 RTP\/AVP 0\r\n$/,
  );
  t.equal(remote === undefined ? 1 : answerSdp({ ...own, codecs: [] }, remote), undefined, 'nothing shared');
  t.equal(parseSdp('v=0\r\n'), undefined);
  t.equal(parseSdp('m=audio 1 RTP/AVP 0\r\n'), undefined, 'no address');
  t.equal(answerDirection('sendrecv', 'sendrecv'), 'sendrecv');
  t.equal(answerDirection('sendonly', 'sendrecv'), 'recvonly');
  t.equal(answerDirection('recvonly', 'sendrecv'), 'sendonly');
  t.equal(answerDirection('sendonly', 'sendonly'), 'inactive');
  t.equal(answerDirection('inactive', 'sendrecv'), 'inactive');
  t.end();
});
