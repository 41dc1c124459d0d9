import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  type DecryptOptions,
  recordingsDecrypt,
  recordingsList,
  recordingsShow,
} from '../../src/cli/recordings.js';
import { readJournal } from '../../src/journal/read.js';
import { verifyJournal } from '../../src/journal/verify.js';
import { storeOf } from '../../src/open-vault.js';
import { heardMs } from '../../src/phones/goertzel.js';
import { readWav } from '../../src/phones/wav.js';
import { inProcess, Terminal } from '../cli/terminal.js';
import { bothHear, converse, hangUp } from '../site/conversation.js';
import { openSite, type Site } from '../site/site.js';

t.setTimeout(180_000);

const monitored = '2125550142';
const privileged = '12125550111';

const filesUnder = (dir: string): readonly string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/** Files of the site, spools too, that hold any of these bytes. */
const holding = (site: Site, needles: readonly Buffer[]): readonly string[] =>
  [site.dir, ...site.local.recorded.flatMap(({ spool }) => spool ?? [])]
    .flatMap(filesUnder)
    .filter((file) => needles.some((needle) => readFileSync(file).includes(needle)));

const rowsIn = async (dir: string) => {
  const rows: { kind: string; body: Record<string, unknown> }[] = [];
  for await (const { kind, body } of readJournal(dir)) rows.push({ kind, body });
  return rows.filter(({ kind }) => kind.startsWith('recording-'));
};

t.test('what was said is nowhere in plain, and opens only with a key and a reason', async (t) => {
  const site = await openSite(t);
  site.called.answerWith({ do: 'answer', ring: {}, afterMs: 50 });
  const talk = await converse(site, monitored);
  await bothHear(t, talk, 'first', 1000);
  const spool = site.local.recorded[0]?.spool ?? '';
  const [name = ''] = readdirSync(join(spool, 'pcaps'));
  const pcap = readFileSync(join(spool, 'pcaps', name));
  // 1000 Hz are eight µ-law samples that repeat: whatever recorded it holds these.
  const ulaw = pcap.subarray(pcap.length - 60, pcap.length - 28);
  t.equal(holding(site, [ulaw]).length, 1, 'the looking sees it while it is in the spool');
  const cdr = await hangUp(site, talk);
  t.match(cdr.spool, {
    state: 'recording-finished',
    removedFromSpool: 2,
    keys: ['demo-facility', 'demo-escrow'],
  });
  const wav = site.opened(cdr.spool.file);
  const [left = new Int16Array(), right = new Int16Array()] = readWav(wav).channels;
  t.ok(
    heardMs(left, 440) >= 200 && heardMs(right, 1000) >= 200,
    'with the key it is all there, each in its channel',
  );
  const middle = 44 + 4 * Math.floor((wav.length - 44) / 8);
  const needles = [ulaw, wav.subarray(middle, middle + 64), wav.subarray(middle - 4000, middle - 3936)];
  t.same(holding(site, needles), [], 'and nowhere else');
  t.equal(holding(site, [Buffer.from('age-encryption.org/v1')]).length, 1, 'but encrypted');

  const desk = (terminal: Parameters<Parameters<typeof inProcess>[0]>[0], json = false) => ({
    store: storeOf(site.config),
    json,
    terminal,
  });
  const list = await inProcess((terminal) => recordingsList(desk(terminal), {}));
  t.match(list.out, new RegExp(`${talk.callId} .* north .* yes +- +demo-facility,demo-escrow`));
  const show = await inProcess((terminal) => recordingsShow(talk.callId.slice(0, 8), desk(terminal, true)));
  t.match(JSON.parse(show.out), { callId: talk.callId, manifestSha256: cdr.spool.manifestSha256 });
  t.notMatch(show.out, /BEGIN AGE/);

  const { readings } = site.config.recording.vault;
  const out = join(site.dir, 'out');
  mkdirSync(out);
  const { facility } = site.local.identities;
  const options = (more: Partial<DecryptOptions>): DecryptOptions => ({
    ...{ id: talk.callId, identity: [facility], by: 'alice', why: 'case 7', out, readings },
    journal: site.config.journal.directory,
    custody: null,
    ...more,
  });
  const decrypt = (more: Partial<DecryptOptions>) =>
    inProcess((terminal) => recordingsDecrypt(options(more), desk(terminal)));
  const refused = async (what: string, code: string, more: Partial<DecryptOptions>): Promise<void> => {
    const run = await decrypt(more);
    t.match(run, { code: Number, err: new RegExp(`\\[${code}\\]`) }, what);
    t.not(run.code, 0);
    t.same(readdirSync(out), [], `${what}: nothing is decrypted`);
  };
  await refused('no reason', 'why-invalid', { why: ' ' });
  await refused('nobody', 'by-invalid', { by: '' });
  await refused('no such call', 'recording-unknown', { id: 'cxxxxxx' });
  await refused('no key', 'key-unreadable', { identity: [join(site.dir, 'none')] });
  t.same(readdirSync(site.dir).includes('readings'), false, 'none of these came to a reading');
  chmodSync(facility, 0o644);
  await refused('a key others can read', 'identity-exposed', {});
  chmodSync(facility, 0o600);
  writeFileSync(join(site.dir, 'file'), '');
  await refused('no journal, no reading', 'journal-write-failed', { readings: join(site.dir, 'file') });
  const elsewhere = join(site.dir, 'forged-journal');
  mkdirSync(elsewhere);
  const segments = readdirSync(site.config.journal.directory).filter((name) => name.endsWith('.jsonl'));
  t.ok(segments.length > 0);
  for (const name of segments) {
    const text = readFileSync(join(site.config.journal.directory, name), 'utf8');
    writeFileSync(join(elsewhere, name), text.replaceAll(cdr.spool.manifestSha256, '0'.repeat(64)));
  }
  await refused('another recording than the journal has', 'recording-changed', { journal: elsewhere });

  // The command line as a person types it.
  const dirs = ['--directory', site.config.recording.directory, '--readings', readings];
  const words = ['recordings', 'decrypt', talk.callId, ...dirs, '--identity', facility, '--out', out];
  const without = await new Terminal(words).done;
  t.match(without, { code: 2, err: /--why/ });
  const run = await new Terminal([...words, '--why', 'case 7', '--journal', site.config.journal.directory])
    .done;
  t.match(run, { code: 0, out: /decrypted .*\.wav\ngenuine {3}/, err: '' });
  t.ok(readFileSync(join(out, `${talk.callId}.wav`)).equals(wav), 'byte for byte what age decrypts');
  t.same(readdirSync(out), [`${talk.callId}.wav`]);

  const rows = await rowsIn(readings);
  const read = { callId: talk.callId, facility: 'north', sealed: false, by: 'alice', why: 'case 7' };
  t.match(
    rows.map(({ kind, body }) => (kind === 'recording-read' ? body : body.outcome)),
    [read, 'recording-changed', { ...read, manifestSha256: cdr.spool.manifestSha256 }, 'decrypted'],
    'each reading is journalled before it, and how it ended',
  );
  t.equal((await verifyJournal(readings)).ok, true);
});

t.test('a facility without a key: not recorded, so not connected; private calls are', async (t) => {
  const site = await openSite(t, {
    overlay: (config) => ({
      ...config,
      recording: {
        ...config.recording,
        vault: { ...config.recording.vault, facilities: { north: [] } },
      },
    }),
  });
  site.called.answerWith({ do: 'answer', ring: {}, afterMs: 50 });
  const call = await site.call(monitored);
  await call.ended();
  await site.ended(1);
  t.equal(call.final?.status, 503);
  const cdr = await site.cdr(site.callIds()[0] ?? '');
  t.match(cdr, { verdict: 'monitored', ending: 'recording-unproved', armed: null });
  t.match(JSON.stringify(cdr), /no-recording-key/);
  t.equal(site.called.invites.length, 0, 'nobody was dialled');
  t.same(site.watch.named(site.callIds()[0] ?? ''), [], 'and nothing of it was ever on a disk');
  const talk = await converse(site, privileged);
  await bothHear(t, talk, 'all the same');
  t.match(await hangUp(site, talk), { verdict: 'private', spool: { state: 'nothing-found' } });
});

t.test('a vault that is full: said, and refused', async (t: Test) => {
  const site = await openSite(t, {
    overlay: (config) => {
      const { vault } = config.recording;
      return { ...config, recording: { ...config.recording, vault: { ...vault, minFreeMegabytes: 1e9 } } };
    },
    controller: false,
  });
  await site.start({ ready: false });
  await site.event('alarm', ({ detail }) => detail === 'vault: vault-full');
  await site.until('the lists are armed', () => site.sallyport.lists.armed().armed);
  site.called.answerWith({ do: 'answer', ring: {}, afterMs: 50 });
  const call = await site.call(monitored);
  await call.ended();
  t.equal(call.final?.status, 503);
  t.equal(site.called.invites.length, 0);
});
