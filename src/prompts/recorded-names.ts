import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { Sound } from '../call/talk.js';
import { type CallerId, type FacilityId, parseCallerId, parseFacilityId } from '../core/leg.js';
import { causeOf, PromptError } from './prompt-error.js';
import { maxBytes, type SoundBounds, soundMs } from './sound-bytes.js';

/** A name, not a speech. */
export const nameBounds: SoundBounds = { minMs: 200, maxMs: 10_000 };

/** How many names of each kind are looked at when the catalogue is loaded. */
const MAX_AUDITED = 10_000;

/** How many answers are remembered; beyond it the oldest is asked of the disk again. */
const MAX_REMEMBERED = 20_000;

const folders = { facility: 'names/facilities', caller: 'names/callers' } as const;
export type NameKind = keyof typeof folders;

interface Remembered {
  /** Of the file's state when it was read: time of last change, size and inode. */
  readonly state: string;
  readonly sound: Sound | null;
}

/**
 * The recorded names of an operator's directory: `names/facilities/<facility>.wav`, `names/callers/<caller>.wav`.
 * They come and go while calls are made, so the disk is asked at each use (one `stat` of a local file, and one read of
 * at most 80 kB after a change). A bad one is left out and reported once; a name nobody recorded is no problem.
 */
export class RecordedNames {
  readonly #directory: string;
  readonly #onProblem: (problem: PromptError) => void;
  readonly #remembered = new Map<string, Remembered>();

  constructor(directory: string, onProblem: (problem: PromptError) => void) {
    this.#directory = directory;
    this.#onProblem = onProblem;
  }

  /** Looks at all names, as far as the bound goes, so that an operator hears of a bad one before a call does. */
  audit(): void {
    for (const kind of ['facility', 'caller'] as const) this.#auditFolder(kind);
  }

  facility(id: FacilityId): Sound | null {
    return parseFacilityId(id) === null ? null : this.#sound(`${folders.facility}/${id}.wav`);
  }

  caller(id: CallerId): Sound | null {
    // The shape has no slash and no leading dot: a branded id that came past parseCallerId still leads nowhere else.
    return parseCallerId(id) === null ? null : this.#sound(`${folders.caller}/${id}.wav`);
  }

  #auditFolder(kind: NameKind): void {
    const folder = folders[kind];
    let files: string[];
    try {
      files = readdirSync(join(this.#directory, folder)).sort();
    } catch (error) {
      if (causeOf(error) !== 'ENOENT')
        this.#onProblem(new PromptError('prompt-unreadable', folder, causeOf(error)));
      return;
    }
    if (files.length > MAX_AUDITED)
      this.#onProblem(
        new PromptError('names-too-many', folder, `${files.length} files, ${MAX_AUDITED} looked at`),
      );
    for (const file of files.slice(0, MAX_AUDITED)) {
      const id = file.endsWith('.wav') ? file.slice(0, -'.wav'.length) : '';
      const known = kind === 'facility' ? parseFacilityId(id) : parseCallerId(id);
      if (known === null)
        this.#onProblem(
          new PromptError('name-unknown', `${folder}/${file}`, `it is not named after a ${kind}`),
        );
      else this.#sound(`${folder}/${file}`);
    }
  }

  #sound(file: string): Sound | null {
    const path = join(this.#directory, file);
    const state = stateOf(path);
    if (state === null) {
      this.#remembered.delete(file);
      return null;
    }
    const known = this.#remembered.get(file);
    if (known?.state === state) return known.sound;
    const sound = this.#read(path, file);
    this.#remembered.delete(file);
    this.#remembered.set(file, { state, sound });
    if (this.#remembered.size > MAX_REMEMBERED)
      this.#remembered.delete(this.#remembered.keys().next().value ?? '');
    return sound;
  }

  #read(path: string, file: string): Sound | null {
    try {
      return { file, ms: soundMs(readBounded(path, file), file, nameBounds) };
    } catch (error) {
      this.#onProblem(
        error instanceof PromptError ? error : new PromptError('prompt-unreadable', file, causeOf(error)),
      );
      return null;
    }
  }
}

/** What identifies the file's content well enough to remember an answer about it; null where there is no file. */
const stateOf = (path: string): string | null => {
  try {
    const about = lstatSync(path, { bigint: true });
    return `${about.mtimeNs} ${about.ctimeNs} ${about.size} ${about.ino}`;
  } catch (error) {
    // Another fault is a state as well: reading fails with it, and it is reported once.
    return causeOf(error) === 'ENOENT' ? null : causeOf(error);
  }
};

/** Reads a file of bounded size; never waits (a pipe) and never follows a link out of the directory. */
const readBounded = (path: string, file: string): Buffer => {
  const most = maxBytes(nameBounds);
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const about = fstatSync(descriptor);
    if (!about.isFile()) throw new PromptError('prompt-unreadable', file, 'it is not a file');
    if (about.size > most) throw new PromptError('prompt-length', file, `more than ${most} bytes`);
    const bytes = Buffer.alloc(about.size);
    const got = readSync(descriptor, bytes, 0, bytes.length, 0);
    return bytes.subarray(0, got);
  } finally {
    closeSync(descriptor);
  }
};
