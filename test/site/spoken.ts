import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Language, promptIds } from '../../src/core/prompt.js';
import type { IncomingCall } from '../../src/phones/incoming-call.js';
import type { OutgoingCall } from '../../src/phones/outgoing-call.js';
import { type Candidate, Recogniser } from '../../src/phones/recognise.js';
import { readWav } from '../../src/phones/wav.js';
import { ownPrompts } from '../../src/prompts/catalogue.js';

/** Prompts in the order they were heard, found in the received sound alone and never asked of the product. */
const recognisers = new Map<Language, Recogniser>();

const recogniserOf = (language: Language): Recogniser => {
  const known = recognisers.get(language);
  if (known !== undefined) return known;
  const candidates = promptIds.map((id): Candidate => {
    const wav = readWav(readFileSync(join(ownPrompts, language, `${id}.wav`)));
    return { name: id, samples: wav.channels[0] ?? new Int16Array() };
  });
  const made = new Recogniser(candidates);
  recognisers.set(language, made);
  return made;
};

export interface HeardPrompt {
  readonly name: string;
  readonly atMs: number;
}

/** The whole prompts a party heard. */
export const promptsHeard = (
  call: OutgoingCall | IncomingCall,
  language: Language = 'en',
): readonly string[] =>
  recogniserOf(language)
    .recognise(call.audio.samples())
    .map(({ name }) => name);
