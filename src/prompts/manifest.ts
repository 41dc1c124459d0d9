import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { type Language, languages, type PromptId, promptIds } from '../core/prompt.js';
import { causeOf, PromptError } from './prompt-error.js';
import { maxBytes, type SoundBounds, soundMs } from './sound-bytes.js';
import { isLanguage, isPromptId, isRecord, readJson } from './spoken-texts.js';

export const MANIFEST_FILE = 'manifest.json';

/** Also says how every sound is stored, so that nobody has to guess years later. */
export const MANIFEST_FORMAT = 'sallyport-prompts-1: WAV, G.711 µ-law, 1 channel, 8000 Hz';

/** The longest prompt of ours has 20 seconds; nobody listens to a minute. */
export const promptBounds: SoundBounds = { minMs: 200, maxMs: 60_000 };

/** One prompt in one language. */
export interface ManifestSound {
  readonly id: PromptId;
  readonly language: Language;
  /** The words that are spoken. */
  readonly text: string;
  /** Of the whole file, hex. */
  readonly sha256: string;
  readonly ms: number;
}

export interface Manifest {
  readonly format: typeof MANIFEST_FORMAT;
  /** Every prompt in every language: languages and ids in the order of core/prompt.ts. */
  readonly sounds: readonly ManifestSound[];
}

export const soundFile = (id: PromptId, language: Language): string => `${language}/${id}.wav`;

/** Every prompt in every language, in the manifest's order. */
export const everySound: readonly { readonly id: PromptId; readonly language: Language }[] =
  languages.flatMap((language) => promptIds.map((id) => ({ id, language })));

/**
 * sha256 (hex) over the manifest with its rows in order, its keys in order and no spaces: independent of how the
 * file is laid out.
 */
export const versionOf = (manifest: Manifest): string => {
  const sounds = manifest.sounds.map(({ id, language, text, sha256, ms }) => [
    language,
    id,
    text,
    sha256,
    ms,
  ]);
  return createHash('sha256')
    .update(JSON.stringify([manifest.format, ...sounds]))
    .digest('hex');
};

const shaShape = /^[0-9a-f]{64}$/;
const rowKeys = 'id,language,ms,sha256,text';

const readRow = (row: unknown, at: number): ManifestSound => {
  const unreadable = (why: string): PromptError =>
    new PromptError('manifest-unreadable', MANIFEST_FILE, `row ${at + 1} ${why}`);
  if (!isRecord(row) || Object.keys(row).sort().join() !== rowKeys)
    throw unreadable(`does not have ${rowKeys}`);
  const { id, language, text, sha256, ms } = row;
  if (typeof id !== 'string' || typeof language !== 'string') throw unreadable('names no prompt');
  if (!isPromptId(id) || !isLanguage(language))
    throw new PromptError(
      'prompt-unknown',
      `${language}/${id}.wav`,
      'the manifest names it, Sallyport does not',
    );
  if (typeof text !== 'string' || text.trim() === '') throw unreadable('has no text');
  if (typeof sha256 !== 'string' || !shaShape.test(sha256)) throw unreadable('has no sha256');
  if (typeof ms !== 'number' || !Number.isInteger(ms)) throw unreadable('has no length');
  return { id, language, text, sha256, ms };
};

/** Reads the manifest, complete and without a row too many, in the order of `everySound`. Throws PromptError. */
export const readManifest = async (directory: string): Promise<Manifest> => {
  const read = await readJson(directory, MANIFEST_FILE, 'manifest-unreadable');
  if (!isRecord(read) || read.format !== MANIFEST_FORMAT || !Array.isArray(read.sounds))
    throw new PromptError('manifest-unreadable', MANIFEST_FILE, `it is not "${MANIFEST_FORMAT}"`);
  const rows = new Map<string, ManifestSound>();
  for (const [at, row] of (read.sounds as unknown[]).entries()) {
    const sound = readRow(row, at);
    const file = soundFile(sound.id, sound.language);
    if (rows.has(file)) throw new PromptError('prompt-duplicate', file, 'the manifest has two rows for it');
    rows.set(file, sound);
  }
  const sounds = everySound.map(({ id, language }) => {
    const file = soundFile(id, language);
    const row = rows.get(file);
    if (row === undefined) throw new PromptError('prompt-missing', file, 'the manifest has no row for it');
    return row;
  });
  return { format: MANIFEST_FORMAT, sounds };
};

/** Reads one sound whole. Throws PromptError: prompt-missing, prompt-unreadable, prompt-length. */
const readBytes = async (directory: string, file: string): Promise<Buffer> => {
  const most = maxBytes(promptBounds);
  try {
    const handle = await open(join(directory, file), 'r');
    try {
      const about = await handle.stat();
      if (!about.isFile()) throw new PromptError('prompt-unreadable', file, 'it is not a file');
      if (about.size > most) throw new PromptError('prompt-length', file, `more than ${most} bytes`);
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof PromptError) throw error;
    const cause = causeOf(error);
    if (cause === 'ENOENT') throw new PromptError('prompt-missing', file, 'there is no such file');
    throw new PromptError('prompt-unreadable', file, cause);
  }
};

/** Reads one prompt's sound and says what it is: its sha256 and its length. Throws PromptError. */
export const readSound = async (
  directory: string,
  { id, language }: { readonly id: PromptId; readonly language: Language },
): Promise<{ readonly sha256: string; readonly ms: number }> => {
  const file = soundFile(id, language);
  const bytes = await readBytes(directory, file);
  const ms = soundMs(bytes, file, promptBounds);
  return { sha256: createHash('sha256').update(bytes).digest('hex'), ms };
};
