import { randomBytes } from 'node:crypto';
import { algorithmOf, digestResponse, parseDigest, quoted, secretOf } from './digest.js';
import type { SipMessage } from './message.js';
import type { Hop } from './resolve.js';
import { hasBreak } from './scan.js';
import type { TransportName } from './transport.js';

/** What we answer a challenge with: to that address and in that realm, and to nobody else. */
export interface Credential {
  /** Undefined where the domain says by what it is reached. */
  readonly transport: TransportName | undefined;
  readonly host: string;
  /** Undefined for a name whose ports its domain says. */
  readonly port: number | undefined;
  readonly realm: string;
  readonly username: string;
  readonly password: string;
}

/** A challenge answered: the header line, with its line end. */
export interface Answered {
  readonly line: string;
  readonly stale: boolean;
}

/** The credentials of the agent as a caller. */
export class Credentials {
  readonly #all: readonly Credential[];
  /** How often each credential's last nonce was used: one a credential is remembered. */
  readonly #counts = new Map<Credential, { readonly nonce: string; count: number }>();

  constructor(all: readonly Credential[]) {
    this.#all = all;
  }

  /** Those for that hop. A request that goes elsewhere is challenged in vain (facts: the digest leak of B2BUAs). */
  for(hop: Hop): readonly Credential[] {
    return this.#all.filter(
      ({ transport, host, port }) =>
        (transport === undefined || transport === hop.transport) && host === hop.host && port === hop.port,
    );
  }

  /** Answers a 401 or 407 with one of these credentials; undefined where none fits. */
  answer(
    usable: readonly Credential[],
    challenge: SipMessage,
    method: string,
    uri: string,
  ): Answered | undefined {
    const proxy = challenge.status === 407;
    // RFC 8760 section 2.4: they stand in the order the server would have them; the first we know is taken.
    for (const value of challenge.all(proxy ? 'proxy-authenticate' : 'www-authenticate')) {
      const params = parseDigest(value);
      const realm = params?.get('realm');
      const nonce = params?.get('nonce');
      const algorithm = algorithmOf(params?.get('algorithm'));
      const credential = usable.find((one) => one.realm === realm);
      if (params === undefined || nonce === undefined || algorithm === undefined || credential === undefined)
        continue;
      const opaque = params.get('opaque');
      const qop = params
        .get('qop')
        ?.split(',')
        .map((one) => one.trim().toLowerCase());
      if ((qop !== undefined && !qop.includes('auth')) || hasBreak(nonce) || hasBreak(opaque ?? '')) continue;
      const auth = qop === undefined ? undefined : this.#count(credential, nonce);
      const { username, password } = credential;
      const secret = secretOf(algorithm, username, credential.realm, password);
      const response = digestResponse({ algorithm, secret, nonce, method, uri, auth });
      const fields = [
        `username=${quoted(Buffer.from(username, 'utf8').toString('latin1'))}`,
        `realm=${quoted(credential.realm)}`,
        `nonce=${quoted(nonce)}`,
        `uri=${quoted(uri)}`,
        `response="${response}"`,
        `algorithm=${algorithm}`,
        ...(auth === undefined ? [] : [`cnonce="${auth.cnonce}"`, 'qop=auth', `nc=${auth.nc}`]),
        ...(opaque === undefined ? [] : [`opaque=${quoted(opaque)}`]),
      ];
      const name = proxy ? 'Proxy-Authorization' : 'Authorization';
      const stale = params.get('stale')?.toLowerCase() === 'true';
      return { line: `${name}: Digest ${fields.join(', ')}\r\n`, stale };
    }
    return undefined;
  }

  #count(credential: Credential, nonce: string): { nc: string; cnonce: string } {
    const known = this.#counts.get(credential);
    const counted = known?.nonce === nonce ? known : { nonce, count: 0 };
    counted.count++;
    this.#counts.set(credential, counted);
    return { nc: counted.count.toString(16).padStart(8, '0'), cnonce: randomBytes(12).toString('hex') };
  }
}
