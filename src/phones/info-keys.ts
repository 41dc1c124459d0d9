import type { Answer } from './line.js';
import { eventOfKey } from './rtp-packet.js';
import type { Deadline } from './waiting.js';

/**
 * The two forms in which phones and gateways send keys in the signalling: the "Signal=5, Duration=160" lines Cisco
 * gateways began with, and the bare key.
 */
export type InfoKeyForm = 'application/dtmf-relay' | 'application/dtmf';

export interface InfoKeysOptions extends Deadline {
  /** Default application/dtmf-relay. */
  readonly as?: InfoKeyForm;
  /** How long each key is said to have been held, default 160. Only application/dtmf-relay tells it. */
  readonly durationMs?: number;
}

/** The longest row of keys at a time, as with keys sent as RTP events. */
const MAX_KEYS = 32;

function infoBody(key: string, as: InfoKeyForm, durationMs: number): string {
  // Throws on what is no key.
  eventOfKey(key);
  const signal = key.toUpperCase();
  switch (as) {
    case 'application/dtmf-relay':
      return `Signal=${signal}\r\nDuration=${durationMs}\r\n`;
    case 'application/dtmf':
      return signal;
    default: {
      const never: never = as;
      return never;
    }
  }
}

/**
 * Presses keys ('0' to '9', '*', '#', 'A' to 'D', '!' for a hook flash) as one SIP INFO each (RFC 6086), the next after
 * the answer to the one before it, so that they cannot overtake each other. Gives the status of each answer (408 where
 * none came). Keys as RTP events are pressed with `call.audio.pressKeys`.
 */
export async function pressInfoKeys(
  call: { sendInfo(contentType: string, body: string, deadline?: Deadline): Promise<Answer> },
  keys: string,
  { as = 'application/dtmf-relay', durationMs = 160, ...deadline }: InfoKeysOptions = {},
): Promise<number[]> {
  if (keys.length > MAX_KEYS) throw new RangeError(`more than ${MAX_KEYS} keys`);
  const bodies = Array.from(keys, (key) => infoBody(key, as, durationMs));
  const statuses: number[] = [];
  for (const body of bodies) statuses.push((await call.sendInfo(as, body, deadline)).status);
  return statuses;
}
