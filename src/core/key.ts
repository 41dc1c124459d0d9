/**
 * Keys a person can press on a telephone: the events 0-16 of RFC 4733 section 3.2. 'flash' is the hook flash, which
 * no dialogue listens for: it is evidence of a three-way attempt (facts: rtpengine, Three-way detection).
 */
export const keys = [
  '0',
  '1',
  '2',
  '3',
  '4',
  '5',
  '6',
  '7',
  '8',
  '9',
  '*',
  '#',
  'A',
  'B',
  'C',
  'D',
  'flash',
] as const;
export type Key = (typeof keys)[number];

/** The key of an RFC 4733 event code, or null: codes beyond 16 are tones and trunk signals, no keys. */
export const keyOfEvent = (code: number): Key | null =>
  Number.isInteger(code) && code >= 0 && code < keys.length ? (keys[code] ?? null) : null;
