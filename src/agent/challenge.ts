import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from './clock.js';
import {
  type Algorithm,
  algorithmOf,
  algorithms,
  digestResponse,
  parseDigest,
  quoted,
  sameText,
  secretOf,
} from './digest.js';
import { Guesses } from './guesses.js';
import type { SipMessage } from './message.js';
import type { PeerRule } from './peers.js';
import type { Refusal } from './refusals.js';
import type { Flow } from './transport.js';

/** How long a nonce may be used. */
const nonceMs = 30_000;
/** Nonces in use at once; each has been used with a right password. */
const maxNonces = 10_000;

/** Who sent a request: the name of a peer, nobody in particular, or why it is not taken. */
export type Admitted =
  | { readonly identity: string | undefined }
  | { readonly refusal: Refusal }
  /** Its source has tried too many wrong passwords: it gets no answer. */
  | { readonly dropped: true };

interface Known {
  readonly name: string;
  readonly username: string;
  readonly secrets: Readonly<Record<Algorithm, string>>;
}

/**
 * Challenges new requests of peers that are known by a password (RFC 7616, RFC 8760). Nothing is kept of who has not
 * given one: a nonce proves by itself that it is ours, when it was made and for whom.
 */
export class Challenger {
  readonly #realm: string;
  readonly #clock: Clock;
  readonly #key = randomBytes(32);
  readonly #rules: readonly { readonly rule: PeerRule; readonly known: Known | undefined }[];
  readonly #dummy: Known;
  readonly #guesses: Guesses;
  readonly #guessed: (address: string, peer: string | undefined) => void;
  /** The highest count each nonce was used with, in the order of their first use. */
  readonly #used = new Map<string, { count: number; readonly until: number }>();

  /** `guessed` is told when a source, or all of them for one peer, tried too many wrong passwords. */
  constructor(
    rules: readonly PeerRule[],
    realm: string,
    clock: Clock,
    maxWrong: number,
    guessed: (address: string, peer: string | undefined) => void = () => undefined,
  ) {
    this.#guesses = new Guesses(clock, maxWrong);
    this.#guessed = guessed;
    this.#realm = realm;
    this.#clock = clock;
    const knownOf = (name: string, username: string, password: string): Known => {
      const secret = (algorithm: Algorithm) => secretOf(algorithm, username, realm, password);
      return { name, username, secrets: { 'SHA-256': secret('SHA-256'), MD5: secret('MD5') } };
    };
    this.#rules = rules.map((rule) => ({
      rule,
      known: rule.digest && knownOf(rule.name, rule.digest.username, rule.digest.password),
    }));
    this.#dummy = knownOf('', '', randomBytes(16).toString('hex'));
  }

  get remembered(): number {
    return this.#used.size;
  }

  /** Looks at a new request outside dialogs. */
  admit(message: SipMessage, flow: Flow): Admitted {
    const proved = flow.connection?.identity;
    if (proved !== undefined) return { identity: proved };
    const from = this.#rules.filter(
      ({ rule }) =>
        rule.transports.includes(flow.listener.transport) &&
        (rule.addresses.length === 0 || rule.addresses.includes(flow.address)),
    );
    // Who is known by its address is asked for nothing more.
    if (from.some(({ rule }) => rule.digest === undefined && rule.certificate === undefined)) {
      return { identity: undefined };
    }
    const known = from.flatMap((one) => (one.known === undefined ? [] : [one.known]));
    if (known.length === 0) return { identity: undefined };
    if (!this.#guesses.hears(flow.address)) return { dropped: true };
    let stale = false;
    for (const value of message.all('authorization')) {
      const judged = this.#judge(value, message, flow, known);
      if (typeof judged !== 'string') return { identity: judged.name };
      stale ||= judged === 'stale';
    }
    return { refusal: this.#challenge(flow, stale) };
  }

  #judge(value: string, message: SipMessage, flow: Flow, known: readonly Known[]): Known | 'wrong' | 'stale' {
    const params = parseDigest(value);
    const algorithm = algorithmOf(params?.get('algorithm'));
    if (params === undefined || algorithm === undefined || params.get('realm') !== this.#realm)
      return 'wrong';
    const [nonce = '', nc = '', cnonce = ''] = ['nonce', 'nc', 'cnonce'].map(
      (name) => params.get(name) ?? '',
    );
    const made = this.#madeAt(nonce, flow);
    // RFC 7616 section 3.4: with a count, or it could be played again; for this very request.
    const whole = params.get('qop')?.toLowerCase() === 'auth' && /^[0-9a-f]{8}$/i.test(nc) && cnonce !== '';
    if (made === undefined || !whole || params.get('uri') !== message.uri) return 'wrong';
    const username = Buffer.from(params.get('username') ?? '', 'latin1').toString('utf8');
    // A name nobody has takes as long to refuse as a wrong password.
    const who = known.find((one) => one.username === username) ?? this.#dummy;
    const { method, uri } = message;
    const secret = who.secrets[algorithm];
    const right = digestResponse({ algorithm, secret, nonce, method, uri, auth: { nc, cnonce } });
    if (!sameText(right, (params.get('response') ?? '').toLowerCase()) || who === this.#dummy) {
      this.#wrong(flow, who);
      return 'wrong';
    }
    const now = this.#clock.now();
    if (now > made + nonceMs) return 'stale';
    if (this.#count(nonce, Number.parseInt(nc, 16), made, now)) return who;
    // A count that was used already is no mistake of a clock: somebody plays back what was heard.
    this.#wrong(flow, who);
    return 'stale';
  }

  #wrong(flow: Flow, who: Known): void {
    const peer = who === this.#dummy ? undefined : who.name;
    const noticed = this.#guesses.wrong(flow.address, peer);
    if (noticed !== undefined) this.#guessed(noticed === 'source' ? flow.address : '', peer);
  }

  /** False if that count was used already, or no more nonces can be remembered. */
  #count(nonce: string, count: number, made: number, now: number): boolean {
    for (const [old, { until }] of this.#used) {
      if (until >= now) break;
      this.#used.delete(old);
    }
    const used = this.#used.get(nonce);
    if (used === undefined) {
      if (this.#used.size >= maxNonces) return false;
      this.#used.set(nonce, { count, until: Math.max(now, made) + nonceMs });
      return true;
    }
    if (count <= used.count) return false;
    used.count = count;
    return true;
  }

  /** A nonce: when it was made, a random part, and a seal over both and the address it was made for. */
  #nonce(flow: Flow): string {
    const head = Buffer.alloc(14);
    head.writeUIntBE(Math.floor(this.#clock.now()), 0, 6);
    randomBytes(8).copy(head, 6);
    return head.toString('base64url') + this.#seal(head, flow);
  }

  #seal(head: Buffer, flow: Flow): string {
    const seal = createHmac('sha256', this.#key).update(head).update(flow.address).digest();
    return seal.subarray(0, 18).toString('base64url');
  }

  /** When one of our nonces was made for that address; undefined if it is none. */
  #madeAt(nonce: string, flow: Flow): number | undefined {
    if (nonce.length !== 43) return undefined;
    const head = Buffer.from(nonce.slice(0, 19), 'base64url');
    if (head.length !== 14 || head.toString('base64url') !== nonce.slice(0, 19)) return undefined;
    return sameText(this.#seal(head, flow), nonce.slice(19)) ? head.readUIntBE(0, 6) : undefined;
  }

  #challenge(flow: Flow, stale: boolean): Refusal {
    const nonce = this.#nonce(flow);
    // RFC 8760 section 2.3: the better algorithm stands first.
    const lines = algorithms.map(
      (algorithm) =>
        `WWW-Authenticate: Digest realm=${quoted(this.#realm)}, nonce="${nonce}", algorithm=${algorithm}, ` +
        `qop="auth"${stale ? ', stale=true' : ''}\r\n`,
    );
    return { status: 401, why: 'credentials', extra: lines.join('') };
  }
}
