import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../call/ports.js';
import type { CallerId, FacilityId } from '../core/leg.js';
import type { Language } from '../core/prompt.js';
import { checkLengths, type PinLengths, triesOf } from './callers.js';
import { type CallerRow, CallersError, readCallersFile } from './callers-file.js';
import { type KeySpaces, keySpaces } from './key-spaces.js';
import { type KeyNames, sha256 } from './layout.js';
import { hashPin, type PinRecord, parsePinRecord, pinRecordText, Turns } from './pin-record.js';
import { Connection, type RedisEndpoint, RedisError, scripts } from './redis.js';
import { readHashes } from './scan.js';

/**
 * What an administrator can do with callers and their PINs. Everything returns data and prints nothing. No result
 * and no error holds a PIN, a hash or a caller's number.
 */
export interface CallersAdmin {
  /** With the right to write callers; a controller has none. */
  readonly redis: RedisEndpoint;
  readonly keyPrefix: string;
  readonly clock: Clock;
  /** Told of each change just before it is made, to write it down; where it rejects, the change is not made. */
  readonly before?: (change: CallersChange) => Promise<void>;
}

/** A change as far as it may be told: no number, no PIN. */
export interface CallersChange {
  readonly change: 'publish' | 'unlock' | 'set-pin';
  readonly facility: FacilityId;
  /** Whom it is about; null where it is about all of a facility. */
  readonly caller: CallerId | null;
  /** How many there are then; null where that is not what changes. */
  readonly callers: number | null;
}

const timeoutMs = 5_000;
const writeSize = 500;
const readBytes = 268_435_456;
/** What a publication that was cut off left behind is gone after this. */
const newForMs = 3_600_000;
/** Hashing here is in nobody's way, but for the machine's cores. */
const hashedAtOnce = 4;

const meta = z.strictObject({
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  callers: z.int().min(0),
  at: z.int(),
});
type Meta = z.infer<typeof meta>;

const metaOf = (rows: ReadonlyMap<string, string>, clock: Clock): Meta => ({
  digest: sha256(
    [...rows]
      .map(([id, text]) => `${id} ${text}\n`)
      .sort()
      .join(''),
  ),
  callers: rows.size,
  at: clock.wall(),
});

const asCallersError = (error: unknown): unknown =>
  error instanceof RedisError
    ? new CallersError(error.code === 'malformed' ? 'malformed' : 'redis-failed')
    : error;

/** Runs some work on a connection of its own. Rejects with CallersError. */
const connected = async <T>(
  admin: CallersAdmin,
  work: (connection: Connection, spaces: KeySpaces) => Promise<T>,
): Promise<T> => {
  const connection = new Connection(admin.redis, timeoutMs);
  try {
    await connection.open();
    return await work(connection, keySpaces(admin.redis, admin.keyPrefix));
  } catch (error) {
    throw asCallersError(error);
  } finally {
    connection.close();
  }
};

// ---- publish

export interface PublishedCallers {
  readonly facility: FacilityId;
  readonly callers: number;
  /** How many there were before; null for none. */
  readonly before: number | null;
  readonly digest: string;
}

export interface CallersProgress {
  readonly hashed: number;
  readonly of: number;
}

const recordOf = async (row: CallerRow): Promise<PinRecord> => {
  const { caller, language, pin } = row;
  return { caller, language, ...(typeof pin === 'string' ? await hashPin(pin) : pin) };
};

const readMeta = async (
  connection: Connection,
  keys: KeyNames,
  facility: FacilityId,
): Promise<{ readonly text: string; readonly meta: Meta } | null> => {
  const text = await connection.string(keys.callersMeta(facility), 1_024);
  if (text === null) return null;
  try {
    return { text, meta: meta.parse(JSON.parse(text)) };
  } catch {
    throw new CallersError('malformed');
  }
};

const replace = async (
  connection: Connection,
  keys: KeyNames,
  facility: FacilityId,
  rows: ReadonlyMap<string, string>,
  clock: Clock,
): Promise<PublishedCallers> => {
  // One that cannot be read is replaced like any other.
  const before = await readMeta(connection, keys, facility).catch(() => null);
  const beside = keys.callersNew(facility, randomBytes(9).toString('base64url'));
  const flat = [...rows].flat();
  for (let i = 0; i < flat.length; i += 2 * writeSize) {
    await connection.command('HSET', beside, ...flat.slice(i, i + 2 * writeSize));
    await connection.command('PEXPIRE', beside, newForMs);
  }
  const now = metaOf(rows, clock);
  const names = [keys.callers(facility), keys.callersMeta(facility), beside];
  const flipped = await connection.run(scripts.callersFlip, 'write', names, [
    '',
    JSON.stringify(now),
    rows.size,
  ]);
  if (flipped !== 1) throw new CallersError('changed-meanwhile');
  return { facility, callers: rows.size, before: before?.meta.callers ?? null, digest: now.digest };
};

/**
 * Reads a file of callers and puts them in the place of all callers of each facility it names, one facility at a
 * time and each all at once. Only hashes of the PINs are kept. Who is locked stays locked. Rejects with
 * CallersError; with 'bad-rows' and all errors of the file before anything was written.
 */
export const publishCallers = async (
  path: string,
  options: CallersAdmin & PinLengths & { readonly onProgress?: (progress: CallersProgress) => void },
): Promise<readonly PublishedCallers[]> => {
  const rows = await readCallersFile(path, options);
  const facilities = new Map<FacilityId, Map<string, string>>();
  const turns = new Turns(hashedAtOnce);
  let hashed = 0;
  await Promise.all(
    rows.map((row) =>
      turns.take(async () => {
        const text = pinRecordText(await recordOf(row));
        const records = facilities.get(row.facility) ?? new Map<string, string>();
        facilities.set(row.facility, records.set(row.id, text));
        hashed += 1;
        options.onProgress?.({ hashed, of: rows.length });
      }),
    ),
  );
  return connected(options, async (connection, spaces) => {
    const published: PublishedCallers[] = [];
    for (const [facility, records] of [...facilities].sort(([a], [b]) => (a < b ? -1 : 1))) {
      await options.before?.({ change: 'publish', facility, caller: null, callers: records.size });
      published.push(await replace(connection, spaces.of(facility), facility, records, options.clock));
    }
    return published;
  });
};

// ---- one caller

interface Held {
  readonly rows: Map<string, string>;
  readonly ids: ReadonlyMap<CallerId, string>;
  readonly metaText: string;
  readonly meta: Meta;
}

/** All callers of a facility, each record checked; null where none were ever published. */
const readAll = async (
  connection: Connection,
  keys: KeyNames,
  facility: FacilityId,
): Promise<Held | null> => {
  const said = await readMeta(connection, keys, facility);
  if (said === null) return null;
  const [hash] = await readHashes(connection, [keys.callers(facility)], { maxBytes: readBytes });
  if (hash === undefined || hash.state !== 'fields') throw new CallersError('malformed');
  const rows = new Map(hash.fields);
  const ids = new Map<CallerId, string>();
  for (const [id, text] of rows) {
    const record = parsePinRecord(text);
    if (record === null) throw new CallersError('malformed');
    ids.set(record.caller, id);
  }
  return { rows, ids, metaText: said.text, meta: said.meta };
};

export interface NewPin extends PinLengths {
  readonly facility: FacilityId;
  readonly caller: CallerId;
  /** The number keyed in before the PIN; null for the one the caller has. */
  readonly id: string | null;
  readonly pin: string;
  readonly language: Language | null | 'as-it-is';
}

/**
 * Gives one caller a new PIN, or adds the caller where a number is given. Does not unlock: that is an officer's
 * decision of its own. Rejects with CallersError: 'caller-unknown' or 'no-callers' where the number is asked for and
 * there is none, 'taken-by-another' where the number is somebody else's.
 */
export const setPin = async (given: NewPin, admin: CallersAdmin): Promise<{ readonly added: boolean }> => {
  const { facility, caller, pin, idDigits, pinDigits } = given;
  try {
    checkLengths(given);
  } catch {
    throw new CallersError('lengths-odd');
  }
  if (given.id !== null && (!/^[0-9]+$/.test(given.id) || given.id.length !== idDigits)) {
    throw new CallersError('bad-rows', [{ line: 0, code: 'number-malformed' }]);
  }
  if (!/^[0-9]+$/.test(pin) || pin.length !== pinDigits) {
    throw new CallersError('bad-rows', [{ line: 0, code: 'pin-malformed' }]);
  }
  const hash = await hashPin(pin);
  return connected(admin, async (connection, spaces) => {
    const keys = spaces.of(facility);
    const held = await readAll(connection, keys, facility);
    if (held === null && given.id === null) throw new CallersError('no-callers');
    const rows = held?.rows ?? new Map<string, string>();
    const ids = held?.ids ?? new Map<CallerId, string>();
    const id = given.id ?? ids.get(caller);
    if (id === undefined) throw new CallersError('caller-unknown');
    const now = rows.get(id);
    const record = now === undefined ? null : parsePinRecord(now);
    if ((record?.caller ?? caller) !== caller || (ids.get(caller) ?? id) !== id) {
      throw new CallersError('taken-by-another');
    }
    const language = given.language === 'as-it-is' ? (record?.language ?? null) : given.language;
    const text = pinRecordText({ caller, language, ...hash });
    rows.set(id, text);
    await admin.before?.({ change: 'set-pin', facility, caller, callers: rows.size });
    const reply = await connection.run(
      scripts.callersFlip,
      'write',
      [keys.callers(facility), keys.callersMeta(facility)],
      [held?.metaText ?? '', JSON.stringify(metaOf(rows, admin.clock)), id, text],
    );
    if (reply !== 1) throw new CallersError('changed-meanwhile');
    return { added: record === null };
  });
};

/** Lets a caller try again. Rejects with CallersError, 'caller-unknown' or 'no-callers'. */
export const unlockCaller = (
  facility: FacilityId,
  caller: CallerId,
  admin: CallersAdmin,
): Promise<{ readonly wrongTries: number }> =>
  connected(admin, async (connection, spaces) => {
    const keys = spaces.of(facility);
    const held = await readAll(connection, keys, facility);
    if (held === null) throw new CallersError('no-callers');
    const id = held.ids.get(caller);
    if (id === undefined) throw new CallersError('caller-unknown');
    await admin.before?.({ change: 'unlock', facility, caller, callers: null });
    const tries = await connection.command('GETDEL', triesOf(keys, facility, id));
    return { wrongTries: Number(tries ?? 0) };
  });

// ---- show

export interface ShownCallers {
  readonly facility: FacilityId;
  readonly callers: number;
  readonly publishedAt: number;
  readonly digest: string;
  /** False where what is in Redis is not what was published. */
  readonly genuine: boolean;
  /** Callers with wrong tries, the most first. */
  readonly tries: readonly { readonly caller: CallerId; readonly wrong: number; readonly locked: boolean }[];
}

/** The callers of one facility, without anything secret. Rejects with CallersError. */
export const showCallers = (
  facility: FacilityId,
  admin: CallersAdmin & { readonly maxWrongPerCaller?: number },
): Promise<ShownCallers> =>
  connected(admin, async (connection, spaces) => {
    const keys = spaces.of(facility);
    const held = await readAll(connection, keys, facility);
    if (held === null) throw new CallersError('no-callers');
    const { rows, ids, meta: said } = held;
    const callers = [...ids];
    const tries: { caller: CallerId; wrong: number; locked: boolean }[] = [];
    for (let i = 0; i < callers.length; i += writeSize) {
      const some = callers.slice(i, i + writeSize);
      const reply = await connection.command('MGET', ...some.map(([, id]) => triesOf(keys, facility, id)));
      const counts: readonly unknown[] = Array.isArray(reply) ? reply : [];
      some.forEach(([caller], at) => {
        const wrong = Number(counts[at] ?? 0);
        if (wrong > 0) tries.push({ caller, wrong, locked: wrong >= (admin.maxWrongPerCaller ?? 5) });
      });
    }
    return {
      facility,
      callers: rows.size,
      publishedAt: said.at,
      digest: said.digest,
      genuine: metaOf(rows, admin.clock).digest === said.digest && rows.size === said.callers,
      tries: tries.sort((a, b) => b.wrong - a.wrong),
    };
  });
