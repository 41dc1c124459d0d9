import { constants } from 'node:fs';
import { mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseCallId } from '../core/leg.js';
import { replaceFile } from '../durable/files.js';
import { readLines } from '../journal/lines.js';
import { CallFold, type CustodyCall } from './call-fold.js';
import { dayOf } from './days.js';
import { type Place, theBeginning } from './follower.js';

/** How far one journal was read, and the calls that had no CDR by then. */
export interface JournalCursor {
  place: Place;
  fold: CallFold;
  /** Time of the first row it has, RFC 3339: what happened before, nobody knows. */
  begins: string | null;
}

const MAX_LINE = 262_144;
const CURSOR = 'cursor.json';
const CALLS = 'calls';

const isCall = (value: unknown): value is CustodyCall => {
  if (typeof value !== 'object' || value === null) return false;
  const { callId, began, numbers, listed, expected } = value as Partial<CustodyCall>;
  return (
    typeof callId === 'string' &&
    parseCallId(callId) !== null &&
    typeof began === 'number' &&
    Array.isArray(numbers) &&
    Array.isArray(listed) &&
    typeof expected === 'object'
  );
};

/** One CDR of a call may be written twice: what either says of its numbers counts. */
const joined = (known: CustodyCall | undefined, call: CustodyCall): CustodyCall =>
  known === undefined
    ? call
    : {
        ...call,
        numbers: [...new Set([...known.numbers, ...call.numbers])],
        listed: [...new Set([...known.listed, ...call.listed])],
      };

/**
 * Calls that may have a recording, by the day they began, as lines of files: so that a change of the lists is matched
 * against years of calls in seconds, and memory holds one day. It is made from the journals and proves nothing: thrown
 * away, it is made again.
 */
export class CallIndex {
  readonly #dir: string;
  readonly cursors = new Map<string, JournalCursor>();
  readonly #buffer = new Map<string, CustodyCall[]>();
  #buffered = 0;
  #flushed = '';

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** Opens what an earlier run left, or begins anew where it cannot be read. */
  static async open(dir: string): Promise<CallIndex> {
    const index = new CallIndex(dir);
    await mkdir(join(dir, CALLS), { recursive: true, mode: 0o700 });
    if (!(await index.#load())) await index.clear();
    return index;
  }

  cursor(journal: string): JournalCursor {
    const known = this.cursors.get(journal);
    if (known !== undefined) return known;
    const fresh = { place: theBeginning, fold: new CallFold(), begins: null };
    this.cursors.set(journal, fresh);
    return fresh;
  }

  /** Forgets everything: the journals are read again from their first rows. */
  async clear(): Promise<void> {
    this.cursors.clear();
    this.#buffer.clear();
    this.#buffered = 0;
    this.#flushed = '';
    await rm(join(this.#dir, CURSOR), { force: true });
    await rm(join(this.#dir, CALLS), { recursive: true, force: true });
    await mkdir(join(this.#dir, CALLS), { recursive: true, mode: 0o700 });
  }

  add(call: CustodyCall): void {
    const day = dayOf(call.began);
    const calls = this.#buffer.get(day) ?? [];
    calls.push(call);
    this.#buffer.set(day, calls);
    this.#buffered += 1;
  }

  /** Calls that are in memory alone. */
  get buffered(): number {
    return this.#buffered;
  }

  /** Calls first, then how far they go: after a crash some are there twice, and none is missing. */
  async flush(): Promise<void> {
    const places = [...this.cursors.values()].map(({ place }) => `${place.seq} ${place.hash}`).join(' ');
    if (places === this.#flushed) return;
    for (const [day, calls] of this.#buffer) {
      await this.#append(day, calls.map((call) => `${JSON.stringify(call)}\n`).join(''));
    }
    this.#buffer.clear();
    this.#buffered = 0;
    const saved = [...this.cursors].map(([journal, { place, fold, begins }]) => ({
      journal,
      place,
      begins,
      open: fold.toJson(),
    }));
    await replaceFile(join(this.#dir, CURSOR), [JSON.stringify({ format: 1, journals: saved })]);
    this.#flushed = places;
  }

  /** Days with calls, `2026/11/21`, the newest first. */
  async days(): Promise<string[]> {
    const names = await readdir(join(this.#dir, CALLS));
    const kept = names.flatMap(
      (name) => /^(\d{4})-(\d\d)-(\d\d)\.jsonl$/.exec(name)?.slice(1).join('/') ?? [],
    );
    return [...new Set([...kept, ...this.#buffer.keys()])].sort().reverse();
  }

  /** Calls of one day, by their ids. */
  async day(day: string): Promise<Map<string, CustodyCall>> {
    const calls = new Map<string, CustodyCall>();
    const take = (call: CustodyCall): void => {
      calls.set(call.callId, joined(calls.get(call.callId), call));
    };
    for await (const call of this.#linesOf(day)) take(call);
    for (const call of this.#buffer.get(day) ?? []) take(call);
    return calls;
  }

  /** Which of these calls are known, and of which day. */
  async known(callIds: ReadonlySet<string>): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    if (callIds.size === 0) return found;
    for (const day of await this.days()) {
      for (const callId of (await this.day(day)).keys()) if (callIds.has(callId)) found.set(callId, day);
    }
    return found;
  }

  /** Whether a call is under way, or was left by a crash. */
  isOpen(callId: string): boolean {
    return [...this.cursors.values()].some(({ fold }) => fold.has(callId));
  }

  async *#linesOf(day: string): AsyncGenerator<CustodyCall, void, undefined> {
    const file = await open(this.#path(day), constants.O_RDONLY | constants.O_NOFOLLOW).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return null;
        throw error;
      },
    );
    if (file === null) return;
    const read = async (into: Uint8Array, offset: number, length: number, position: number) =>
      (await file.read(into, offset, length, position)).bytesRead;
    try {
      for await (const lines of readLines({ read }, 0, MAX_LINE)) {
        for (const { bytes } of lines) {
          const call = parsed(bytes.toString('utf8'));
          if (isCall(call)) yield call;
        }
      }
    } finally {
      await file.close();
    }
  }

  /** A line that a crash cut is ended first: what it was to say is read again from the journal. */
  async #append(day: string, text: string): Promise<void> {
    const { O_RDWR, O_CREAT, O_APPEND, O_NOFOLLOW } = constants;
    const file = await open(this.#path(day), O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
    try {
      const { size } = await file.stat();
      const last = Buffer.alloc(1);
      if (size > 0) await file.read(last, 0, 1, size - 1);
      await file.writeFile(size > 0 && last[0] !== 0x0a ? `\n${text}` : text);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  #path(day: string): string {
    return join(this.#dir, CALLS, `${day.replaceAll('/', '-')}.jsonl`);
  }

  async #load(): Promise<boolean> {
    const text = await readFile(join(this.#dir, CURSOR), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    // Calls without a cursor are those of a first run that was cut: they are read again.
    const saved = parsed(text ?? '') as { format?: unknown; journals?: unknown } | null | undefined;
    if (saved?.format !== 1 || !Array.isArray(saved.journals)) return false;
    for (const one of saved.journals as readonly Record<string, unknown>[]) {
      const { journal, place, begins, open: calls } = one;
      if (typeof journal !== 'string' || !isPlace(place) || !Array.isArray(calls)) return false;
      this.cursors.set(journal, {
        place,
        fold: CallFold.from(calls),
        begins: typeof begins === 'string' ? begins : null,
      });
    }
    return true;
  }
}

const isPlace = (value: unknown): value is Place => {
  const { segment, offset, seq, hash } = (value ?? {}) as Partial<Record<keyof Place, unknown>>;
  return [segment, offset, seq].every(Number.isSafeInteger) && typeof hash === 'string';
};

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
