import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Language, languages, type PromptId, promptIds } from '../core/prompt.js';
import { causeOf, PromptError } from './prompt-error.js';

export const TEXTS_FILE = 'texts.json';

/** Both JSON files hold a few sentences a prompt: 256 KiB is many times what they need. */
const MAX_JSON_BYTES = 256 * 1024;

/** The words of every prompt in every language. */
export type SpokenTexts = Readonly<Record<PromptId, Readonly<Record<Language, string>>>>;

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const isLanguage = (name: string): name is Language => (languages as readonly string[]).includes(name);
export const isPromptId = (name: string): name is PromptId => (promptIds as readonly string[]).includes(name);

/** Reads one of the directory's JSON files, bounded. */
export const readJson = async (
  directory: string,
  file: string,
  code: 'manifest-unreadable' | 'texts-unreadable',
): Promise<unknown> => {
  const path = join(directory, file);
  try {
    const { size } = await stat(path);
    if (size > MAX_JSON_BYTES)
      throw new PromptError(code, file, `${size} bytes are more than ${MAX_JSON_BYTES}`);
    return JSON.parse(await readFile(path, 'utf8')) as unknown;
  } catch (error) {
    if (error instanceof PromptError) throw error;
    throw new PromptError(code, file, error instanceof SyntaxError ? 'it is not JSON' : causeOf(error));
  }
};

/**
 * The words of one prompt: a sentence, or pieces of which those in another language are marked with it, as in
 * ["To accept, press 1.", {"es": "Para español, oprima ocho."}].
 */
const wordsOf = (value: unknown, where: string): string => {
  const pieces = Array.isArray(value) ? (value as unknown[]) : [value];
  const words = pieces.map((piece) => {
    if (typeof piece === 'string') return piece;
    const entries = isRecord(piece) ? Object.entries(piece) : [];
    const [language, text] = entries[0] ?? [];
    if (entries.length !== 1 || language === undefined || !isLanguage(language) || typeof text !== 'string')
      throw new PromptError('texts-unreadable', TEXTS_FILE, `${where} is neither a text nor pieces of text`);
    return text;
  });
  if (words.length === 0 || words.some((text) => text.trim() === ''))
    throw new PromptError('texts-unreadable', TEXTS_FILE, `${where} is empty`);
  return words.join(' ');
};

/** The words of texts.json, complete: every prompt in every language and nothing else. Throws PromptError. */
export const readTexts = async (directory: string): Promise<SpokenTexts> => {
  const read = await readJson(directory, TEXTS_FILE, 'texts-unreadable');
  if (!isRecord(read)) throw new PromptError('texts-unreadable', TEXTS_FILE, 'it is not an object');
  for (const id of Object.keys(read))
    if (!isPromptId(id)) throw new PromptError('prompt-unknown', TEXTS_FILE, `there is no prompt "${id}"`);
  const rows = promptIds.map((id) => {
    const spoken = read[id];
    if (!isRecord(spoken)) throw new PromptError('prompt-missing', TEXTS_FILE, `no texts for ${id}`);
    for (const language of Object.keys(spoken))
      if (!isLanguage(language))
        throw new PromptError('prompt-unknown', TEXTS_FILE, `${id}: there is no language "${language}"`);
    const texts = languages.map((language) => {
      if (spoken[language] === undefined)
        throw new PromptError('prompt-missing', TEXTS_FILE, `no text for ${id} in ${language}`);
      return [language, wordsOf(spoken[language], `${id} in ${language}`)] as const;
    });
    return [id, Object.fromEntries(texts)] as const;
  });
  return Object.fromEntries(rows) as unknown as SpokenTexts;
};
