import { verify, type X509Certificate } from 'node:crypto';

/**
 * What of a certificate revocation list (RFC 5280 section 5) says who is on it. OpenSSL asks lists in a handshake alone and
 * gives no way to ask again for a connection that is open, so they are read here once more. They come from a file of
 * ours that OpenSSL has taken: whether their signatures hold is its affair, at every handshake. Here a signature says
 * whose list it is where two authorities have one name, as an old and a new one have after a change of keys.
 */
export interface RevocationList {
  /** Whose list it is, as `nameKey` writes it. */
  readonly issuer: string;
  /** When it runs out, in ms since the epoch; Infinity where it does not say. */
  readonly until: number;
  /** Serial numbers, as `serialKey` writes them. */
  readonly serials: ReadonlySet<string>;
  /** The key it is signed with, by its authority key identifier; undefined where it has none. */
  readonly key: string | undefined;
  readonly signed: Signed;
}

interface Signed {
  readonly bytes: Buffer;
  /** The hash of the signature, null where the key alone says it; undefined for one that is not known here. */
  readonly hash: string | null | undefined;
  readonly signature: Buffer;
}

/** One DER value (X.690 section 8.1): its tag, what it holds, and all of its bytes. */
interface Piece {
  readonly tag: number;
  readonly whole: Buffer;
  readonly content: Buffer;
}

const sequence = 0x30;
const integer = 0x02;
const bitString = 0x03;
const octetString = 0x04;
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
    found.push({
      tag,
      whole: der.subarray(at, begin + length),
      content: der.subarray(begin, begin + length),
    });
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

/** Object identifiers, as the bytes they are written in. */
const subjectKeyIdentifier = '551d0e';
const authorityKeyIdentifier = '551d23';
const hashes: Readonly<Record<string, string | null>> = {
  '2a864886f70d010105': 'sha1',
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a8648ce3d0401': 'sha1',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
  '2b6570': null,
  '2b6571': null,
};

/** The value of an extension in these parts, where extensions have that tag. */
function extensionOf(parts: readonly Piece[], tag: number, oid: string): Buffer | undefined {
  const [all] = piecesOf(parts.find((one) => one.tag === tag)?.content) ?? [];
  for (const extension of piecesOf(all?.content) ?? []) {
    const fields = piecesOf(extension.content) ?? [];
    // Between the two it may say that it is critical.
    if (fields[0]?.content.toString('hex') !== oid) continue;
    return fields.find((one) => one.tag === octetString)?.content;
  }
  return undefined;
}

function authorityKeyOf(parts: readonly Piece[], tag: number): string | undefined {
  const [value] = piecesOf(extensionOf(parts, tag, authorityKeyIdentifier)) ?? [];
  return piecesOf(value?.content)
    ?.find((one) => one.tag === 0x80)
    ?.content.toString('hex');
}

function signedOf(der: Buffer): Signed | undefined {
  const [outer] = piecesOf(der) ?? [];
  const [signed, algorithm, signature] = piecesOf(outer?.content) ?? [];
  if (signed === undefined || signature?.tag !== bitString) return undefined;
  const [oid] = piecesOf(algorithm?.content) ?? [];
  // The first byte of a bit string says how many bits of its last one do not count: none of a signature's.
  return {
    bytes: signed.whole,
    hash: hashes[oid?.content.toString('hex') ?? ''],
    signature: signature.content.subarray(1),
  };
}

/** Reads one list; undefined where it cannot be read. */
export function readList(der: Buffer): RevocationList | undefined {
  const parts = signedParts(der);
  const signed = signedOf(der);
  if (parts === undefined || signed === undefined) return undefined;
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
    key: authorityKeyOf(rest, 0xa0),
    signed,
  };
}

/** What a certificate is known by to a list: its issuer, the key of that where it names it, and its number. */
interface Numbered {
  readonly issuer: string;
  readonly key: string | undefined;
  readonly serial: string;
}

/** Undefined where it cannot be read. */
function numbered(certificate: X509Certificate): Numbered | undefined {
  const parts = signedParts(certificate.raw);
  if (parts === undefined) return undefined;
  // The version, in a tag of its own, is left out of certificates of the first.
  const [serial, , issuer] = parts.slice(parts[0]?.tag === 0xa0 ? 1 : 0);
  if (serial?.tag !== integer || issuer?.tag !== sequence) return undefined;
  return { issuer: nameKey(issuer), key: authorityKeyOf(parts, 0xa3), serial: serialKey(serial) };
}

/** The identifier of a certificate's own key. */
function ownKeyOf(certificate: X509Certificate): string | undefined {
  const [value] = piecesOf(extensionOf(signedParts(certificate.raw) ?? [], 0xa3, subjectKeyIdentifier)) ?? [];
  return value?.content.toString('hex');
}

function isSignedBy({ signed: { bytes, hash, signature } }: RevocationList, by: X509Certificate): boolean {
  try {
    return hash !== undefined && verify(hash, bytes, by.publicKey, signature);
  } catch {
    return false;
  }
}

/**
 * Whether a list is of the authority that issued a certificate. Two of one name are told apart by their keys: by the
 * identifiers of those where both name one, by the signature where not. Without the issuer its name has to do; then the
 * certificate is not believed whatever the list says.
 */
function isListFor(list: RevocationList, known: Numbered, issuer: X509Certificate | undefined): boolean {
  if (list.issuer !== known.issuer) return false;
  const key = issuer === undefined ? known.key : ownKeyOf(issuer);
  if (list.key !== undefined && key !== undefined) return list.key === key;
  return issuer === undefined || isSignedBy(list, issuer);
}

/** Whom we believe by now. */
export interface Trust {
  readonly authorities: readonly X509Certificate[];
  /** Undefined where no lists are asked. */
  readonly lists: readonly RevocationList[] | undefined;
}

/** More certificates between a peer and its authority than anybody has. */
export const maxChain = 8;
/** Certificates that are looked at for a way to an authority: who shows many of one key and name leads nowhere. */
const maxSteps = 32;

/** What a certificate is worth: `unknown` where no authority vouches for it any more, or no list that is in date. */
export type Standing = 'believed' | 'unknown' | 'revoked';

/** What the first certificate of a chain is worth now. The rest of it is what its peer showed besides. */
export function standingOf(chain: readonly X509Certificate[], trust: Trust, now: number): Standing {
  const { path, anchored } = pathOf(chain, trust.authorities, now);
  let believed = anchored && path.every((one) => inDate(one, now));
  const { lists } = trust;
  if (lists === undefined) return believed ? 'believed' : 'unknown';
  for (const [at, one] of path.entries()) {
    const known = numbered(one);
    const issuer = path[at + 1] ?? (issuedBy(one, one) ? one : undefined);
    const own = known === undefined ? [] : lists.filter((list) => isListFor(list, known, issuer));
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

interface Path {
  readonly path: readonly X509Certificate[];
  readonly anchored: boolean;
}

/**
 * The certificates from a peer to an authority of ours that vouches for itself; as far as it goes where there is none. An
 * authority that was renewed has two certificates of one key and name: a way that is in date goes before any other.
 */
function pathOf(
  chain: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
  now: number,
): Path {
  const issuers = [...new Map([...authorities, ...chain].map((one) => [one.fingerprint256, one])).values()];
  const current = wayThrough(
    issuers.filter((one) => inDate(one, now)),
    chain,
    authorities,
  );
  return current.anchored ? current : wayThrough(issuers, chain, authorities);
}

/** Looks for such a way over these issuers; one that leads nowhere is gone back on. */
function wayThrough(
  issuers: readonly X509Certificate[],
  chain: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
): Path {
  let steps = 0;
  let furthest: readonly X509Certificate[] = [];
  const walk = (path: readonly X509Certificate[]): readonly X509Certificate[] | undefined => {
    const last = path[path.length - 1];
    if (last === undefined || path.length > maxChain || steps++ >= maxSteps) return undefined;
    if (path.length > furthest.length) furthest = path;
    if (authorities.some(({ raw }) => raw.equals(last.raw)) && issuedBy(last, last)) return path;
    for (const one of issuers) {
      if (path.some(({ raw }) => raw.equals(one.raw)) || !issuedBy(last, one)) continue;
      const found = walk([...path, one]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const found = walk(chain.slice(0, 1));
  return { path: found ?? furthest, anchored: found !== undefined };
}
