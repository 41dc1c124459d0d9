import type { Timers } from './clock.js';
import { Throttle } from './throttle.js';
import type { Flow, TransportName } from './transport.js';

/** A configured peer, as far as letting its requests in goes. */
export interface SourceRule {
  readonly name: string;
  /** Addresses its packets come from; none where it is known by what it proves alone. */
  readonly addresses: readonly string[];
  readonly port?: number;
  readonly transports: readonly TransportName[];
  /** It proves who it is by a certificate or a password; until then it is nobody. */
  readonly proves: boolean;
  /** Calls come from it. Those of a peer that only takes calls are as welcome as anybody's. */
  readonly calls: boolean;
  /** New calls a second, and how many at once after a pause. */
  readonly rate?: { readonly perSecond: number; readonly burst: number };
}

/** Why a request was turned away at the door. */
export type ShedWhy = 'rate' | 'load' | 'silent' | 'unknown-source';

/** Requests turned away at the door in about a second: `source` is null for unknown ones. */
export interface ShedCount {
  readonly source: string | null;
  readonly why: ShedWhy;
  readonly count: number;
}

export interface DoorOptions {
  readonly sources: readonly SourceRule[];
  /** How late the event loop was at the median since it was last asked, in ms. */
  readonly loopDelay?: () => number;
  /** Told at most once a second. */
  readonly onShed?: (counts: readonly ShedCount[]) => void;
}

/** Requests of unknown sources that the application still hears of, together: enough to see in its rows that there are some. */
const unknownRate = { perSecond: 10, burst: 20 };
/** New requests of a known source that are no calls: OPTIONS above all. */
const otherRate = { perSecond: 100, burst: 200 };
/** An application that was handed so many calls and said nothing at all for so long does not work. */
const silentMs = 1000;
const silentCalls = 8;
const tellMs = 1000;
/** After the last request turned away, how long the short way of turning away is tried first. */
const pressedMs = 2000;

class Bucket {
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  constructor({ perSecond, burst }: { readonly perSecond: number; readonly burst: number }, now: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  take(now: number): boolean {
    this.#tokens = Math.min(
      this.#burst,
      this.#tokens + (Math.max(0, now - this.#at) / 1000) * this.#perSecond,
    );
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

interface Source {
  readonly rule: SourceRule;
  readonly calls: Bucket | undefined;
  readonly others: Bucket;
}

/** Who stands at the door: a source, somebody who has yet to prove who it is, or nobody known. */
type Who = Source | 'unproved' | 'unknown';

/**
 * Decides which new requests are let in before anything is made of them. It never judges what belongs to a dialog or a
 * transaction that is there: a call that is up is not made to pay for those that want to be. Everything it keeps is by
 * configured source, so no flood makes it grow.
 */
export class Door {
  readonly #timers: Timers;
  readonly #onShed: ((counts: readonly ShedCount[]) => void) | undefined;
  readonly #byName = new Map<string, Source>();
  readonly #byAddress = new Map<string, Source[]>();
  /** Some peer may be anywhere, and is to be asked for a proof first. */
  readonly #anywhere: boolean;
  readonly #unknown: Bucket;
  readonly #throttle: Throttle;
  readonly #shed = new Map<string, { source: string | null; why: ShedWhy; count: number }>();
  #telling = false;
  #pressedUntil = 0;
  /** Since when the application has been handed calls and said nothing, and how many. */
  #silentSince: number | undefined;
  #silentCalls = 0;

  /** Requests turned away so far, by why. */
  readonly turnedAway: Record<ShedWhy, number> = { rate: 0, load: 0, silent: 0, 'unknown-source': 0 };

  /** Without options every source is known, and nothing is bounded here. */
  readonly open: boolean;

  constructor(options: DoorOptions | undefined, timers: Timers) {
    const now = timers.clock.now();
    this.#timers = timers;
    this.open = options === undefined;
    this.#onShed = options?.onShed;
    this.#unknown = new Bucket(unknownRate, now);
    this.#throttle = new Throttle(now, options?.loopDelay ?? (() => 0));
    const rules = options?.sources ?? [];
    this.#anywhere = rules.some(({ proves, addresses }) => proves && addresses.length === 0);
    for (const rule of rules) {
      const source: Source = {
        rule,
        calls: rule.rate === undefined ? undefined : new Bucket(rule.rate, now),
        others: new Bucket(otherRate, now),
      };
      this.#byName.set(rule.name, source);
      for (const address of rule.addresses) {
        const known = this.#byAddress.get(address);
        if (known === undefined) this.#byAddress.set(address, [source]);
        else known.push(source);
      }
    }
  }

  /** True while requests are being turned away: the short way is worth trying. */
  get pressed(): boolean {
    return this.#pressedUntil !== 0 && this.#timers.clock.now() < this.#pressedUntil;
  }

  /** Calls a second handed to the application at most. */
  get rate(): number {
    return this.#throttle.rate;
  }

  /** True if nothing can be said of the sender before it was asked for its proof. */
  undecided(flow: Flow): boolean {
    return this.#who(flow, undefined) === 'unproved';
  }

  /** Why a new request outside dialogs is not let in; undefined if it is. Takes its place in the rates of its source. */
  refusal(flow: Flow, method: string, identity: string | undefined): ShedWhy | undefined {
    if (this.open) return undefined;
    const now = this.#timers.clock.now();
    const who = this.#who(flow, identity);
    const source = typeof who === 'string' ? null : who;
    const why = this.#why(source, method, now);
    if (why !== undefined) this.shed(source?.rule.name ?? null, why);
    return why;
  }

  /** In whose line a new call waits, where there are too many: undefined for one of nobody known. */
  sourceOf(flow: Flow): string | undefined {
    if (this.open) return '';
    const who = this.#who(flow, undefined);
    if (who === 'unproved') return '';
    return who === 'unknown' || !who.rule.calls ? undefined : who.rule.name;
  }

  /** A request of that source (null for unknown ones) is turned away. */
  shed(source: string | null, why: ShedWhy): void {
    this.#pressedUntil = this.#timers.clock.now() + pressedMs;
    this.turnedAway[why] += 1;
    this.#count(source, why);
  }

  #why(source: Source | null, method: string, now: number): ShedWhy | undefined {
    if (method !== 'INVITE') {
      if (source === null) return this.#unknown.take(now) ? undefined : 'unknown-source';
      return source.others.take(now) ? undefined : 'rate';
    }
    if (source === null || !source.rule.calls) return this.#unknown.take(now) ? undefined : 'unknown-source';
    if (source.calls !== undefined && !source.calls.take(now)) return 'rate';
    const silent = this.#silentSince !== undefined && now - this.#silentSince > silentMs;
    if (silent && this.#silentCalls >= silentCalls) return 'silent';
    if (!this.#throttle.offer(source.rule.name, now)) return 'load';
    this.#silentSince ??= now;
    this.#silentCalls += 1;
    return undefined;
  }

  /** The application said something: it works. */
  heard(): void {
    this.#silentSince = undefined;
    this.#silentCalls = 0;
  }

  /** The application refused a call for congestion. */
  congested(): void {
    if (!this.open) this.#throttle.refused(this.#timers.clock.now());
  }

  #who(flow: Flow, identity: string | undefined): Who {
    const named = identity ?? flow.connection?.identity;
    if (named !== undefined) return this.#byName.get(named) ?? 'unknown';
    const { address, port, listener } = flow;
    let proving = this.#anywhere;
    let found: Source | undefined;
    for (const source of this.#byAddress.get(address) ?? []) {
      const { rule } = source;
      if (!rule.transports.includes(listener.transport)) continue;
      if (rule.port !== undefined && rule.port !== port) continue;
      if (rule.proves) proving = true;
      // One that is known by its port as well is meant before one that is not.
      else if (found === undefined || rule.port !== undefined) found = source;
    }
    return found ?? (proving ? 'unproved' : 'unknown');
  }

  #count(source: string | null, why: ShedWhy): void {
    const name = `${why} ${source ?? ''}`;
    const known = this.#shed.get(name);
    if (known === undefined) this.#shed.set(name, { source, why, count: 1 });
    else known.count += 1;
    if (this.#telling) return;
    this.#telling = true;
    this.#timers.start(tellMs, () => this.tell());
  }

  /** Tells now what was turned away since it was last told. */
  tell(): void {
    this.#telling = false;
    if (this.#shed.size === 0) return;
    const counts = [...this.#shed.values()];
    this.#shed.clear();
    this.#onShed?.(counts);
  }
}
