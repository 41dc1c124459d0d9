import type { Connectable } from './decision.js';
import type { Key } from './key.js';
import type { Clip, Language, PromptId } from './prompt.js';

/**
 * Positive acceptance: the called party hears who calls and whether the call is recorded, and answers with a key.
 * A pure dialogue. `turn` numbers what it waits for, so that a late timer or a late end of speech moves nothing.
 */
export interface Asking {
  readonly step: 'notice' | 'menu' | 'waiting';
  readonly turn: number;
  /** Menus said so far. */
  readonly rounds: number;
  readonly wrongKeys: number;
  /** Changes of language so far. */
  readonly switches: number;
  readonly language: Language;
}

export type Accepted = 'accepted' | 'declined' | 'protected' | 'blocked' | 'no-key';

export type AskingInput =
  | { readonly type: 'key'; readonly key: Key }
  | { readonly type: 'said'; readonly turn: number }
  | { readonly type: 'key-timeout'; readonly turn: number };

/** What to do for the called party: speak, or wait for a key. */
export type AskingDoes =
  | {
      readonly does: 'say';
      readonly clips: readonly Clip[];
      readonly language: Language;
      readonly turn: number;
    }
  | { readonly does: 'await-key'; readonly ms: number; readonly turn: number };

export type AskingStep =
  | { readonly state: 'asking'; readonly next: Asking; readonly do: readonly AskingDoes[] }
  | { readonly state: 'answered'; readonly answer: Accepted; readonly language: Language }
  | { readonly state: 'ignored' };

/** Bounds of the dialogue: whoever answers nothing in three menus, or only wrong keys, does not accept. */
export const acceptance = { rounds: 3, wrongKeys: 3, switches: 3, keyMs: 6000 } as const;

/** Keys of the menu; docs/call-flow.md draws them. 3 is there only where the call would be recorded. */
export const acceptanceKeys = {
  '1': 'accepted',
  '2': 'declined',
  '3': 'protected',
  '7': 'blocked',
  '8': 'language',
  '9': 'repeat',
} as const satisfies Partial<Record<Key, Accepted | 'language' | 'repeat'>>;

const prompt = (id: PromptId): Clip => ({ kind: 'prompt', id });
const other = (language: Language): Language => (language === 'en' ? 'es' : 'en');

/** The words that follow from the verdict, and from nothing else (design I6). */
export const noticeOf = (decision: Connectable): PromptId =>
  decision.verdict === 'monitored' ? 'notice-recorded' : 'notice-private';
export const toldOf = (decision: Connectable): PromptId =>
  decision.verdict === 'monitored' ? 'told-recorded' : 'told-private';
const menuOf = (decision: Connectable): PromptId =>
  decision.verdict === 'monitored' ? 'menu-recorded' : 'menu-private';

/** Who calls, and the truth about recording. An anonymous hotline is not told a name (28 CFR 115.51(b)). */
const introduction = (decision: Connectable): readonly Clip[] => [
  prompt('greeting'),
  prompt('from-facility'),
  { kind: 'name', of: 'facility' },
  prompt('from-caller'),
  ...(decision.verdict === 'private' && decision.class === 'hotline'
    ? []
    : [{ kind: 'name', of: 'caller' } as const]),
  prompt(noticeOf(decision)),
];

const sayNotice = (decision: Connectable, was: Asking): AskingStep => {
  const turn = was.turn + 1;
  const next: Asking = { ...was, step: 'notice', turn };
  return {
    state: 'asking',
    next,
    do: [{ does: 'say', clips: introduction(decision), language: was.language, turn }],
  };
};

const sayMenu = (decision: Connectable, was: Asking, first: readonly Clip[] = []): AskingStep => {
  if (was.rounds >= acceptance.rounds) return { state: 'answered', answer: 'no-key', language: was.language };
  const turn = was.turn + 1;
  const next: Asking = { ...was, step: 'menu', turn, rounds: was.rounds + 1 };
  const clips = [...first, prompt(menuOf(decision))];
  return { state: 'asking', next, do: [{ does: 'say', clips, language: was.language, turn }] };
};

/** `turn`: the last one of any dialogue before. */
export const beginAsking = (decision: Connectable, language: Language, turn = 0): AskingStep =>
  sayNotice(decision, { step: 'notice', turn, rounds: 0, wrongKeys: 0, switches: 0, language });

/** One step. `menu` false: the notice is all there is, and its end is the acceptance. */
export const askingStep = (
  decision: Connectable,
  state: Asking,
  input: AskingInput,
  menu: boolean,
): AskingStep => {
  switch (input.type) {
    case 'said':
      if (input.turn !== state.turn) return { state: 'ignored' };
      if (state.step === 'notice') {
        return menu
          ? sayMenu(decision, state)
          : { state: 'answered', answer: 'accepted', language: state.language };
      }
      if (state.step !== 'menu') return { state: 'ignored' };
      return {
        state: 'asking',
        next: { ...state, step: 'waiting', turn: state.turn + 1 },
        do: [{ does: 'await-key', ms: acceptance.keyMs, turn: state.turn + 1 }],
      };
    case 'key-timeout':
      return input.turn === state.turn && state.step === 'waiting'
        ? sayMenu(decision, state)
        : { state: 'ignored' };
    case 'key':
      return pressed(decision, state, input.key, menu);
    default: {
      const never: never = input;
      return never;
    }
  }
};

const pressed = (decision: Connectable, state: Asking, key: Key, menu: boolean): AskingStep => {
  const meaning = (acceptanceKeys as Partial<Record<Key, Accepted | 'language' | 'repeat'>>)[key];
  const answered = (answer: Accepted): AskingStep => ({
    state: 'answered',
    answer,
    language: state.language,
  });
  // Where no menu is said nobody was told the keys: a stray tone must not block a number or refuse a call.
  if (!menu && meaning !== 'language') return { state: 'ignored' };
  switch (meaning) {
    case 'accepted':
      // Nobody accepts what they have not heard: during the notice the key says nothing yet (design I6).
      return state.step === 'notice' ? { state: 'ignored' } : answered('accepted');
    case 'declined':
    case 'blocked':
    case 'no-key':
      return answered(meaning);
    case 'protected':
      return decision.verdict === 'monitored' ? answered('protected') : wrong(decision, state);
    case 'language':
      // All over again in the other language: who did not understand the menu did not understand the notice.
      return state.switches >= acceptance.switches
        ? { state: 'ignored' }
        : sayNotice(decision, {
            ...state,
            language: other(state.language),
            switches: state.switches + 1,
            rounds: 0,
          });
    case 'repeat':
      return state.step === 'notice' ? { state: 'ignored' } : sayMenu(decision, state);
    case undefined:
      return wrong(decision, state);
    default: {
      const never: never = meaning;
      return never;
    }
  }
};

/** A wrong key during the notice is not heard; in the menu it brings the menu again, a few times. */
const wrong = (decision: Connectable, state: Asking): AskingStep => {
  if (state.step === 'notice') return { state: 'ignored' };
  const counted = { ...state, wrongKeys: state.wrongKeys + 1 };
  return counted.wrongKeys >= acceptance.wrongKeys
    ? { state: 'answered', answer: 'no-key', language: state.language }
    : sayMenu(decision, counted, [prompt('wrong-key')]);
};
