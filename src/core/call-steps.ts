import type { CallState, Effect, Speech, Step } from './call-state.js';
import type { Ending, EndingCode } from './ending.js';
import type { Clip, Language, PromptId } from './prompt.js';

/** Small words the steps are made of. */
export const to = (next: CallState, ...effects: Effect[]): Step => ({ next, effects, stray: false });
export const stray = (state: CallState): Step => ({ next: state, effects: [], stray: true });
export const ending = (code: EndingCode, detail?: string): Ending =>
  detail === undefined ? { code } : { code, detail };
export const speech = (language: Language, ...ids: PromptId[]): Speech => ({
  clips: ids.map((id): Clip => ({ kind: 'prompt', id })),
  language,
});
