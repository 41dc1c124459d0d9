import type { CountryCode } from 'libphonenumber-js/max';

/** What a code stands for that is neither a number nor an emergency. All of them are refused by default. */
export const SERVICE_CLASSES = [
  'operator',
  'directory',
  'short-code',
  'star-code',
  'carrier-select',
  'relay',
  'crisis-line',
  'premium',
] as const;

export type ServiceClass = (typeof SERVICE_CLASSES)[number];

/**
 * How digits are dialled at one site. Plain data; `checkDialPlan` says what is wrong with it.
 * One plan serves both the callers' phones and the list files of a site, so that both speak of
 * the same numbers.
 */
export type DialPlan = {
  /** ISO 3166 country whose national numbers are dialled, such as 'US'. */
  readonly country: CountryCode;
  /** Digits that ask the site's exchange for an outside line, such as '9'. */
  readonly outsideLinePrefix?: string;
  /**
   * When true, a caller's digits without the prefix are refused; otherwise both readings are tried
   * and a text that can be read as two numbers is refused. Never asked of '+' numbers or of lists.
   */
  readonly outsideLineRequired?: boolean;
  /** What is dialled instead of '+': ['011'] in North America, ['00'] in most of Europe. */
  readonly internationalPrefixes: readonly string[];
  /** Area code added to a local number (seven digits in North America); absent: local numbers are refused. */
  readonly homeAreaCode?: string;
  /**
   * Outside North America: the digit every national number must begin with ('0' in Germany and
   * Britain). Absent: the national number is dialled in full, with or without one.
   */
  readonly trunkPrefix?: string;
  /** Emergency codes besides 911, 112 and 999, which are emergencies under every plan. */
  readonly emergency: readonly string[];
  /** Codes of this site besides those of North America, and the class of each. */
  readonly services: Readonly<Record<string, ServiceClass>>;
  /** Codes that dial one full number, such as '*77' for a reporting hotline. */
  readonly speedDials: Readonly<Record<string, string>>;
  /** Domains in which a phone-context means this very plan (RFC 3966 section 5.1.5), in lower case. */
  readonly domains?: readonly string[];
};

/** A plan for a site in the United States with no outside line prefix and no local dialling. */
export const NORTH_AMERICAN_PLAN: DialPlan = Object.freeze({
  country: 'US',
  internationalPrefixes: ['011'],
  emergency: ['911'],
  services: {},
  speedDials: {},
});
