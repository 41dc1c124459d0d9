import type { Key } from './key.js';
import type { PromptId } from './prompt.js';

/** A question to the caller, answered with one key. Pure; `turn` numbers what it waits for. */
export interface Menu<Choice extends string> {
  readonly prompt: PromptId;
  readonly keys: Readonly<Partial<Record<Key, Choice>>>;
  /** What no answer means, after all rounds. */
  readonly otherwise: Choice;
  readonly rounds: number;
  readonly keyMs: number;
  /** From which round on a key counts before the question was heard to its end; 1 for always. */
  readonly interruptsFrom: number;
}

export interface InMenu {
  readonly step: 'speaking' | 'waiting';
  readonly turn: number;
  readonly rounds: number;
}

export type MenuInput =
  | { readonly type: 'key'; readonly key: Key }
  | { readonly type: 'said'; readonly turn: number }
  | { readonly type: 'key-timeout'; readonly turn: number };

export type MenuStep<Choice> =
  | { readonly state: 'say'; readonly next: InMenu; readonly prompt: PromptId }
  | { readonly state: 'await-key'; readonly next: InMenu; readonly ms: number }
  | { readonly state: 'chosen'; readonly choice: Choice }
  | { readonly state: 'ignored' };

/**
 * Which kind of call: asked only where the call would be recorded. No answer is an ordinary call, which both
 * parties are told is recorded before they can speak.
 */
export const kindMenu: Menu<'ordinary' | 'private'> = {
  prompt: 'kind-menu',
  keys: { '1': 'ordinary', '2': 'private' },
  otherwise: 'ordinary',
  rounds: 2,
  keyMs: 5000,
  interruptsFrom: 1,
};

/**
 * The number is not registered: the claim stands unless the caller, having heard all of it, asks for a recorded
 * call. Who presses a moment too early, or nothing, hears it once more, and need not hear it out again. No key, a wrong
 * key and hanging up leave the claim standing.
 */
export const claimMenu: Menu<'withdrawn' | 'stands'> = {
  prompt: 'claim-unlisted',
  keys: { '5': 'withdrawn' },
  otherwise: 'stands',
  rounds: 2,
  keyMs: 8000,
  interruptsFrom: 2,
};

const say = <C>(menu: Menu<C & string>, was: InMenu): MenuStep<C> =>
  was.rounds >= menu.rounds
    ? { state: 'chosen', choice: menu.otherwise }
    : {
        state: 'say',
        next: { step: 'speaking', turn: was.turn + 1, rounds: was.rounds + 1 },
        prompt: menu.prompt,
      };

/** `turn`: the last one of any dialogue before. */
export const beginMenu = <C extends string>(menu: Menu<C>, turn = 0): MenuStep<C> =>
  say(menu, { step: 'waiting', turn, rounds: 0 });

export const menuStep = <C extends string>(menu: Menu<C>, state: InMenu, input: MenuInput): MenuStep<C> => {
  switch (input.type) {
    case 'said':
      if (input.turn !== state.turn || state.step !== 'speaking') return { state: 'ignored' };
      return {
        state: 'await-key',
        next: { ...state, step: 'waiting', turn: state.turn + 1 },
        ms: menu.keyMs,
      };
    case 'key-timeout':
      return input.turn === state.turn && state.step === 'waiting' ? say(menu, state) : { state: 'ignored' };
    case 'key': {
      const choice = menu.keys[input.key];
      const tooEarly = state.step === 'speaking' && state.rounds < menu.interruptsFrom;
      if (choice === undefined || tooEarly) return { state: 'ignored' };
      return { state: 'chosen', choice };
    }
    default: {
      const never: never = input;
      return never;
    }
  }
};
