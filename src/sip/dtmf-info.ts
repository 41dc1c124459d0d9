import { type Key, keyOfEvent, keys } from '../core/key.js';

/** The bodies that carry a key in SIP INFO. There is no RFC for them: what is read here is what is seen in the field. */
export const infoTypes = ['application/dtmf-relay', 'application/dtmf'] as const;
export type InfoType = (typeof infoTypes)[number];

/** Longest INFO body looked at, in characters. */
export const maxInfoBody = 256;

/** The media type of an INFO with a key, or null where it is none of ours. */
export const infoTypeOf = (contentType: string | undefined): InfoType | null => {
  const named = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  return infoTypes.find((one) => one === named) ?? null;
};

/**
 * The key an INFO body names, or null where it names none: 'Signal=5' and 'Duration=160' on lines of their own for
 * dtmf-relay, the signal alone for dtmf. Anything else in the body makes it unreadable, for two readers could then
 * disagree about what was pressed.
 */
export const keyOfInfo = (type: InfoType, body: string): Key | null => {
  if (body.length > maxInfoBody) return null;
  return type === 'application/dtmf' ? keyOfSignal(body.trim()) : keyOfRelay(body);
};

const keyOfRelay = (body: string): Key | null => {
  let signal: string | null = null;
  let duration: string | null = null;
  for (const line of body.split(/\r\n|\n|\r/)) {
    if (line.trim() === '') continue;
    const equals = line.indexOf('=');
    const name = line.slice(0, Math.max(equals, 0)).trim().toLowerCase();
    const value = line.slice(equals + 1).trim();
    if (name === 'signal' && signal === null) signal = value;
    else if (name === 'duration' && duration === null && /^\d{1,6}$/.test(value)) duration = value;
    else return null;
  }
  return signal === null ? null : keyOfSignal(signal);
};

/** The key itself, or the event code of RFC 4733 as some gateways send it: 10 is '*', 11 '#', 16 the hook flash. */
const keyOfSignal = (signal: string): Key | null => {
  if (/^1[0-6]$/.test(signal)) return keyOfEvent(Number(signal));
  const named = signal.toUpperCase();
  return named.length === 1 ? (keys.find((key) => key === named) ?? null) : null;
};
