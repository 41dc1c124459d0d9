import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { parseSipUri } from './uri.js';

/** Whom a certificate names: hosts and domains in lower case, IP addresses as text. */
export interface CertificateNames {
  readonly hosts: readonly string[];
  readonly addresses: readonly string[];
}

/** More names than any switch has; a certificate with more is read so far and no further. */
const maxNames = 64;

/**
 * Splits a subjectAltName as Node tells it: `DNS:a, URI:sip:b, IP Address:192.0.2.1`. A value that holds what could be
 * taken for another entry is in JSON quotes, and must not be cut within them.
 */
export function splitAltNames(text: string): { readonly type: string; readonly value: string }[] {
  const found: { type: string; value: string }[] = [];
  let at = 0;
  while (at < text.length && found.length < maxNames) {
    const colon = text.indexOf(':', at);
    if (colon < 0) break;
    const type = text.slice(at, colon);
    let end: number;
    let value: string;
    if (text.charAt(colon + 1) === '"') {
      let close = colon + 2;
      while (close < text.length && text.charAt(close) !== '"') close += text.charAt(close) === '\\' ? 2 : 1;
      end = close + 1;
      try {
        value = String(JSON.parse(text.slice(colon + 1, end)));
      } catch {
        // What cannot be read names nobody, nor does what stands behind it.
        return found;
      }
    } else {
      const comma = text.indexOf(', ', colon);
      end = comma < 0 ? text.length : comma;
      value = text.slice(colon + 1, end);
    }
    found.push({ type, value });
    if (text.slice(end, end + 2) !== ', ') break;
    at = end + 2;
  }
  return found;
}

const isDomain = (text: string): boolean => /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(text);

/**
 * The SIP identities of a certificate (RFC 5922 section 7.1): hosts of `sip:` URIs without a user, else DNS names; the
 * common name only where there is no subjectAltName at all. Wildcards name nobody (section 7.2).
 */
export function certificateNames(altNames: string | undefined, subject: string): CertificateNames {
  if (altNames === undefined || altNames === '') {
    const common = subject
      .split('\n')
      .filter((line) => line.startsWith('CN='))
      .map((line) => line.slice(3).toLowerCase());
    const [only] = common;
    return {
      hosts: common.length === 1 && only !== undefined && isDomain(only) ? [only] : [],
      addresses: [],
    };
  }
  const uris: string[] = [];
  const dns: string[] = [];
  const addresses: string[] = [];
  for (const { type, value } of splitAltNames(altNames)) {
    if (type === 'URI') {
      const uri = parseSipUri(value);
      if (uri?.scheme === 'sip' && uri.user === undefined) uris.push(uri.host);
    } else if (type === 'DNS') {
      const name = value.toLowerCase();
      if (isDomain(name)) dns.push(name);
    } else if (type === 'IP Address' && isIP(value) !== 0) {
      addresses.push(canonicalAddress(value));
    }
  }
  return { hosts: uris.length > 0 ? uris : dns, addresses };
}

/** An address as sockets show it: IPv6 in lower case and shortest form. */
const canonicalAddress = (text: string): string =>
  isIP(text) === 6 ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text;

/** True if the certificate names that host or address, whole (RFC 5922 section 7.2). */
export function namesHost(names: CertificateNames, host: string): boolean {
  if (isIP(host) !== 0) return names.addresses.includes(canonicalAddress(host));
  return names.hosts.includes(host.toLowerCase());
}

/** What an accepted TLS connection proved. */
export interface Evidence {
  /** SHA-256 of the certificate: 64 lower-case hex digits. */
  readonly fingerprint: string;
  readonly names: CertificateNames;
  /** The chain ends at a certificate authority of ours. */
  readonly chained: boolean;
  /** Now is within the validity of the certificate. */
  readonly current: boolean;
}

/** Reads what the certificate of a connection proves; the handshake has proved that its key is there. */
export function evidenceOf(certificate: X509Certificate, chained: boolean, now: Date): Evidence {
  const from = Date.parse(certificate.validFrom);
  const to = Date.parse(certificate.validTo);
  return {
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    names: certificateNames(certificate.subjectAltName, certificate.subject),
    chained,
    // A date that cannot be read is NaN, and no comparison with it holds.
    current: from <= now.getTime() && now.getTime() <= to,
  };
}
