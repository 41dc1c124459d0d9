import { type JsonObject, MediaError, type Party, type Sdp } from '../call/ports.js';
import type { Asked, LobbyAnchor, Sound, SpokenPrivateAnchor } from '../call/talk.js';
import type { Private } from '../core/decision.js';
import type { Key } from '../core/key.js';
import type { CallId } from '../core/leg.js';
import type { PrivateCall } from './private-call.js';

const left = (): MediaError => new MediaError('node-error', 'lobby-left');

/**
 * The caller alone, before any decision. Inside it is a private call, of which a lobby shows what speaks and listens
 * to keys: it has no way to answer, to open or to record.
 */
export class LobbyCall implements LobbyAnchor {
  readonly callId: CallId;
  readonly node: string;
  readonly #inner: PrivateCall;
  #left = false;

  constructor(inner: PrivateCall) {
    this.#inner = inner;
    this.callId = inner.callId;
    this.node = inner.node;
  }

  becomePrivate(decision: Private): SpokenPrivateAnchor {
    if (decision.verdict !== 'private') throw new MediaError('node-error', 'wrong-decision');
    const inner = this.#still();
    this.#left = true;
    return inner;
  }

  say(to: Party, sounds: readonly Sound[], repeat = false): Promise<'said' | 'hushed'> {
    // Not another promise around it: nobody has to wait for what is said.
    return this.#left ? Promise.reject(left()) : this.#inner.say(to, sounds, repeat);
  }

  async hush(to: Party): Promise<void> {
    await this.#still().hush(to);
  }

  onKey(listener: ((party: Party, key: Key) => void) | null): void {
    this.#still().onKey(listener);
  }

  /** Does nothing once the lobby was left: nobody is asked anything there. */
  ask(asked: Asked | null): void {
    if (!this.#left) this.#inner.ask(asked);
  }

  async shut(): Promise<void> {
    await this.#still().shut();
  }

  async receive(): Promise<Sdp> {
    return this.#still().receive();
  }

  async readdress(party: Party, sdp: Sdp): Promise<void> {
    await this.#still().readdress(party, sdp);
  }

  onLost(lost: (why: string) => void): void {
    this.#still().onLost(lost);
  }

  replies(): JsonObject {
    return this.#inner.replies();
  }

  /** Does nothing once the lobby has become a private call: that call is not the lobby's to end. */
  async release(): Promise<unknown> {
    return this.#left ? null : this.#inner.release();
  }

  #still(): PrivateCall {
    if (this.#left) throw left();
    return this.#inner;
  }
}
