import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../src/config/schema.js';
import { Recogniser, type Recognition } from '../../src/phones/recognise.js';
import { readWav } from '../../src/phones/wav.js';
import { ownPrompts } from '../../src/prompts/catalogue.js';

/** Addresses of loopback that no other process of these tests has, so that fixed ports are free ones. */
export const codeAddress = `127.${20 + (process.pid % 200)}.${(process.pid >> 8) % 250}.5`;

export const withCounsel = (config: Config): Config => ({
  ...config,
  counsel: {
    ...{ registration: 'open', signUpsPerHour: 100, numbersEach: 10, proofDays: 180, warnDays: 14 },
    calls: {
      ...{ trunk: 'north-pbx', address: codeAddress, port: 5090 },
      ...{ atOnce: 2, perHour: 100, perNumberHour: 3, perNumberDay: 6, perAccountDay: 12 },
    },
  },
});

/** What a stranger to the system makes of what a telephone heard: the digits, and what else was said. */
export class CodeEar {
  readonly #recogniser: Recogniser;
  constructor(language: 'en' | 'es') {
    const words = ['code-intro', 'code-again', 'code-end'];
    const names = [...words, ...Array.from({ length: 10 }, (_, digit) => `digit-${digit}`)];
    this.#recogniser = new Recogniser(
      names.map((name) => ({
        name,
        samples:
          readWav(readFileSync(join(ownPrompts, language, `${name}.wav`))).channels[0] ?? new Int16Array(),
      })),
    );
  }

  hears(samples: Int16Array): { readonly digits: string; readonly words: readonly string[] } {
    const heard: readonly Recognition[] = this.#recogniser.recognise(samples);
    const names = heard.map(({ name }) => name);
    return {
      digits: names.flatMap((name) => (name.startsWith('digit-') ? name.slice(6) : [])).join(''),
      words: names.filter((name) => !name.startsWith('digit-')),
    };
  }
}
