import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { languages, type PromptId, promptIds } from '../../src/core/prompt.js';
import type { PhoneCall } from '../../src/phones/phone-call.js';
import { type Candidate, Recogniser } from '../../src/phones/recognise.js';
import { readWav } from '../../src/phones/wav.js';
import { ownPrompts } from '../../src/prompts/catalogue.js';
import { soundFile } from '../../src/prompts/manifest.js';

/** A prompt as it was heard: in English by its id alone, in Spanish with 'es:' before it. */
export type Heard = PromptId | `es:${PromptId}`;

/** A sound that is the same in both languages, such as the tone a caller waits with, goes by its English name. */
const candidates = (directory: string): ReadonlyMap<Heard, Candidate> => {
  const found = new Map<Heard, Candidate>();
  for (const language of languages) {
    for (const id of promptIds) {
      const bytes = readFileSync(join(directory, soundFile(id, language)));
      const english = readFileSync(join(directory, soundFile(id, 'en')));
      const name: Heard = language === 'en' || bytes.equals(english) ? id : `${language}:${id}`;
      const [samples = new Int16Array()] = readWav(bytes).channels;
      found.set(name, { name, samples });
    }
  }
  return found;
};

/** Finds prompts in the sound a party received, and never asks the product what it played. */
export class PromptEar {
  readonly #candidates: ReadonlyMap<Heard, Candidate>;
  readonly #all: Recogniser;
  readonly #alone = new Map<Heard, Recogniser>();

  constructor(directory: string = ownPrompts) {
    this.#candidates = candidates(directory);
    this.#all = new Recogniser([...this.#candidates.values()]);
  }

  /** The whole prompts a party heard, in order. The repetitions of the tone it waits with count as one. */
  heard(call: PhoneCall): readonly Heard[] {
    return this.in(call.audio.samples());
  }

  /** The same in any sound: a recording's channel. */
  in(samples: Int16Array): readonly Heard[] {
    const names = this.#all.recognise(samples).map(({ name }) => name as Heard);
    return names.filter((name, at) => !name.endsWith('hold-tone') || names[at - 1] !== name);
  }

  /** Waits until the party has heard the prompt to its end, the `nth` time. */
  async until(call: PhoneCall, prompt: Heard, { nth = 1, deadlineMs = 30_000 } = {}): Promise<void> {
    const deadline = performance.now() + deadlineMs;
    const recogniser = this.#recogniserOf(prompt);
    let sounds = { length: -1, at: 0 };
    for (;;) {
      const samples = call.audio.samples();
      if (samples.length !== sounds.length) sounds = { length: samples.length, at: performance.now() };
      const found = recogniser.recognise(samples)[nth - 1];
      // It is recognised shortly before its end, and after its end there may be no sound at all.
      const silent = performance.now() - sounds.at > 150;
      if (found !== undefined && (silent || samples.length > 8 * found.untilMs + 320)) return;
      if (call.ending !== undefined || performance.now() > deadline) {
        throw new Error(
          `${prompt} (${nth}) was not heard ${call.ending === undefined ? 'in time' : `before the end (${call.ending.how})`}; ` +
            `heard: ${this.heard(call).join(' ')}\n${call.flow.join('\n')}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
  }

  #recogniserOf(prompt: Heard): Recogniser {
    const known = this.#alone.get(prompt);
    if (known !== undefined) return known;
    const candidate = this.#candidates.get(prompt);
    if (candidate === undefined) throw new Error(`no prompt ${prompt}`);
    const made = new Recogniser([candidate]);
    this.#alone.set(prompt, made);
    return made;
  }
}
