import type { Emit } from '../call/ports.js';
import type { Callers, PinAnswer } from '../call/talk.js';
import type { FacilityId, Origin } from '../core/leg.js';
import { type KeySpaces, keySpaces } from './key-spaces.js';
import { type KeyNames, subjectName } from './layout.js';
import { isPin, maxRecordBytes, nobodysHash, type PinRecord, parsePinRecord, Turns } from './pin-record.js';
import { Connection, type RedisEndpoint, RedisError, readProbes, scripts } from './redis.js';
import { TimedOut, within } from './within.js';

/** How many digits callers key in. Fixed, because nothing but the length tells where a number ends and a PIN begins. */
export interface PinLengths {
  /** 4 to 12. */
  readonly idDigits: number;
  /** 4 to 10. */
  readonly pinDigits: number;
}

export interface CallersOptions extends PinLengths {
  readonly redis: RedisEndpoint;
  readonly keyPrefix: string;
  /** Wrong PINs in a row that lock a caller, until an officer unlocks. Default 5. */
  readonly maxWrongPerCaller?: number;
  /** Wrong PINs that lock a phone, or a trunk where the phone is not known. Default 5. */
  readonly maxWrongPerPhone?: number;
  /** Time in which they count, and for which the phone stays locked. Default 15 min. */
  readonly phoneLockMs?: number;
  /**
   * PINs hashed at the same time. Each keeps one of the process's threads for files busy (four by default), and the
   * journal needs them too. Default 2.
   */
  readonly atOnce?: number;
  /** PINs that may wait for their turn. Default 64. */
  readonly maxWaiting?: number;
  /** Each of the two questions to Redis settles within this. Default 200 ms. */
  readonly deadlineMs?: number;
  readonly emit: Emit;
}

export interface OpenCallers extends Callers {
  close(): void;
}

/** Throws a RangeError on lengths nobody could key in, or anybody guess. */
export const checkLengths = ({ idDigits, pinDigits }: PinLengths): void => {
  if (!Number.isInteger(idDigits) || idDigits < 4 || idDigits > 12) {
    throw new RangeError('a caller number has 4 to 12 digits');
  }
  if (!Number.isInteger(pinDigits) || pinDigits < 4 || pinDigits > 10) {
    throw new RangeError('a PIN has 4 to 10 digits');
  }
};

/** The key that counts the tries for one caller of a facility. */
export const triesOf = (keys: KeyNames, facility: FacilityId, id: string): string =>
  keys.pins(subjectName('caller', facility, id));

const digitsOnly = /^[0-9]+$/;

class RedisCallers implements OpenCallers {
  readonly #options: Required<CallersOptions>;
  readonly #spaces: KeySpaces;
  readonly #connection: Connection;
  readonly #turns: Turns;
  #inFlight = 0;

  constructor(options: Required<CallersOptions>) {
    this.#options = options;
    this.#spaces = keySpaces(options.redis, options.keyPrefix);
    this.#connection = new Connection(options.redis, options.deadlineMs * 2);
    this.#turns = new Turns(options.atOnce);
  }

  async open(): Promise<void> {
    await this.#connection.open();
  }

  async check(origin: Origin, digits: string): Promise<PinAnswer> {
    const { atOnce, maxWaiting } = this.#options;
    // Before the try is counted: an overload must lock nobody.
    if (this.#inFlight >= atOnce + maxWaiting) return { state: 'unknown', why: 'overloaded' };
    this.#inFlight += 1;
    try {
      return await this.#check(origin, digits);
    } catch (error) {
      if (error instanceof TimedOut) return { state: 'unknown', why: 'timeout' };
      return { state: 'unknown', why: error instanceof RedisError ? error.code : 'fault' };
    } finally {
      this.#inFlight -= 1;
    }
  }

  async #check(origin: Origin, digits: string): Promise<PinAnswer> {
    const { idDigits, pinDigits } = this.#options;
    const whole = digitsOnly.test(digits) && digits.length === idDigits + pinDigits;
    // Digits that cannot be parted are a wrong try at this phone, and nobody's.
    const id = whole ? digits.slice(0, idDigits) : null;
    const found = await this.#find(origin.facility, id);
    if (found === 'none') return { state: 'unknown', why: 'no-callers' };
    if (found === 'malformed') return { state: 'unknown', why: 'malformed' };
    if (!(await this.#count(origin, id, found))) return { state: 'locked' };
    if (id === null) return { state: 'wrong' };
    const kept = found ?? nobodysHash();
    const right = await this.#turns.take(() => isPin(digits.slice(idDigits), kept));
    if (!right || found === null) return { state: 'wrong' };
    await this.#takeBack(origin, id);
    return { state: 'known', caller: found.caller, language: found.language };
  }

  /** The record of a number; null where nobody has it, 'none' where no callers of this facility were published. */
  async #find(facility: FacilityId, id: string | null): Promise<PinRecord | null | 'none' | 'malformed'> {
    const names = this.#spaces.of(facility);
    const keys = [names.callersMeta(facility), names.callers(facility)];
    // No number is empty, so without one the same question is asked and finds nobody.
    const asked = this.#connection.run(scripts.lookup, 'read', keys, [1, maxRecordBytes, id ?? '']);
    const [meta, row] = readProbes(await within(this.#options.deadlineMs, asked), 2) ?? [];
    if (meta === undefined || row === undefined || meta.state === 'broken' || row.state === 'broken') {
      return 'malformed';
    }
    // A Redis that lost them cannot say that a PIN is wrong.
    if (meta.state === 'absent') return 'none';
    return row.state === 'absent' ? null : (parsePinRecord(row.text) ?? 'malformed');
  }

  #tries({ trunk, facility, phone }: Origin, id: string | null): readonly string[] {
    const place = phone === null ? ['trunk', trunk] : ['phone', facility, phone];
    const names = this.#spaces.of(facility);
    const keys = [names.pins(subjectName(...place))];
    return id === null ? keys : [...keys, triesOf(names, facility, id)];
  }

  /** Counts one more try, before anything is compared. False where there were too many already. */
  async #count(origin: Origin, id: string | null, found: PinRecord | null): Promise<boolean> {
    const { maxWrongPerCaller, maxWrongPerPhone, phoneLockMs, deadlineMs } = this.#options;
    const args = ['try', maxWrongPerCaller, maxWrongPerPhone, phoneLockMs, found === null ? 0 : 1];
    const reply = await within(
      deadlineMs,
      this.#connection.run(scripts.pins, 'write', this.#tries(origin, id), args),
    );
    if (reply !== 0 && reply !== 1) throw new RedisError('malformed', 'odd reply');
    return reply === 1;
  }

  /** The PIN was right. Where Redis is lost meanwhile the try stays counted: that locks too early, never too late. */
  async #takeBack(origin: Origin, id: string): Promise<void> {
    try {
      const run = this.#connection.run(scripts.pins, 'write', this.#tries(origin, id), ['right']);
      await within(this.#options.deadlineMs, run);
    } catch {
      this.#options.emit({ event: 'fault', where: 'callers', code: 'tries-not-reset' });
    }
  }

  close(): void {
    this.#connection.close();
  }
}

/**
 * Says who keyed in a number and a PIN. Resolves when connected or after the first failure; until Redis is there
 * every answer is unknown. Rejects with a RangeError on lengths or bounds that cannot be used.
 */
export const openCallers = async (options: CallersOptions): Promise<OpenCallers> => {
  checkLengths(options);
  const whole = {
    maxWrongPerCaller: 5,
    maxWrongPerPhone: 5,
    phoneLockMs: 900_000,
    atOnce: 2,
    maxWaiting: 64,
    deadlineMs: 200,
    ...options,
  };
  for (const bound of [whole.maxWrongPerCaller, whole.maxWrongPerPhone, whole.phoneLockMs, whole.atOnce]) {
    if (!Number.isSafeInteger(bound) || bound < 1) throw new RangeError('a bound is a whole number from 1');
  }
  const callers = new RedisCallers(whole);
  await callers.open();
  return callers;
};
