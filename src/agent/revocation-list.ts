import type { X509Certificate } from 'node:crypto';

/**
 * What of a certificate revocation list (RFC 5280 section 5) says who is on it. OpenSSL asks lists in a handshake alone and
 * gives no way to ask again for a connection that is open, so they are read here once more. They come from a file of
 * ours that OpenSSL has taken: whether their signatures hold is its affair, at every handshake.
 */
export interface RevocationList {
  /** Whose list it is, as `nameKey` writes it. */
  readonly issuer: string;
  /** When it runs out, in ms since the epoch; Infinity where it does not say. */
  readonly until: number;
  /** Serial numbers, as `serialKey` writes them. */
  readonly serials: ReadonlySet<string>;
}

/** One DER value (X.690 section 8.1): its tag and what it holds. */
interface Piece {
  readonly tag: number;
  readonly content: Buffer;
}

const sequence = 0x30;
const integer = 0x02;
const utcTime = 0x17;
const generalizedTime = 0x18;

/** The DER values one behind another in these bytes; undefined where they are none. */
function piecesOf(der: Buffer | undefined): readonly Piece[] | undefined {
  if (der === undefined) return undefined;
  const found: Piece[] = [];
  for (let at = 0; at < der.length; ) {
    const tag = der[at] ?? 0;
    const short = der[at + 1];
    // Nothing in certificates has a tag of several bytes, or a length that is not given.
    if (short === undefined || (tag & 0x1f) === 0x1f || short === 0x80) return undefined;
    const bytes = short < 0x80 ? 0 : short & 0x7f;
    const begin = at + 2 + bytes;
    if (bytes > 4 || begin > der.length) return undefined;
    const length = bytes === 0 ? short : der.readUIntBE(at + 2, bytes);
    if (begin + length > der.length) return undefined;
    found.push({ tag, content: der.subarray(begin, begin + length) });
    at = begin + length;
  }
  return found;
}

/** The parts of a signed structure's first part: of `tbsCertificate` or `tbsCertList`. */
function signedParts(der: Buffer): readonly Piece[] | undefined {
  const [outer] = piecesOf(der) ?? [];
  const [signed] = piecesOf(outer?.content) ?? [];
  return outer?.tag === sequence && signed?.tag === sequence ? piecesOf(signed.content) : undefined;
}

function textOf({ tag, content }: Piece): string {
  switch (tag) {
    case 0x0c: // UTF8String
      return content.toString('utf8');
    case 0x13: // PrintableString
    case 0x14: // TeletexString
    case 0x16: // IA5String
      return content.toString('latin1');
    case 0x1e: // BMPString
      return Buffer.from(content.subarray(0, content.length & ~1))
        .swap16()
        .toString('utf16le');
    default:
      return content.toString('hex');
  }
}

/** A name as it is compared: one name may be written in more than one way (RFC 5280 section 7.1). */
function nameKey({ content }: Piece): string {
  const parts = (piecesOf(content) ?? []).flatMap((set) =>
    (piecesOf(set.content) ?? []).map((pair) => {
      const [type, value] = piecesOf(pair.content) ?? [];
      const text = value === undefined ? '' : textOf(value).trim().replace(/\s+/g, ' ').toLowerCase();
      return `${type?.content.toString('hex') ?? ''}=${text}`;
    }),
  );
  return parts.join('\n');
}

const serialKey = ({ content }: Piece): string => content.toString('hex').replace(/^0+(?=.)/, '');

/** RFC 5280 section 5.1.2.4: in UTC, with seconds, two digits of a year being 1950 to 2049. NaN where it is none of it. */
function timeOf({ tag, content }: Piece): number {
  const text = content.toString('latin1');
  const [, year = '', rest = ''] =
    (tag === utcTime
      ? /^(\d\d)(\d{10})Z$/
      : tag === generalizedTime
        ? /^(\d{4})(\d{10})Z$/
        : /^(?!)()()/
    ).exec(text) ?? [];
  const full = year.length === 2 ? `${Number(year) < 50 ? '20' : '19'}${year}` : year;
  const [month, day, hour, minute, second] = rest.match(/\d\d/g) ?? [];
  return Date.parse(`${full}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

/** Reads one list; undefined where it cannot be read. */
export function readList(der: Buffer): RevocationList | undefined {
  const parts = signedParts(der);
  if (parts === undefined) return undefined;
  // The version is optional, and so are the date of the next list and the entries.
  const at = parts[0]?.tag === integer ? 1 : 0;
  const [, issuer, , ...rest] = parts.slice(at);
  if (issuer?.tag !== sequence) return undefined;
  const next = rest.find(({ tag }) => tag === utcTime || tag === generalizedTime);
  const entries = rest.find(({ tag }) => tag === sequence);
  const revoked = entries === undefined ? [] : piecesOf(entries.content);
  if (revoked === undefined) return undefined;
  const serials = new Set<string>();
  for (const entry of revoked) {
    const [serial] = piecesOf(entry.content) ?? [];
    if (serial?.tag !== integer) return undefined;
    serials.add(serialKey(serial));
  }
  return {
    issuer: nameKey(issuer),
    until: next === undefined ? Number.POSITIVE_INFINITY : timeOf(next),
    serials,
  };
}

/** What a certificate is known by to a list; undefined where it cannot be read. */
function numbered(
  certificate: X509Certificate,
): { readonly issuer: string; readonly serial: string } | undefined {
  const parts = signedParts(certificate.raw);
  if (parts === undefined) return undefined;
  // The version, in a tag of its own, is left out of certificates of the first.
  const [serial, , issuer] = parts.slice(parts[0]?.tag === 0xa0 ? 1 : 0);
  if (serial?.tag !== integer || issuer?.tag !== sequence) return undefined;
  return { issuer: nameKey(issuer), serial: serialKey(serial) };
}

/** Whom we believe by now. */
export interface Trust {
  readonly authorities: readonly X509Certificate[];
  /** Undefined where no lists are asked. */
  readonly lists: readonly RevocationList[] | undefined;
}

/** More certificates between a peer and its authority than anybody has. */
export const maxChain = 8;

/** What a certificate is worth: `unknown` where no authority vouches for it any more, or no list that is in date. */
export type Standing = 'believed' | 'unknown' | 'revoked';

/** What the first certificate of a chain is worth now. The rest of it is what its peer showed besides. */
export function standingOf(chain: readonly X509Certificate[], trust: Trust, now: number): Standing {
  const { path, anchored } = pathOf(chain, trust.authorities);
  let believed = anchored && path.every((one) => inDate(one, now));
  const { lists } = trust;
  if (lists === undefined) return believed ? 'believed' : 'unknown';
  for (const one of path) {
    const known = numbered(one);
    const own = lists.filter(({ issuer }) => issuer === known?.issuer);
    if (known !== undefined && own.some(({ serials }) => serials.has(known.serial))) return 'revoked';
    // A list that is missing, or past its date, vouches for nobody.
    if (!own.some(({ until }) => now <= until)) believed = false;
  }
  return believed ? 'believed' : 'unknown';
}

const inDate = ({ validFrom, validTo }: X509Certificate, now: number): boolean =>
  Date.parse(validFrom) <= now && now <= Date.parse(validTo);

function issuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    return false;
  }
}

/** The certificates from a peer to an authority of ours that vouches for itself; as far as it goes where there is none. */
function pathOf(
  chain: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
): { readonly path: readonly X509Certificate[]; readonly anchored: boolean } {
  const path: X509Certificate[] = chain.slice(0, 1);
  while (path.length > 0 && path.length <= maxChain) {
    const last = path[path.length - 1] as X509Certificate;
    const isOurs = authorities.some(({ raw }) => raw.equals(last.raw));
    if (isOurs && issuedBy(last, last)) return { path, anchored: true };
    const next = [...authorities, ...chain].find(
      (one) => !path.some(({ raw }) => raw.equals(one.raw)) && issuedBy(last, one),
    );
    if (next === undefined) break;
    path.push(next);
  }
  return { path, anchored: false };
}
