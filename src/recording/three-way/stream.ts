import type { Rtp } from '../datagram.js';
import { g711Tables } from '../g711.js';
import type { Notice } from './signs.js';

/** RFC 3389: comfort noise. The sender pauses on purpose, because its owner says nothing. */
const COMFORT_NOISE = 13;

/** Longer than any jitter that a call survives; after the other bound it is a hold like any other. */
const GAP_MS = { least: 400, most: 30_000 };
/** Half of the packets that fit into the gap: were as many numbered, the network lost them and nobody paused. */
const MS_A_PACKET_LOST = 40;

/** A phone that pauses again and again does so in every silence: then a pause means nothing. */
const HABIT = 3;
const HABIT_MS = 60_000;

/** Notices that a party's stream becomes another one, or stops for a while. */
export class Stream {
  readonly #notice: Notice;
  #last: { readonly rtp: Pick<Rtp, 'ssrc' | 'sequence' | 'payloadType'>; readonly atMs: number } | null =
    null;
  #codec: number | null = null;
  #gaps: number[] = [];

  constructor(notice: Notice) {
    this.#notice = notice;
  }

  take(atMs: number, rtp: Rtp): void {
    const last = this.#last;
    const { ssrc, sequence, payloadType } = rtp;
    this.#last = { rtp: { ssrc, sequence, payloadType }, atMs };
    if (last !== null) {
      if (last.rtp.ssrc !== ssrc) this.#notice('ssrc-change', atMs);
      this.#gap(last.rtp, last.atMs, rtp, atMs);
    }
    if (g711Tables[payloadType] === undefined) return;
    if (this.#codec !== null && this.#codec !== payloadType) this.#notice('payload-change', atMs);
    this.#codec = payloadType;
  }

  #gap(before: Pick<Rtp, 'ssrc' | 'sequence' | 'payloadType'>, fromMs: number, rtp: Rtp, toMs: number): void {
    const ms = toMs - fromMs;
    if (ms < GAP_MS.least || ms > GAP_MS.most || before.payloadType === COMFORT_NOISE) return;
    const missing = (rtp.sequence - before.sequence) & 0xffff;
    if (before.ssrc === rtp.ssrc && missing > ms / MS_A_PACKET_LOST) return;
    this.#gaps = this.#gaps.filter((at) => toMs - at < HABIT_MS).slice(-HABIT);
    this.#gaps.push(toMs);
    if (this.#gaps.length <= HABIT) this.#notice('packet-gap', fromMs);
  }
}
