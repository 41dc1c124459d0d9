import { chmodSync, cpSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { languages, promptIds } from '../../src/core/prompt.js';
import type { BencodeDict } from '../../src/media/bencode.js';
import { NgSocket } from '../../src/media/ng-socket.js';
import { encodeG711 } from '../../src/phones/g711.js';
import { Recogniser } from '../../src/phones/recognise.js';
import { openRtp } from '../../src/phones/rtp.js';
import { readWav } from '../../src/phones/wav.js';
import { loadPrompts, ownPrompts } from '../../src/prompts/catalogue.js';
import { startRtpengine } from '../../src/stack/rtpengine.js';

const sdp = (port: number): string =>
  [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    `m=audio ${port} RTP/AVP 0`,
    '',
  ].join('\r\n');

t.test('a media node plays the sounds byte for byte, and a phone knows what it heard', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'sallyport-played-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  // The node runs as a user of its own, which may not read this project.
  chmodSync(dir, 0o755);
  const directory = join(dir, 'prompts');
  cpSync(ownPrompts, directory, { recursive: true });
  const catalogue = await loadPrompts({ directory });
  const node = await startRtpengine({ kind: 'private', dir, name: 'played', portCount: 16 });
  t.teardown(() => node.stop());
  const ng = new NgSocket({
    node: 'played',
    host: node.ng.host,
    port: node.ng.port,
    deadlineMs: 5000,
    emit: () => undefined,
  });
  t.teardown(() => ng.close());
  const ask = async (message: BencodeDict): Promise<BencodeDict> => {
    const reply = await ng.ask({ 'call-id': 'played', 'from-tag': 'caller', ...message });
    t.equal(reply.result, 'ok', `${String(message.command)}: ${String(reply['error-reason'] ?? 'ok')}`);
    return reply;
  };

  const phone = await openRtp({ keepMs: 30_000 });
  t.teardown(() => phone.close());
  await ask({ command: 'offer', sdp: sdp(phone.port) });
  // A placeholder stands in for the called party: the caller can be spoken to before anybody is dialled.
  await ask({ command: 'answer', 'to-tag': 'called', sdp: sdp(9) });
  const said = [
    ['you-accepted', 'en'],
    ['wrong-key', 'es'],
  ] as const;
  for (const [id, language] of said) {
    const file = join(directory, language, `${id}.wav`);
    const { ms } = catalogue.spoken(id, language);
    const from = phone.mark();
    const { duration } = await ask({ command: 'play media', file });
    const started = performance.now();
    t.ok(
      typeof duration === 'number' && Math.abs(duration - ms) <= 1,
      `${duration} ms, the manifest says ${ms}`,
    );
    // The last packet is only as long as what is left for it, and may not be sent: less than 20 ms of quiet.
    const length = Math.floor((ms * 8) / 160) * 160;
    // The node is up to a tenth of a second ahead of the time, and what it plays next begins at its own time: the
    // end of a sound is reached after its length, not with its last packet.
    await t.resolves(untilHeard(() => phone.mark() - from >= length && performance.now() - started >= ms));
  }

  const candidates = languages.flatMap((language) =>
    promptIds.map((id) => {
      const [samples] = readWav(readFileSync(join(directory, language, `${id}.wav`))).channels;
      return { name: `${language}/${id}`, samples: samples ?? new Int16Array(0) };
    }),
  );
  const heard = phone.samples();
  const recognised = new Recogniser(candidates).recogniseAll(heard);
  t.same(
    recognised.map(({ name, whole }) => [name, whole]),
    said.map(([id, language]) => [`${language}/${id}`, true]),
  );
  for (const { name, atMs } of recognised) {
    const own = candidates.find((one) => one.name === name)?.samples ?? new Int16Array(0);
    const there = heard.subarray(Math.round(atMs * 8)).subarray(0, own.length - 160);
    t.same(
      Buffer.from(encodeG711('PCMU', there)).equals(encodeG711('PCMU', own.subarray(0, there.length))),
      true,
      `${name}: every sample as in the file`,
    );
  }
});

/** Polls, as packets come every 20 ms, for at most 20 seconds. */
async function untilHeard(enough: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!enough()) {
    if (performance.now() > deadline) throw new Error('the sound was not heard to its end');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
