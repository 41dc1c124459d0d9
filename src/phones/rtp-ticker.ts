/** Milliseconds between two packets of a stream. */
const PACKET_MS = 20;

/** Streams are spread over this many moments within 20 ms, so that a hundred of them do not send in one burst. */
const SLOTS = 4;
const STEP_MS = PACKET_MS / SLOTS;

/** After the process stood still for longer than this, the missed packets are skipped instead of sent in a burst. */
const MAX_CATCH_UP_MS = 200;

/** Called once every 20 ms with the number of the packet, counted since the process began to tick. */
export type Tick = (packet: number) => void;

/**
 * One clock for all streams of the process. Due times are computed from the start, never from the last wake-up, so
 * there is no drift; a late wake-up sends what was due. It runs only while somebody listens.
 */
class PacketTicker {
  readonly #slots: Set<Tick>[] = Array.from({ length: SLOTS }, () => new Set<Tick>());
  readonly #slotOf = new Map<Tick, Set<Tick>>();
  readonly #origin = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #step = 0;
  /** How often packets were skipped: each time leaves a silence in every stream that was being sent. */
  skips = 0;

  add(tick: Tick): void {
    if (this.#slotOf.has(tick)) return;
    const slot = this.#slots.reduce((least, other) => (other.size < least.size ? other : least));
    slot.add(tick);
    this.#slotOf.set(tick, slot);
    if (this.#timer === undefined) {
      this.#step = Math.ceil((performance.now() - this.#origin) / STEP_MS);
      this.#sleep();
    }
  }

  remove(tick: Tick): void {
    this.#slotOf.get(tick)?.delete(tick);
    this.#slotOf.delete(tick);
    if (this.#slotOf.size === 0 && this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
  }

  #sleep(): void {
    const due = this.#origin + this.#step * STEP_MS;
    this.#timer = setTimeout(this.#wake, Math.max(1, Math.round(due - performance.now())));
  }

  readonly #wake = (): void => {
    const now = (performance.now() - this.#origin) / STEP_MS;
    if (now - this.#step > MAX_CATCH_UP_MS / STEP_MS) {
      this.#step = Math.floor(now);
      this.skips += 1;
    }
    for (; this.#step <= now; this.#step++) {
      const packet = Math.floor(this.#step / SLOTS);
      for (const tick of this.#slots[this.#step % SLOTS] ?? []) tick(packet);
    }
    // The last listener may have left during its own tick.
    if (this.#slotOf.size > 0) this.#sleep();
    else this.#timer = undefined;
  };
}

export const packetTicker = new PacketTicker();
