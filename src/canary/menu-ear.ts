import type { PhoneCall } from '../phones/phone-call.js';
import { Recogniser } from '../phones/recognise.js';
import { readWav } from '../phones/wav.js';

/** How often the called phone listens whether it is asked, and how far back. */
const EVERY_MS = 250;
const BACK_MS = 4000;
/** A key that was lost is pressed again; more often would not be a matter of luck. */
const MAX_PRESSES = 3;
const BETWEEN_MS = 4000;

const rest = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What the called party of a test call hears when it is asked for a key. */
export class MenuEar {
  readonly #menus: Recogniser;

  /** `sounds` are WAV files: the menus, in every language they may be asked in. */
  constructor(sounds: readonly { readonly name: string; readonly wav: Uint8Array }[]) {
    this.#menus = new Recogniser(
      sounds.map(({ name, wav }) => ({ name, samples: readWav(wav).channels[0] ?? new Int16Array() })),
    );
  }

  /** Presses 1 once the menu is heard to begin, for as long as `asked`. Never rejects. */
  async accept(call: PhoneCall, asked: () => boolean): Promise<void> {
    let presses = 0;
    let pressedAt = Number.NEGATIVE_INFINITY;
    while (asked() && call.ending === undefined && presses < MAX_PRESSES) {
      await rest(EVERY_MS);
      if (performance.now() - pressedAt < BETWEEN_MS || !asked()) continue;
      if (this.#menus.recogniseAll(call.audio.samples({ lastMs: BACK_MS })).length === 0) continue;
      presses += 1;
      pressedAt = performance.now();
      await call.audio.pressKeys('1').catch(() => undefined);
    }
  }
}
