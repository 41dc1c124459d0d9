import type { Account, Accounts } from '../registry/accounts/accounts.js';
import { checkPassword, hashPassword, passwordProblem, TooBusy } from './password.js';
import type { OwnJournal } from './ports.js';
import { Problem } from './problems.js';
import { isRole, type Principal } from './roles.js';
import { digestOf, forgeryToken, newToken, recoveryDigest } from './secrets.js';
import { totpStep } from './totp.js';

export interface SessionLimits {
  readonly idleSeconds: number;
  readonly sessionSeconds: number;
}

/** A session that was just opened: the token goes into the cookie and nowhere else. */
export interface Opened {
  readonly token: string;
  readonly csrf: string;
  readonly account: Account;
  readonly expires: Date;
}

interface Options {
  readonly accounts: Accounts;
  readonly journal: OwnJournal;
  readonly limits: SessionLimits;
  readonly wall: () => number;
}

/** Failed sign-ins that are listed one by one each minute; the others are counted. */
const LISTED_A_MINUTE = 10;
const MINUTE_MS = 60_000;

/** IPv6: who has one address has a network of them (RFC 6177). */
export const networkOf = (address: string): string => {
  if (!address.includes(':') || address.startsWith('::ffff:')) return address.replace('::ffff:', '');
  const [head = ''] = address.split('::');
  return `${head.split(':').slice(0, 4).join(':')}::/64`;
};

/** Ways into a session. Every try is a row of the journal before anything comes of it. */
export class SignIn {
  readonly #options: Options;
  #minute = { began: 0, listed: 0, more: 0 };

  constructor(options: Options) {
    this.#options = options;
  }

  /** Throws Problem `credentials-wrong`, `second-factor-needed`, `too-many-tries` or `busy`. */
  async withPassword(
    given: { readonly name: string; readonly password: string; readonly code: string | null },
    address: string,
  ): Promise<Opened> {
    const { accounts, wall } = this.#options;
    const keys = [`account ${given.name}`, `address ${networkOf(address)}`];
    await this.#notHeld(keys);
    const found = await accounts.find(given.name);
    const usable = found !== null && found.state === 'active' && found.kind === 'local' ? found : null;
    const right = await checkPassword(given.password, usable?.password ?? null).catch((error: unknown) => {
      if (error instanceof TooBusy) throw new Problem('busy', null, 2);
      throw error;
    });
    if (usable === null || !right)
      return await this.#wrong(keys, found === null ? null : given.name, 'password');
    if (usable.totpSecret !== null) {
      if (given.code === null) throw new Problem('second-factor-needed');
      if (!(await this.#second(usable.name, usable.totpSecret, given.code, wall())))
        return await this.#wrong(keys, usable.name, 'second-factor');
    }
    await accounts.tries.succeeded(`account ${usable.name}`);
    return await this.open(usable, usable.totpSecret === null ? 'password' : 'password-and-code');
  }

  async #second(name: string, secret: string, code: string, now: number): Promise<boolean> {
    const { accounts } = this.#options;
    if (/^\d{6}$/.test(code)) {
      const step = totpStep(secret, code, now);
      return step !== null && (await accounts.sessions.spendStep(name, step));
    }
    return await accounts.sessions.spendRecovery(name, recoveryDigest(code));
  }

  /** Throws Problem `credentials-wrong`, `too-many-tries`. */
  async withLink(token: string, address: string): Promise<Opened> {
    const { accounts } = this.#options;
    const keys = [`address ${networkOf(address)}`];
    await this.#notHeld(keys);
    const name = await accounts.sessions.spendLink(digestOf(`link:${token}`));
    const account = name === null ? null : await accounts.find(name);
    if (account === null) return await this.#wrong(keys, null, 'link');
    return await this.open(account, 'link');
  }

  /** Opens a session for somebody who has shown who they are. */
  async open(account: Account, how: string): Promise<Opened> {
    const { accounts, journal, limits } = this.#options;
    await journal.append('http-signed-in', { account: account.name, how });
    const token = newToken();
    const expires = await accounts.sessions.open({
      hash: digestOf(token),
      account: account.name,
      how,
      seconds: limits.sessionSeconds,
    });
    return { token, csrf: forgeryToken(token), account, expires };
  }

  /** Who has this session; null where it is over. A stream that goes on is no use of it (`used`). */
  async session(
    token: string,
    used = true,
  ): Promise<{
    readonly who: Principal;
    readonly account: Account;
    readonly expires: Date;
    readonly how: string;
  } | null> {
    const { accounts, limits } = this.#options;
    const hash = digestOf(token);
    const found = await accounts.sessions.find(hash, limits.idleSeconds, used);
    if (found === null) return null;
    const { account, expires, how } = found;
    return {
      who: {
        ...{ kind: 'person', name: account.name, roles: account.roles.filter(isRole), session: hash },
        facilities: account.facilities,
      },
      account,
      expires,
      how,
    };
  }

  /** Throws Problem `credentials-wrong`, `request-malformed`. */
  async changePassword(
    who: Extract<Principal, { kind: 'person' }>,
    old: string,
    wanted: string,
  ): Promise<void> {
    const { accounts } = this.#options;
    const keys = [`account ${who.name}`];
    await this.#notHeld(keys);
    const found = await accounts.find(who.name);
    if (found === null || found.kind !== 'local' || !(await checkPassword(old, found.password)))
      return await this.#wrong(keys, who.name, 'password');
    const problem = passwordProblem(wanted, who.name);
    if (problem !== null) throw new Problem('request-malformed', `password: ${problem}`);
    await accounts.setPassword(who.name, await hashPassword(wanted), who.session);
  }

  async #notHeld(keys: readonly string[]): Promise<void> {
    const seconds = await this.#options.accounts.tries.heldFor(keys);
    if (seconds > 0) throw new Problem('too-many-tries', null, seconds);
  }

  /** `known`: the account, where there is one. What else was typed may be somebody's password and is never kept. */
  async #wrong(keys: readonly string[], known: string | null, what: string): Promise<never> {
    await this.#options.accounts.tries.failed(keys);
    await this.#noteFailed(known, what);
    throw new Problem('credentials-wrong');
  }

  async #noteFailed(account: string | null, what: string): Promise<void> {
    const { journal, wall } = this.#options;
    const now = wall();
    if (Math.abs(now - this.#minute.began) >= MINUTE_MS) {
      const { more } = this.#minute;
      this.#minute = { began: now, listed: 0, more: 0 };
      if (more > 0) await journal.append('http-sign-ins-not-listed', { count: more });
    }
    if (this.#minute.listed >= LISTED_A_MINUTE) {
      this.#minute.more += 1;
      return;
    }
    this.#minute.listed += 1;
    await journal.append('http-sign-in-failed', { account, what });
  }
}
