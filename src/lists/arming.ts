import type { Clock } from '../call/ports.js';
import type { UnknownWhy } from '../core/lists.js';
import { formatHead, type Head, type Heartbeat, heartbeatSchema, parseHead } from './manifest.js';
import type { Probe } from './redis.js';
import { type Opened, openText, type TrustedKeys } from './signed.js';
import type { VerifiedEpoch } from './verify.js';

/** What the head and the heartbeat of one reply are worth. */
export type Judgement =
  | {
      readonly state: 'serve';
      readonly epoch: VerifiedEpoch;
      /** The epoch the head points at: the verified one, or a later one, which is being verified. */
      readonly headEpoch: number;
      readonly heartbeatAgeMs: number;
    }
  | {
      readonly state: 'unknown';
      readonly why: UnknownWhy;
      /** Set where the reply cannot be explained by a delay: the lists must be disarmed. */
      readonly suspect: string | null;
    };

interface SeenHeartbeat {
  readonly text: string;
  readonly opened: Opened<Heartbeat>;
  readonly firstSeenMono: number;
  /** Its age when it was first seen, by the wall clock. */
  readonly firstAgeMs: number;
}

export interface ArmingOptions {
  readonly trusted: TrustedKeys;
  readonly maxListAgeMs: number;
  /** For so long the head may point past what is verified. */
  readonly maxSupersededMs: number;
  /** A heartbeat from the future by more than this means that one of the two clocks is wrong. */
  readonly maxFutureMs: number;
  readonly clock: Clock;
  /** The highest epoch known from the local disk, or from another shard: nothing below it is ever served. */
  readonly highestEpoch: () => number;
}

/** Two connections may see heartbeats in another order, but never this far apart. */
const maxRegressMs = 10_000;
/** Shards become visible one after the other, milliseconds apart; one that stays behind longer than this was lost. */
const maxBehindMs = 3_000;

const unknown = (why: UnknownWhy, suspect: string | null = null): Judgement => ({
  state: 'unknown',
  why,
  suspect,
});

/**
 * Whether the lists may be served: holds the verified epoch and judges each reply against it. Time enters through
 * the clock only; nothing here asks Redis.
 */
export class Arming {
  readonly #options: ArmingOptions;
  #verified: VerifiedEpoch | null = null;
  #disarmed: string | null = null;
  /** Every reason since the lists were last armed: reason codes, so they are few. */
  readonly #reasons = new Set<string>();
  #highest = 0;
  #heartbeat: SeenHeartbeat | null = null;
  #newestAt = 0;
  #behindSince: number | null = null;
  /** Since when the head points past what is verified; null while it does not. */
  #supersededMono: number | null = null;

  constructor(options: ArmingOptions) {
    this.#options = options;
  }

  get verified(): VerifiedEpoch | null {
    return this.#verified;
  }

  get highestEpoch(): number {
    return Math.max(this.#highest, this.#options.highestEpoch());
  }

  /** Why the lists are disarmed (the last reason found), or null. */
  get disarmed(): string | null {
    return this.#disarmed;
  }

  /** Takes a publication that passed every check. The only way out of being disarmed. */
  arm(epoch: VerifiedEpoch): void {
    this.#verified = epoch;
    this.#disarmed = null;
    this.#reasons.clear();
    this.#highest = Math.max(this.#highest, epoch.head.epoch);
    // It was the one being served when it was found to be whole.
    this.#supersededMono = null;
  }

  /** Latches: every later answer is unknown until `arm`. True where this reason is news. */
  disarm(why: string): boolean {
    const news = !this.#reasons.has(why);
    this.#reasons.add(why);
    this.#disarmed = why;
    return news;
  }

  /**
   * Judges one reply. `verified` is the epoch that was being served when Redis was asked: a reply that was under
   * way while the next one was taken into service is late, not a step back.
   */
  judge(verified: VerifiedEpoch | null, headProbe: Probe, heartbeatProbe: Probe): Judgement {
    if (verified === null) {
      return unknown(headProbe.state === 'absent' && this.#disarmed === null ? 'no-epoch' : 'unarmed');
    }
    if (this.#disarmed !== null) return unknown('unarmed');
    if (headProbe.state === 'absent') return unknown('no-epoch', 'head-missing');
    const head = headProbe.state === 'value' ? parseHead(headProbe.text) : null;
    if (head === null) return unknown('malformed', 'head-malformed');
    // An old server, a restored backup or a replay: it may lack what was made privileged since.
    if (head.epoch < verified.head.epoch) return unknown('unarmed', 'epoch-regressed');
    if (head.epoch === verified.head.epoch && head.manifest !== verified.head.manifest) {
      return unknown('unarmed', 'manifest-replaced');
    }
    // Not a reply that was late: this shard itself has not come as far as another one.
    const { highestEpoch } = this;
    const own = this.#verified?.head.epoch ?? 0;
    if (own < highestEpoch && head.epoch < highestEpoch) return this.#behind();
    this.#behindSince = null;
    if (head.epoch > own) this.#supersededMono ??= this.#options.clock.mono();
    else if (head.epoch === own) this.#supersededMono = null;
    return this.#judgeHeartbeat(verified, head, heartbeatProbe);
  }

  /**
   * Whether a reply holds the whole verified epoch although the head is past it, by what the heartbeat says, and whether
   * that is not too long ago: what nobody has verified is believed where it protects, and never for longer than a
   * heartbeat is at most.
   */
  #mayFollow(verified: VerifiedEpoch, head: Head, { keeps = 1 }: Heartbeat): boolean {
    if (head.epoch === verified.head.epoch) return true;
    const now = this.#options.clock.mono();
    const ahead = head.epoch - verified.head.epoch;
    return ahead <= keeps && now - (this.#supersededMono ?? now) <= this.#options.maxSupersededMs;
  }

  /** Another shard is at a later epoch. What was made privileged there may be missing here. */
  #behind(): Judgement {
    const now = this.#options.clock.mono();
    this.#behindSince ??= now;
    return unknown('unarmed', now - this.#behindSince > maxBehindMs ? 'epoch-regressed' : null);
  }

  #judgeHeartbeat(verified: VerifiedEpoch, head: Head, probe: Probe): Judgement {
    if (probe.state === 'absent') return unknown('stale');
    if (probe.state === 'broken') return unknown('malformed');
    const seen = this.#open(probe.text);
    if (seen.opened.state === 'forged') return unknown('bad-signature');
    if (seen.opened.state === 'malformed') return unknown('malformed');
    const heartbeat = seen.opened.body;
    // The two are written in one step, so they differ only by another hand.
    if (formatHead(heartbeat) !== formatHead(head)) return unknown('unarmed', 'heartbeat-of-another-epoch');
    const now = this.#options.clock.wall();
    if (heartbeat.at > now + this.#options.maxFutureMs) return unknown('clock');
    if (heartbeat.at < this.#newestAt - maxRegressMs) return unknown('stale');
    this.#newestAt = Math.max(this.#newestAt, heartbeat.at);
    const ageMs = this.#ageOf(heartbeat.at, seen);
    // Written so that NaN counts as too old.
    if (!(ageMs <= this.#options.maxListAgeMs)) return unknown('stale');
    if (!this.#mayFollow(verified, head, heartbeat)) return unknown('unarmed');
    return { state: 'serve', epoch: verified, headEpoch: head.epoch, heartbeatAgeMs: ageMs };
  }

  /** The wall clock may be set back; what has passed since we first saw this heartbeat cannot. */
  #ageOf(at: number, { firstSeenMono, firstAgeMs }: SeenHeartbeat): number {
    const { clock } = this.#options;
    return Math.max(0, clock.wall() - at, firstAgeMs + clock.mono() - firstSeenMono);
  }

  #open(text: string): SeenHeartbeat {
    if (this.#heartbeat?.text === text) return this.#heartbeat;
    const opened = openText(this.#options.trusted, 'heartbeat', text, heartbeatSchema);
    const { clock } = this.#options;
    const firstAgeMs = opened.state === 'genuine' ? Math.max(0, clock.wall() - opened.body.at) : 0;
    const seen = { text, opened, firstSeenMono: clock.mono(), firstAgeMs };
    // A forged text must not push the genuine one out and so reset its age.
    if (opened.state === 'genuine') this.#heartbeat = seen;
    return seen;
  }
}
