/**
 * A strict, bounded, linear reader of From-like headers (RFC 3261 section 20.10: name-addr / addr-spec). The
 * library's own parser takes the display name for the number and is cubic on hostile text (facts: drachtio 11.10,
 * reliability F11), so identity is never read with it.
 */
export interface NameAddr {
  readonly scheme: 'sip' | 'sips' | 'tel';
  /** The user part (sip) or the number (tel), still as sent; '' where there is none. */
  readonly user: string;
  /** With the port where one is given; '' for tel. */
  readonly host: string;
}

const maxLength = 1024;

// RFC 3261 section 25.1, less the characters that could be taken for the end of the URI or for another one.
const userShape = /^[A-Za-z0-9_.!~*'()%&=+$?/-]*$/;
const hostShape = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;
// RFC 3966 section 3: digits, visual separators, and the letters a local number may hold.
const telShape = /^[A-Za-z0-9+*#().-]+$/;

/** Reads one name-addr or addr-spec; null where it is anything else. */
export const parseNameAddr = (header: string): NameAddr | null => {
  const parted = partNameAddr(header);
  return parted === null ? null : parseAddrSpec(parted.uri);
};

/** A header with one address, taken apart: the URI as it was sent, and the parameters of the header behind it. */
export interface PartedAddr {
  readonly uri: string;
  /** Empty, or from the first ';' on. */
  readonly params: string;
}

/** Takes one name-addr or addr-spec apart without judging its URI; null where it is neither. */
export const partNameAddr = (header: string): PartedAddr | null => {
  if (header.length > maxLength) return null;
  for (let i = 0; i < header.length; i++) {
    const code = header.charCodeAt(i);
    // Control characters never; characters above ASCII only where a display name may hold them.
    if (code < 0x20 && code !== 0x09) return null;
    if (code === 0x7f) return null;
  }
  return enclosed(header.trim());
};

/**
 * Splits a header of several addresses at the commas outside quotes and brackets (RFC 3261 section 7.3.1), without
 * judging them. Null where there are more than `max`, or a quote or bracket does not close.
 */
export const splitAddresses = (header: string, max: number): readonly string[] | null => {
  const parts: string[] = [];
  let from = 0;
  let quoted = false;
  let bracketed = false;
  for (let i = 0; i <= header.length; i++) {
    const c = header[i];
    if (quoted) {
      if (c === '\\') i++;
      else if (c === '"') quoted = false;
    } else if (c === '"' && !bracketed) quoted = true;
    else if (c === '<') bracketed = true;
    else if (c === '>') bracketed = false;
    else if (c === undefined || (c === ',' && !bracketed)) {
      if (parts.length === max) return null;
      parts.push(header.slice(from, i));
      from = i + 1;
    }
  }
  return quoted || bracketed ? null : parts;
};

/** The URI between the angle brackets, outside any quoted display name; the bare addr-spec without brackets. */
const enclosed = (text: string): PartedAddr | null => {
  let at = 0;
  if (text[0] === '"') {
    at = 1;
    while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
    if (at >= text.length) return null;
    at += 1;
  }
  const open = text.indexOf('<', at);
  if (open < 0) {
    // Without brackets parameters belong to the header, not to the URI.
    if (at > 0) return null;
    const end = text.indexOf(';');
    if (end < 0) return { uri: text, params: '' };
    const params = text.slice(end);
    return endsTheHeader(params) ? { uri: text.slice(0, end), params } : null;
  }
  // Between a display name and the bracket there may be only white space or a token display name.
  const between = text.slice(at, open);
  if (at > 0 && between.trim() !== '') return null;
  // What looks like a second URI before the first is read differently by other parsers: then it is read by none.
  if (/[",;:@>\\]/.test(between)) return null;
  const close = text.indexOf('>', open);
  if (close < 0) return null;
  const params = text.slice(close + 1).trimStart();
  return endsTheHeader(params) ? { uri: text.slice(open + 1, close), params } : null;
};

/** Whether nothing but parameters follows: a second address would be one nobody decided on. */
const endsTheHeader = (rest: string): boolean => {
  const after = rest.trimStart();
  return after === '' || (after[0] === ';' && !/[<>,]/.test(after));
};

const parseAddrSpec = (uri: string): NameAddr | null => {
  const colon = uri.indexOf(':');
  if (colon < 0) return null;
  const scheme = uri.slice(0, colon).toLowerCase();
  const rest = uri.slice(colon + 1);
  if (scheme === 'tel') {
    const end = rest.indexOf(';');
    const number = end < 0 ? rest : rest.slice(0, end);
    return telShape.test(number) ? { scheme, user: number, host: '' } : null;
  }
  if (scheme !== 'sip' && scheme !== 'sips') return null;
  const at = rest.indexOf('@');
  if (at !== rest.lastIndexOf('@')) return null;
  const userinfo = at < 0 ? '' : rest.slice(0, at);
  // A password in a URI is deprecated and never sent by an honest trunk (RFC 3261 section 19.1.1).
  if (userinfo.includes(':')) return null;
  const semi = userinfo.indexOf(';');
  const user = semi < 0 ? userinfo : userinfo.slice(0, semi);
  const hostport = rest.slice(at + 1);
  const host = hostport.split(/[;?]/, 1)[0] ?? '';
  return userShape.test(user) && hostShape.test(host) ? { scheme, user, host } : null;
};
