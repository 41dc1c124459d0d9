import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { promptsCheck, promptsList, promptsManifest, promptsName } from '../../src/cli/prompts.js';
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

/** Programs under these names that write these sounds where the real ones would, for machines without a voice. */
const voicesOf = (t: Test, made: Buffer): string => {
  const dir = mkdtempSync(join(tmpdir(), 'voices-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, 'made.wav'), made);
  const program = (name: string, script: string): void => {
    writeFileSync(join(dir, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(dir, name), 0o755);
  };
  const last = 'for last in "$@"; do :; done';
  // The text must have come in a file: what a person is called is not for everybody's process list.
  program('flite', `${last}; case "$*" in *Doe*) exit 1;; esac; echo "$*" >'${dir}/said'; : >"$last"`);
  program('espeak-ng', `${last}; : >"$last"`);
  program(
    'sox',
    `for one in "$@"; do case "$one" in *.wav) out=$one;; esac; done; cat '${dir}/made.wav' >"$out"`,
  );
  return dir;
};

t.test('a name is spoken, checked as one that was recorded, and never overwritten', async (t) => {
  const silent = sound().fill(0xff, 44);
  const dir = mkdtempSync(join(tmpdir(), 'names-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const out = join(dir, '4711.wav');
  const name = (words: string, flags: { language?: string; path?: string; out?: string }, json = false) =>
    inProcess((terminal) => promptsName(words, { language: 'en', out, ...flags }, json, terminal));
  const path = `${voicesOf(t, sound())}:/bin:/usr/bin`;
  for (const [language, install] of [
    ['en', 'flite sox'],
    ['es', 'espeak-ng sox'],
  ] as const) {
    const none = await name('Alex Doe', { language, path: dir });
    t.equal(none.code, 1);
    t.match(none.err, new RegExp(`is not installed; apt-get install ${install}, or .* \\[voice-missing\\]`));
  }
  for (const [words, flags, code] of [
    ['Alex Doe', { language: 'fr' }, 'language-unknown'],
    ['', {}, 'name-unspoken'],
    ['…', {}, 'name-unspoken'],
    ['Alex\u001b[2J', {}, 'name-unspoken'],
    ['x'.repeat(101), {}, 'name-unspoken'],
    ['Alex Doe', { path: `${voicesOf(t, silent)}:/bin:/usr/bin` }, 'prompt-silent'],
    ['Alex Doe', { path: `${voicesOf(t, sound().subarray(0, 300))}:/bin:/usr/bin` }, 'prompt-truncated'],
  ] as const) {
    const wrong = await name(words, { path, ...flags });
    t.ok(wrong.code === 2 && wrong.err.endsWith(`[${code}]\n`), `${code}: ${wrong.err.trim()}`);
    t.notOk(existsSync(out), 'nothing is written');
  }
  t.same(await name('Alex Doe', { path }), {
    code: 0,
    out: `written: ${out}, 500 ms; listen to it\n`,
    err: '',
  });
  t.same(readFileSync(out), sound());
  t.match(await name('Alex Doe', { path }), { code: 2, err: /not overwritten \[file-exists\]/ });
  t.match(await name('Ana', { path, language: 'es', out: join(dir, '4712.wav') }, true), {
    out: '{"ok":true,"ms":500}\n',
  });
  t.match(await name('Ana', { path, out: join(dir, 'none', 'a.wav') }), {
    code: 1,
    err: /\[file-unwritable\]/,
  });
});

const voices = ['flite', 'espeak-ng', 'sox'].every((one) => existsSync(`/usr/bin/${one}`));
t.test(
  'with the voices themselves',
  { skip: !voices && 'flite, espeak-ng and sox are not here' },
  async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'names-'));
    t.teardown(() => rmSync(dir, { recursive: true }));
    for (const [words, language] of [
      ['Alex Doe', 'en'],
      ['Ana María Núñez', 'es'],
    ] as const) {
      const out = join(dir, `${language}.wav`);
      const made = await inProcess((terminal) => promptsName(words, { language, out }, true, terminal));
      t.equal(made.code, 0, made.err);
      const { ms } = JSON.parse(made.out);
      t.ok(ms > 500 && ms < 3000, `${words}: ${ms} ms`);
    }
  },
);
