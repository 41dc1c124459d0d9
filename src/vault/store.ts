import { VaultError, type VaultErrorCode } from './errors.js';

/** Size and digest (sha256, hex) of an object as it is stored: of encrypted bytes. */
export interface Settled {
  readonly bytes: number;
  readonly sha256: string;
}

/** An object in the making. Nothing of it is seen under its name before it is committed. */
export interface Staged {
  readonly name: string;
  /** Pieces follow one another. They are the caller's again when it settles. */
  writeAt(bytes: Buffer | readonly Buffer[], position: number): Promise<void>;
  /**
   * Makes what was written durable. No more is written then. `sha256` is the digest of all of it, where whoever wrote it
   * knows it: then it is not read again.
   */
  settle(sha256?: string): Promise<Settled>;
  /** Leaves nothing of it. Idempotent; never rejects; does nothing once it is committed. */
  discard(): Promise<void>;
}

/**
 * Where encrypted recordings are kept. Names are paths of lower-case folders and files, `2026/11/21/c….json`. Errors
 * are VaultErrors, or of the system.
 */
export interface Store {
  /** What an interrupted run left in the making of this name is removed. */
  stage(name: string, mode: number): Promise<Staged>;
  /** Gives settled objects their names and returns when that is durable. Rejects with `recording-exists`: none is ever replaced. */
  commit(staged: readonly Staged[]): Promise<void>;
  has(name: string): Promise<boolean>;
  /** When a file on this host was written to last, wall time in ms; null where there is none: what is elsewhere is whole. */
  writtenAt(name: string): Promise<number | null>;
  /**
   * Removes an object for good; nothing happens where there is none. What an interrupted commit left, what was sealed under
   * another name, what expired under a tombstone: each has said so durably before.
   */
  remove(name: string): Promise<void>;
  /** Rejects with `recording-unknown` where there is none. */
  read(name: string): AsyncIterable<Buffer>;
  /**
   * Names of the files in a folder, and of those in the making; none where the folder is not there. A store may leave
   * out names without `part` in them: it asks for less than all of a day.
   */
  list(folder: string, part?: string): Promise<string[]>;
  folders(folder: string): Promise<string[]>;
  /** Why nothing can be stored now, or null. Always settles soon. */
  judge(): Promise<VaultErrorCode | null>;
  /** Where an object is, for people and for the journal. */
  locate(name: string): string;
}

const NAME = /^[a-z0-9][a-z0-9._-]*(?:\/[a-z0-9][a-z0-9._-]*)*$/;
const MAX_NAME = 512;

/** Throws VaultError `name-malformed` for names none of ours has: they could lead out of the vault, or be others elsewhere. */
export const checkName = (name: string): void => {
  if (name.length > MAX_NAME || !NAME.test(name) || name.includes('..'))
    throw new VaultError('name-malformed');
};

const MAX_PART = 255;

/**
 * Throws VaultError `name-malformed` for what could lead out of the vault. Whatever else lies in there, under a name of
 * anybody's making, can be looked for, read and put aside.
 */
export const checkListed = (name: string): void => {
  const parts = name.split('/');
  const leadsOut = (part: string): boolean =>
    part === '' ||
    part === '.' ||
    part === '..' ||
    part.includes('\u0000') ||
    Buffer.byteLength(part) > MAX_PART;
  if (name.length > MAX_NAME || parts.some(leadsOut)) throw new VaultError('name-malformed');
};

/** An object's bytes where they are at most so many; null where there are more. */
export const readWhole = async (store: Store, name: string, maxBytes: number): Promise<Buffer | null> => {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of store.read(name)) {
    length += part.length;
    if (length > maxBytes) return null;
    parts.push(part);
  }
  return Buffer.concat(parts);
};
