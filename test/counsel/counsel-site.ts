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

  /**
   * `code` is what somebody would write down: a saying of six digits that the other one does not contradict. The other
   * may lack one of them, as a packet that is lost within a word of half a second costs the word; no digit may be
   * another one. Where what is said between them was lost, they are one of twelve. Undefined where nobody could be sure.
   */
  hears(samples: Int16Array): {
    readonly code: string | undefined;
    readonly sayings: readonly string[];
    readonly words: readonly string[];
  } {
    const heard: readonly Recognition[] = this.#recogniser.recognise(samples);
    const words: string[] = [];
    const sayings: string[] = [];
    for (const { name } of heard) {
      if (!name.startsWith('digit-')) {
        words.push(name);
        if (name !== 'code-end') sayings.push('');
      } else sayings.push((sayings.pop() ?? '') + name.slice(6));
    }
    return { code: agreed(sayings), sayings, words };
  }
}

/** Exported for its own table: an ear that agrees too easily would prove nothing. */
export function agreed(sayings: readonly string[]): string | undefined {
  const [first = ''] = sayings;
  if (sayings.length === 1) return /^(\d{6})\1$/.exec(first)?.[1];
  const code = sayings.find((saying) => saying.length === 6);
  if (code === undefined || sayings.length !== 2) return undefined;
  const lacksOne = [...code].map((_, at) => code.slice(0, at) + code.slice(at + 1));
  return sayings.every((saying) => saying === code || lacksOne.includes(saying)) ? code : undefined;
}
