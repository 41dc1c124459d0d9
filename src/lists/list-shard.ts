import type { Clock, Emit, ListQuestion, Lists } from '../call/ports.js';
import type { Place } from '../call/talk.js';
import {
  type Answer,
  allUnknown,
  type EpochRef,
  type ListAnswers,
  type PrivilegedEntry,
  privilegedClasses,
  type UnknownWhy,
} from '../core/lists.js';
import { Answering } from './answering.js';
import { Arming, type Judgement } from './arming.js';
import { bucketCount, digitsOf, type KeyNames } from './layout.js';
import { epochRef, formatHead, type Manifest, parseHead } from './manifest.js';
import { listedOrAbsent } from './match.js';
import type { NumberOrders, OrderedNumber } from './orders.js';
import { type Plan, plainKeys, planLookup, Reading, type View } from './reading.js';
import { type Connection, type Probe, RedisError, readProbes, scripts } from './redis.js';
import { maxValueBytes } from './rows.js';
import type { TrustedKeys } from './signed.js';
import type { Snapshot } from './snapshot.js';
import { openHeartbeat } from './snapshot-file.js';
import {
  batchSize,
  bucketsStand,
  type Held,
  readHead,
  type Verification,
  type VerifiedEpoch,
  verifyRedis,
} from './verify.js';
import { TimedOut } from './within.js';

/** What a shard needs of its surroundings. */
export interface ShardOptions {
  readonly keys: KeyNames;
  /** Shared by all shards, as both connections are. */
  readonly lookups: Connection;
  readonly background: Connection;
  readonly snapshot: Snapshot;
  readonly trusted: TrustedKeys;
  readonly orders: NumberOrders;
  readonly maxListAgeMs: number;
  readonly maxSupersededMs: number;
  readonly maxFutureMs: number;
  readonly deadlineMs: number;
  readonly verifyEveryMs: number;
  readonly pollEveryMs: number;
  /** True where lists and counts lie on the same server: not in a Cluster. */
  readonly oneServer: boolean;
  /** True where sentinels say which server it is. */
  readonly replicated: boolean;
  /** How many shards there are: all of them verify with the time one may take. */
  readonly shards: number;
  /** Verifications are done one after the other: the first keeps what the others would read again. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  /** A publication was taken into service: it is another one than before (`news`), or it had been lost meanwhile. */
  readonly onArmed: (manifest: Manifest, news: boolean) => void;
  readonly emit: Emit;
  readonly clock: Clock;
}

/** Lookups waiting for Redis at the same time: what a frozen Redis can hold of us. */
const maxInFlight = 512;
/** Verification takes at most one part in this of the time. */
const verifyShare = 20;
/** And at most this share while the lists are disarmed. */
const retryShare = 3;
const headBytes = 8192;
const leaveEveryMs = 2_000;

/** Listed wins over absent and over unknown too: both lists only ever refuse. */
const joined = <E>(answer: Answer<E>, ordered: readonly E[]): Answer<E> =>
  ordered.length === 0
    ? answer
    : listedOrAbsent([...(answer.state === 'listed' ? answer.entries : []), ...ordered]);

const united = (answers: ListAnswers, { pending, block }: OrderedNumber): ListAnswers => ({
  ...answers,
  pending: joined(answers.pending, pending),
  block: joined(answers.block, block),
});

type Entered = Awaited<ReturnType<NonNullable<Lists['lookUpEntering']>>>;
type EnteringFor = Parameters<NonNullable<Lists['lookUpEntering']>>[1];

/** What is asked of the counts beside the lists, and the place that comes of it. */
interface Asking {
  readonly entering: EnteringFor | null;
  place: Promise<Place> | null;
}

/** A reply of decide.lua; `used` is undefined where no place was taken. Null where it is no such reply. */
const takenApart = (reply: unknown): { readonly seen: unknown; readonly used: unknown } | null => {
  if (!Array.isArray(reply) || reply.length !== 2) return null;
  const [seen, used]: readonly unknown[] = reply;
  return { seen, used: used ?? undefined };
};

/** The lists of one shard, armed and judged by themselves; all of the lists where there is no Cluster. */
export class ListShard {
  readonly #options: ShardOptions;
  readonly #trusted: TrustedKeys;
  readonly #keys: KeyNames;
  readonly #lookups: Connection;
  readonly #background: Connection;
  readonly #arming: Arming;
  readonly #snapshot: Snapshot;
  readonly #answering: Answering;
  #why: string | null = 'starting';
  #inFlight = 0;
  #closed = false;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #queued: Promise<void> | null = null;
  #queuedWhole = false;
  #verifiedMono = Number.NEGATIVE_INFINITY;
  /** When every row was read last: between that, only what publications say they changed. */
  #wholeMono = Number.NEGATIVE_INFINITY;
  #digests: Omit<Held, 'index'> | null = null;
  /** The next bucket to look at again, while all of them are gone through in the background; null between. */
  #scrubbing: number | null = null;
  #scrubPauseMs = 0;
  #verifyEveryMs: number;
  #retryMs = 0;
  #leftMono = Number.NEGATIVE_INFINITY;

  constructor(options: ShardOptions) {
    const { trusted, snapshot, clock, maxListAgeMs, maxSupersededMs, maxFutureMs } = options;
    this.#options = options;
    this.#trusted = trusted;
    this.#snapshot = snapshot;
    this.#answering = new Answering(() => clock.mono());
    this.#keys = options.keys;
    this.#verifyEveryMs = options.verifyEveryMs;
    this.#lookups = options.lookups;
    this.#background = options.background;
    const highestEpoch = () => snapshot.highestEpoch;
    this.#arming = new Arming({ trusted, maxListAgeMs, maxSupersededMs, maxFutureMs, clock, highestEpoch });
  }

  async start(): Promise<void> {
    await this.refresh();
    this.#poll();
  }

  // ---- lookup

  async lookUp(question: ListQuestion): Promise<ListAnswers> {
    return (await this.lookUpEntering(question, null)).answers;
  }

  async lookUpEntering(question: ListQuestion, entering: EnteringFor | null): Promise<Entered> {
    const { clock, emit } = this.#options;
    const started = clock.mono();
    const asking: Asking = { entering, place: null };
    const answers = united(await this.#ask(question, asking), this.#options.orders.find(question.key));
    const { privileged } = answers;
    const outcome = privileged.state === 'unknown' ? privileged.why : 'answered';
    emit({ event: 'list-lookup', ms: clock.mono() - started, outcome });
    return { answers, place: asking.place };
  }

  #unknown(why: UnknownWhy, snapshot: Answer<PrivilegedEntry>): ListAnswers {
    const answers = allUnknown(why, snapshot);
    const held = this.#snapshot.epoch;
    // The epoch that answered: with Redis silent, the one of the snapshot where that knows the number.
    return snapshot.state === 'listed' && held !== null
      ? { ...answers, epoch: epochRef(held.manifest) }
      : answers;
  }

  async #ask(question: ListQuestion, asking: Asking): Promise<ListAnswers> {
    const { key, facility } = question;
    const digits = digitsOf(key.e164);
    if (digits === null) return allUnknown('malformed', { state: 'unknown', why: 'malformed' });
    const snapshot = this.#snapshot.find({ digits, extension: key.extension, facility });
    if (this.#inFlight >= maxInFlight) return this.#unknown('timeout', snapshot);
    this.#inFlight += 1;
    try {
      return await this.#askRedis(question, snapshot, asking);
    } catch (error) {
      if (error instanceof TimedOut) return this.#unknown('timeout', snapshot);
      return this.#unknown(error instanceof RedisError ? error.code : 'malformed', snapshot);
    } finally {
      this.#inFlight -= 1;
    }
  }

  async #askRedis(
    question: ListQuestion,
    snapshot: Answer<PrivilegedEntry>,
    asking: Asking,
  ): Promise<ListAnswers> {
    const verified = this.#arming.verified;
    const plan = planLookup(this.#keys, question, verified?.manifest.canaries ?? []);
    if (plan === null) return this.#unknown('malformed', snapshot);
    const sent = this.#sent(plan, verified, snapshot, asking);
    const reply = await this.#answering.within(this.#options.deadlineMs, sent);
    const reading = Reading.of(plan, reply);
    if (reading === null) return this.#unknown('malformed', snapshot);
    const judged = this.#judge(verified, reading.head, reading.heartbeat);
    if (judged.state === 'unknown') return this.#unknown(judged.why, snapshot);
    const view: View = { serving: judged.epoch.head.epoch, head: judged.headEpoch };
    if (!reading.canariesSing(view)) return this.#suspect('canary-missing', 'unarmed', snapshot);
    const numbers = reading.numbers(view);
    if (numbers.privileged.state === 'unknown') this.#wake();
    else if (this.#lacks(numbers.privileged, snapshot)) {
      return this.#suspect('privileged-entry-missing', 'unarmed', snapshot);
    }
    return {
      epoch: epochRef(judged.epoch.manifest),
      heartbeatAgeMs: judged.heartbeatAgeMs,
      ...numbers,
      snapshot,
      allow: reading.allow(view, judged.epoch.manifest.salt),
    };
  }

  /**
   * Sends the question, and with it what the counts are asked, where the snapshot holds the very epoch that Redis must
   * show for it: then the two say the same of a number, and the place that is taken is the one the call has.
   */
  async #sent(
    plan: Plan,
    verified: VerifiedEpoch | null,
    snapshot: Answer<PrivilegedEntry>,
    asking: Asking,
  ): Promise<unknown> {
    const args = [plainKeys, maxValueBytes, ...plan.fields];
    const plainly = (): Promise<unknown> => this.#lookups.run(scripts.lookup, 'read', plan.keys, args);
    const same = verified !== null && this.#snapshot.epoch?.text === verified.text;
    if (!same || snapshot.state === 'unknown' || !this.#options.oneServer) return plainly();
    const entering = asking.entering?.(allUnknown('timeout', snapshot)) ?? null;
    if (entering === null) return plainly();
    const head = formatHead(verified.head);
    const both = [head, entering.args.length, plan.keys.length, ...entering.args, ...plan.keys, ...args];
    const sending = this.#lookups.run(scripts.decide, 'write', entering.keys, both);
    // Settled whatever becomes of the question: where Redis is late, the place is this process's alone until then.
    asking.place = this.#answering.within(this.#options.deadlineMs, sending).then(
      (reply) => entering.settle(takenApart(reply)?.used),
      (error) => entering.settle(error instanceof TimedOut ? null : undefined),
    );
    const reply = await sending.catch((error: unknown) => {
      // A server that lets us count nothing may still be read.
      if (error instanceof RedisError && error.code === 'unreachable' && this.#lookups.state === 'up')
        return null;
      throw error;
    });
    return reply === null ? plainly() : takenApart(reply)?.seen;
  }

  /** True where the snapshot lists an entry that Redis does not show: it was taken away behind our back. */
  #lacks(privileged: Answer<PrivilegedEntry>, snapshot: Answer<PrivilegedEntry>): boolean {
    if (snapshot.state !== 'listed') return false;
    const there = new Set(privileged.state === 'listed' ? privileged.entries.map(({ id }) => id) : []);
    return snapshot.entries.some(({ id }) => !there.has(id));
  }

  #suspect(reason: string, why: UnknownWhy, snapshot: Answer<PrivilegedEntry>): ListAnswers {
    this.#disarm(reason);
    return this.#unknown(why, snapshot);
  }

  // ---- arming

  #judge(verified: VerifiedEpoch | null, head: Probe, heartbeat: Probe): Judgement {
    const judged = this.#arming.judge(verified, head, heartbeat);
    if (judged.state === 'unknown' && judged.suspect !== null) this.#disarm(judged.suspect);
    if (judged.state === 'unknown' && judged.why === 'stale') this.#leave();
    this.#why = judged.state === 'serve' ? null : (this.#arming.disarmed ?? judged.why);
    const served = this.#arming.verified?.head.epoch;
    const lags = judged.state === 'serve' || (judged.why === 'unarmed' && judged.suspect === null);
    if (lags && this.#isAhead(head, served)) this.#wake();
    else if (judged.state === 'serve' && heartbeat.state === 'value') this.#snapshot.touch(heartbeat.text);
    return judged;
  }

  /** Whether a reply shows a later epoch than the one that is verified, and one that could be taken. */
  #isAhead(head: Probe, served: number | undefined): boolean {
    const shown = head.state === 'value' ? parseHead(head.text) : null;
    if (shown === null || served === undefined || this.#arming.disarmed !== null) return false;
    return shown.epoch > served && shown.epoch >= this.#arming.highestEpoch;
  }

  /** What says something too old may be a master that was replaced and does not know it: another one is looked for. */
  #leave(): void {
    const now = this.#options.clock.mono();
    if (!this.#options.replicated || now - this.#leftMono < leaveEveryMs) return;
    this.#leftMono = now;
    this.#lookups.reconnect();
    this.#background.reconnect();
  }

  #disarm(reason: string): void {
    this.#why = reason;
    if (!this.#arming.disarm(reason)) return;
    const { emit } = this.#options;
    if (reason === 'epoch-regressed') this.#leave();
    emit({ event: 'lists-disarmed', why: reason });
    const alarm = reason === 'privileged-entry-missing' ? reason : 'lists-disarmed';
    emit({ event: 'alarm', alarm, callId: null, detail: reason });
    this.#wake();
  }

  /** True while Redis answers nothing that is asked. */
  get silent(): boolean {
    return this.#answering.silent;
  }

  armed(): { readonly armed: boolean; readonly why: string } {
    return this.#why === null ? { armed: true, why: 'armed' } : { armed: false, why: this.#why };
  }

  epoch(): EpochRef | null {
    const verified = this.#arming.verified;
    return verified === null ? null : epochRef(verified.manifest);
  }

  // ---- background

  #poll(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(
      () => {
        void this.#look(false).then(() => this.#poll());
      },
      this.#scrubbing === null
        ? this.#options.pollEveryMs
        : Math.min(this.#options.pollEveryMs, this.#scrubPauseMs),
    );
  }

  /** Has the background look soon: something changed. */
  #wake(): void {
    if (!this.#closed && this.#queued === null) void this.#look(false);
  }

  refresh(): Promise<void> {
    return this.#look(true);
  }

  /** One look at a time; one more is kept waiting, and later callers share it. */
  #look(whole: boolean): Promise<void> {
    if (this.#running === null) {
      this.#running = this.#lookOnce(whole).finally(() => {
        this.#running = null;
      });
      return this.#running;
    }
    const running = this.#running;
    this.#queuedWhole ||= whole;
    this.#queued ??= running.then(() => {
      const asked = this.#queuedWhole;
      this.#queued = null;
      this.#queuedWhole = false;
      return this.#look(asked);
    });
    return this.#queued;
  }

  async #lookOnce(whole: boolean): Promise<void> {
    if (this.#closed) return;
    const { verified } = this.#arming;
    try {
      const reply = await this.#background.run(
        scripts.lookup,
        'read',
        [this.#keys.head, this.#keys.heartbeat],
        [plainKeys, headBytes],
      );
      const [head, heartbeat] = readProbes(reply, plainKeys) ?? [];
      if (head === undefined || heartbeat === undefined) throw new RedisError('malformed', 'odd reply');
      this.#judge(verified, head, heartbeat);
      if (whole) this.#digests = null;
      if (whole || this.#isDue(head)) await this.#options.inTurn(() => this.#verify());
      else await this.#options.inTurn(() => this.#scrub());
    } catch (error) {
      this.#why = this.#arming.disarmed ?? (error instanceof RedisError ? error.code : 'fault');
      this.#scrubPauseMs = this.#options.pollEveryMs;
    }
  }

  #isDue(head: Probe): boolean {
    const verified = this.#arming.verified;
    const since = this.#options.clock.mono() - this.#verifiedMono;
    // While disarmed it is tried again and again, but never so often that it eats the processor.
    if (verified === null || this.#arming.disarmed !== null) return since >= this.#retryMs;
    if (head.state === 'value' && head.text !== formatHead(verified.head)) return true;
    // Digests of an epoch that is not the one being served show nothing of it.
    const known = this.#digests;
    return (known?.digests == null || known.epoch.text !== verified.text) && this.#isOld();
  }

  #isOld(): boolean {
    return this.#options.clock.mono() - this.#wholeMono >= this.#verifyEveryMs;
  }

  /**
   * Looks at the next few buckets again, and at all of them in the course of time. In pieces, so that publications are
   * followed between two of them: half a million numbers take seconds. What differs has all of it read anew, which says why.
   */
  async #scrub(): Promise<void> {
    const { clock, verifyEveryMs, shards } = this.#options;
    const { verified, disarmed } = this.#arming;
    const digests = this.#digests?.digests ?? null;
    if (
      verified === null ||
      disarmed !== null ||
      digests === null ||
      this.#digests?.epoch.text !== verified.text
    )
      return;
    if (this.#scrubbing === null && clock.mono() - this.#wholeMono < verifyEveryMs) return;
    const started = clock.mono();
    const from = this.#scrubbing ?? 0;
    const to = Math.min(bucketCount, from + batchSize(verified.manifest));
    const buckets = Array.from({ length: to - from }, (_, i) => from + i);
    const same = await bucketsStand(this.#background, this.#keys, { epoch: verified, digests }, buckets);
    this.#scrubPauseMs = Math.max(1, (clock.mono() - started) * verifyShare * shards);
    this.#scrubbing = to < bucketCount ? to : null;
    if (same) {
      if (to === bucketCount) this.#wholeMono = clock.mono();
      return;
    }
    const head = await readHead(this.#background, this.#keys);
    this.#scrubbing = from;
    if (head !== null && head !== 'malformed' && head.epoch > verified.head.epoch) return this.#wake();
    this.#digests = null;
    await this.#verify();
  }

  /** What the next verification may go on from: nothing where all of it is due to be read again. */
  #heldFor(now: number): Held | null {
    const known = this.#digests;
    const { verified, disarmed } = this.#arming;
    if (known === null || verified === null || disarmed !== null || known.epoch.text !== verified.text)
      return null;
    if (known.digests === null && now - this.#wholeMono >= this.#verifyEveryMs) return null;
    return { ...known, index: this.#snapshot.indexOf(known.epoch) };
  }

  async #verify(): Promise<void> {
    const started = this.#options.clock.mono();
    const wantIndex = (epoch: VerifiedEpoch): boolean => {
      const held = this.#snapshot.epoch;
      return held === null || held.text !== epoch.text;
    };
    const held = this.#heldFor(started);
    const result = await verifyRedis(this.#background, this.#keys, this.#trusted, wantIndex, held);
    this.#verifiedMono = this.#options.clock.mono();
    const took = this.#verifiedMono - started;
    if (result.state === 'moved') this.#retryMs = took * retryShare * this.#options.shards;
    else if (result.state === 'mismatch' || result.whole) {
      this.#wholeMono = this.#verifiedMono;
      this.#verifyEveryMs = Math.max(this.#options.verifyEveryMs, took * verifyShare * this.#options.shards);
      this.#retryMs = took * retryShare * this.#options.shards;
      this.#scrubbing = null;
    }
    // What was verified before still counts where publications came faster than they could be followed.
    if (result.state !== 'moved')
      this.#digests = result.state === 'verified' ? { epoch: result.epoch, digests: result.digests } : null;
    switch (result.state) {
      case 'moved':
        this.#verifiedMono = Number.NEGATIVE_INFINITY;
        this.#wake();
        return;
      case 'mismatch':
        // Nothing published yet is not a loss, unless this disk remembers an epoch.
        if (result.why === 'no-epoch' && this.#arming.highestEpoch === 0) this.#why = 'no-epoch';
        else this.#disarm(result.why);
        return;
      case 'verified':
        await this.#accept(result, result.beat);
        return;
      default: {
        const never: never = result;
        return never;
      }
    }
  }

  async #accept(result: Extract<Verification, { state: 'verified' }>, beat: Probe): Promise<void> {
    const { epoch, index, tombstones } = result;
    if (epoch.head.epoch < this.#arming.highestEpoch) {
      const same = this.#arming.disarmed === null && this.#arming.verified?.text === epoch.text;
      // Served until now, and another shard is ahead: how long it may stay behind is for the judgement of its replies.
      return same ? undefined : this.#disarm('epoch-regressed');
    }
    if (this.#snapshot.isForkOf(epoch)) return this.#disarm('epoch-forked');
    const classes = new Set(epoch.manifest.canaries.map((canary) => canary.class));
    if (privilegedClasses.some((cls) => !classes.has(cls))) return this.#disarm('canaries-incomplete');
    const text = beat.state === 'value' ? beat.text : '';
    if (openHeartbeat(this.#trusted, text, epoch) === null) {
      // Another beat may just be on its way with a new epoch; without one nothing is served either.
      this.#verifiedMono = Number.NEGATIVE_INFINITY;
      return;
    }
    if (index !== null) {
      if ((await this.#snapshot.missingIn(index, tombstones)) > 0) {
        return this.#disarm('privileged-entry-missing');
      }
    }
    const before = this.#arming.verified;
    const wasDisarmed = this.#arming.disarmed !== null;
    this.#arming.arm(epoch);
    const saved = index === null ? Promise.resolve() : this.#snapshot.adopt(epoch, index, text);
    this.#judge(epoch, { state: 'value', text: formatHead(epoch.head) }, beat);
    const news = before?.text !== epoch.text;
    if (news || wasDisarmed) this.#options.onArmed(epoch.manifest, news);
    await saved;
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#queued;
    await this.#running;
  }
}
