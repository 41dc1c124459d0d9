import type { Between, MediaProtection, Party } from '../call/ports.js';
import type { Bencodable } from './bencode.js';
import { Unusable } from './sdp-unusable.js';

/**
 * How the media of a leg is protected: what the node is told for it, and which keys may stand in a description. There
 * is no "if possible": a leg that is to be SRTP is SRTP or is refused, and a plain one takes no keys.
 */

export const plain: Between = { caller: 'rtp', called: 'rtp' };

/** The transport of the m= line (RFC 3551, RFC 4568, RFC 5764). */
export const protocolOf: Readonly<Record<MediaProtection, string>> = {
  rtp: 'RTP/AVP',
  'srtp-sdes': 'RTP/SAVP',
  'srtp-dtls': 'UDP/TLS/RTP/SAVP',
};

/**
 * All suites of this node but AES_CM_128_HMAC_SHA1_80, the mandatory one of RFC 4568 and the only one that is offered and
 * taken: with one suite alone its key stays the same for a party whatever the other one says; with several the node makes
 * new keys for those nobody chose (measured). There is no way here to name the only one (`only-` came after 10.5).
 */
const otherSuites = [
  'AEAD_AES_256_GCM',
  'AEAD_AES_128_GCM',
  'AES_256_CM_HMAC_SHA1_80',
  'AES_256_CM_HMAC_SHA1_32',
  'AES_192_CM_HMAC_SHA1_80',
  'AES_192_CM_HMAC_SHA1_32',
  'AES_CM_128_HMAC_SHA1_32',
  'F8_128_HMAC_SHA1_80',
  'F8_128_HMAC_SHA1_32',
  'NULL_HMAC_SHA1_80',
  'NULL_HMAC_SHA1_32',
];

/** Keys of an NG command for the description that comes of it: what its reader is told. */
export const protectionFlags: Readonly<
  Record<MediaProtection, { readonly [key: string]: Bencodable; readonly 'transport-protocol': string }>
> = {
  rtp: { 'transport-protocol': protocolOf.rtp },
  'srtp-sdes': {
    'transport-protocol': protocolOf['srtp-sdes'],
    SDES: otherSuites.map((suite) => `no-${suite}`),
  },
  'srtp-dtls': {
    'transport-protocol': protocolOf['srtp-dtls'],
    SDES: ['off'],
    'DTLS-fingerprint': 'SHA-256',
  },
};

const goodCrypto =
  /^a=crypto:(\d{1,9}) AES_CM_128_HMAC_SHA1_80 inline:[A-Za-z0-9+/]{40}(?:\|(?:2\^)?\d{1,15})?(?:\|\d{1,10}:\d{1,3})?$/;
const goodFingerprint =
  /^a=fingerprint:(?:sha-256 [0-9A-F]{2}(?::[0-9A-F]{2}){31}|sha-384 [0-9A-F]{2}(?::[0-9A-F]{2}){47}|sha-512 [0-9A-F]{2}(?::[0-9A-F]{2}){63})$/i;
const setupLine = /^a=setup:(?:actpass|active|passive)$/;
const anyKey = /^a=(?:crypto|fingerprint|setup|key-mgmt|tls-id|zrtp-hash):/;

/** Suites and parameters (RFC 4568 section 6.3) that leave something unencrypted or unauthenticated. */
const weakCrypto = /^a=crypto:\S+ NULL|\b(?:UNENCRYPTED_|UNAUTHENTICATED_)/i;

/** Lines of a live section that carry keys this party may name; what else speaks of keys is left out. */
const keptLines = (section: readonly string[], answering: boolean): string[] => {
  const lines = section.filter((line) => goodCrypto.test(line));
  const tags = lines.map((line) => goodCrypto.exec(line)?.[1]);
  if (new Set(tags).size !== tags.length) throw new Unusable('sdp-malformed');
  if (lines.length === 0) {
    const some = section.some((line) => line.startsWith('a=crypto:'));
    throw new Unusable(some ? 'encryption-unsupported' : 'encryption-missing');
  }
  // One of those offered is chosen (RFC 4568 section 5.1.2): two would leave open which key was meant.
  if (answering && lines.length > 1) throw new Unusable('sdp-malformed');
  return lines;
};

const checkFingerprint = (head: readonly string[], section: readonly string[], answering: boolean): void => {
  const prints = [...head, ...section].filter((line) => line.startsWith('a=fingerprint:'));
  if (prints.length === 0) throw new Unusable('encryption-missing');
  // MD5 and SHA-1 vouch for no certificate any more.
  if (!prints.every((line) => goodFingerprint.test(line))) throw new Unusable('encryption-weak');
  const setup = [...head, ...section].filter((line) => line.startsWith('a=setup:'));
  if (!setup.every((line) => setupLine.test(line))) throw new Unusable('sdp-malformed');
  // An answerer has to choose (RFC 5763 section 5).
  if (answering && !setup.some((line) => line !== 'a=setup:actpass')) throw new Unusable('sdp-malformed');
};

const isLive = (line: string): boolean => !/^m=[a-z]+ 0+ /.test(line);

/**
 * A party's description with only the keys its leg may use, or as it is where there is nothing to leave out. Throws
 * Unusable where a key is missing, weak, or not to be there at all.
 */
export const withOwnKeys = (text: string, protection: MediaProtection, answering: boolean): string => {
  const lines = text.split(/\r?\n/);
  if (lines.some((line) => line.startsWith('a=key-mgmt:'))) throw new Unusable('encryption-not-allowed');
  if (protection === 'rtp') {
    if (lines.some((line) => /^a=(?:crypto|fingerprint):/.test(line)))
      throw new Unusable('encryption-not-allowed');
    return text;
  }
  // Looked for in every line: a description that names such a suite at all is not one to be agreed to.
  if (lines.some((line) => weakCrypto.test(line))) throw new Unusable('encryption-weak');
  const starts = lines.flatMap((line, at) => (line.startsWith('m=') ? [at] : []));
  const head = lines.slice(0, starts[0] ?? lines.length);
  if (head.some((line) => line.startsWith('a=crypto:'))) throw new Unusable('sdp-malformed');
  const sdes = protection === 'srtp-sdes';
  const kept = (line: string, good: readonly string[]): boolean =>
    !anyKey.test(line) || (sdes ? good.includes(line) : /^a=(?:fingerprint|setup):/.test(line));
  const sections = starts.map((start, at) => {
    const section = lines.slice(start, starts[at + 1] ?? lines.length);
    if (!isLive(section[0] ?? '')) return section.filter((line) => !anyKey.test(line));
    if (!sdes) checkFingerprint(head, section, answering);
    const good = sdes ? keptLines(section, answering) : [];
    return section.filter((line) => kept(line, good));
  });
  return [...head.filter((line) => kept(line, [])), ...sections.flat()].join('\r\n');
};

/** A line of the node's own description that hands a key to a party. */
export const isKeyFor = (protection: MediaProtection, line: string): boolean => {
  switch (protection) {
    case 'rtp':
      return false;
    case 'srtp-sdes':
      return goodCrypto.test(line);
    case 'srtp-dtls':
      return goodFingerprint.test(line) || setupLine.test(line);
    default: {
      const never: never = protection;
      return never;
    }
  }
};

/**
 * What stays the same of a party's keys however often it is told them. The role in the handshake is not part of it:
 * each offer leaves it open again (RFC 5763 section 5).
 */
export const keysOf = (protection: MediaProtection, lines: readonly string[]): string => {
  const found = lines.filter((line) => isKeyFor(protection, line) && !line.startsWith('a=setup:'));
  return found.map((line) => line.replace(/^a=crypto:\d+ /, 'a=crypto:')).join('\n');
};

/** True where the node holds the media of both parties under the protocols they were told (from its `query`). */
export const holdsProtocols = (said: Readonly<Record<Party, string | null>>, between: Between): boolean =>
  said.caller === protocolOf[between.caller] && said.called === protocolOf[between.called];
