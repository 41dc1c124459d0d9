import t from 'tap';
import { hears } from '../../src/phones/goertzel.js';
import { identitiesIn } from '../../src/playback/identities.js';
import { openFile, sha256Hex } from '../../src/playback/open.js';
import { peaksOf } from '../../src/playback/peaks.js';
import { readWav, sideOf } from '../../src/playback/wav.js';
import { wavHeader } from '../../src/recording/wav.js';
import { makeIdentity } from '../../src/vault/age-keys.js';
import { sealBytes } from '../../src/vault/age-stream.js';

/** What the console does with a recording, on files as the vault makes them. */

const RATE = 8000;
const own = (bytes: Buffer): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);
const sine = (hz: number, frame: number): number =>
  Math.round(8000 * Math.sin((2 * Math.PI * hz * frame) / RATE));

/** Two tones, one on each side; the left one ends halfway. */
const recording = (frames: number): Buffer => {
  const data = Buffer.alloc(4 * frames);
  for (let frame = 0; frame < frames; frame += 1) {
    data.writeInt16LE(frame < frames / 2 ? sine(440, frame) : 0, 4 * frame);
    data.writeInt16LE(sine(1000, frame), 4 * frame + 2);
  }
  return Buffer.concat([wavHeader(frames), data]);
};
const asPcm = (side: Float32Array): Int16Array => Int16Array.from(side, (sample) => sample * 32_768);

t.test('opened with the reader’s own key, and with no other', async (t) => {
  const [facility, escrow, stranger] = [makeIdentity(), makeIdentity(), makeIdentity()];
  // Several chunks of age, and one that is not whole.
  const plain = recording(40_000);
  const sealed = sealBytes(plain, [facility.identity.recipient, escrow.identity.recipient]);
  const told: number[] = [];
  for (const { text } of [facility, escrow]) {
    const opened = await openFile(own(sealed), identitiesIn(text), 1, (part) => void told.push(part));
    t.ok(Buffer.from(opened).equals(plain));
  }
  t.equal(Math.max(...told), 1);
  const twice = sealBytes(sealed, [escrow.identity.recipient]);
  const both = identitiesIn(`# escrow\n${escrow.text}\r\n\n${facility.text}\n`);
  t.equal(both.length, 2);
  t.ok(Buffer.from(await openFile(own(twice), both, 2)).equals(plain), 'sealed after its call');
  await t.rejects(openFile(own(twice), [facility.text], 2), { code: 'identity-unfit' });
  await t.rejects(openFile(own(sealed), [stranger.text], 1), { code: 'identity-unfit' });
  for (const at of [sealed.length - 1, sealed.length - 70_000, 60]) {
    const bent = own(sealed);
    bent[at] = (bent[at] ?? 0) ^ 1;
    await t.rejects(openFile(bent, [facility.text], 1), { name: 'PlaybackError' }, `byte ${at} changed`);
  }
  await t.rejects(
    openFile(own(sealed).subarray(0, -20), [facility.text], 1),
    { code: 'file-changed' },
    'cut',
  );
  await t.rejects(openFile(own(sealed).subarray(0, 65_800), [facility.text], 1), { code: 'file-changed' });
  await t.rejects(openFile(own(plain), [facility.text], 1), { code: 'file-changed' }, 'no age file at all');
  for (const text of ['', '# nothing', 'age1qqq', `${facility.text} `.repeat(2), 'AGE-PLUGIN-X-1QQ'])
    t.throws(() => identitiesIn(text), { code: 'identity-malformed' });
  await t.rejects(openFile(own(sealed), ['AGE-SECRET-KEY-1QQQQ'], 1), { code: 'identity-malformed' });
  t.equal(
    await sha256Hex(own(Buffer.from('abc'))),
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
});

t.test('what is heard is what was recorded, each side for itself', (t) => {
  const wav = readWav(own(recording(16_000)));
  t.match(wav, { rate: RATE, frames: 16_000 });
  const [left, right] = [asPcm(sideOf(wav, 0, 0, 8000)), asPcm(sideOf(wav, 1, 0, 8000))];
  t.ok(hears(left, 440) && !hears(left, 1000), 'the caller left');
  t.ok(hears(right, 1000) && !hears(right, 440), 'the called party right');
  t.ok(sideOf(wav, 0, 8000, 8000).every((sample) => sample === 0));
  const beyond = sideOf(wav, 1, 15_990, 100);
  t.equal(beyond.length, 100);
  t.ok(
    beyond.subarray(10).every((sample) => sample === 0),
    'silence after its end',
  );

  const peaks = peaksOf(wav, 0, 100);
  t.equal(peaks.length, 200);
  t.ok(Math.abs((peaks[1] ?? 0) - 8000 / 32_768) < 0.01, 'as loud as the tone');
  t.ok(
    peaks.subarray(100).every((peak) => peak === 0),
    'and nothing where nothing is',
  );
  const click = recording(16_000);
  click.writeInt16LE(-32_768, 44 + 4 * 12_345);
  t.equal(peaksOf(readWav(own(click)), 0, 100)[2 * 77], -1, 'one sample shows');
  const short = peaksOf(readWav(own(recording(10))), 1, 40);
  t.ok(short[79] !== 0, 'a recording shorter than its picture');
  t.ok(peaksOf(readWav(own(recording(0))), 0, 10).every((peak) => peak === 0));
  t.end();
});

t.test('files that are none of ours', (t) => {
  const good = recording(100);
  const changed = (at: number, value: number): Buffer => {
    const bytes = Buffer.from(good);
    bytes.writeUInt16LE(value, at);
    return bytes;
  };
  const wrong: Readonly<Record<string, Buffer>> = {
    nothing: Buffer.alloc(0),
    'a header that is cut': good.subarray(0, 40),
    'another format': changed(20, 7),
    'one channel': changed(22, 1),
    'eight bits': changed(34, 8),
    'a rate of nothing': Buffer.concat([good.subarray(0, 24), Buffer.alloc(4), good.subarray(28)]),
    'no sound': Buffer.concat([good.subarray(0, 36), Buffer.from('lost'), good.subarray(40)]),
    zeros: Buffer.alloc(5000),
  };
  for (const [name, bytes] of Object.entries(wrong))
    t.throws(() => readWav(own(bytes)), { code: 'wav-malformed' }, name);
  t.equal(readWav(own(good.subarray(0, 44 + 202))).frames, 50, 'cut: as much as is there');
  const odd = Buffer.concat([good.subarray(0, 36), Buffer.from('odd \u0001\0\0\0x\0'), good.subarray(36)]);
  t.same(readWav(own(odd)).samples, readWav(own(good)).samples, 'a chunk before it of an odd length');
  const shifted = new Uint8Array(good.length + 1);
  shifted.set(good, 1);
  t.same(readWav(shifted.subarray(1)).samples, readWav(own(good)).samples, 'on an odd place of memory');
  const endless = changed(40, 0);
  endless.writeUInt32LE(0xffff_ffff, 40);
  t.equal(readWav(own(endless)).frames, 100, 'a length beyond the file');
  t.end();
});
