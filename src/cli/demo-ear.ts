import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Language, languages, type PromptId, promptIds } from '../core/prompt.js';
import { hears, rms } from '../phones/goertzel.js';
import type { IncomingCall } from '../phones/incoming-call.js';
import type { OutgoingCall } from '../phones/outgoing-call.js';
import { type Candidate, Recogniser } from '../phones/recognise.js';
import { SAMPLE_RATE } from '../phones/tone.js';
import { readWav } from '../phones/wav.js';
import { ownPrompts } from '../prompts/catalogue.js';

/** One thing that happened on one side of a call, in seconds since the INVITE. */
export type SideEvent =
  | {
      readonly kind: 'prompt';
      readonly at: number;
      readonly prompt: PromptId;
      readonly language: Language;
      readonly seconds: number;
      /** Mean power of what was heard, in dB below full scale. */
      readonly dbfs: number;
      /** Correlation with the prompt's WAV file, 0 to 1. */
      readonly score: number;
      readonly whole: boolean;
    }
  | {
      readonly kind: 'voice';
      readonly at: number;
      readonly hz: number;
      readonly seconds: number;
      readonly dbfs: number;
    }
  | { readonly kind: 'key'; readonly at: number; readonly key: string; readonly by: KeyForm };

/** How a key travels: as RTP events (RFC 4733), or as SIP INFO. */
export type KeyForm = 'RFC 4733' | 'SIP INFO';

const soundOf = (id: PromptId, language: Language): Candidate => ({
  name: `${language}/${id}`,
  samples:
    readWav(readFileSync(join(ownPrompts, language, `${id}.wav`))).channels[0] ??
    // A prompt with no sound: the recogniser refuses it by name.
    new Int16Array(),
});

let everyPrompt: Recogniser | null = null;
const recogniser = (): Recogniser => {
  everyPrompt ??= new Recogniser(
    languages.flatMap((language) => promptIds.map((id) => soundOf(id, language))),
  );
  return everyPrompt;
};

const dbfsOf = (samples: Int16Array): number =>
  samples.length === 0 ? -99 : Math.max(-99, 20 * Math.log10(rms(samples) / 32_767 + 1e-9));
const rounded = (value: number, places: number): number => Number(value.toFixed(places));

/** What a key brings about comes after it, also where the two clocks differ by a tenth or two. */
export const orderOf = (event: SideEvent): number => (event.kind === 'key' ? event.at - 0.3 : event.at);

const EVERY_MS = 50;
/** The other party's tone is looked for in pieces of this length; shorter bursts are no voice. */
const PIECE = SAMPLE_RATE / 10;
const LEAST_PIECES = 4;
/** A gap this short (a lost packet or two) does not end it. */
const PAUSE_PIECES = 3;

/**
 * What one party of a call hears, taken from the packets its phone got and from nothing else: the product is never
 * asked what it played.
 */
export class Ear {
  readonly #call: OutgoingCall | IncomingCall;
  /** `performance.now()` of the INVITE: one clock for both sides. */
  readonly #began: number;
  /** When which position of the received sound was reached: packets do not come in all the time. */
  readonly #reached: { readonly wall: number; readonly mark: number }[] = [];
  readonly #keys: SideEvent[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(call: OutgoingCall | IncomingCall, began: number) {
    this.#call = call;
    this.#began = began;
    this.#timer = setInterval(() => this.#look(), EVERY_MS);
  }

  /** Waits until so much of a prompt was heard, or all of it. False at the deadline. */
  async untilPrompt(
    id: PromptId,
    { language = 'en', heard: wanted, deadlineMs = 40_000 }: ListenFor,
  ): Promise<boolean> {
    const sound = soundOf(id, language);
    const listener = new Recogniser([sound]);
    const ms = (sound.samples.length * 1000) / SAMPLE_RATE + 2000;
    const since = this.#call.audio.mark();
    const until = performance.now() + deadlineMs;
    while (performance.now() < until && this.#call.ending === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      const heard = this.#call.audio.samples({ since, lastMs: ms });
      const enough = listener
        .recogniseAll(heard)
        .some((one) => (wanted === 'all' ? one.whole : one.untilMs - one.fromMs >= wanted * 1000));
      if (enough) return true;
    }
    return false;
  }

  /** Waits until the other party's tone is heard. False at the deadline. */
  async untilVoice(hz: number, deadlineMs = 20_000): Promise<boolean> {
    return this.#call.audio.untilHears(hz, { forMs: 300, deadlineMs }).then(
      () => true,
      () => false,
    );
  }

  /** Keys that came in as RTP events: pressed by the other party. */
  get keysHeard(): string {
    return this.#call.audio.keysHeard;
  }

  pressed(key: string, by: KeyForm): void {
    this.#keys.push({ kind: 'key', at: this.#since(performance.now()), key, by });
  }

  /** The call is over: stops listening. */
  close(): void {
    this.#look();
    clearInterval(this.#timer);
  }

  /**
   * Everything that was heard and pressed, in order. `hz`: the other party's tone. Takes half a second of computing in
   * which no phone of this process sends anything: to be asked when all calls are over.
   */
  timeline(hz: number): readonly SideEvent[] {
    const sound = this.#call.audio.samples();
    const spoken = recogniser()
      .recogniseAll(sound)
      .map((one): SideEvent => {
        const [language, id] = one.name.split('/') as [Language, PromptId];
        return {
          kind: 'prompt',
          at: this.#at(one.fromMs),
          prompt: id,
          language,
          seconds: rounded((one.untilMs - one.fromMs) / 1000, 1),
          dbfs: rounded(dbfsOf(cut(sound, one.fromMs, one.untilMs)), 1),
          score: rounded(one.score, 2),
          whole: one.whole,
        };
      });
    return [...spoken, ...this.#voices(sound, hz), ...this.#keys].sort((a, b) => orderOf(a) - orderOf(b));
  }

  #voices(sound: Int16Array, hz: number): readonly SideEvent[] {
    const runs: { from: number; until: number }[] = [];
    for (let at = 0; at + PIECE <= sound.length; at += PIECE) {
      if (!hears(sound.subarray(at, at + PIECE), hz)) continue;
      const last = runs.at(-1);
      if (last !== undefined && at - last.until <= PAUSE_PIECES * PIECE) last.until = at + PIECE;
      else runs.push({ from: at, until: at + PIECE });
    }
    return runs
      .filter(({ from, until }) => until - from >= LEAST_PIECES * PIECE)
      .map(({ from, until }) => ({
        kind: 'voice',
        // By the end of its first piece: the piece may begin with the last of what came in before a pause.
        at: rounded(this.#at(((from + PIECE) * 1000) / SAMPLE_RATE - 1) - PIECE / SAMPLE_RATE, 1),
        hz,
        seconds: rounded((until - from) / SAMPLE_RATE, 1),
        dbfs: rounded(dbfsOf(sound.subarray(from, until)), 1),
      }));
  }

  #look(): void {
    this.#reached.push({ wall: performance.now(), mark: this.#call.audio.mark() });
  }

  /** The moment a position of the sound came in, in seconds since the INVITE. */
  #at(ms: number): number {
    const position = (ms * SAMPLE_RATE) / 1000;
    const reached = this.#reached.find(({ mark }) => mark > position) ?? this.#reached.at(-1);
    if (reached === undefined) return 0;
    return this.#since(reached.wall - ((reached.mark - position) * 1000) / SAMPLE_RATE);
  }

  #since(wall: number): number {
    return rounded(Math.max(0, wall - this.#began) / 1000, 1);
  }
}

export interface ListenFor {
  readonly language?: Language;
  /** Seconds of it, or to its end. */
  readonly heard: number | 'all';
  readonly deadlineMs?: number;
}

const cut = (sound: Int16Array, fromMs: number, untilMs: number): Int16Array =>
  sound.subarray(
    Math.max(0, Math.round((fromMs * SAMPLE_RATE) / 1000)),
    Math.max(0, Math.round((untilMs * SAMPLE_RATE) / 1000)),
  );
