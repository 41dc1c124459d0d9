import { createHash } from 'node:crypto';
import { createReadStream, existsSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import type { Config } from '../config/schema.js';
import { profileIn, profilesOf } from '../import-profiles.js';
import { planOf } from '../options.js';
import type { Database } from '../registry/database.js';
import { RegistryError } from '../registry/errors.js';
import { Imports, type ImportView } from '../registry/import/imports.js';
import { isFatal } from '../registry/import/problems.js';
import type { Profile } from '../registry/import/profile.js';
import { checkFile } from '../registry/import/stage.js';
import { openRegistry } from '../registry-desk.js';
import { journalsOf } from '../workers/worker-config.js';
import { whoami } from './control-commands.js';
import { importLine, importText, nearText, problemText, stepText, whatIfText } from './import-texts.js';
import { importWhatIf, type KeptWhatIf } from './import-what-if.js';
import { CommandError, columns, progress, type Terminal } from './output.js';
import { type PeriodFlags, periodFrom, withPeriod } from './period-options.js';

interface Shared {
  readonly terminal: Terminal;
  readonly load: (flags: { config?: string }) => Config;
  readonly withConfig: (command: Command) => Command;
  readonly withJson: (command: Command) => Command;
}

interface Flags extends PeriodFlags {
  readonly config?: string;
  readonly json?: boolean;
  readonly plan: string;
  readonly by?: string;
  readonly why?: string;
  readonly profile?: string;
  readonly source?: string;
  readonly limit?: string;
  readonly protecting?: boolean;
  readonly whatIf?: boolean;
}

const exitFaulty = 3;

const bytesOf = (path: string) => ({
  open: () => createReadStream(path, { highWaterMark: 262_144 }),
});

const digestOf = async (path: string): Promise<string> => {
  const hash = createHash('sha256');
  for await (const chunk of bytesOf(path).open()) hash.update(chunk as Buffer);
  return hash.digest('hex');
};

const checkedPath = (path: string, maxMegabytes: number): string => {
  if (!existsSync(path) || !statSync(path).isFile())
    throw new CommandError('file-missing', `there is no file ${path}`, 2);
  if (statSync(path).size > maxMegabytes * 1024 * 1024)
    throw new CommandError(
      'file-too-large',
      `the file is larger than imports.maxMegabytes (${maxMegabytes})`,
      2,
    );
  return path;
};

const countOf = (text = '50'): number => {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= 1_000) return count;
  throw new CommandError('count-invalid', 'a count is a whole number from 1 to 1,000', 2);
};

const refused = (error: unknown): unknown => {
  if (!(error instanceof RegistryError)) return error;
  const step = error.at === null ? '' : ` (step ${error.at + 1})`;
  return new CommandError(error.code, `${error.message.replace(/^[a-z-]+: /, '')}${step}`, 2);
};

/** Adds the commands that take lists from files. */
export const addImportCommands = (program: Command, shared: Shared): void => {
  const { terminal, load, withConfig, withJson } = shared;
  const group = program
    .command('imports')
    .description('take lists from files: look at what they would change, apply it, and undo it');
  const using = (command: Command): Command =>
    withJson(withConfig(command)).option('--by <name>', 'who you are (default: the user at this terminal)');
  const profileNamed = (config: Config, name: string): Profile => {
    if (/[./\\]/.test(name)) return profileIn(name);
    const all = profilesOf(config.imports.profiles);
    const found = all.find((one) => one.name === name);
    if (found !== undefined) return found;
    const known = all.map((one) => one.name).join(', ');
    throw new CommandError(
      'profile-unknown',
      `there is no profile ${name}; there are ${known}, or give a file`,
      2,
    );
  };
  const withImports = async <T>(
    flags: Flags,
    use: (parts: { imports: Imports; config: Config; db: Database }) => Promise<T>,
  ): Promise<T> => {
    const config = load(flags);
    if (config.registry === undefined)
      throw new CommandError('registry-missing', 'the configuration has no registry section', 2);
    const { shrinkPercent: percent, shrinkEntries: entries } = config.imports;
    try {
      const { db, registry } = await openRegistry(config.registry, planOf(config, 'default'));
      try {
        const plan = (name: string) => planOf(config, name);
        return await use({
          config,
          db,
          imports: new Imports({ db, registry, plan, limits: { percent, entries } }),
        });
      } finally {
        await db.destroy();
      }
    } catch (error) {
      throw refused(error);
    }
  };
  const show = (flags: Flags, view: ImportView): void =>
    terminal.out(flags.json === true ? JSON.stringify(view) : importText(view));
  const problemsOf = async (imports: Imports, id: string, limit: number): Promise<void> => {
    for (const one of await imports.problems(id, -1, limit)) terminal.out(problemText(one));
  };
  const replay = async (
    id: string,
    flags: Flags,
    { imports, config, db }: { imports: Imports; config: Config; db: Database },
  ): Promise<KeptWhatIf> => {
    const { plan } = await imports.standing(id);
    const period = periodFrom(flags, '30d');
    return await importWhatIf(id, {
      ...{ config, db, imports, period, plan: planOf(config, plan), journals: journalsOf(config) },
    });
  };

  withJson(withConfig(group.command('profiles')))
    .description('the ways that files may be written')
    .action((flags: Flags) => {
      const all = profilesOf(load(flags).imports.profiles);
      terminal.out(
        flags.json === true
          ? JSON.stringify(all)
          : columns(all.map(({ name, list, mode, format, about }) => [name, list, mode, format, about])),
      );
    });

  const reading = (command: Command): Command =>
    using(command)
      .argument('<file>', 'the file')
      .requiredOption(
        '--profile <name>',
        'how it is written: a name (`imports profiles`), or a file with a profile',
      )
      .option('--plan <name>', 'dial plan that numbers are read with', 'default');
  reading(group.command('check'))
    .description('read a file and say what is wrong with it, line by line; nothing is kept')
    .addHelpText('after', `\nexit code: 0 no fault, ${exitFaulty} faults, 2 a mistake in what was given`)
    .action(async (file: string, flags: Flags) => {
      const config = load(flags);
      const path = checkedPath(file, config.imports.maxMegabytes);
      try {
        const profile = profileNamed(config, flags.profile ?? '');
        const bar = progress(terminal, 'rows read');
        let faults = 0;
        const { rows } = await checkFile(
          bytesOf(path),
          profile,
          planOf(config, flags.plan),
          (one) => {
            const fatal = isFatal(one.code);
            if (fatal) faults += 1;
            terminal.out(
              flags.json === true ? JSON.stringify({ ...one, fatal }) : problemText({ ...one, fatal }),
            );
          },
          (done) => bar.at(done, null),
        );
        bar.end();
        if (flags.json !== true)
          terminal.out(`${rows} rows, ${faults === 0 ? 'no fault' : `${faults} fault(s)`}`);
        if (faults > 0)
          throw new CommandError('import-faulty', 'nothing of a file with faults is taken', exitFaulty);
      } catch (error) {
        throw refused(error);
      }
    });

  withPeriod(reading(group.command('stage')), 'against')
    .requiredOption(
      '--source <name>',
      'whose file it is; a later one of the same source takes away what this one adds',
    )
    .option('--no-what-if', 'replay no past calls')
    .description('take a file into the database, and show what it would change; no list is touched')
    .action((file: string, flags: Flags) =>
      withImports(flags, async (parts) => {
        const { imports, config } = parts;
        const path = checkedPath(file, config.imports.maxMegabytes);
        const profile = profileNamed(config, flags.profile ?? '');
        const { by = whoami(), source = '', plan } = flags;
        const sha256 = await digestOf(path);
        const { id } = await imports.begin({ by, source, profile, plan, fileName: path, sha256 });
        const bar = progress(terminal, 'bytes read');
        const one = await imports.stage(id, bytesOf(path), (done, of) => bar.at(done, of));
        bar.end();
        if (one.state === 'staged') {
          const rows = progress(terminal, 'rows compared');
          await imports.compare(id, (done, of) => rows.at(done, of));
          rows.end();
          if (flags.whatIf !== false) await replay(id, flags, parts);
        }
        const view = await imports.view(id);
        show(flags, view);
        if (view.state !== 'faulty') return;
        if (flags.json !== true) await problemsOf(imports, id, 50);
        throw new CommandError('import-faulty', 'nothing of a file with faults is taken', exitFaulty);
      }),
    );

  const one = (command: Command): Command => using(command).argument('<import>', 'its id');
  withPeriod(one(group.command('diff')), 'against')
    .description('compare an import anew, and show what it would change')
    .option('--limit <count>', 'how many steps and near misses to print', '50')
    .option('--no-what-if', 'replay no past calls')
    .action((id: string, flags: Flags) =>
      withImports(flags, async (parts) => {
        const { imports } = parts;
        const limit = countOf(flags.limit);
        const { state } = await imports.standing(id);
        if (state === 'staged' || state === 'compared' || state === 'applying') await imports.compare(id);
        const found = flags.whatIf === false ? null : await replay(id, flags, parts);
        const view = await imports.view(id);
        const steps = await imports.steps(id, { after: -1, limit });
        const near = await imports.near(id, -1, limit);
        if (flags.json === true) {
          terminal.out(JSON.stringify({ ...view, listed: steps, near }));
          return;
        }
        terminal.out(importText(view));
        for (const step of steps) terminal.out(`  ${stepText(step)}`);
        const more = (view.counts?.steps ?? 0) - steps.length;
        if (more > 0) terminal.out(`  … and ${more} more; --limit N shows N of them`);
        if (near.length > 0) terminal.out(nearText(near));
        if (found !== null) terminal.out(whatIfText(found));
      }),
    );
  one(group.command('acknowledge'))
    .description('say that what an import takes away is meant; two people must')
    .action((id: string, flags: Flags) =>
      withImports(flags, async ({ imports }) => {
        await imports.acknowledge(id, flags.by ?? whoami(), null);
        show(flags, await imports.view(id));
      }),
    );
  one(group.command('apply'))
    .requiredOption('--why <reason>', 'why, in words')
    .option('--protecting', 'only what makes numbers privileged; it waits for nobody', false)
    .description('do what needs nobody else, and propose the rest')
    .action((id: string, flags: Flags) =>
      withImports(flags, async ({ imports }) => {
        const bar = progress(terminal, 'steps');
        const part = flags.protecting === true ? 'protecting' : 'all';
        const { by = whoami(), why = '' } = flags;
        await imports.apply(id, { by, why, digest: null, part }, (done, of) => bar.at(done, of));
        bar.end();
        show(flags, await imports.view(id));
      }),
    );
  for (const [name, about] of [
    ['approve', 'agree to all changes of an import that somebody else applied or undid'],
    ['reject', 'stop all changes of an import that still wait'],
  ] as const)
    one(group.command(name))
      .option('--why <reason>', 'why, in words')
      .description(about)
      .action((id: string, flags: Flags) =>
        withImports(flags, async ({ imports }) => {
          const bar = progress(terminal, 'changes');
          const asked = { by: flags.by ?? whoami(), says: name, why: flags.why ?? '' };
          await imports.say(id, asked, (done, of) => bar.at(done, of));
          bar.end();
          show(flags, await imports.view(id));
        }),
      );
  one(group.command('undo'))
    .requiredOption('--why <reason>', 'why, in words')
    .description('put back what an import did; what people changed since stays as they left it')
    .action((id: string, flags: Flags) =>
      withImports(flags, async ({ imports }) => {
        const bar = progress(terminal, 'steps');
        const { by = whoami(), why = '' } = flags;
        const { kept } = await imports.undo(id, { by, why }, (done, of) => bar.at(done, of));
        bar.end();
        if (kept > 0 && flags.json !== true)
          terminal.out(`${kept} entries were changed since, and stay as they are`);
        show(flags, await imports.view(id));
      }),
    );
  one(group.command('abandon'))
    .description('leave an import of which nothing was applied')
    .action((id: string, flags: Flags) =>
      withImports(flags, async ({ imports }) => {
        await imports.abandon(id, flags.by ?? whoami());
        show(flags, await imports.view(id));
      }),
    );
  using(group.command('list'))
    .description('imports, the newest first')
    .option('--limit <count>', 'how many', '20')
    .action((flags: Flags) =>
      withImports(flags, async ({ imports }) => {
        const all = await imports.list({ after: null, limit: countOf(flags.limit) });
        if (flags.json === true) terminal.out(JSON.stringify(all));
        else terminal.out(all.length === 0 ? 'no imports' : columns(all.map(importLine)));
      }),
    );
  one(group.command('show'))
    .description('one import: how far it is, and what is wrong with its file')
    .option('--limit <count>', 'how many problems to print', '50')
    .action((id: string, flags: Flags) =>
      withImports(flags, async ({ imports }) => {
        show(flags, await imports.view(id));
        if (flags.json !== true) await problemsOf(imports, id, countOf(flags.limit));
      }),
    );
};
