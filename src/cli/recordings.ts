import { resolve } from 'node:path';
import { isPrintable, maxByLength, maxWhyLength } from '../api/control-request.js';
import { type Journal, openJournal } from '../journal/log.js';
import { UNHURRIED_MS } from '../journal/options.js';
import { readJournal } from '../journal/read.js';
import type { Identity } from '../vault/age-keys.js';
import { type Found, findRecording, recordingsIn } from '../vault/catalogue.js';
import { decryptRecording } from '../vault/decrypt.js';
import { VaultError } from '../vault/errors.js';
import { readIdentityFile, writeIdentityFile } from '../vault/key-files.js';
import { refuseWhileSealing } from '../vault/sealing-mark.js';
import type { Store } from '../vault/store.js';
import { exitCodes } from './control-client.js';
import { CommandError, columns, type Terminal } from './output.js';

/** Where the recordings are and who reads them where. */
export interface RecordingsDesk {
  readonly store: Store;
  readonly json: boolean;
  readonly terminal: Terminal;
}

/** A refusal of the vault as a command tells it. */
const told = (error: unknown): never => {
  if (error instanceof VaultError) {
    throw new CommandError(error.code, error.message.slice(error.code.length + 2), exitCodes.refused);
  }
  throw error;
};

export interface ListFlags {
  readonly facility?: string;
  readonly since?: string;
  readonly sealed?: boolean;
  readonly last?: string;
}

const countOf = (text: string): number => {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= 1_000_000) return count;
  throw new CommandError('count-invalid', `${text} is not a count`, exitCodes.usage);
};

const dateOf = (text: string): number => {
  const at = Date.parse(text);
  if (!Number.isNaN(at)) return at;
  throw new CommandError('date-invalid', `${text} is not a date; try 2026-11-21`, exitCodes.usage);
};

const bytesOf = ({ manifest }: Found): number => manifest.files.reduce((sum, { bytes }) => sum + bytes, 0);

/** One recording for programs: all that stands open but the encrypted details. */
const viewOf = ({ manifest, folder, sha256 }: Found) => {
  const { details: _closed, ...open } = manifest;
  return { ...open, folder, manifestSha256: sha256 };
};

const listed = async ({ store }: RecordingsDesk, flags: ListFlags) => {
  const since = flags.since === undefined ? Number.NEGATIVE_INFINITY : dateOf(flags.since);
  const most = flags.last === undefined ? Number.POSITIVE_INFINITY : countOf(flags.last);
  const found: Found[] = [];
  const problems: { name: string; code: string }[] = [];
  for await (const one of recordingsIn(store)) {
    if ('code' in one) {
      problems.push(one);
      continue;
    }
    const { facility, receivedAt, sealed } = one.manifest;
    const wanted =
      (flags.facility === undefined || facility === flags.facility) &&
      Date.parse(receivedAt) >= since &&
      (flags.sealed !== true || sealed !== null);
    if (wanted) found.push(one);
  }
  found.sort((left, right) => right.manifest.receivedAt.localeCompare(left.manifest.receivedAt));
  return { found: found.slice(0, most), problems };
};

/** `recordings list`: what the manifests say; nothing is decrypted. Exit code 1 where one cannot be read. */
export const recordingsList = async (desk: RecordingsDesk, flags: ListFlags): Promise<void> => {
  const { terminal, json } = desk;
  const { found, problems } = await listed(desk, flags).catch(told);
  if (json) for (const one of found) terminal.out(JSON.stringify(viewOf(one)));
  else {
    terminal.out(
      columns([
        ['call', 'received', 'facility', 'seconds', 'complete', 'sealed', 'keys', 'bytes'],
        ...found.map((one) => {
          const { callId, receivedAt, facility, seconds, complete, sealed, keys } = one.manifest;
          const ids = keys.map(({ id }) => id).join(',');
          const row = [callId, receivedAt, facility, seconds.toFixed(1), complete ? 'yes' : 'no'];
          return [...row, sealed?.why ?? '-', ids, String(bytesOf(one))];
        }),
      ]),
    );
  }
  for (const { name, code } of problems) terminal.err(`not read  ${name} [${code}]`);
  if (problems.length > 0) {
    throw new CommandError(
      'manifest-malformed',
      `${problems.length} manifest(s) are none`,
      exitCodes.refused,
    );
  }
};

const sealedText = ({ sealed }: Found['manifest']): string => {
  if (sealed === null) return 'no';
  const by = sealed.lists === undefined ? '' : `, by the lists of epoch ${sealed.lists.epoch}`;
  return `${sealed.why}, ${sealed.at}${by}`;
};

/** `recordings show`: one manifest; nothing is decrypted. */
export const recordingsShow = async (
  id: string,
  { store, json, terminal }: RecordingsDesk,
): Promise<void> => {
  const found = await findRecording(store, id).catch(told);
  const view = viewOf(found);
  if (json) {
    terminal.out(JSON.stringify(view));
    return;
  }
  const { manifest, folder } = found;
  terminal.out(
    columns([
      ['call', manifest.callId],
      ['facility', manifest.facility],
      ['received', manifest.receivedAt],
      ['made', manifest.createdAt],
      ['seconds', manifest.seconds.toFixed(1)],
      ['complete', manifest.complete ? 'yes' : 'no'],
      ['sealed', sealedText(manifest)],
      ...manifest.keys.map(({ id: key, role, recipient }) => ['opens with', `${key} (${role}) ${recipient}`]),
      ...(manifest.inner === null
        ? []
        : [
            [
              'and then with',
              manifest.inner.keys.map(({ id: key, role }) => `${key} (${role})`).join(' or '),
            ],
          ]),
      ...manifest.files.map(({ name, bytes, sha256 }) => [
        'file',
        `${store.locate(`${folder}/${name}`)} (${bytes} bytes, sha256 ${sha256})`,
      ]),
      ['manifest', `${store.locate(`${folder}/${manifest.callId}.json`)} (sha256 ${found.sha256})`],
    ]),
  );
};

export interface DecryptOptions {
  readonly id: string;
  /** Files of identities: a recording that was sealed after its call needs two. */
  readonly identity: readonly string[];
  readonly by: string;
  readonly why: string;
  readonly out: string;
  /** Journal of readings: nothing is read before its row is durable. */
  readonly readings: string;
  /** The controllers' journals, where they are on this machine; null where none is. */
  readonly journal: string | readonly string[] | null;
  /** Custody's journal, where it is on this machine: it says what is to be sealed. */
  readonly custody: string | null;
}

/** Another reading may be writing its row: how long to wait for it. */
const LOCK_MS = 5000;
const pause = (ms: number): Promise<void> => new Promise((go) => setTimeout(go, ms));

/** A journal belongs to one node: whoever reads here, the readings of a folder are one journal. */
const READINGS = 'readings';

const openReadings = async (dir: string): Promise<Journal> => {
  const end = performance.now() + LOCK_MS;
  for (;;) {
    try {
      return await openJournal({ dir, nodeId: READINGS, appendDeadlineMs: UNHURRIED_MS });
    } catch (error) {
      const code = (error as { code?: string }).code ?? 'failed';
      if (code !== 'journal-locked' || performance.now() >= end) {
        throw new CommandError(code, `nothing was read: ${dir} cannot be written`, exitCodes.refused);
      }
      await pause(50);
    }
  }
};

interface CdrBody {
  readonly spool?: { readonly manifestSha256?: unknown } | null;
  readonly sealed?: { readonly manifestSha256?: unknown } | null;
}

/** What the controllers' journals say of the manifest: it was written with this digest, another, or it says nothing. */
const journalled = async (dirs: readonly string[], found: Found): Promise<'same' | 'another' | 'unknown'> => {
  const answers = await Promise.all(dirs.map((dir) => journalledIn(dir, found)));
  if (answers.includes('same')) return 'same';
  return answers.includes('another') ? 'another' : 'unknown';
};

const journalledIn = async (dir: string, found: Found): Promise<'same' | 'another' | 'unknown'> => {
  let answer: 'same' | 'another' | 'unknown' = 'unknown';
  try {
    for await (const { body } of readJournal(dir, { callId: found.manifest.callId, kinds: ['cdr'] })) {
      const { spool, sealed } = body as CdrBody;
      const digests = [spool?.manifestSha256, sealed?.manifestSha256].filter((one) => one !== undefined);
      // What custody sealed is genuine by the manifest below the seal, which decrypting proves to be that one.
      if (digests.includes(found.manifest.inner?.manifestSha256 ?? found.sha256)) return 'same';
      if (digests.length > 0) answer = 'another';
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return answer;
};

/** Whether custody wrote down that this recording is to be sealed; it may not have come to it yet. */
const toBeSealed = async (dir: string | null, { manifest }: Found): Promise<boolean> => {
  if (dir === null || manifest.sealed !== null) return false;
  try {
    for await (const _row of readJournal(dir, { callId: manifest.callId, kinds: ['recording-sealing'] })) {
      return true;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return false;
};

const checkSignature = ({ by, why }: DecryptOptions): void => {
  const refuse = (code: string, message: string): never => {
    throw new CommandError(code, message, exitCodes.usage);
  };
  if (!isPrintable(by, maxByLength)) refuse('by-invalid', `say who reads, in 1 to ${maxByLength} characters`);
  if (!isPrintable(why, maxWhyLength)) refuse('why-invalid', `say why, in 1 to ${maxWhyLength} characters`);
};

/** Reads the recording once its reading is journalled, and journals how that went. */
const readJournalled = async (found: Found, options: DecryptOptions, desk: RecordingsDesk) => {
  const identities: Identity[] = [];
  for (const file of options.identity) identities.push(...(await readIdentityFile(file)));
  const readings = await openReadings(options.readings);
  const stop = new AbortController();
  const onSignal = (): void =>
    stop.abort(new CommandError('interrupted', 'interrupted; nothing was left', 130));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal);
  const { callId, facility, sealed } = found.manifest;
  let outcome = 'failed';
  try {
    await readings.append('recording-read', {
      callId,
      facility,
      sealed: sealed !== null,
      manifestSha256: found.sha256,
      by: options.by,
      why: options.why,
      identities: identities.map(({ recipient }) => recipient.text),
    });
    await refuseWhileSealing(desk.store, found, identities, await toBeSealed(options.custody, found));
    const known = await journalled(options.journal === null ? [] : [options.journal].flat(), found);
    if (known === 'another') {
      throw new VaultError(
        'recording-changed',
        'the controller’s journal names another manifest for this call',
      );
    }
    const done = await decryptRecording(desk.store, found, identities, resolve(options.out), stop.signal);
    outcome = 'decrypted';
    return { ...done, known };
  } catch (error) {
    outcome = (error as { code?: string }).code ?? 'failed';
    throw error;
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal);
    await readings.append('recording-read-ended', { callId, by: options.by, outcome }).catch(() => undefined);
    await readings.close().catch(() => undefined);
  }
};

/**
 * `recordings decrypt`: who reads it and why is durable before a byte is decrypted, and what is wrong with it leaves
 * nothing plain behind.
 */
export const recordingsDecrypt = async (options: DecryptOptions, desk: RecordingsDesk): Promise<void> => {
  checkSignature(options);
  const { terminal, json } = desk;
  const found = await findRecording(desk.store, options.id).catch(told);
  const { files, details, known } = await readJournalled(found, options, desk).catch(told);
  const { callId } = found.manifest;
  if (json) {
    terminal.out(JSON.stringify({ callId, files, details, journalled: known === 'same' }));
    return;
  }
  terminal.out(files.map((file) => `decrypted ${file}`).join('\n'));
  terminal.out(
    known === 'same'
      ? 'genuine   the journal holds the digest of its manifest'
      : 'genuine?  whole, but not held against the controller’s journal, which is not here or says nothing of it',
  );
};

/** `recordings keygen`: a pair of keys, where recordings are listened to and never on the controller. */
export const recordingsKeygen = async (file: string, terminal: Terminal): Promise<void> => {
  const { text } = await writeIdentityFile(file, [`made ${new Date().toISOString()} by sallyport`]).catch(
    told,
  );
  terminal.err(`the private half is in ${file}: keep it off the controller, and keep a copy`);
  terminal.out(text);
};
