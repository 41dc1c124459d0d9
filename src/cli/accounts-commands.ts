import type { Command } from 'commander';
import type { Config } from '../config/schema.js';
import { parseFacilityId } from '../core/leg.js';
import { hashPassword, passwordProblem } from '../http/password.js';
import {
  isReservedName,
  isRole,
  isScope,
  type Role,
  roles,
  rolesProblem,
  roleTexts,
  type Scope,
  scopes,
  scopeTexts,
} from '../http/roles.js';
import { digestOf, newApiKey, newRecoveryCodes, newToken, recoveryDigest } from '../http/secrets.js';
import { newTotpSecret, otpauthUri } from '../http/totp.js';
import { planOf } from '../options.js';
import { Accounts, type NewSecrets } from '../registry/accounts/accounts.js';
import { covers, type Facilities, facilitiesText } from '../registry/accounts/facilities.js';
import { ApiKeys } from '../registry/accounts/keys.js';
import { resealAll } from '../registry/accounts/secret-box.js';
import { RegistryError } from '../registry/errors.js';
import { openRegistry } from '../registry-desk.js';
import { whoami } from './control-commands.js';
import { CommandError, columns, type Terminal } from './output.js';
import { addSecretsKeyCommands, requireSecretsKey, secretBoxOf } from './secrets-key.js';
import { startServing } from './serve.js';

interface Shared {
  readonly terminal: Terminal;
  readonly load: (flags: { config?: string }) => Config;
  readonly withConfig: (command: Command) => Command;
  readonly withJson: (command: Command) => Command;
}

interface Flags {
  readonly config?: string;
  readonly json?: boolean;
  readonly by?: string;
  readonly roles?: string;
  readonly facilities?: string;
  readonly secondFactor?: boolean;
  readonly minutes?: string;
  readonly scopes?: string;
  readonly owner?: string;
  readonly days?: string;
  readonly plan?: string;
}

const rolesOf = (text: string): readonly Role[] => {
  const given = text.split(',').map((one) => one.trim());
  const wrong = given.find((one) => !isRole(one));
  if (wrong !== undefined)
    throw new CommandError('role-unknown', `${wrong} is none of ${roles.join(', ')}`, 2);
  const read = given.filter(isRole);
  const problem = rolesProblem(read);
  if (problem !== null) throw new CommandError('roles-unfit', problem, 2);
  return read;
};

const FACILITIES = 'all, or facilities with commas between: what it acts for, and sees anything of';

/** `all` is said and never meant by leaving it out. Throws CommandError. */
const facilitiesOf = (text: string): Facilities => {
  if (text.trim() === 'all') return 'all';
  const given = text.split(',').map((one) => one.trim());
  const wrong = given.find((one) => parseFacilityId(one) === null || one === 'all');
  if (wrong !== undefined)
    throw new CommandError('facility-unknown', `${wrong === '' ? 'nothing' : wrong} is no facility`, 2);
  return given;
};

const scopesOf = (text: string): readonly Scope[] => {
  const given = text.split(',').map((one) => one.trim());
  const wrong = given.find((one) => !isScope(one));
  if (wrong !== undefined)
    throw new CommandError('scope-unknown', `${wrong} is none of ${scopes.join(', ')}`, 2);
  return given.filter(isScope);
};

const countOf = (text: string, most: number): number => {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= most) return count;
  throw new CommandError('count-invalid', `${text} is no whole number from 1 to ${most}`, 2);
};

interface Given {
  readonly password: string;
  readonly totpSecret: string | null;
  readonly recovery: readonly string[];
}

const newSecrets = async (secondFactor: boolean): Promise<{ shown: Given; kept: NewSecrets }> => {
  const password = newToken().slice(0, 20);
  if (passwordProblem(password, '\u0000') !== null) return newSecrets(secondFactor);
  const totpSecret = secondFactor ? newTotpSecret() : null;
  const recovery = secondFactor ? newRecoveryCodes() : [];
  return {
    shown: { password, totpSecret, recovery },
    kept: { password: await hashPassword(password), totpSecret, recovery: recovery.map(recoveryDigest) },
  };
};

/** Shown once: what is kept cannot be turned back into it. */
const secretsText = (name: string, { password, totpSecret, recovery }: Given): string =>
  [
    `password   ${password}`,
    ...(totpSecret === null
      ? ['there is no second factor']
      : [
          `code       ${otpauthUri(name, totpSecret)}`,
          '           (put it into an authenticator; it is shown this once)',
          `recovery   ${recovery.join('\n           ')}`,
          '           (each is good once in the place of a code)',
        ]),
  ].join('\n');

/** Adds `accounts …` and `serve`. */
export const addAccountCommands = (program: Command, shared: Shared): void => {
  const { terminal, load, withConfig, withJson } = shared;
  const using = async <T>(
    flags: Flags,
    use: (accounts: Accounts, keys: ApiKeys, config: Config, reseal: () => Promise<number>) => Promise<T>,
  ) => {
    const config = load(flags);
    if (config.registry === undefined)
      throw new CommandError('registry-missing', 'the configuration has no registry section', 2);
    try {
      const [plan = 'default'] = Object.keys(config.dialPlans);
      const box = secretBoxOf(config.serve);
      const { db } = await openRegistry(config.registry, planOf(config, plan));
      try {
        return await use(new Accounts(db, box), new ApiKeys(db), config, () =>
          resealAll(db, box, flags.by ?? whoami()),
        );
      } finally {
        await db.destroy();
      }
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      throw new CommandError(error.code, `nothing was changed: ${error.message}`, 2);
    }
  };
  const withBy = (command: Command): Command =>
    withJson(withConfig(command)).option('--by <name>', 'who you are (default: the user at this terminal)');
  const show = (flags: Flags, json: object, text: string): void =>
    terminal.out(flags.json === true ? JSON.stringify(json) : text);

  const accounts = program
    .command('accounts')
    .description('who may sign in to the API and the console, and the keys of programs');
  withBy(accounts.command('add'))
    .description('make an account; its password, code and recovery codes are shown once')
    .argument('<name>', 'a-z, 0-9, and . _ @ -')
    .requiredOption(
      '--roles <roles>',
      `comma between them: ${roles.map((role) => `${role} (${roleTexts[role]})`).join('; ')}`,
    )
    .requiredOption('--facilities <facilities>', FACILITIES)
    .option('--no-second-factor', 'sign in with the password alone')
    .action((name: string, flags: Flags) =>
      using(flags, async (store, _keys, { serve }) => {
        if (flags.secondFactor !== false) requireSecretsKey(serve);
        if (!/^[a-z0-9][a-z0-9._@-]{0,63}$/.test(name) || isReservedName(name))
          throw new CommandError('name-unfit', `${name} cannot be the name of an account`, 2);
        const given = rolesOf(flags.roles ?? '');
        const facilities = facilitiesOf(flags.facilities ?? '');
        const { shown, kept } = await newSecrets(flags.secondFactor !== false);
        await store.add({ name, roles: given, facilities, by: flags.by ?? whoami(), secrets: kept });
        show(
          flags,
          { name, roles: given, facilities, ...shown },
          `account    ${name} (${given.join(', ')}; facilities: ${facilitiesText(facilities)})\n${secretsText(name, shown)}`,
        );
      }),
    );
  withJson(withConfig(accounts.command('list')))
    .description('the accounts')
    .action((flags: Flags) =>
      using(flags, async (store) => {
        const all = await store.list('', 10_000, 'all');
        const rows = all.map((one) => [
          ...[one.name, one.kind, one.roles.join(','), facilitiesText(one.facilities), one.state],
          one.secondFactor ? 'yes' : 'no',
          one.signedInAt?.toISOString() ?? 'never',
        ]);
        show(
          flags,
          all,
          columns([['name', 'kind', 'roles', 'facilities', 'state', 'second factor', 'signed in'], ...rows]),
        );
      }),
    );
  for (const [command, state, about] of [
    ['disable', 'disabled', 'close an account at once; its sessions end'],
    ['enable', 'active', 'open an account again'],
  ] as const)
    withBy(accounts.command(command))
      .description(about)
      .argument('<name>', 'the account')
      .action((name: string, flags: Flags) =>
        using(flags, async (store) => {
          await store.setState(name, state, flags.by ?? whoami());
          show(flags, { name, state }, `${name} is ${state}`);
        }),
      );
  withBy(accounts.command('facilities'))
    .description('say anew which facilities a local account acts for; it counts from its next request on')
    .argument('<name>', 'the account')
    .argument('<facilities>', FACILITIES)
    .action((name: string, text: string, flags: Flags) =>
      using(flags, async (store) => {
        const facilities = facilitiesOf(text);
        await store.setFacilities(name, facilities, flags.by ?? whoami());
        show(flags, { name, facilities }, `${name} acts for ${facilitiesText(facilities)}`);
      }),
    );
  withBy(accounts.command('reset'))
    .description('give an account a new password, code and recovery codes; its sessions end')
    .argument('<name>', 'the account')
    .option('--no-second-factor', 'sign in with the password alone')
    .action((name: string, flags: Flags) =>
      using(flags, async (store, _keys, { serve }) => {
        if (flags.secondFactor !== false) requireSecretsKey(serve);
        const { shown, kept } = await newSecrets(flags.secondFactor !== false);
        await store.reset(name, kept, flags.by ?? whoami());
        show(flags, { name, ...shown }, secretsText(name, shown));
      }),
    );
  withBy(accounts.command('login-link'))
    .description('print a link that signs an account in once')
    .argument('<name>', 'the account')
    .option('--minutes <count>', 'how long it is good', '10')
    .action((name: string, flags: Flags) =>
      using(flags, async (store, _keys, config) => {
        const token = newToken();
        await store.sessions.addLink(
          digestOf(`link:${token}`),
          name,
          countOf(flags.minutes ?? '10', 60),
          flags.by ?? whoami(),
        );
        const { publicUrl, address, port, tls } = config.serve;
        const origin =
          publicUrl ??
          `${tls === undefined ? 'http' : 'https'}://${address.includes(':') ? `[${address}]` : address}:${port}`;
        // After the number sign: no server, proxy or log ever sees it.
        const url = `${origin}/sign-in#link=${token}`;
        show(flags, { name, url, token }, url);
      }),
    );
  addSecretsKeyCommands(accounts, terminal);
  withBy(accounts.command('rotate-key'))
    .description('seal every secret in the database anew, under the first key of serve.secretsKeyFile')
    .action((flags: Flags) =>
      using(flags, async (_accounts, _keys, { serve }, reseal) => {
        if (serve.secretsKeyFile === undefined) requireSecretsKey({ ...serve, testSite: false });
        const sealed = await reseal();
        show(
          flags,
          { sealed },
          `${sealed} secrets were sealed anew; only the first key of the file is needed now`,
        );
      }),
    );
  addKeyCommands(accounts.command('keys').description('keys of programs'), {
    using,
    withBy,
    show,
    withJson,
    withConfig,
  });
  addServe(program, shared);
};

interface Desk {
  readonly using: <T>(
    flags: Flags,
    use: (accounts: Accounts, keys: ApiKeys, config: Config) => Promise<T>,
  ) => Promise<T>;
  readonly withBy: (command: Command) => Command;
  readonly show: (flags: Flags, json: object, text: string) => void;
  readonly withJson: (command: Command) => Command;
  readonly withConfig: (command: Command) => Command;
}

const addKeyCommands = (keys: Command, { using, withBy, show, withJson, withConfig }: Desk): void => {
  withBy(keys.command('add'))
    .description('make a key; it is shown once')
    .argument('<name>', 'what it is for')
    .requiredOption(
      '--scopes <scopes>',
      `comma between them: ${scopes.map((one) => `${one} (${scopeTexts[one]})`).join('; ')}`,
    )
    .requiredOption(
      '--owner <account>',
      'the account that answers for it, and approves none of what it proposes',
    )
    .requiredOption('--facilities <facilities>', `${FACILITIES}; none that its owner does not act for`)
    .option('--days <count>', 'how long it is good', '90')
    .action((name: string, flags: Flags) =>
      using(flags, async (accounts, store) => {
        const owner = flags.owner ?? '';
        const account = await accounts.find(owner);
        if (account === null) throw new CommandError('account-unknown', `there is no account ${owner}`, 2);
        const facilities = facilitiesOf(flags.facilities ?? '');
        if (!covers(account.facilities, facilities))
          throw new CommandError('facility-unknown', `${owner} does not act for all of these`, 2);
        if (!/^[\p{L}\p{N} ._-]{1,64}$/u.test(name))
          throw new CommandError('name-unfit', 'at most 64 letters and digits', 2);
        const { key, prefix } = newApiKey();
        const made = await store.add({
          ...{ prefix, hash: digestOf(key), name, scopes: scopesOf(flags.scopes ?? ''), owner, facilities },
          ...{ by: flags.by ?? whoami(), days: countOf(flags.days ?? '90', 366) },
        });
        show(
          flags,
          { id: made.id, key, prefix, expires: made.expires },
          `key        ${key}\n           (shown this once; until ${made.expires.toISOString()})`,
        );
      }),
    );
  withJson(withConfig(keys.command('list')))
    .description('the keys: their beginnings, and when they were used last')
    .action((flags: Flags) =>
      using(flags, async (_accounts, store) => {
        const all = await store.list();
        const rows = all.map((one) => [
          ...[one.id, one.prefix, one.name, one.scopes.join(','), facilitiesText(one.facilities)],
          ...[one.owner, one.expires.toISOString()],
          ...[one.usedAt?.toISOString() ?? 'never', one.revokedAt === null ? '' : 'revoked'],
        ]);
        show(
          flags,
          all,
          columns([['id', 'begins', 'name', 'scopes', 'facilities', 'owner', 'until', 'used', ''], ...rows]),
        );
      }),
    );
  withBy(keys.command('revoke'))
    .description('revoke a key at once')
    .argument('<id>', 'its id')
    .action((id: string, flags: Flags) =>
      using(flags, async (_accounts, store) => {
        const { prefix } = await store.revoke(id, flags.by ?? whoami());
        show(flags, { id, prefix }, `${prefix} is revoked`);
      }),
    );
};

const addServe = (program: Command, { terminal, load, withConfig, withJson }: Shared): void => {
  withJson(withConfig(program.command('serve')))
    .description('serve the HTTP API of the registry, in the foreground')
    .option('--plan <name>', 'dial plan that numbers are read with', 'default')
    .action(async (flags: Flags) => {
      const config = load(flags);
      requireSecretsKey(config.serve);
      const told = new Map<string, number>();
      const { url, stop } = await startServing({
        config,
        plan: flags.plan ?? 'default',
        trouble: (where, code) => {
          const what = `${where}: ${code}`;
          const now = performance.now();
          // The same trouble each second is one trouble.
          if (now - (told.get(what) ?? Number.NEGATIVE_INFINITY) < 60_000) return;
          if (told.size > 1000) told.clear();
          told.set(what, now);
          terminal.err(`trouble  ${what}`);
        },
      }).catch((error: unknown) => {
        if (error instanceof RegistryError) throw new CommandError(error.code, error.message, 2);
        throw error;
      });
      terminal.out(flags.json === true ? JSON.stringify({ url }) : `serving  ${url}/v1 (end it with Ctrl-C)`);
      await new Promise<void>((resolve) => {
        process.once('SIGINT', resolve);
        process.once('SIGTERM', resolve);
      });
      await stop();
    });
};
