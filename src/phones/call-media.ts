import { randomInt } from 'node:crypto';
import type { CodecName } from './g711.js';
import type { Line } from './line.js';
import type { RtpEndpoint } from './rtp.js';
import {
  answerDirection,
  answerSdp,
  type Direction,
  offerSdp,
  parseSdp,
  type RemoteSdp,
  sharedCodec,
} from './sdp.js';

/** Offers and answers of one call (RFC 3264), applied to its RTP endpoint. */
export class CallMedia {
  /** What this side wants. */
  direction: Direction = 'sendrecv';
  held = false;
  readonly audio: RtpEndpoint;
  readonly #host: string;
  readonly #codecs: readonly CodecName[];
  readonly #events: boolean;
  readonly #sessionId = randomInt(2 ** 31);
  #version = 0;
  #remote: RemoteSdp | undefined;
  readonly #received: RemoteSdp[] = [];

  constructor(audio: RtpEndpoint, { host, codecs, events }: Pick<Line, 'host' | 'codecs' | 'events'>) {
    this.audio = audio;
    this.#host = host;
    this.#codecs = codecs;
    this.#events = events;
  }

  /** The far end's description in force. */
  get remote(): RemoteSdp | undefined {
    return this.#remote;
  }

  /** Every description received, oldest first, the last 64. */
  get received(): readonly RemoteSdp[] {
    return this.#received;
  }

  /** The direction agreed last: what this side may do. */
  get agreed(): Direction {
    return answerDirection(this.#remote?.direction ?? 'inactive', this.direction);
  }

  offer(): string {
    return offerSdp(this.#local());
  }

  /** Answers an offer and follows it; undefined when there is nothing to agree on (488). */
  answer(offer: string): string | undefined {
    const remote = parseSdp(offer);
    if (remote === undefined) return undefined;
    const text = answerSdp(this.#local(remote), remote);
    if (text !== undefined) this.#follow(remote);
    return text;
  }

  /** Hold and resume: what this side wants from now on. A holding phone has no music to play, so it sends nothing. */
  steer(direction: Direction, held: boolean): void {
    this.direction = direction;
    this.held = held;
    this.#applyDirection();
  }

  /** Follows the answer to this side's offer; false when it makes no sense. */
  takeAnswer(answer: string): boolean {
    const remote = parseSdp(answer);
    if (remote === undefined || sharedCodec({ codecs: this.#codecs }, remote) === undefined) return false;
    if (remote.port !== 0 && remote.secured !== (this.audio.key !== undefined)) return false;
    this.#follow(remote);
    return true;
  }

  #local(offer?: RemoteSdp): Parameters<typeof offerSdp>[0] {
    const { key, text } = this.audio;
    const [tag, textTag] = [offer?.crypto?.tag ?? 1, offer?.textCrypto?.tag ?? 1];
    return {
      ...(key !== undefined && { crypto: { tag, master: key } }),
      ...(text?.key !== undefined && { textCrypto: { tag: textTag, master: text.key } }),
      host: this.#host,
      port: this.audio.port,
      codecs: this.#codecs,
      direction: this.direction,
      events: this.#events,
      ...(this.audio.text !== undefined && { textPort: this.audio.text.port }),
      sessionId: this.#sessionId,
      version: ++this.#version,
    };
  }

  #follow(remote: RemoteSdp): void {
    this.#remote = remote;
    this.#received.push(remote);
    if (this.#received.length > 64) this.#received.shift();
    const codec = sharedCodec({ codecs: this.#codecs }, remote);
    if (codec !== undefined) this.audio.agree(codec, this.#events ? remote.eventType : undefined);
    // Port 0 refuses the stream; 0.0.0.0 is the hold of RFC 2543.
    const nowhere = remote.port === 0 || remote.address === '0.0.0.0';
    this.audio.sendTo(nowhere ? undefined : { address: remote.address, port: remote.port });
    this.audio.hearWith(remote.crypto?.master);
    this.audio.text?.sendTo(remote.typing);
    this.#applyDirection();
  }

  #applyDirection(): void {
    const agreed = this.agreed;
    this.audio.allowSending(!this.held && (agreed === 'sendrecv' || agreed === 'sendonly'));
  }
}
