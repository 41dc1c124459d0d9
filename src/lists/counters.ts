import type { Clock, Emit, JsonObject } from '../call/ports.js';
import type { Counters, Entering, Place, Usage, Used } from '../call/talk.js';
import type { Leg } from '../core/leg.js';
import { type NumberKey, numberKeyText } from '../core/number.js';
import { Answering } from './answering.js';
import { keySpaces } from './key-spaces.js';
import { type KeyNames, subjectName } from './layout.js';
import { memoryMs, OwnUse } from './own-use.js';
import { Connection, type RedisEndpoint, type RedisState, scripts } from './redis.js';

export interface CountersOptions {
  readonly redis: RedisEndpoint;
  readonly keyPrefix: string;
  /** Calls connected within this time count as recent. */
  readonly windowMs: number;
  /** `enter` settles within this. Default 50 ms. */
  readonly deadlineMs?: number;
  /** A place nobody renews is gone after this: the controller was killed. Default 90 s. */
  readonly leaseMs?: number;
  /** Default a third of the lease. */
  readonly renewEveryMs?: number;
  /** Pause before what Redis did not take is sent again. Default 1 s. */
  readonly retryEveryMs?: number;
  readonly clock: Clock;
  readonly emit: Emit;
}

export interface SharedCounters extends Counters {
  entering(...asked: Parameters<Counters['enter']>): Entering;
  /** Places held by this process, and messages Redis has yet to take, some of them for the second time. */
  held(): { readonly places: number; readonly unsent: number; readonly subjects: number };
  /**
   * Gives a place back that an earlier run of this controller took: `trace` is what `enter` told. False where it
   * is none. Never rejects.
   */
  giveBack(trace: JsonObject, wasConnected: boolean): Promise<boolean>;
  /** Renews all leases now. Never rejects. */
  renew(): Promise<void>;
  close(): Promise<void>;
}

/** Calls asking Redis at the same time: what a frozen Redis can hold of us. */
const maxInFlight = 512;
/** Messages kept for a lost Redis, and those that are said twice. */
const maxUnsent = 10_000;
/** Leases prolonged in one step of Redis: about 3 ms, so that look-ups find their way between. */
const renewSize = 100;
const retrySize = 200;

type Kind = 'monitored' | 'private';

interface Subject {
  readonly what: 'caller' | 'number' | 'phone';
  readonly name: string;
}

const subjectsOf = ({ caller, origin }: Leg, key: NumberKey, kind: Kind): readonly Subject[] => {
  const subjects: Subject[] = [{ what: 'number', name: subjectName(kind, 'number', numberKeyText(key)) }];
  if (caller !== null) subjects.push({ what: 'caller', name: subjectName(kind, 'caller', caller) });
  if (origin.phone !== null) {
    subjects.push({ what: 'phone', name: subjectName(kind, 'phone', origin.facility, origin.phone) });
  }
  return subjects;
};

/** A message Redis must get, sooner or later. */
interface Message {
  readonly op: 'connected' | 'leave';
  readonly place: OpenPlace;
  readonly wasConnected: boolean;
  readonly mono: number;
  /** Later than this it means nothing any more. */
  readonly untilMono: number;
  /**
   * Whether it is to be said once more when Redis has taken it. A place whose asking was never answered may be asked for
   * yet: it came by another connection, or by one that is lost, and a Redis that stood still reads them in any order.
   */
  twice: boolean;
  /** Not said again before: what it may have overtaken has arrived by then. */
  fromMono: number;
}

const shorter = (a: number | null, b: number | null): number | null =>
  a === null ? b : b === null ? a : Math.min(a, b);

/** What Redis counted, and at least what this process knows itself: a flushed Redis forgets nobody's calls here. */
const joined = (shared: Used, own: Used): Used => ({
  concurrent: Math.max(shared.concurrent, own.concurrent),
  recent: Math.max(shared.recent, own.recent),
  idleMs: shorter(shared.idleMs, own.idleMs),
});

/** What this process knew of a subject, and how many places of the same call were among it. */
type Own = ReturnType<OwnUse['read']>;

/** `shared` is what Redis counted, subject by subject; null where it said nothing. */
const usageOf = (
  subjects: readonly Subject[],
  own: readonly Own[],
  shared: readonly Used[] | null,
): Usage => {
  const used = (what: Subject['what']): Used | null => {
    const i = subjects.findIndex((subject) => subject.what === what);
    const mine = own[i];
    if (mine === undefined) return null;
    const there = shared?.[i];
    if (there === undefined) return mine.used;
    // Other places of this same call are not other calls.
    return joined({ ...there, concurrent: Math.max(0, there.concurrent - mine.same) }, mine.used);
  };
  return {
    state: shared === null ? 'alone' : 'shared',
    caller: used('caller'),
    number: used('number') ?? { concurrent: 0, recent: 0, idleMs: null },
    phone: used('phone'),
  };
};

class OpenPlace implements Place {
  readonly callId: string;
  readonly member: string;
  readonly subjects: readonly Subject[];
  readonly #counters: RedisCounters;
  usage: Usage = {
    state: 'alone',
    caller: null,
    number: { concurrent: 0, recent: 0, idleMs: null },
    phone: null,
  };
  #state: 'entered' | 'connected' | 'left' = 'entered';

  constructor(counters: RedisCounters, callId: string, member: string, subjects: readonly Subject[]) {
    this.#counters = counters;
    this.callId = callId;
    this.member = member;
    this.subjects = subjects;
  }

  get trace(): JsonObject {
    return { member: this.member, names: this.names };
  }

  get names(): readonly string[] {
    return this.subjects.map(({ name }) => name);
  }

  connected(): void {
    if (this.#state !== 'entered') return;
    this.#state = 'connected';
    this.#counters.connected(this);
  }

  async leave(): Promise<void> {
    if (this.#state === 'left') return;
    const wasConnected = this.#state === 'connected';
    this.#state = 'left';
    await this.#counters.leave(this, wasConnected);
  }
}

class RedisCounters implements SharedCounters {
  readonly #options: Required<CountersOptions>;
  readonly #keys: KeyNames;
  readonly #connection: Connection;
  readonly #own: OwnUse;
  readonly #times: string;
  readonly #answering: Answering;
  readonly #places = new Set<OpenPlace>();
  readonly #unsent = new Set<Message>();
  readonly #timers: NodeJS.Timeout[] = [];
  #inFlight = 0;
  #entered = 0;
  #retrying = false;

  constructor(options: Required<CountersOptions>) {
    const { redis, keyPrefix, windowMs, leaseMs, deadlineMs } = options;
    this.#options = options;
    this.#keys = keySpaces(redis, keyPrefix).use;
    this.#own = new OwnUse(windowMs);
    this.#answering = new Answering(() => options.clock.mono());
    this.#times = `${leaseMs} ${windowMs} ${memoryMs}`;
    // Sent once: a place that is taken, or held, after it was given back would be nobody's until its lease ends.
    const renewed = (state: RedisState): void => {
      // It may be another Redis, or an empty one: our places must be in it before the next call asks.
      if (state === 'up') void this.renew().then(() => this.#retry());
    };
    this.#connection = new Connection(redis, deadlineMs * 2, renewed, { sentOnce: true });
  }

  async start(): Promise<void> {
    await this.#connection.open();
    const { renewEveryMs, retryEveryMs } = this.#options;
    this.#timers.push(setInterval(() => void this.renew(), renewEveryMs));
    this.#timers.push(setInterval(() => void this.#retry(), retryEveryMs));
  }

  // ---- one call

  async enter(leg: Leg, key: NumberKey, kind: Kind, taking?: (trace: JsonObject) => void): Promise<Place> {
    return this.entering(leg, key, kind, taking).settle(undefined);
  }

  entering(leg: Leg, key: NumberKey, kind: Kind, taking?: (trace: JsonObject) => void): Entering {
    const { clock } = this.#options;
    const { callId } = leg;
    const subjects = subjectsOf(leg, key, kind);
    this.#entered += 1;
    const place = new OpenPlace(this, callId, `${callId}:${this.#entered.toString(36)}`, subjects);
    taking?.(place.trace);
    const now = clock.mono();
    const own = subjects.map(({ name }) => this.#own.read(name, callId, now));
    // Here first, whatever Redis says: from now on the place is renewed, so a late answer finds it held.
    this.#own.enter(place.names, place);
    this.#places.add(place);
    return {
      keys: place.names.flatMap((name) => this.#keys.use(name)),
      args: ['enter', this.#times, 0, place.member],
      settle: async (reply) => {
        const shared = reply === undefined ? await this.#askRedis(place) : readUsed(reply, subjects.length);
        place.usage = usageOf(subjects, own, shared);
        return place;
      },
    };
  }

  /** What was there before, subject by subject; null where Redis did not answer in time. */
  async #askRedis(place: OpenPlace): Promise<readonly Used[] | null> {
    if (this.#inFlight >= maxInFlight) return null;
    this.#inFlight += 1;
    try {
      const asked = this.#run('enter', 0, place.names, [place.member]);
      const reply = await this.#answering.within(this.#options.deadlineMs, asked);
      return readUsed(reply, place.subjects.length);
    } catch {
      return null;
    } finally {
      this.#inFlight -= 1;
    }
  }

  #run(op: string, agoMs: number, names: readonly string[], more: readonly string[]): Promise<unknown> {
    const keys = names.flatMap((name) => this.#keys.use(name));
    return this.#connection.run(scripts.use, 'write', keys, [op, this.#times, Math.round(agoMs), ...more]);
  }

  connected(place: OpenPlace): void {
    const now = this.#options.clock.mono();
    this.#own.connected(place.names, place, now);
    const untilMono = now + this.#options.windowMs;
    void this.#send({ op: 'connected', place, wasConnected: true, mono: now, untilMono });
  }

  async leave(place: OpenPlace, wasConnected: boolean): Promise<void> {
    const now = this.#options.clock.mono();
    this.#places.delete(place);
    this.#own.leave(place.names, place, now, wasConnected);
    const untilMono = now + (wasConnected ? memoryMs : this.#options.leaseMs);
    await this.#send({ op: 'leave', place, wasConnected, mono: now, untilMono });
  }

  async giveBack({ member, names }: JsonObject, wasConnected: boolean): Promise<boolean> {
    if (typeof member !== 'string' || !Array.isArray(names) || names.length === 0) return false;
    const texts = (names as readonly unknown[]).filter((name) => typeof name === 'string');
    const subjects = texts.map((name) => ({ what: 'number', name }) as const);
    const place = new OpenPlace(this, '', member, subjects);
    const mono = this.#options.clock.mono();
    // As every leaving: what Redis does not take at once is sent again, for as long as the lease may last.
    const untilMono = mono + this.#options.leaseMs;
    await this.#send({ op: 'leave', place, wasConnected, mono, untilMono });
    return true;
  }

  // ---- what Redis must get

  async #send(what: Omit<Message, 'twice' | 'fromMono'>): Promise<void> {
    const twice = what.op === 'leave' && what.place.usage.state === 'alone';
    const message: Message = { ...what, twice, fromMono: what.mono };
    if ((await this.#deliver(message)) && !this.#isDueAgain(message)) return;
    this.#unsent.add(message);
    if (this.#unsent.size <= maxUnsent) return;
    const [oldest] = this.#unsent;
    if (oldest !== undefined) this.#unsent.delete(oldest);
    this.#options.emit({ event: 'fault', where: 'counters', code: 'use-not-counted' });
  }

  async #deliver({ op, place, wasConnected, mono }: Message): Promise<boolean> {
    try {
      const agoMs = Math.max(0, this.#options.clock.mono() - mono);
      await this.#run(op, agoMs, place.names, [place.member, wasConnected ? '1' : '0']);
      return true;
    } catch {
      return false;
    }
  }

  /** Asked once Redis has taken it. */
  #isDueAgain(message: Message): boolean {
    if (!message.twice) return false;
    message.twice = false;
    message.fromMono = this.#options.clock.mono() + this.#options.retryEveryMs;
    return true;
  }

  #due(fromMono: number): readonly Message[] {
    return [...this.#unsent].filter((message) => message.fromMono <= fromMono).slice(0, retrySize);
  }

  /** Sends what was not taken, oldest first, as long as it is taken; with `all` also what is due later. */
  async #retry(all = false): Promise<void> {
    if (this.#retrying) return;
    this.#retrying = true;
    try {
      while (this.#connection.state === 'up') {
        const some = this.#due(all ? Number.POSITIVE_INFINITY : this.#options.clock.mono());
        if (some.length === 0) return;
        const taken = await Promise.all(some.map((message) => this.#deliver(message)));
        const now = this.#options.clock.mono();
        some.forEach((message, i) => {
          const said = taken[i] === true && !this.#isDueAgain(message);
          if (said || now > message.untilMono) this.#unsent.delete(message);
        });
        if (taken.includes(false)) return;
      }
    } finally {
      this.#retrying = false;
    }
  }

  /** All leases of this process in one go. */
  async renew(): Promise<void> {
    this.#own.tidy(this.#options.clock.mono());
    const now = this.#options.clock.mono();
    for (const message of this.#unsent) if (now > message.untilMono) this.#unsent.delete(message);
    const held = [...this.#places].flatMap((place) =>
      place.names.map((name) => [this.#keys.use(name)[0], place.member] as const),
    );
    const renewals: Promise<unknown>[] = [];
    for (let i = 0; i < held.length; i += renewSize) {
      const some = held.slice(i, i + renewSize);
      const keys = some.map(([key]) => key);
      const args = ['hold', this.#times, 0, ...some.map(([, member]) => member)];
      renewals.push(this.#connection.run(scripts.use, 'write', keys, args).catch(() => {}));
    }
    await Promise.all(renewals);
  }

  held(): ReturnType<SharedCounters['held']> {
    return { places: this.#places.size, unsent: this.#unsent.size, subjects: this.#own.size };
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#retry(true);
    this.#connection.close();
  }
}

/** The reply of 'enter'; null where it is none. */
const readUsed = (reply: unknown, subjects: number): readonly Used[] | null => {
  if (!Array.isArray(reply) || reply.length !== 3 * subjects) return null;
  const numbers = reply as readonly unknown[];
  if (!numbers.every((n) => typeof n === 'number' && Number.isSafeInteger(n))) return null;
  const [...counts] = numbers as readonly number[];
  return Array.from({ length: subjects }, (_, i) => {
    const [concurrent = 0, recent = 0, idle = -1] = counts.slice(3 * i, 3 * i + 3);
    return { concurrent, recent, idleMs: idle < 0 ? null : idle };
  });
};

/**
 * Counts calls for all controllers that share a Redis. Resolves when connected or after the first failure, and then
 * counts for this process alone until Redis is there. Rejects with a RangeError on times that cannot be used.
 */
export const openCounters = async (options: CountersOptions): Promise<SharedCounters> => {
  const leaseMs = options.leaseMs ?? 90_000;
  const whole = { deadlineMs: 50, renewEveryMs: leaseMs / 3, retryEveryMs: 1_000, ...options, leaseMs };
  for (const ms of [whole.leaseMs, whole.windowMs]) {
    if (!Number.isSafeInteger(ms) || ms < 1) throw new RangeError('counters: a time is a whole number of ms');
  }
  const counters = new RedisCounters(whole);
  await counters.start();
  return counters;
};
