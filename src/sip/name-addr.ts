/**
 * A strict, bounded, linear reader of From-like headers (RFC 3261 section 20.10: name-addr / addr-spec). The
 * library's own parser takes the display name for the number and is cubic on hostile text (facts: drachtio 11.10,
 * reliability F11), so identity is never read with it.
 */
export interface NameAddr {
  readonly scheme: 'sip' | 'sips' | 'tel';
  /** The user part (sip) or the number (tel), still as sent; '' where there is none. */
  readonly user: string;
  readonly host: string;
}

const maxLength = 1024;

/** Reads one name-addr or addr-spec; null where it is anything else. */
export const parseNameAddr = (header: string): NameAddr | null => {
  if (header.length > maxLength) return null;
  for (let i = 0; i < header.length; i++) {
    const code = header.charCodeAt(i);
    // Control characters never; bytes above ASCII only where a display name may hold them.
    if (code < 0x20 && code !== 0x09) return null;
    if (code === 0x7f) return null;
  }
  const text = header.trim();
  const uri = enclosed(text);
  return uri === null ? null : parseAddrSpec(uri);
};

/** The URI between the angle brackets, outside any quoted display name; the bare addr-spec without brackets. */
const enclosed = (text: string): string | null => {
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
    return end < 0 ? text : text.slice(0, end);
  }
  // Between a display name and the bracket there may be only white space or a token display name.
  const between = text.slice(at, open);
  if (at > 0 && between.trim() !== '') return null;
  if (between.includes('"') || between.includes(',') || between.includes(';')) return null;
  const close = text.indexOf('>', open);
  if (close < 0) return null;
  const after = text.slice(close + 1).trimStart();
  if (after !== '' && after[0] !== ';') return null;
  const uri = text.slice(open + 1, close);
  return uri.includes('<') ? null : uri;
};

const parseAddrSpec = (uri: string): NameAddr | null => {
  const colon = uri.indexOf(':');
  if (colon < 0) return null;
  const scheme = uri.slice(0, colon).toLowerCase();
  const rest = uri.slice(colon + 1);
  if (scheme === 'tel') {
    const end = rest.indexOf(';');
    const number = end < 0 ? rest : rest.slice(0, end);
    return number === '' ? null : { scheme, user: number, host: '' };
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
  return host === '' ? null : { scheme, user, host };
};
