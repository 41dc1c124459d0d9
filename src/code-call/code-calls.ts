import type { AppEvent } from '../call/events.js';
import type { CallId, TrunkId } from '../core/leg.js';
import { type NumberKey, numberKeyText } from '../core/number.js';
import type { Language } from '../core/prompt.js';
import type { OutgoingCall } from '../phones/outgoing-call.js';
import { createPhone, type Phone } from '../phones/sip-phone.js';
import { type CodeSounds, spokenCode } from './spoken.js';

export interface CodeCallsOptions {
  /** Where they are made from, which is how their trunk is known. */
  readonly address: string;
  readonly port: number;
  readonly trunk: TrunkId;
  /** Where they are sent; null until the controller listens. */
  readonly sip: () => { readonly host: string; readonly port: number } | null;
  readonly atOnce: number;
  readonly sounds: (language: Language) => CodeSounds;
  /** Told of what went wrong: a stable code, never a number. */
  readonly fault: (code: string) => void;
}

export interface CodeCall {
  readonly key: NumberKey;
  /** Six digits. They are in no row, no log and no event. */
  readonly code: string;
  readonly language: Language;
}

export type CodePlaced =
  /** `callId`: null where another controller of this host took the call; its CDR tells. */
  { readonly state: 'placed'; readonly callId: CallId | null } | { readonly state: 'busy' | 'not-sent' };

/** Who the trunk says that calls: nobody held here. */
const FROM = 'code-call';
const ARRIVE_MS = 2000;
/** Longer than any policy lets a phone ring. */
const ANSWER_MS = 130_000;
/** Until the telephone is at the ear. */
const EAR_MS = 1200;
/** Between the answer of an exchange and the keys of an extension, and from these until somebody has answered there. */
const BEFORE_KEYS_MS = 1500;
const AFTER_KEYS_MS = 6000;
const SPEAK_MS = 90_000;
const LINGER_MS = 5000;

const rest = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const hostOf = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/**
 * Calls of our own that tell whoever answers a number a code. Each goes the way every call goes (listener, lists,
 * decision, a node that cannot record, a carrier), since it comes to the controller like one: from a phone at an address
 * that nothing else has.
 */
export class CodeCalls {
  readonly #options: CodeCallsOptions;
  readonly #under = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  #phone: Promise<Phone> | null = null;
  /** They arrive one after the other, so that it is known which is which. */
  #arriving: Promise<unknown> = Promise.resolve();
  #heard: ((callId: CallId) => void) | null = null;
  #places = 0;
  /** The port is free again once this is over. */
  #closing: Promise<unknown> = Promise.resolve();

  constructor(options: CodeCallsOptions) {
    this.#options = options;
  }

  observe(event: AppEvent): void {
    if (event.event === 'call-arrived' && event.trunk === this.#options.trunk) this.#heard?.(event.callId);
  }

  /** Begins one call and resolves once it is on its way. Never rejects. */
  async place(call: CodeCall): Promise<CodePlaced> {
    if (this.#stop.signal.aborted) return { state: 'not-sent' };
    if (this.#places >= this.#options.atOnce) return { state: 'busy' };
    this.#places += 1;
    const placed = this.#arriving.then(() => this.#begin(call));
    this.#arriving = placed;
    return placed;
  }

  /** Ends the calls under way and makes no more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#arriving;
    await Promise.all(this.#under);
    await this.#closing;
  }

  async #begin({ key, code, language }: CodeCall): Promise<CodePlaced> {
    const { sip, trunk: _trunk, sounds, fault } = this.#options;
    const at = sip();
    try {
      if (at === null || this.#stop.signal.aborted) throw new Error('not listening');
      const said = spokenCode(code, sounds(language));
      const phone = await this.#open();
      const arrived = this.#nextArrival();
      const call = await phone.call({
        to: `sip:${numberKeyText(key)}@${hostOf(at.host)}:${at.port}`,
        via: at,
        from: `<sip:${FROM}@${hostOf(phone.host)}>`,
      });
      const talk = this.#talk(call, key.extension, said).finally(() => this.#over(talk));
      this.#under.add(talk);
      return { state: 'placed', callId: await arrived };
    } catch {
      this.#leave();
      fault('code-call-not-sent');
      return { state: 'not-sent' };
    }
  }

  #nextArrival(): Promise<CallId | null> {
    return new Promise((resolve) => {
      const done = (callId: CallId | null): void => {
        clearTimeout(timer);
        this.#heard = null;
        resolve(callId);
      };
      const timer = setTimeout(() => done(null), ARRIVE_MS);
      this.#heard = done;
    });
  }

  async #talk(call: OutgoingCall, extension: string | null, said: Int16Array): Promise<void> {
    const { signal } = this.#stop;
    let stop = (): void => undefined;
    const stopped = new Promise<never>((_resolve, reject) => {
      stop = () => reject(new Error('stopped'));
      if (signal.aborted) stop();
      signal.addEventListener('abort', stop, { once: true });
    });
    stopped.catch(() => undefined);
    try {
      await Promise.race([call.answered({ deadlineMs: ANSWER_MS }), stopped]);
      if (extension !== null) {
        await Promise.race([rest(BEFORE_KEYS_MS), stopped]);
        await Promise.race([call.audio.pressKeys(extension), stopped]);
        await Promise.race([rest(AFTER_KEYS_MS), stopped]);
      }
      await Promise.race([rest(EAR_MS), stopped]);
      await Promise.race([call.audio.sendOnce(said, { deadlineMs: SPEAK_MS }), stopped]);
      await Promise.race([rest(LAST_MS), stopped]);
    } catch {
      // Nobody answered, somebody hung up, or we stop: the CDR says which.
    } finally {
      signal.removeEventListener('abort', stop);
    }
    await call.giveUp().catch(() => undefined);
  }

  #over(talk: Promise<void>): void {
    this.#under.delete(talk);
    this.#leave();
  }

  #leave(): void {
    this.#places -= 1;
    if (this.#places > 0) return;
    const phone = this.#phone;
    this.#phone = null;
    if (phone === null) return;
    this.#closing = phone.then((one) => one.close()).catch(() => undefined);
  }

  #open(): Promise<Phone> {
    const { address, port } = this.#options;
    this.#phone ??= this.#closing.then(() =>
      createPhone({
        ...{ name: FROM, host: address, port, transport: 'udp' },
        ...{ lingerMs: LINGER_MS, keepAudioMs: 1000, strictPeer: true },
      }),
    );
    const phone = this.#phone;
    phone.catch(() => {
      if (this.#phone === phone) this.#phone = null;
    });
    return phone;
  }
}

/** What was said last is still on its way through the node. */
const LAST_MS = 400;
