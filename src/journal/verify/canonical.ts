/** RFC 8785, for what JSON.parse gives: sorted members, no white space, ECMAScript's numbers and escapes. */
export function canonicalText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(',')}]`;
  const members = value as Record<string, unknown>;
  const parts: string[] = [];
  for (const key of Object.keys(members).sort())
    parts.push(`${JSON.stringify(key)}:${canonicalText(members[key])}`);
  return `{${parts.join(',')}}`;
}

export const HEX_HASH = /^[0-9a-f]{64}$/;
export const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
export const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** Segments and files of heads. */
export const NUMBERED_FILE = /^\d{8}\.jsonl$/;
export const ZEROS = '0'.repeat(64);
