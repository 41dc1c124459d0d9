import { VaultError, type VaultErrorCode } from './errors.js';
import type { Delivery } from './s3-delivery.js';
import type { Outbox } from './s3-outbox.js';

export interface HealthOptions {
  readonly delivery: Delivery;
  readonly outbox: Outbox;
  /** How long a bucket that was seen to be safe is believed to be so while it does not answer. */
  readonly believedMs: number;
  /** Within which a verdict is given. */
  readonly withinMs: number;
  /** How often the service is asked whether it would take a recording, and how soon after a failure. */
  readonly checkMs: number;
  readonly againMs: number;
  /** Told when the verdict changes. */
  readonly judged: (code: VaultErrorCode | null) => void;
  /** Told of each check that found nothing in the way. */
  readonly well: () => void;
}

/** How often the whole probe, with an object of parts, is made. */
const PROBE_MS = 3_600_000;

/** What is known of the storage service: whether it answers, lets us in, and never replaces an object. */
export class Health {
  readonly #options: HealthOptions;
  #verdict: { readonly code: VaultErrorCode | null; readonly at: number } | null = null;
  #checking: Promise<void> | null = null;
  #probedAt = Number.NEGATIVE_INFINITY;

  constructor(options: HealthOptions) {
    this.#options = options;
  }

  /** Why nothing could be stored there, as far as is known now; null where it may be staged for it. Settles soon. */
  async judge(): Promise<VaultErrorCode | null> {
    const { checkMs, againMs } = this.#options;
    const every = this.#verdict?.code === null ? checkMs : againMs;
    if (this.#verdict === null || performance.now() - this.#verdict.at > every) this.#check();
    if (this.#verdict === null) await this.#soon();
    const code = this.#verdict === null ? 'store-unreachable' : this.#verdict.code;
    return code === 'store-unreachable' && (await this.#wasSafe()) ? null : code;
  }

  get isUnreachable(): boolean {
    return this.#verdict?.code === 'store-unreachable';
  }

  /** A request was answered: it is not the service that is in the way. */
  answered(): void {
    if (this.isUnreachable) this.#verdict = { code: null, at: Number.NEGATIVE_INFINITY };
  }

  /** Rejects with VaultError unless this run has seen the service replace nothing. */
  async seenSafe(): Promise<void> {
    const isSafe = (): boolean => Number.isFinite(this.#probedAt) && this.#verdict?.code !== 'store-unsafe';
    if (isSafe()) return;
    this.#check();
    await this.#checking;
    if (!isSafe()) throw new VaultError(this.#verdict?.code ?? 'store-unreachable');
  }

  /** Waits for a check that is under way. */
  async close(): Promise<void> {
    await this.#checking;
  }

  #check(): void {
    this.#checking ??= this.#checked().finally(() => {
      this.#checking = null;
    });
  }

  async #checked(): Promise<void> {
    const { delivery, outbox, judged, well } = this.#options;
    const now = performance.now();
    const whole = now - this.#probedAt > PROBE_MS;
    let code: VaultErrorCode | null = null;
    try {
      await delivery.probe(whole);
      if (whole) this.#probedAt = now;
      await outbox.verified(Date.now());
    } catch (error) {
      code = error instanceof VaultError ? error.code : 'store-refused';
    }
    if (this.#verdict?.code !== code) judged(code);
    this.#verdict = { code, at: performance.now() };
    if (code === null) well();
  }

  async #soon(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#options.withinMs);
    });
    await Promise.race([this.#checking, late]);
    clearTimeout(timer);
  }

  /** Seen, by this run or one before it, not longer ago than recordings may wait. */
  async #wasSafe(): Promise<boolean> {
    const at = await this.#options.outbox.verifiedAt();
    const age = at === null ? Number.POSITIVE_INFINITY : Date.now() - at;
    return age >= 0 && age <= this.#options.believedMs;
  }
}
