/**
 * Everything Sallyport can say to a person. One entry, one recording in every language of the catalogue. `says` is
 * what the prompt tells about recording: a call's verdict allows one of the two, never both (design I6). The words
 * themselves are in the catalogue's manifest; a test proves that no prompt speaks of recording that is marked silent.
 */
export const prompts = {
  // To the caller, before anyone is dialled.
  'pin-ask': 'nothing',
  'pin-wrong': 'nothing',
  'pin-incomplete': 'nothing',
  'pin-locked': 'nothing',
  'kind-menu': 'nothing',
  'please-hold': 'nothing',
  'hold-tone': 'nothing',
  // To the caller: the number is not registered for private calls (the Romero settlement's case).
  'claim-unlisted': 'nothing',
  'claim-noted': 'nothing',
  // To the caller: refused.
  'refused-identity': 'nothing',
  'refused-number': 'nothing',
  'refused-emergency': 'nothing',
  'refused-service': 'nothing',
  'refused-unavailable': 'nothing',
  'refused-review': 'nothing',
  'refused-lockdown': 'nothing',
  'refused-blocked': 'nothing',
  'refused-not-allowed': 'nothing',
  'refused-not-now': 'nothing',
  'refused-too-many': 'nothing',
  'refused-suspended': 'nothing',
  // To the caller: what became of the attempt.
  'called-busy': 'nothing',
  'called-no-answer': 'nothing',
  'called-failed': 'nothing',
  'called-declined': 'nothing',
  'called-no-key': 'nothing',
  // To the caller: the same truth the called party heard.
  'told-recorded': 'recorded',
  'told-private': 'not-recorded',
  // To the called party.
  greeting: 'nothing',
  'from-facility': 'nothing',
  'from-caller': 'nothing',
  'notice-recorded': 'recorded',
  'notice-private': 'not-recorded',
  'menu-recorded': 'nothing',
  'menu-private': 'nothing',
  'you-accepted': 'nothing',
  'you-refused': 'nothing',
  'you-protected': 'nothing',
  'you-blocked': 'nothing',
  'you-pressed-nothing': 'nothing',
  'wrong-key': 'nothing',
  // To both, while the call is up.
  'minute-left': 'nothing',
  'ten-seconds-left': 'nothing',
  'three-way-warning': 'nothing',
  'now-private': 'not-recorded',
  // To both, as the last thing they hear.
  'over-time': 'nothing',
  'over-blocked': 'nothing',
  'over-lockdown': 'nothing',
  'over-forwarded': 'nothing',
  'over-three-way': 'nothing',
  'over-technical': 'nothing',
  // To whoever answers a call of our own that tells a code (code-call/): no call of a person held here.
  'code-intro': 'not-recorded',
  'code-again': 'nothing',
  'code-end': 'nothing',
  'digit-0': 'nothing',
  'digit-1': 'nothing',
  'digit-2': 'nothing',
  'digit-3': 'nothing',
  'digit-4': 'nothing',
  'digit-5': 'nothing',
  'digit-6': 'nothing',
  'digit-7': 'nothing',
  'digit-8': 'nothing',
  'digit-9': 'nothing',
} as const satisfies Record<string, 'recorded' | 'not-recorded' | 'nothing'>;

export type PromptId = keyof typeof prompts;
export const promptIds = Object.keys(prompts) as PromptId[];

export const languages = ['en', 'es'] as const;
export type Language = (typeof languages)[number];

/** One piece of speech: a prompt of the catalogue, or the recorded name of the facility or the caller. */
export type Clip =
  | { readonly kind: 'prompt'; readonly id: PromptId }
  | { readonly kind: 'name'; readonly of: 'facility' | 'caller' };
