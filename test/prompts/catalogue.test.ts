import { createHash } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parseCallerId, parseFacilityId } from '../../src/core/leg.js';
import { type Clip, languages, type PromptId, promptIds, prompts } from '../../src/core/prompt.js';
import { loadPrompts, ownPrompts } from '../../src/prompts/catalogue.js';
import { makeManifest } from '../../src/prompts/make-manifest.js';
import { PromptError, type PromptErrorCode } from '../../src/prompts/prompt-error.js';
import { readTexts } from '../../src/prompts/spoken-texts.js';

const prompt = (id: PromptId): Clip => ({ kind: 'prompt', id });
const name = (of: 'facility' | 'caller'): Clip => ({ kind: 'name', of });

const known = <T>(id: T | null): T => {
  if (id === null) throw new Error('the test names an id of a wrong shape');
  return id;
};
const facility = known(parseFacilityId('harbor-county'));
const caller = known(parseCallerId('C.1042'));

interface WavShape {
  readonly format?: number;
  readonly channels?: number;
  readonly rate?: number;
  readonly samples?: number;
  readonly byte?: number;
}

/** A WAV of one tone's worth of bytes, µ-law unless told otherwise. */
const wav = ({
  format = 7,
  channels = 1,
  rate = 8000,
  samples = 4000,
  byte = 0x90,
}: WavShape = {}): Buffer => {
  const head = Buffer.alloc(44);
  head.write('RIFF', 0, 'latin1');
  head.writeUInt32LE(36 + samples + (samples & 1), 4);
  head.write('WAVEfmt ', 8, 'latin1');
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(format, 20);
  head.writeUInt16LE(channels, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(rate * channels, 28);
  head.writeUInt16LE(channels, 32);
  head.writeUInt16LE(8, 34);
  head.write('data', 36, 'latin1');
  head.writeUInt32LE(samples, 40);
  return Buffer.concat([head, Buffer.alloc(samples, byte), Buffer.alloc(samples & 1)]);
};

const copy = (t: Test): string => {
  const directory = t.testdir({});
  cpSync(ownPrompts, directory, { recursive: true });
  return directory;
};

const refused = async (
  t: Test,
  directory: string,
  code: PromptErrorCode,
  file: string,
  what: string,
): Promise<void> => {
  const error = await loadPrompts({ directory }).then(
    () => null,
    (reason: unknown) => reason,
  );
  t.type(error, PromptError, what);
  if (error instanceof PromptError) t.same([error.code, error.file], [code, file], what);
};

t.test('the prompts that come with Sallyport are whole', async (t) => {
  const problems: PromptError[] = [];
  const catalogue = await loadPrompts({
    directory: ownPrompts,
    onProblem: (problem) => problems.push(problem),
  });
  t.same(problems, []);
  t.equal(catalogue.manifest.sounds.length, promptIds.length * languages.length);
  t.match(catalogue.version, /^[0-9a-f]{64}$/);
  const digests = new Map<string, PromptId>();
  for (const language of languages)
    for (const id of promptIds) {
      const [sound, ...more] = catalogue.sounds([prompt(id)], language, { facility, caller: null });
      t.same(more, []);
      t.equal(sound?.file, `${language}/${id}.wav`);
      // Read here in another way than the loader does: 8000 bytes of data a second after sox's 58 bytes of header.
      const bytes = readFileSync(join(ownPrompts, sound?.file ?? ''));
      const samples = bytes.readUInt32LE(54);
      t.equal(bytes.toString('latin1', 50, 54), 'data');
      t.ok(
        sound !== undefined && sound.ms >= samples / 8 && sound.ms < samples / 8 + 1,
        `${id} ${sound?.ms} ms`,
      );
      t.ok(bytes.length - 58 - samples <= 1, `${id} ends with its samples`);
      const { sha256 } = catalogue.spoken(id, language);
      t.equal(sha256, createHash('sha256').update(bytes).digest('hex'));
      const other = digests.get(sha256);
      t.ok(other === undefined || (id === 'hold-tone' && other === id), `${id} is no other prompt's sound`);
      digests.set(sha256, id);
    }
});

t.test('the words', async (t) => {
  const catalogue = await loadPrompts({ directory: ownPrompts });
  const texts = await readTexts(ownPrompts);
  const about = { en: /record|tape|monitor|listen|\bgrab/i, es: /grab|monitor|escuch|registr|vigil/i };
  const told = { en: 'will be recorded and may be monitored', es: 'será grabada y puede ser monitoreada' };
  const denied = { en: /not recorded and not monitored/g, es: /no es grabada ni es monitoreada/gi };
  for (const language of languages)
    for (const id of promptIds) {
      const { text } = catalogue.spoken(id, language);
      t.equal(text, texts[id][language], `${id} in ${language}: the manifest has the generator's words`);
      switch (prompts[id]) {
        case 'nothing':
          t.notMatch(text, about[language], `${id} in ${language} is silent about recording`);
          break;
        case 'recorded':
          t.ok(text.includes(told[language]), `${id} in ${language} tells of the recording`);
          t.notMatch(text, denied[language], `${id} in ${language}`);
          break;
        case 'not-recorded':
          t.match(text, denied[language], `${id} in ${language} says that nothing is recorded`);
          t.notMatch(
            text.replace(denied[language], ''),
            about[language],
            `${id} in ${language} says nothing else`,
          );
          break;
      }
    }
  for (const language of languages)
    for (const [toCaller, toCalled] of [
      ['told-recorded', 'notice-recorded'],
      ['told-private', 'notice-private'],
    ] as const)
      t.ok(
        texts[toCaller][language].startsWith(texts[toCalled][language].slice(0, -1)),
        `${toCaller} in ${language} begins with the words the called party heard`,
      );
  t.match(
    texts['menu-recorded'].en,
    /Para español, oprima ocho/,
    'who knows no English is told the key in Spanish',
  );
  t.match(texts['menu-recorded'].es, /For English, press 8/);
  t.notMatch(texts['menu-private'].en, /press 3/, 'there is nothing to claim on a private call');
});

t.test('a directory that is not whole is refused', async (t) => {
  const directory = copy(t);
  const at = (file: string): string => join(directory, file);
  const greeting = readFileSync(at('en/greeting.wav'));
  const manifest = readFileSync(at('manifest.json'), 'utf8');
  const tampered = Buffer.from(greeting);
  tampered.writeUInt8(tampered.readUInt8(9000) ^ 1, 9000);
  const streaming = Buffer.from(greeting);
  streaming.writeUInt32LE(0xffffffff, 4);
  const twice = Buffer.concat([wav(), wav().subarray(36)]);
  twice.writeUInt32LE(twice.length - 8, 4);

  const sounds: readonly [what: string, bytes: Buffer, code: PromptErrorCode][] = [
    ['one bit turned', tampered, 'prompt-corrupt'],
    ['another prompt in its place', readFileSync(at('en/wrong-key.wav')), 'prompt-corrupt'],
    ['cut by one byte', greeting.subarray(0, -1), 'prompt-truncated'],
    ['cut in the middle', greeting.subarray(0, 8000), 'prompt-truncated'],
    ['only a header', greeting.subarray(0, 30), 'prompt-truncated'],
    ['empty', Buffer.alloc(0), 'prompt-truncated'],
    ['longer than its header says', Buffer.concat([greeting, Buffer.alloc(2)]), 'prompt-truncated'],
    ['still being written', streaming, 'prompt-truncated'],
    ['A-law', wav({ format: 6 }), 'prompt-format'],
    ['PCM', wav({ format: 1 }), 'prompt-format'],
    ['stereo', wav({ channels: 2 }), 'prompt-format'],
    ['16 kHz', wav({ rate: 16_000 }), 'prompt-format'],
    ['no WAV', Buffer.alloc(5000, 'greeting'), 'prompt-format'],
    ['two data chunks', twice, 'prompt-format'],
    ['0.1 s', wav({ samples: 800 }), 'prompt-length'],
    ['61 s', wav({ samples: 61 * 8000 }), 'prompt-length'],
    ['larger than any prompt', wav({ samples: 600 * 8000 }), 'prompt-length'],
    ['silence', wav({ byte: 0xff }), 'prompt-silent'],
    ['a whisper of -40 dB', wav({ byte: 0xd8 }), 'prompt-silent'],
  ];
  for (const [what, bytes, code] of sounds) {
    writeFileSync(at('en/greeting.wav'), bytes);
    await refused(t, directory, code, 'en/greeting.wav', what);
  }
  rmSync(at('en/greeting.wav'));
  await refused(t, directory, 'prompt-missing', 'en/greeting.wav', 'no file');
  await t.rejects(makeManifest(directory), { code: 'prompt-missing' });
  mkdirSync(at('en/greeting.wav'));
  await refused(t, directory, 'prompt-unreadable', 'en/greeting.wav', 'a folder');
  rmSync(at('en/greeting.wav'), { recursive: true });
  writeFileSync(at('en/greeting.wav'), greeting);

  type Rows = { format: string; sounds: Record<string, unknown>[] };
  const manifests: readonly [
    what: string,
    edit: (read: Rows) => unknown,
    code: PromptErrorCode,
    file: string,
  ][] = [
    ['a row is gone', (m) => m.sounds.splice(3, 1), 'prompt-missing', 'en/pin-locked.wav'],
    ['a row twice', (m) => m.sounds.push({ ...m.sounds[5] }), 'prompt-duplicate', 'en/please-hold.wav'],
    ['an unknown id', (m) => m.sounds.push({ ...m.sounds[0], id: 'joke' }), 'prompt-unknown', 'en/joke.wav'],
    [
      'a path as an id',
      (m) => m.sounds.push({ ...m.sounds[0], id: '../../x' }),
      'prompt-unknown',
      'en/../../x.wav',
    ],
    [
      'an unknown language',
      (m) => m.sounds.push({ ...m.sounds[0], language: 'fr' }),
      'prompt-unknown',
      'fr/pin-ask.wav',
    ],
    [
      'another length',
      (m) => Object.assign(m.sounds[0] ?? {}, { ms: 1000 }),
      'prompt-length',
      'en/pin-ask.wav',
    ],
    [
      'another digest',
      (m) => Object.assign(m.sounds[0] ?? {}, { sha256: '0'.repeat(64) }),
      'prompt-corrupt',
      'en/pin-ask.wav',
    ],
    [
      'no text',
      (m) => Object.assign(m.sounds[0] ?? {}, { text: '' }),
      'manifest-unreadable',
      'manifest.json',
    ],
    [
      'a key too many',
      (m) => Object.assign(m.sounds[0] ?? {}, { x: 1 }),
      'manifest-unreadable',
      'manifest.json',
    ],
    ['another format', (m) => Object.assign(m, { format: '2' }), 'manifest-unreadable', 'manifest.json'],
  ];
  for (const [what, edit, code, file] of manifests) {
    const read = JSON.parse(manifest) as Rows;
    edit(read);
    writeFileSync(at('manifest.json'), JSON.stringify(read));
    await refused(t, directory, code, file, what);
  }
  for (const text of ['', '{', '[]', 'null', ' '.repeat(300_000)]) {
    writeFileSync(at('manifest.json'), text);
    await refused(t, directory, 'manifest-unreadable', 'manifest.json', JSON.stringify(text.slice(0, 5)));
  }
  rmSync(at('manifest.json'));
  await refused(t, directory, 'manifest-unreadable', 'manifest.json', 'no manifest');
});

t.test("an operator's own prompts", async (t) => {
  const directory = copy(t);
  const own = await loadPrompts({ directory: ownPrompts });
  const at = (file: string): string => join(directory, file);
  t.equal((await loadPrompts({ directory })).version, own.version, 'the version is of the content alone');
  writeFileSync(at('manifest.json'), JSON.stringify(own.manifest));
  t.equal((await loadPrompts({ directory })).version, own.version, 'however the file is laid out');

  const texts = JSON.parse(readFileSync(at('texts.json'), 'utf8')) as Record<string, Record<string, unknown>>;
  const written = (edited: unknown): void => writeFileSync(at('texts.json'), JSON.stringify(edited));
  written({ ...texts, greeting: { en: ['Hello.', { es: 'Hola.' }], es: 'Buenas tardes.' } });
  const manifest = await makeManifest(directory);
  const loaded = await loadPrompts({ directory });
  t.same(loaded.manifest, manifest);
  t.equal(loaded.spoken('greeting', 'en').text, 'Hello. Hola.');
  t.equal(loaded.spoken('greeting', 'es').text, 'Buenas tardes.');
  t.not(loaded.version, own.version, 'other words are another version');

  const { greeting: _, ...without } = texts;
  const unfit: readonly [texts: unknown, code: PromptErrorCode][] = [
    [without, 'prompt-missing'],
    [{ ...texts, greeting: { en: 'Hello.' } }, 'prompt-missing'],
    [{ ...texts, joke: { en: 'a', es: 'b' } }, 'prompt-unknown'],
    [{ ...texts, greeting: { en: 'Hello.', es: 'Hola.', fr: 'Salut.' } }, 'prompt-unknown'],
    [{ ...texts, greeting: { en: 'Hello.', es: ' ' } }, 'texts-unreadable'],
    [{ ...texts, greeting: { en: 'Hello.', es: [] } }, 'texts-unreadable'],
    [{ ...texts, greeting: { en: 'Hello.', es: [{ fr: 'Salut.' }] } }, 'texts-unreadable'],
    [{ ...texts, greeting: { en: 'Hello.', es: 7 } }, 'texts-unreadable'],
    [[], 'texts-unreadable'],
  ];
  for (const [edited, code] of unfit) {
    written(edited);
    await t.rejects(makeManifest(directory), { code });
  }
  t.same(
    (await loadPrompts({ directory })).manifest,
    manifest,
    'a failed attempt leaves the manifest as it was',
  );
});

t.test('recorded names', async (t) => {
  const directory = copy(t);
  for (const folder of ['names/facilities', 'names/callers'])
    mkdirSync(join(directory, folder), { recursive: true });
  const put = (file: string, bytes: Buffer): void => writeFileSync(join(directory, 'names', file), bytes);
  put('facilities/harbor-county.wav', wav({ samples: 8000 }));
  put('facilities/Harbor County.wav', wav());
  put('callers/C.1042.wav', wav({ samples: 4001 }));
  put('callers/7.wav', wav({ format: 6 }));
  put('callers/8.wav', wav({ samples: 81_000 }));
  put('callers/9.wav', wav().subarray(0, 2000));
  put('callers/10.wav', wav({ byte: 0x7f }));
  put('callers/11.wav', Buffer.alloc(500_000));
  put('callers/notes.txt', Buffer.from('x'));
  symlinkSync(join(directory, 'en', 'greeting.wav'), join(directory, 'names/callers/12.wav'));
  const problems: string[] = [];
  const catalogue = await loadPrompts({
    directory,
    onProblem: (problem) => problems.push(`${problem.code} ${problem.file}`),
  });
  const audit = [
    'name-unknown names/facilities/Harbor County.wav',
    'prompt-silent names/callers/10.wav',
    'prompt-length names/callers/11.wav',
    'prompt-unreadable names/callers/12.wav',
    'prompt-format names/callers/7.wav',
    'prompt-length names/callers/8.wav',
    'prompt-truncated names/callers/9.wav',
    'name-unknown names/callers/notes.txt',
  ];
  t.same(problems, audit);

  const clips = [
    prompt('greeting'),
    prompt('from-facility'),
    name('facility'),
    prompt('from-caller'),
    name('caller'),
  ];
  const files = (of: { facility: typeof facility; caller: typeof caller | null }): string[] =>
    catalogue.sounds(clips, 'es', of).map((sound) => sound.file);
  const named = catalogue.sounds(clips, 'es', { facility, caller });
  t.same(named.slice(2, 3), [{ file: 'names/facilities/harbor-county.wav', ms: 1000 }]);
  t.same(named.slice(4), [{ file: 'names/callers/C.1042.wav', ms: 501 }]);
  const generic = ['es/greeting.wav', 'es/from-facility.wav', 'es/from-caller.wav'];
  const elsewhere = known(parseFacilityId('elsewhere'));
  t.same(files({ facility: elsewhere, caller: null }), generic, 'a name nobody recorded is left out');
  for (const id of ['7', '8', '9', '10', '11', '12', '1042'])
    t.same(files({ facility: elsewhere, caller: parseCallerId(id) }), generic, `caller ${id}`);
  for (const id of ['../../en/greeting', '/etc/passwd', '', '..', 'C.1042\0'])
    t.same(files({ facility: elsewhere, caller: id as typeof caller }), generic, JSON.stringify(id));
  t.same(problems, audit, 'each is reported once');

  put('callers/7.wav', wav());
  t.same(files({ facility: elsewhere, caller: parseCallerId('7') }).slice(3), ['names/callers/7.wav']);
  put('callers/7.wav', wav({ rate: 16_000 }));
  t.same(files({ facility: elsewhere, caller: parseCallerId('7') }), generic, 'a name gone bad is left out');
  t.same(problems.slice(audit.length), ['prompt-format names/callers/7.wav']);
  rmSync(join(directory, 'names/callers/C.1042.wav'));
  t.same(files({ facility: elsewhere, caller }), generic);
  if (process.getuid?.() !== 0) {
    chmodSync(join(directory, 'names/facilities/harbor-county.wav'), 0);
    t.same(files({ facility, caller: null }), generic);
  }
});
