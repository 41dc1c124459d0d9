/** ASCII alone: by the time these are asked, any other character has been refused. */

export const isDigit = (c: string): boolean => c >= '0' && c <= '9';
export const isLetter = (c: string): boolean => (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
/** The visual separators of RFC 3966 section 5.1.1. */
export const isSeparator = (c: string): boolean => c === '-' || c === '.' || c === '(' || c === ')';

/** The text without its visual separators. */
export const withoutSeparators = (text: string): string => {
  let kept = '';
  for (const c of text) if (!isSeparator(c)) kept += c;
  return kept;
};
