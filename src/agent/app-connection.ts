import type { AppWire } from './app-wire.js';
import type { Timer, Timers } from './clock.js';
import type { Dialog } from './dialog.js';
import type { AgentEvent, Telemetry } from './events.js';
import type { AgentLimits } from './limits.js';
import { newId } from './random.js';
import type { ServerRequest } from './server-request.js';

export type CloseReason = (AgentEvent & { kind: 'app-closed' })['reason'];

/** An INVITE of the application that has no final response yet. */
export interface PendingInvite {
  /** The application is gone: cancel the call. */
  abandon(): void;
}

/** One message of the application: the leader's tokens after the message id, and the text below the leader line. */
export interface AppMessage {
  readonly id: string;
  readonly type: string;
  readonly tokens: readonly string[];
  readonly text: string;
}

interface AppConnectionDeps {
  readonly limits: AgentLimits;
  readonly timers: Timers;
  readonly telemetry: Telemetry;
  /** Compares the secret in constant time. */
  secretFits(secret: string): boolean;
  /** The answer to a good secret: host ports, version, local host ports. */
  greeting(): string;
  message(connection: AppConnection, message: AppMessage): void;
  closed(connection: AppConnection, reason: CloseReason): void;
  /** It has said nothing for as long as one that works never does. */
  silent(connection: AppConnection): void;
}

/** Tags of one application, and characters of each (facts page, section 2). */
const maxTags = 20;
const tagShape = /^[A-Za-z0-9_+@:-]{1,32}$/;

/** Before it is authenticated a connection may send no more than this in a frame: a secret and a few tags. */
export const greetingBytes = 4096;
/** The leader line holds ids, a Call-ID and a proxy URI. */
const maxLeader = 8192;

/** One application connection. Nothing it says counts before a good `authenticate`. */
export class AppConnection {
  readonly number: number;
  readonly dialogs = new Set<Dialog>();
  readonly requests = new Set<ServerRequest>();
  readonly invites = new Set<PendingInvite>();
  authenticated = false;
  /** What the application calls itself (facts page, section 2): requests that are pinned to a name go to it alone. */
  tags: readonly string[] = [];
  readonly #wire: AppWire;
  readonly #deps: AppConnectionDeps;
  #authTimer: Timer | undefined;
  /** When it was given the oldest request since which it has said nothing at all. */
  #askedAt: number | undefined;
  #silence: Timer | undefined;
  #closed = false;

  constructor(number: number, wire: AppWire, deps: AppConnectionDeps) {
    this.number = number;
    this.#wire = wire;
    this.#deps = deps;
    wire.listen({
      frame: (payload) => this.#frame(payload),
      broken: () => {
        deps.telemetry.drop('app-framing');
        this.close('framing');
      },
      gone: (reason) => this.close(reason),
    });
    this.#authTimer = deps.timers.start(deps.limits.appAuthMs, () => {
      deps.telemetry.drop('app-auth');
      deps.telemetry.log({ kind: 'app-refused', connection: number, reason: 'timeout' });
      this.close('protocol');
    });
  }

  get open(): boolean {
    return !this.#closed;
  }

  /** A new request was handed to it. Whatever it says next, also a ping, shows that it lives. */
  asked(): void {
    const { timers, limits } = this.#deps;
    this.#askedAt ??= timers.clock.now();
    this.#silence ??= timers.start(limits.appSilentMs, () => this.#listenAgain());
  }

  /** For how long it has owed a word, in ms. */
  get silentMs(): number {
    return this.#askedAt === undefined ? 0 : this.#deps.timers.clock.now() - this.#askedAt;
  }

  #listenAgain(): void {
    const { timers, limits, silent } = this.#deps;
    this.#silence = undefined;
    if (this.#askedAt === undefined || this.#closed) return;
    const left = limits.appSilentMs - this.silentMs;
    if (left <= 0) silent(this);
    this.#silence = timers.start(left > 0 ? left : limits.appSilentMs, () => this.#listenAgain());
  }

  /** Sends one payload (latin1 text). An application that does not read is cut off, not waited for. */
  send(payload: string): void {
    if (this.#closed) return;
    if (this.#wire.waiting + payload.length > this.#deps.limits.outboundBytes) {
      this.#deps.telemetry.drop('app-backpressure');
      this.close('backpressure');
      return;
    }
    this.#wire.send(payload);
  }

  /** See {@link AppWire.heard}. */
  heard(then: () => void): void {
    this.#wire.heard(then);
  }

  /** Answers a message of the application. */
  answer(id: string, answer: string): void {
    this.send(`${newId()}|response|${id}|${answer}`);
  }

  /** Answers NOK; the text is the agent's own and holds nothing of the message. */
  refuse(id: string, text: string): void {
    this.answer(id, 'NOK|' + text);
  }

  #frame(payload: string): void {
    this.#askedAt = undefined;
    const end = payload.indexOf('\r\n');
    const leader = end < 0 ? payload : payload.slice(0, end);
    if (leader.length > maxLeader) {
      this.close('protocol');
      return;
    }
    const [id = '', type = '', ...tokens] = leader.split('|');
    const message: AppMessage = { id, type, tokens, text: end < 0 ? '' : payload.slice(end + 2) };
    if (this.authenticated) this.#deps.message(this, message);
    else this.#authenticate(message);
  }

  #authenticate(message: AppMessage): void {
    const { telemetry, limits, timers } = this.#deps;
    const good = message.type === 'authenticate' && this.#deps.secretFits(message.tokens[0] ?? '');
    if (good) {
      this.#authTimer = timers.stop(this.#authTimer);
      this.authenticated = true;
      this.tags = (message.tokens[1] ?? '').split(',', maxTags).filter((tag) => tagShape.test(tag));
      this.#wire.maxBytes = limits.appFrameBytes;
      telemetry.log({ kind: 'app-authenticated', connection: this.number });
      this.answer(message.id, 'OK|' + this.#deps.greeting());
      return;
    }
    const secret = message.type === 'authenticate';
    telemetry.drop('app-auth');
    telemetry.log({ kind: 'app-refused', connection: this.number, reason: secret ? 'secret' : 'order' });
    this.closeWith(message.id, secret ? 'incorrect secret' : 'not authenticated');
  }

  /** Answers NO and closes. */
  closeWith(id: string, text: string): void {
    this.answer(id, 'NO|' + text);
    this.#end('protocol');
    this.#wire.end();
    const timer = this.#deps.timers.start(this.#deps.limits.appAuthMs, () => this.#wire.destroy());
    this.#wire.onGone(() => this.#deps.timers.stop(timer));
  }

  close(reason: CloseReason): void {
    if (this.#closed) return;
    this.#end(reason);
    this.#wire.destroy();
  }

  #end(reason: CloseReason): void {
    this.#closed = true;
    this.#wire.stop();
    this.#authTimer = this.#deps.timers.stop(this.#authTimer);
    this.#silence = this.#deps.timers.stop(this.#silence);
    this.#deps.closed(this, reason);
  }
}
