import { MediaError, type Party, type TextStreams } from '../call/ports.js';
import type { PeerSource, PeerStreams } from './sdp-in.js';
import type { TextCodec } from './sdp-text.js';

/** Addresses a party may have had for its text in one call. */
const MAX_SOURCES = 64;

/** What the parties of one call have said of their real-time text, for those who read its recording. */
export class CallText {
  readonly #sources: Readonly<Record<Party, Set<PeerSource>>> = { caller: new Set(), called: new Set() };
  readonly #formats: Readonly<Record<Party, { [payload: number]: TextCodec }>> = { caller: {}, called: {} };
  readonly #ports: { caller: number | null; called: number | null } = { caller: null, called: null };
  #passed = false;

  /** Notes a stream a party described. Throws MediaError where it contradicts what was said before. */
  take(party: Party, text: PeerStreams['text']): void {
    if (text === null) return;
    const known = this.#formats[party];
    for (const [payload, codec] of Object.entries(text.formats)) {
      // A payload type means one thing for as long as the call lasts (RFC 3264 section 8.3.2).
      if ((known[Number(payload)] ?? codec) !== codec)
        throw new MediaError('node-error', 'payload-type-changed');
      known[Number(payload)] = codec;
    }
    const sources = this.#sources[party];
    if (!sources.has(text.source) && sources.size >= MAX_SOURCES)
      throw new MediaError('node-error', 'too-many-addresses');
    sources.add(text.source);
  }

  /** The node's port a party is told for its text. It may not move, as that of the audio may not. */
  toldPort(party: Party, port: number | null): void {
    if (port === null) return;
    const known = this.#ports[party];
    if (known !== null && known !== port) throw new MediaError('node-error', 'port-changed');
    this.#ports[party] = port;
  }

  /** Both parties have agreed to it. */
  agreed(): void {
    this.#passed = true;
  }

  /** Null where no text can have passed. */
  get streams(): TextStreams | null {
    const { caller, called } = this.#ports;
    // Told to one party and refused by the other: nothing was agreed, and nothing passed.
    if (!this.#passed || caller === null || called === null) return null;
    return {
      ports: { caller, called },
      sources: { caller: [...this.#sources.caller], called: [...this.#sources.called] },
      formats: { caller: { ...this.#formats.caller }, called: { ...this.#formats.called } },
    };
  }
}
