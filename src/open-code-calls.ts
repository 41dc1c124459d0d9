import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Emit } from './call/ports.js';
import { CodeCalls } from './code-call/code-calls.js';
import type { CodeSounds } from './code-call/spoken.js';
import type { Config } from './config/schema.js';
import { codeTrunk } from './core/leg.js';
import { type Language, languages, type PromptId } from './core/prompt.js';
import { readWav } from './phones/wav.js';
import { ownPrompts } from './prompts/catalogue.js';
import { soundFile } from './prompts/manifest.js';
import type { SipListener } from './sip-agent.js';

const digitIds = Array.from({ length: 10 }, (_, digit) => `digit-${digit}` as PromptId);

/** What is said, out of the catalogue of prompts, which was checked to the last byte before. */
const soundsOf = (directory: string, language: Language): CodeSounds => {
  const sound = (id: PromptId): Int16Array =>
    readWav(readFileSync(join(directory, soundFile(id, language)))).channels[0] ?? new Int16Array();
  return {
    intro: sound('code-intro'),
    again: sound('code-again'),
    end: sound('code-end'),
    digits: digitIds.map(sound),
  };
};

/**
 * Calls that tell a code, or null where the configuration has none. `listeners` is asked when the first one is made:
 * by then it is known where the controller listens.
 */
export const openCodeCalls = (
  { counsel, trunks, prompts }: Config,
  listeners: () => readonly SipListener[],
  emit: Emit,
): CodeCalls | null => {
  const calls = counsel?.calls;
  const like = trunks.facilities.find(({ name }) => name === calls?.trunk);
  if (calls === undefined || like === undefined) return null;
  const directory = prompts.directory ?? ownPrompts;
  const sounds = new Map(languages.map((language) => [language, soundsOf(directory, language)]));
  return new CodeCalls({
    address: calls.address,
    port: calls.port,
    trunk: codeTrunk(like.facility),
    atOnce: calls.atOnce,
    sip: () => {
      if (calls.sip !== undefined) return { host: calls.sip.address, port: calls.sip.port };
      const udp = listeners().find(({ transport }) => transport === 'udp');
      return udp === undefined ? null : { host: udp.host, port: udp.port };
    },
    sounds: (language) => sounds.get(language) ?? soundsOf(directory, language),
    fault: (code) => emit({ event: 'fault', where: 'code-call', code }),
  });
};
