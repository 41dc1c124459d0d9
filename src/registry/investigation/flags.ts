/** What a call can be marked as. Words of investigators about a call, and never of the call's privacy. */
export const flags = [
  'review',
  'threat',
  'contraband',
  'witness',
  'third-party',
  'violence',
  'evidence',
  'cleared',
] as const;
export type Flag = (typeof flags)[number];
export const flagTexts: Readonly<Record<Flag, string>> = {
  review: 'to be listened to',
  threat: 'somebody is threatened',
  contraband: 'speaks of what is forbidden in the facility',
  witness: 'a witness is spoken to, or about',
  'third-party': 'a third person was in the call',
  violence: 'violence is planned or told of',
  evidence: 'needed in a case',
  cleared: 'looked at, and of no interest',
};
