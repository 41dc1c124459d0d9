import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Language } from '../core/prompt.js';
import { causeOf, PromptError } from './prompt-error.js';
import { nameBounds } from './recorded-names.js';
import { soundMs } from './sound-bytes.js';

/** A program that is needed and not there. `install` names the Debian packages. */
export class VoiceMissing extends Error {
  readonly code = 'voice-missing';
  readonly program: string;
  readonly install: string;
  constructor(program: string, install: string) {
    super(`${program} is not installed`);
    this.name = 'VoiceMissing';
    this.program = program;
    this.install = install;
  }
}

/** Longer than any name takes. */
const programMs = 20_000;
const maxWords = 100;

interface Voice {
  readonly program: string;
  readonly install: string;
  readonly speak: (text: string, wav: string) => readonly string[];
  /** Effects of sox that make it as loud as the other voice. */
  readonly loudness: readonly string[];
}

/** The voices of config/prompts/make.sh, so that a name does not stand out of its sentence. */
const voices: Readonly<Record<Language, Voice>> = {
  en: {
    program: 'flite',
    install: 'flite sox',
    speak: (text, wav) => ['-voice', 'slt', '--setf', 'duration_stretch=1.08', '-f', text, '-o', wav],
    loudness: [],
  },
  es: {
    program: 'espeak-ng',
    install: 'espeak-ng sox',
    speak: (text, wav) => ['-v', 'es-419', '-s', '165', '-g', '1', '-f', text, '-w', wav],
    loudness: 'gain -n -1 compand 0.0005,0.03 -70,-70,-40,-20,-20,-9,0,-4'.split(' '),
  },
};

const run = (program: string, args: readonly string[], install: string, path: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const env = { PATH: path, HOME: tmpdir() };
    execFile(program, args, { env, timeout: programMs, maxBuffer: 65_536 }, (error) => {
      if (error === null) resolve();
      else if (causeOf(error) === 'ENOENT') reject(new VoiceMissing(program, install));
      // Its own words may repeat the name, which is a person's.
      else reject(new PromptError('name-unspoken', program, 'it failed, or took too long'));
    });
  });

/**
 * Speaks a name with a synthetic voice as a µ-law WAV of one channel at 8 kHz, and checks it as a recorded name is
 * checked when it is used. `path` is where programs are looked for. Rejects with VoiceMissing, or with PromptError.
 */
export const speakName = async (
  name: string,
  language: Language,
  path: string,
): Promise<{ readonly bytes: Buffer; readonly ms: number }> => {
  if (name.length > maxWords || !/\p{L}|\p{N}/u.test(name) || /[\p{C}\p{Zl}\p{Zp}]/u.test(name)) {
    throw new PromptError('name-unspoken', 'name', `it is not 1 to ${maxWords} characters that can be said`);
  }
  const { program, install, speak, loudness } = voices[language];
  const dir = await mkdtemp(join(tmpdir(), 'name-'));
  const file = (part: string): string => join(dir, part);
  try {
    await writeFile(file('name.txt'), `${name}\n`, { mode: 0o600 });
    await run(program, speak(file('name.txt'), file('raw.wav')), install, path);
    const trim = ['silence', '1', '0.02', '0.4%', 'reverse'];
    const cut = ['gain', '-6', 'rate', '-v', '8000', 'highpass', '120', ...loudness, ...trim, ...trim];
    const made = ['-D', file('raw.wav'), '-r', '8000', '-c', '1', '-b', '16', file('cut.wav'), ...cut];
    await run('sox', [...made, 'gain', '-n', '-3'], install, path);
    const coded = ['-D', file('cut.wav'), '-e', 'mu-law', '-b', '8', file('name.wav'), 'pad', '0.1', '0.1'];
    await run('sox', coded, install, path);
    const bytes = await readFile(file('name.wav'));
    return { bytes, ms: soundMs(bytes, 'name.wav', nameBounds) };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
};
