import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { languages, promptIds } from '../core/prompt.js';
import { type Catalogue, loadPrompts } from '../prompts/catalogue.js';
import { makeManifest } from '../prompts/make-manifest.js';
import { MANIFEST_FILE, type Manifest, versionOf } from '../prompts/manifest.js';
import { causeOf, PromptError } from '../prompts/prompt-error.js';
import { speakName, VoiceMissing } from '../prompts/speak-name.js';
import { CommandError, columns, type Terminal } from './output.js';

/** A problem without its code in front, which is printed at the end. */
const sentence = (error: PromptError): string => error.message.replace(`${error.code}: `, '');

const unusable = (error: unknown, directory: string): unknown => {
  if (
    error instanceof PromptError &&
    error.code === 'manifest-unreadable' &&
    error.message.endsWith('ENOENT')
  )
    return new CommandError(
      error.code,
      `${directory} holds no ${MANIFEST_FILE}, so it is no folder of prompts yet; make it one with: sallyport prompts manifest ${directory}`,
      2,
    );
  if (error instanceof PromptError)
    return new CommandError(
      error.code,
      `the prompts in ${directory} cannot be spoken: ${sentence(error)}; the controller would refuse to start`,
      2,
    );
  return error;
};

const load = async (directory: string, problems: PromptError[] = []): Promise<Catalogue> =>
  loadPrompts({ directory, onProblem: (problem) => problems.push(problem) });

const totalMs = (manifest: Manifest): number => manifest.sounds.reduce((sum, sound) => sum + sound.ms, 0);

const summary = (directory: string, manifest: Manifest): string =>
  columns([
    ['prompts', directory],
    ['version', versionOf(manifest)],
    [
      'sounds',
      `${manifest.sounds.length}: ${promptIds.length} prompts in ${languages.join(', ')}, ${Math.round(totalMs(manifest) / 1000)} s in all`,
    ],
  ]);

/** `prompts check`: proves every sound as the controller does before it starts. Exit code 2 where one is not sound. */
export const promptsCheck = async (directory: string, json: boolean, terminal: Terminal): Promise<void> => {
  const problems: PromptError[] = [];
  try {
    const { manifest, version } = await load(directory, problems);
    const names = problems.map((one) => ({ code: one.code, file: one.file, message: sentence(one) }));
    if (json) {
      terminal.out(
        JSON.stringify({ ok: true, version, sounds: manifest.sounds.length, ms: totalMs(manifest), names }),
      );
      return;
    }
    terminal.out(summary(directory, manifest));
    for (const problem of problems) terminal.out(`left out  ${sentence(problem)} [${problem.code}]`);
    terminal.out(
      problems.length === 0
        ? 'sound: every prompt is there, and is what the manifest says'
        : `sound: every prompt is there; ${problems.length} recorded name(s) cannot be spoken and are left out`,
    );
  } catch (error) {
    if (json && error instanceof PromptError)
      terminal.out(
        JSON.stringify({ ok: false, code: error.code, file: error.file, message: sentence(error) }),
      );
    throw unusable(error, directory);
  }
};

/** `prompts list`: what can be said, in which words. */
export const promptsList = async (directory: string, json: boolean, terminal: Terminal): Promise<void> => {
  try {
    const { sounds } = (await load(directory)).manifest;
    if (json) {
      terminal.out(
        JSON.stringify({ sounds: sounds.map(({ id, language, ms, text }) => ({ id, language, ms, text })) }),
      );
      return;
    }
    terminal.out(
      columns([
        ['prompt', 'language', 'ms', 'words'],
        ...sounds.map(({ id, language, ms, text }) => [id, language, String(ms), text]),
      ]),
    );
  } catch (error) {
    throw unusable(error, directory);
  }
};

/** `prompts manifest`: vouches for the sounds of a directory. */
export const promptsManifest = async (
  directory: string,
  json: boolean,
  terminal: Terminal,
): Promise<void> => {
  let manifest: Manifest;
  try {
    manifest = await makeManifest(directory);
  } catch (error) {
    if (error instanceof PromptError)
      throw new CommandError(error.code, `no manifest was written: ${sentence(error)}`, 2);
    const file = join(directory, MANIFEST_FILE);
    throw new CommandError('manifest-unwritable', `${file} cannot be written (${causeOf(error)})`);
  }
  if (json) {
    terminal.out(JSON.stringify({ version: versionOf(manifest), sounds: manifest.sounds.length }));
    return;
  }
  terminal.out(summary(directory, manifest));
  terminal.out(
    `written: ${join(directory, MANIFEST_FILE)}. It says that each sound speaks its words in texts.json: listen to them`,
  );
};

export interface NameFlags {
  readonly language: string;
  readonly out: string;
  /** Where programs are looked for; default the environment's. */
  readonly path?: string;
}

/** `prompts name`: a recorded name in a synthetic voice. Never overwrites: it could be a person's own voice. */
export const promptsName = async (
  name: string,
  { language: spoken, out, path = process.env.PATH ?? '' }: NameFlags,
  json: boolean,
  terminal: Terminal,
): Promise<void> => {
  const language = languages.find((one) => one === spoken);
  if (language === undefined) {
    throw new CommandError('language-unknown', `names are spoken in ${languages.join(' and ')}`, 2);
  }
  try {
    const { bytes, ms } = await speakName(name, language, path);
    await writeFile(out, bytes, { flag: 'wx' });
    terminal.out(json ? JSON.stringify({ ok: true, ms }) : `written: ${out}, ${ms} ms; listen to it`);
  } catch (error) {
    if (error instanceof VoiceMissing) {
      const how = `apt-get install ${error.install}, or record the name: 8 kHz µ-law WAV, one channel`;
      throw new CommandError(error.code, `${error.message}; ${how}`);
    }
    if (error instanceof PromptError)
      throw new CommandError(error.code, `no name was written: ${sentence(error)}`, 2);
    if (causeOf(error) === 'EEXIST')
      throw new CommandError('file-exists', `${out} is there already and is not overwritten`, 2);
    throw new CommandError('file-unwritable', `${out} cannot be written (${causeOf(error)})`);
  }
};
