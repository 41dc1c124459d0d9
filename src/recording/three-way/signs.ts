import type { Party } from '../../call/ports.js';

/**
 * What may be heard when a party brings a third one into a call: it goes away (flash, silence, a stream that stops),
 * dials (dial tone, keys), the third phone rings, and it comes back.
 */
export type Sign =
  | 'hook-flash'
  | 'silence-gap'
  | 'long-silence'
  | 'packet-gap'
  | 'ssrc-change'
  | 'payload-change'
  | 'level-change'
  | 'dial-tone'
  | 'dtmf-burst'
  | 'ringback'
  | 'busy-tone';

export interface Noticed {
  readonly sign: Sign;
  readonly party: Party;
  /** When it began, in ms since the recording's first packet. */
  readonly atMs: number;
}

export type Notice = (sign: Sign, atMs: number) => void;

interface Weight {
  /** Which part of the story it tells. */
  readonly part: 'away' | 'dialling' | 'ringing';
  readonly called: number;
  readonly caller: number;
}

/**
 * How much each sign adds to the score, once in an episode. All of this is a judgement, not a measurement: field
 * experience says that hold, office transfer and voicemail trip every such detector (facts: field), so whatever a
 * hold can cause is worth little, and what only a telephone exchange says in the middle of a call is worth most. The
 * caller's phone stands in the facility and seldom has a second line: its signs count half.
 */
export const weights: Readonly<Record<Sign, Weight>> = {
  // Sent on purpose, but call waiting is answered with it too.
  'hook-flash': { part: 'away', called: 20, caller: 10 },
  'silence-gap': { part: 'away', called: 12, caller: 6 },
  // A hold or the mute key, far more often than not.
  'long-silence': { part: 'away', called: 8, caller: 4 },
  'packet-gap': { part: 'away', called: 8, caller: 4 },
  'ssrc-change': { part: 'away', called: 8, caller: 4 },
  'payload-change': { part: 'away', called: 5, caller: 2 },
  'level-change': { part: 'away', called: 6, caller: 3 },
  'dial-tone': { part: 'dialling', called: 22, caller: 11 },
  // The caller may talk to a menu by keys.
  'dtmf-burst': { part: 'dialling', called: 18, caller: 8 },
  ringback: { part: 'ringing', called: 22, caller: 11 },
  'busy-tone': { part: 'ringing', called: 16, caller: 8 },
};
