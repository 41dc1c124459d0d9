import type { Headers } from './refusal.js';

/** Session timers of a trunk (RFC 4028), in seconds. */
export interface SessionPolicy {
  /** What we ask for, and the most we agree to. */
  readonly seconds: number;
  /** The least we agree to. */
  readonly minSeconds: number;
}

/** What was agreed in one dialog: who refreshes, and after how long without it the session is over. */
export interface SessionTerms {
  readonly seconds: number;
  readonly refresher: 'us' | 'them';
}

/** RFC 4028 section 5: where nothing is said, and the least that may be said. */
const leastMinSe = 90;

/** More than a week is no session anybody waits for; it also keeps the timer within what Node can count. */
const mostSeconds = 604_800;

type HeaderOf = (name: string) => string | undefined;

/** What a message says of session timers. */
export interface TimerWords {
  readonly expires: { readonly seconds: number; readonly refresher: 'uac' | 'uas' | null } | null;
  readonly minSeconds: number;
  /** Its sender knows the extension. */
  readonly supported: boolean;
}

/** delta-seconds, then parameters (section 4 and 5); null if malformed. */
const secondsOf = (value: string): { readonly seconds: number; readonly rest: string } | null => {
  const match = /^[ \t]{0,8}(\d{1,10})[ \t]{0,8}(;.{0,200})?$/.exec(value);
  return match === null ? null : { seconds: Number(match[1]), rest: match[2] ?? '' };
};

export const lists = (value: string | undefined, tag: string): boolean =>
  (value ?? '').split(',').some((one) => one.trim().toLowerCase() === tag);

/** Reads the timer's headers of a message; null where they are malformed. */
export const timerWords = (header: HeaderOf): TimerWords | null => {
  const supported = lists(header('Supported'), 'timer') || lists(header('Require'), 'timer');
  const minValue = header('Min-SE');
  const min = minValue === undefined ? null : secondsOf(minValue);
  if (minValue !== undefined && min === null) return null;
  const minSeconds = Math.max(leastMinSe, min?.seconds ?? 0);
  const value = header('Session-Expires');
  if (value === undefined) return { expires: null, minSeconds, supported };
  const read = secondsOf(value);
  if (read === null) return null;
  const said = /;[ \t]{0,8}refresher[ \t]{0,8}=[ \t]{0,8}([A-Za-z]{1,8})/i
    .exec(read.rest)?.[1]
    ?.toLowerCase();
  const refresher = said === 'uac' || said === 'uas' ? said : null;
  return { expires: { seconds: read.seconds, refresher }, minSeconds, supported };
};

export type TimerAnswer =
  | { readonly state: 'agreed'; readonly terms: SessionTerms; readonly headers: Headers }
  /** 422 with these headers: the interval is too short (section 6). */
  | { readonly state: 'too-short'; readonly headers: Headers };

/** What we answer a request that makes or refreshes a session (section 9, table 2). */
export const answerTimer = (policy: SessionPolicy, words: TimerWords): TimerAnswer => {
  const least = Math.max(leastMinSe, policy.minSeconds);
  const { expires, supported } = words;
  // Who does not know the extension would not know what 422 asks for: its interval, a proxy's, is taken.
  if (expires !== null && expires.seconds < least && supported) {
    return { state: 'too-short', headers: { 'Min-SE': String(least) } };
  }
  const ours = Math.min(mostSeconds, Math.max(policy.seconds, least, words.minSeconds));
  const seconds = expires === null ? ours : Math.min(expires.seconds, ours);
  // Table 2: who cannot refresh does not; who said who is to refresh is believed; else the caller of the request does.
  const refresher = supported && expires?.refresher !== 'uas' ? 'uac' : 'uas';
  return {
    state: 'agreed',
    terms: { seconds, refresher: refresher === 'uac' ? 'them' : 'us' },
    headers: {
      'Session-Expires': `${seconds};refresher=${refresher}`,
      ...(supported ? { Require: 'timer' } : {}),
    },
  };
};

/** What a request of ours says (section 7). In a dialog `refresher` is 'uac': we refresh. */
export const timerHeaders = (policy: SessionPolicy, refresher?: 'uac'): Headers => ({
  'Session-Expires':
    refresher === undefined ? String(policy.seconds) : `${policy.seconds};refresher=${refresher}`,
  // Always said: it tells also those who would otherwise take the least there is.
  'Min-SE': String(Math.max(leastMinSe, policy.minSeconds)),
});

/**
 * What came of a request of ours. A far end that knows no timers has none, but answers our refreshes all the same, and
 * its silence tells what a timer would have told (section 7.2).
 */
export const agreedTerms = (policy: SessionPolicy, header: HeaderOf): SessionTerms => {
  const expires = timerWords(header)?.expires ?? null;
  if (expires === null) return { seconds: policy.seconds, refresher: 'us' };
  const seconds = Math.min(mostSeconds, Math.max(expires.seconds, 1));
  return { seconds, refresher: expires.refresher === 'uas' ? 'them' : 'us' };
};

/** The policy to try again with after a 422 (section 7.3); null where it says nothing we could do. */
export const raised = (policy: SessionPolicy, header: HeaderOf): SessionPolicy | null => {
  const words = header('Min-SE') === undefined ? null : timerWords(header);
  if (words === null || words.minSeconds > mostSeconds || words.minSeconds <= policy.minSeconds) return null;
  return { seconds: Math.max(policy.seconds, words.minSeconds), minSeconds: words.minSeconds };
};
