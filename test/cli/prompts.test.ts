import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { promptsCheck, promptsList, promptsManifest } from '../../src/cli/prompts.js';
import { languages, promptIds } from '../../src/core/prompt.js';
import { everySound, soundFile } from '../../src/prompts/manifest.js';
import { inProcess, Terminal } from './terminal.js';

t.setTimeout(60_000);

/** Half a second of a loud µ-law square wave. */
const sound = (): Buffer => {
  const data = Buffer.alloc(4000, Buffer.from([0x80, 0x80, 0x80, 0x80, 0x00, 0x00, 0x00, 0x00]));
  const head = Buffer.alloc(44);
  head.write('RIFF', 0, 'latin1');
  head.writeUInt32LE(36 + data.length, 4);
  head.write('WAVEfmt ', 8, 'latin1');
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(7, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(8000, 24);
  head.writeUInt32LE(8000, 28);
  head.writeUInt16LE(1, 32);
  head.writeUInt16LE(8, 34);
  head.write('data', 36, 'latin1');
  head.writeUInt32LE(data.length, 40);
  return Buffer.concat([head, data]);
};

/** A folder with every sound and its words, and no manifest. */
const folder = (t: Test): string => {
  const dir = mkdtempSync(join(tmpdir(), 'prompts-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  for (const language of languages) mkdirSync(join(dir, language));
  for (const { id, language } of everySound) writeFileSync(join(dir, soundFile(id, language)), sound());
  const words = (id: string) =>
    Object.fromEntries(languages.map((language) => [language, `Words of ${id} in ${language}.`]));
  writeFileSync(
    join(dir, 'texts.json'),
    JSON.stringify(Object.fromEntries(promptIds.map((id) => [id, words(id)]))),
  );
  return dir;
};

const count = promptIds.length * languages.length;

t.test('a folder becomes a catalogue by its manifest, and stays one while no byte changes', async (t) => {
  const dir = folder(t);
  const none = await inProcess((terminal) => promptsCheck(dir, false, terminal));
  t.same([none.code, none.out], [2, '']);
  t.match(none.err, /holds no manifest\.json.* sallyport prompts manifest \/.* \[manifest-unreadable\]/);

  const made = await inProcess((terminal) => promptsManifest(dir, false, terminal));
  t.equal(made.code, 0);
  t.match(
    made.out,
    new RegExp(`^prompts  ${dir}\nversion  [0-9a-f]{64}\nsounds   ${count}: .*\nwritten: ${dir}/`),
  );
  const version = /version {2}([0-9a-f]{64})/.exec(made.out)?.[1];

  // As an operator types it, once: the commands are registered.
  const checked = await new Terminal(['prompts', 'check', dir]).done;
  t.same(checked, {
    code: 0,
    out: `prompts  ${dir}
version  ${version}
sounds   ${count}: ${promptIds.length} prompts in en, es, ${Math.round(count / 2)} s in all
sound: every prompt is there, and is what the manifest says
`,
    err: '',
  });
  const json = await inProcess((terminal) => promptsCheck(dir, true, terminal));
  t.same(JSON.parse(json.out), { ok: true, version, sounds: count, ms: count * 500, names: [] });

  const listed = (await inProcess((terminal) => promptsList(dir, false, terminal))).out.trim().split('\n');
  t.equal(listed.length, count + 1);
  t.match(listed[0], /^prompt +language +ms +words$/);
  t.ok(listed.some((line) => /^greeting +es +500 +Words of greeting in es\.$/.test(line)));
  const rows = await inProcess((terminal) => promptsList(dir, true, terminal));
  t.same((JSON.parse(rows.out) as { sounds: unknown[] }).sounds[0], {
    id: promptIds[0],
    language: 'en',
    ms: 500,
    text: `Words of ${promptIds[0]} in en.`,
  });
});

t.test('what is wrong is named; a bad name costs the name, a bad prompt the catalogue', async (t) => {
  const dir = folder(t);
  await inProcess((terminal) => promptsManifest(dir, true, terminal));
  mkdirSync(join(dir, 'names', 'callers'), { recursive: true });
  writeFileSync(join(dir, 'names', 'callers', '4711.wav'), sound());
  writeFileSync(join(dir, 'names', 'callers', 'b ad.wav'), sound());
  const names = await inProcess((terminal) => promptsCheck(dir, false, terminal));
  t.equal(names.code, 0);
  t.match(
    names.out,
    /\nleft out {2}names\/callers\/b ad\.wav: .* \[name-unknown\]\nsound: every prompt is there; 1 /,
  );
  t.notMatch(names.out, /4711/);

  truncateSync(join(dir, 'es', 'greeting.wav'), 900);
  const before = readFileSync(join(dir, 'manifest.json'), 'utf8');
  for (const command of [promptsCheck, promptsList]) {
    const cut = await inProcess((terminal) => command(dir, false, terminal));
    t.same([cut.code, cut.out], [2, '']);
    t.match(
      cut.err,
      /cannot be spoken: es\/greeting\.wav: .*; the controller would refuse to start \[prompt-trunc/,
    );
  }
  const json = await inProcess((terminal) => promptsCheck(dir, true, terminal));
  t.match(JSON.parse(json.out), { ok: false, code: 'prompt-truncated', file: 'es/greeting.wav' });
  const made = await inProcess((terminal) => promptsManifest(dir, false, terminal));
  t.same([made.code, made.out], [2, '']);
  t.match(made.err, /no manifest was written: es\/greeting\.wav/);
  t.equal(readFileSync(join(dir, 'manifest.json'), 'utf8'), before, 'the manifest is as it was');
});
