import * as client from 'openid-client';
import type { Accounts } from '../registry/accounts/accounts.js';
import type { Facilities } from '../registry/accounts/facilities.js';
import { RegistryError } from '../registry/errors.js';
import { Problem } from './problems.js';
import { type Role, rolesProblem } from './roles.js';
import { digestOf, newToken } from './secrets.js';
import type { Opened, SignIn } from './sign-in.js';

export interface OidcSettings {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string | null;
  /** Where the provider sends people back to. */
  readonly redirectUri: string;
  /** Claim that names the account, and the one whose values are mapped to roles. */
  readonly nameClaim: string;
  readonly rolesClaim: string;
  readonly roles: Readonly<Record<string, readonly Role[]>>;
  /** The claim whose values are mapped to facilities. Whoever has none of the values acts for no facility. */
  readonly facilitiesClaim: string;
  readonly facilities: Readonly<Record<string, Facilities>>;
}

interface Begun {
  readonly verifier: string;
  readonly nonce: string;
  readonly until: number;
}

const MOST_BEGUN = 1000;
const BEGUN_MS = 10 * 60_000;
const TIMEOUT_SECONDS = 10;

/** What the values of a claim are mapped to; a value that is not known is nothing. */
const mappedBy = <T>(table: Readonly<Record<string, T>>, claim: unknown): readonly T[] =>
  (Array.isArray(claim) ? claim : [claim]).flatMap((one) => {
    const found = typeof one === 'string' && Object.hasOwn(table, one) ? table[one] : undefined;
    return found === undefined ? [] : [found];
  });

/** Sign-in by an OpenID provider: authorization code with PKCE (RFC 7636), state and nonce, each good for once. */
export class Oidc {
  readonly #settings: OidcSettings;
  readonly #accounts: Accounts;
  readonly #signIn: SignIn;
  readonly #begun = new Map<string, Begun>();
  #provider: Promise<client.Configuration> | null = null;

  constructor(settings: OidcSettings, accounts: Accounts, signIn: SignIn) {
    this.#settings = settings;
    this.#accounts = accounts;
    this.#signIn = signIn;
  }

  /** Where to send the browser, and the value of the cookie that it has to come back with. Throws Problem. */
  async begin(): Promise<{ readonly to: string; readonly state: string }> {
    const provider = await this.#configured();
    const now = performance.now();
    for (const [state, { until }] of this.#begun) if (until < now) this.#begun.delete(state);
    if (this.#begun.size >= MOST_BEGUN) throw new Problem('busy', null, 5);
    const state = newToken();
    const verifier = client.randomPKCECodeVerifier();
    const nonce = client.randomNonce();
    this.#begun.set(digestOf(state), { verifier, nonce, until: now + BEGUN_MS });
    const to = client.buildAuthorizationUrl(provider, {
      redirect_uri: this.#settings.redirectUri,
      scope: 'openid profile email',
      response_type: 'code',
      state,
      nonce,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    return { to: to.href, state };
  }

  /** `query`: what the provider sent the browser back with; `cookie`: what it left with. Throws Problem `provider-refused`. */
  async end(query: URLSearchParams, cookie: string): Promise<Opened> {
    const begun = this.#begun.get(digestOf(cookie));
    this.#begun.delete(digestOf(cookie));
    if (begun === undefined || begun.until < performance.now())
      throw new Problem('provider-refused', 'begin again');
    const provider = await this.#configured();
    const url = new URL(this.#settings.redirectUri);
    url.search = query.toString();
    let claims: client.IDToken | undefined;
    try {
      const tokens = await client.authorizationCodeGrant(provider, url, {
        pkceCodeVerifier: begun.verifier,
        expectedState: cookie,
        expectedNonce: begun.nonce,
        idTokenExpected: true,
      });
      claims = tokens.claims();
    } catch {
      // What the provider says may repeat what it was sent.
      throw new Problem('provider-refused');
    }
    if (claims === undefined) throw new Problem('provider-refused');
    return await this.#known(claims);
  }

  async #known(claims: client.IDToken): Promise<Opened> {
    const { nameClaim, rolesClaim, roles, facilitiesClaim, facilities, issuer } = this.#settings;
    const name = String(claims[nameClaim] ?? '').toLowerCase();
    if (!/^[a-z0-9][a-z0-9._@-]{0,63}$/.test(name))
      throw new Problem('provider-refused', `the claim ${nameClaim} is no name of an account`);
    const mapped = [...new Set(mappedBy(roles, claims[rolesClaim]).flat())];
    const places = mappedBy(facilities, claims[facilitiesClaim]);
    const problem = rolesProblem(mapped);
    if (problem !== null) throw new Problem('provider-refused', problem);
    try {
      const account = await this.#accounts.vouched({
        subject: `${issuer} ${claims.sub}`,
        name,
        roles: mapped,
        facilities: places.includes('all') ? 'all' : [...new Set(places.flat())],
      });
      if (account.state !== 'active') throw new Problem('credentials-wrong');
      return await this.#signIn.open(account, 'provider');
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'account-exists')
        throw new Problem('provider-refused', 'the name belongs to another account');
      throw error;
    }
  }

  /** The provider's own description, asked for once it is needed and again after a failure. */
  async #configured(): Promise<client.Configuration> {
    const { issuer, clientId, clientSecret } = this.#settings;
    const url = new URL(issuer);
    // Without TLS only to this host itself.
    const plain = url.protocol === 'http:' && /^(127\.|localhost$|\[::1\])/.test(url.hostname);
    this.#provider ??= client.discovery(
      url,
      clientId,
      clientSecret ?? undefined,
      clientSecret === null ? client.None() : client.ClientSecretPost(clientSecret),
      { timeout: TIMEOUT_SECONDS, execute: plain ? [client.allowInsecureRequests] : [] },
    );
    try {
      return await this.#provider;
    } catch {
      this.#provider = null;
      throw new Problem('part-unavailable', 'the identity provider does not answer');
    }
  }
}
