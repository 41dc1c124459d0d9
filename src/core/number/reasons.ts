/**
 * Why a text is not a number. The codes are stable: they are journalled and counted. The messages
 * never hold a digit of the text, so they are safe to log (design I11).
 */
export const UNPARSEABLE = {
  empty: 'The text is empty.',
  'text-too-long': 'The text is longer than any dialled number can be.',
  'not-ascii': 'The text holds a character outside ASCII.',
  'control-character': 'The text holds a control character.',
  space: 'A dialled number cannot hold a space.',
  'scheme-unknown': 'The URI scheme is not sip, sips or tel.',
  'uri-malformed': 'The URI is malformed.',
  'uri-headers': 'The URI carries headers.',
  'no-user': 'The URI has no user part.',
  'host-malformed': 'The host of the URI is missing or malformed.',
  'password-in-uri': 'The user part carries a password.',
  'percent-encoding-invalid': 'A percent sign is not followed by two hexadecimal digits.',
  'percent-encoding-doubled': 'The text is percent-encoded more than once.',
  'character-not-allowed': 'The text holds a character that no number has.',
  'plus-misplaced': 'A plus sign may stand only before the first digit.',
  letters: 'The number is written with letters.',
  'post-dial-string': 'The text holds pauses, waits or digits to be sent after the answer.',
  'no-digits': 'The text holds no digit.',
  'parameter-unknown': 'A parameter of the number is not known.',
  'parameter-repeated': 'A parameter of the number stands twice.',
  'parameter-changes-destination': 'A parameter would change where the call goes.',
  'extension-malformed': 'The extension is not one to ten digits.',
  'phone-context-malformed': 'The phone-context is malformed.',
  'phone-context-unknown': 'The phone-context is not a domain of this dial plan.',
  'phone-context-on-global-number': 'A global number cannot have a phone-context.',
  'outside-line-prefix-missing': 'The outside line prefix was not dialled.',
  'area-code-missing': 'The area code was not dialled and this dial plan has none to add.',
  'trunk-prefix-missing': 'The national trunk prefix was not dialled.',
  'local-number-like-service-code': 'A local number begins like a service code.',
  'country-code-invalid': 'No country code begins like this.',
  'too-short': 'The number has too few digits.',
  'too-long': 'The number has too many digits.',
  ambiguous: 'The text can be read as two different numbers.',
  'not-a-valid-number': 'No such number can exist in the numbering plan.',
  'dial-plan-invalid': 'The dial plan is not valid.',
} as const satisfies Record<string, string>;

export type UnparseableReason = keyof typeof UNPARSEABLE;

/** `column` counts from 1 and points into the text as given; null when no one character is at fault. */
export type Unparseable = {
  readonly kind: 'unparseable';
  readonly reason: UnparseableReason;
  readonly message: string;
  readonly column: number | null;
};

export const unparseable = (reason: UnparseableReason, column: number | null = null): Unparseable => ({
  kind: 'unparseable',
  reason,
  message: UNPARSEABLE[reason],
  column,
});

/** The front end's refusal, before it is known whether the text reaches for an emergency. */
export type Unreadable = {
  readonly kind: 'unreadable';
  readonly reason: UnparseableReason;
  readonly column: number | null;
};

export const unreadable = (reason: UnparseableReason, index: number | null = null): Unreadable => ({
  kind: 'unreadable',
  reason,
  column: index === null ? null : index + 1,
});
