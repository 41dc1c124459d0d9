#!/usr/bin/env node
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { maxByLength, maxWhyLength } from '../api/control-request.js';
import { ConfigError, loadConfig } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { JournalError } from '../journal/errors.js';
import { openOrders } from '../lists/orders.js';
import { createRedisLists } from '../lists/redis-lists.js';
import { systemClock, version } from '../main.js';
import { listsOptionsOf } from '../open-parts.js';
import { redisOf } from '../options.js';
import { ownPrompts } from '../prompts/catalogue.js';
import { fromRoot } from '../root.js';
import { addAccountCommands } from './accounts-commands.js';
import {
  type CallersDesk,
  type ChangeDesk,
  callersPublish,
  callersSetPin,
  callersShow,
  callersUnlock,
  type PinFlags,
} from './callers.js';
import { liveCalls } from './calls.js';
import { addControlCommands, controlSocket, whoami, withSocket } from './control-commands.js';
import { addCustodyCommands } from './custody-commands.js';
import { actsOf, demo } from './demo.js';
import { withBlocks } from './doc-blocks.js';
import { addEvidenceCommands } from './evidence-commands.js';
import { explainedText, explainNumber, tableText } from './explain.js';
import { followCalls } from './follow.js';
import { addImportCommands } from './import-commands.js';
import { pastCalls } from './journal.js';
import { addJournalCommands } from './journal-commands.js';
import {
  type ListOptions,
  listsCheck,
  listsDiff,
  listsHeartbeat,
  listsKeygen,
  listsPublish,
  listsShow,
} from './lists.js';
import { listsExport } from './lists-export.js';
import { CommandError, processTerminal } from './output.js';
import { type NameFlags, promptsCheck, promptsList, promptsManifest, promptsName } from './prompts.js';
import { addRecordingsCommands } from './recordings-commands.js';
import { addRegistryCommands } from './registry-commands.js';
import { retentionText } from './retention.js';
import { addRetentionCommands } from './retention-commands.js';
import { addReviewCommands } from './review-commands.js';
import { run, runAgent, runLocal } from './run.js';
import { addSearchCommands } from './search-commands.js';
import { addSoakCommand } from './soak.js';
import { addStatementCommands } from './statement-commands.js';

const terminal = processTerminal;
const configFile = (given: string | undefined): string => given ?? fromRoot('config', 'sallyport.yaml');
const load = (options: { config?: string }): Config => loadConfig(configFile(options.config));

const program = new Command('sallyport')
  .description(
    'SIP call controller for correctional facilities: every leg decided before it is connected, recorded or never recordable.',
  )
  .version(version)
  .showHelpAfterError('(sallyport --help lists the commands)')
  .configureHelp({ sortSubcommands: false })
  // An option belongs to the command it is written after: `calls` and `calls end` both have --json.
  .enablePositionalOptions()
  // A command line that cannot be read is exit code 2, as a configuration or a list that cannot be.
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

/** A command that reads the configuration file. */
const withConfig = (command: Command): Command =>
  command.option('-c, --config <file>', 'configuration file (default: config/sallyport.yaml)');
const withJson = (command: Command): Command => command.option('--json', 'print JSON for programs', false);

withConfig(program.command('run'))
  .description('run the controller in the foreground')
  .option(
    '--local',
    'start Redis, media nodes, example lists and an answering called party on this machine too',
    false,
  )
  .action(async (options: { config?: string; local: boolean }) => {
    const config = load(options);
    await (options.local ? runLocal(config, terminal) : run(config, () => load(options), terminal));
  });

withConfig(program.command('agent'))
  .description('run the SIP agent alone, for controllers that connect to `sip.application`')
  .action((options: { config?: string }) => runAgent(load(options), terminal));

program
  .command('demo')
  .description(
    'place real calls through a whole site on this machine and show what each party and the disk saw',
  )
  .option('--only <letters>', 'only these of its calls, as their titles name them: a,g')
  .option('--keep', 'leave everything up, with a link into the console, until Ctrl-C', false)
  .option('--json', 'print the report instead of the story', false)
  .action(async ({ json, keep, only }: { json: boolean; keep: boolean; only?: string }) => {
    const config = loadConfig(configFile(undefined));
    const ok = await demo({ config, only: actsOf(only), json, keep, terminal });
    if (!ok) throw new CommandError('demo-failed', 'not everything was as expected', 1);
  });

addSoakCommand(program, { terminal, load, version });

withJson(program.command('check-config'))
  .description('check a configuration file and say what is wrong, with file and line')
  .argument('[file]', 'configuration file (default: config/sallyport.yaml)')
  .action((file: string | undefined, options: { json: boolean }) => {
    const path = configFile(file);
    try {
      const config = loadConfig(path);
      const summary = {
        ok: true,
        facilities: Object.keys(config.facilities).length,
        trunks: config.trunks.facilities.length,
        carriers: config.trunks.carriers.length,
        recordedNodes: config.media.nodes.filter((node) => node.pool === 'recorded').length,
        privateNodes: config.media.nodes.filter((node) => node.pool === 'private').length,
        retention: config.recording.retention === undefined ? 'none' : 'configured',
      };
      terminal.out(
        options.json
          ? JSON.stringify(summary)
          : `${path}: sound (${summary.facilities} facilities, ${summary.trunks} trunks in, ${summary.carriers} out, ${summary.recordedNodes} recorded and ${summary.privateNodes} private media nodes)\n${retentionText(config)}`,
      );
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      terminal.out(options.json ? JSON.stringify({ ok: false, problems: error.problems }) : error.message);
      throw new CommandError(
        'config-invalid',
        `${error.problems.length} problem(s); the controller would refuse to start`,
        2,
      );
    }
  });

withJson(withConfig(program.command('explain')))
  .description('say how a number would be decided now, and why; --table prints the decision table')
  .argument('[number]', 'what would be dialled: digits, a sip: or a tel: URI')
  .option('--caller <id>', 'the caller')
  .option('--trunk <name>', 'the facility trunk (default: the first)')
  .option('--table', 'print the decision table', false)
  .action(
    async (
      number: string | undefined,
      options: { config?: string; caller?: string; trunk?: string; table: boolean; json: boolean },
    ) => {
      if (options.table) {
        terminal.out(tableText());
        return;
      }
      if (number === undefined || options.caller === undefined) {
        throw new CommandError('usage', 'explain needs a number and --caller, or --table', 2);
      }
      const config = load(options);
      // What was ordered since the last publication counts for a call, so it counts here; nothing is written.
      const dir = mkdtempSync(join(tmpdir(), 'sallyport-explain-'));
      const orders = await openOrders({
        redis: redisOf(config),
        keyPrefix: config.lists.keyPrefix,
        path: join(dir, 'orders'),
        node: 'explain',
        clock: systemClock,
        emit: () => undefined,
      });
      const lists = await createRedisLists({
        ...listsOptionsOf(config, systemClock),
        emit: () => undefined,
        orders,
      });
      try {
        await lists.refresh();
        const question = { number, caller: options.caller, trunk: options.trunk };
        const explained = await explainNumber(config, lists, question, orders);
        if (options.json) {
          const { decision, row, answers } = explained;
          terminal.out(
            JSON.stringify({
              row,
              verdict: decision.verdict,
              reasons: decision.reasons,
              epoch: decision.epoch,
              policy: decision.policy,
              answers,
            }),
          );
        } else terminal.out(explainedText(explained));
      } finally {
        await lists.close();
        await orders.close();
        rmSync(dir, { recursive: true, force: true });
      }
    },
  );

const lists = program
  .command('lists')
  .description('check, publish and look at the lists every leg is checked against');
const withPlan = (command: Command): Command =>
  command.option('--plan <name>', 'dial plan the files are read with', 'default');
const listOptions = (options: { config?: string; plan?: string; json?: boolean }): ListOptions => ({
  config: load(options),
  plan: options.plan ?? 'default',
  json: options.json === true,
  terminal,
});
interface PublishFlags {
  readonly config?: string;
  readonly plan?: string;
  readonly json?: boolean;
  readonly key: string;
  readonly by?: string;
  readonly approvedBy?: string[];
  readonly state?: string;
  readonly repair?: boolean;
}
const publishArguments = (options: PublishFlags) => ({
  key: options.key,
  approvedBy: options.approvedBy ?? [],
  state: options.state,
  repair: options.repair === true,
});

withJson(withPlan(withConfig(lists.command('check'))))
  .description('read list files as a publication would, and say every fault with file, line and column')
  .argument('<files...>', 'CSV or YAML list files')
  .action((files: string[], options: PublishFlags) => listsCheck(files, listOptions(options)));
withJson(withPlan(withConfig(lists.command('publish'))))
  .description('publish list files as the next epoch: all of them, or nothing')
  .argument('<files...>', 'CSV or YAML list files')
  .requiredOption('--key <file>', 'private key of the publisher')
  .option('--by <name>', 'who publishes; default the account')
  .requiredOption(
    '--approved-by <names...>',
    'who approved it; two names where the list shrinks past the guard',
  )
  .option('--state <file>', 'the publisher’s memory of its last publication')
  .option('--repair', 'go on although what is in Redis is not genuine', false)
  .action((files: string[], options: PublishFlags) =>
    listsPublish(files, { ...publishArguments(options), by: options.by ?? whoami() }, listOptions(options)),
  );
withJson(withPlan(withConfig(lists.command('diff'))))
  .description('show what publishing these files would change')
  .argument('<files...>', 'CSV or YAML list files')
  .requiredOption('--key <file>', 'private key of the publisher')
  .option('--state <file>', 'the publisher’s memory of its last publication')
  .action((files: string[], options: PublishFlags) =>
    listsDiff(files, publishArguments({ ...options, approvedBy: ['diff'] }), listOptions(options)),
  );
withJson(withConfig(lists.command('show')))
  .description('show the epoch in Redis, and whether it is genuine')
  .action((options: PublishFlags) => listsShow(listOptions(options)));
withJson(withConfig(lists.command('export')))
  .description('write what is published as list files, for a hand-over to another publisher')
  .argument('<folder>', 'a folder that is not there yet')
  .action((folder: string, options: PublishFlags) => listsExport(folder, listOptions(options)));
withConfig(lists.command('heartbeat'))
  .description('keep saying, signed, that the publication is genuine; run it beside the publisher')
  .requiredOption('--key <file>', 'private key of the publisher')
  .option('--every <seconds>', 'seconds between beats', '5')
  .action((options: PublishFlags & { every: string }) =>
    listsHeartbeat(options.key, Number(options.every), listOptions(options)),
  );
lists
  .command('keygen')
  .description('make a publisher’s key pair')
  .argument('<file>', 'where to put the private key')
  .action((file: string) => listsKeygen(file, terminal));

const callers = program
  .command('callers')
  .description(
    'publish callers’ numbers and PINs, set one PIN, unlock a caller, and show all without either',
  );
const callersOptions = (options: { config?: string; json?: boolean }): CallersDesk => ({
  config: load(options),
  json: options.json === true,
  terminal,
});
interface ChangeFlags {
  readonly config?: string;
  readonly socket?: string;
  readonly json: boolean;
  readonly by?: string;
  readonly why?: string;
}
const changeOptions = (options: ChangeFlags): ChangeDesk => ({
  ...callersOptions(options),
  socket: controlSocket(options, { load }),
  by: options.by ?? whoami(),
  why: options.why ?? null,
});
/** A command that changes callers: who does it, and why, is journalled before it is done. */
const withChange = (command: Command): Command =>
  withSocket(withJson(withConfig(command)))
    .option('--by <name>', `who does it, in at most ${maxByLength} characters (default: you, as logged in)`)
    .option('--why <text>', `why, in at most ${maxWhyLength} characters; journalled`);
withChange(callers.command('publish'))
  .description('put the callers of a file in the place of all callers of each facility it names')
  .argument(
    '<file>',
    'CSV: facility,caller,number_digits,pin or pin_hash,language; readable by its owner alone',
  )
  .action((file: string, options: ChangeFlags) => callersPublish(file, changeOptions(options)));
withChange(callers.command('set-pin'))
  .description('give one caller a new PIN, which is read from standard input, or add a caller')
  .argument('<caller>', 'the caller’s id, as in calls and lists')
  .requiredOption('--facility <name>', 'the caller’s facility; required')
  .option('--number <digits>', 'the number keyed in before the PIN; needed only to add a caller')
  .option('--language <code>', 'en or es (default: as it was, else the trunk’s)')
  .action((caller: string, options: ChangeFlags & PinFlags) =>
    callersSetPin(caller, options, process.stdin, changeOptions(options)),
  );
withChange(callers.command('unlock'))
  .description('let a caller who keyed too many wrong PINs try again')
  .argument('<caller>', 'the caller’s id, as in calls and lists')
  .requiredOption('--facility <name>', 'the caller’s facility; required')
  .action((caller: string, options: ChangeFlags & { facility: string }) =>
    callersUnlock(options.facility, caller, changeOptions(options)),
  );
withJson(withConfig(callers.command('show')))
  .description('show how many callers each facility has, and who keyed wrong PINs')
  .option('--facility <name>', 'only this facility')
  .action((options: { config?: string; json: boolean; facility?: string }) =>
    callersShow(options.facility, callersOptions(options)),
  );

const prompts = program
  .command('prompts')
  .description('check, list and vouch for the spoken prompts, and speak names');
withJson(withConfig(prompts.command('check')))
  .description('prove every prompt as the controller does when it starts, and name what is wrong')
  .argument('[dir]', 'folder of the prompts (default: that of the configuration)')
  .action((dir: string | undefined, options: { config?: string; json: boolean }) =>
    promptsCheck(dir ?? load(options).prompts.directory ?? ownPrompts, options.json, terminal),
  );
withJson(withConfig(prompts.command('list')))
  .description('list every prompt with its words and length')
  .argument('[dir]', 'folder of the prompts (default: that of the configuration)')
  .action((dir: string | undefined, options: { config?: string; json: boolean }) =>
    promptsList(dir ?? load(options).prompts.directory ?? ownPrompts, options.json, terminal),
  );
withJson(prompts.command('manifest'))
  .description('write the manifest of a folder of prompts: texts.json with the words, and the sounds')
  .argument('<dir>', 'folder of the prompts')
  .action((dir: string, options: { json: boolean }) => promptsManifest(dir, options.json, terminal));

withJson(prompts.command('name'))
  .description('speak a caller’s or a facility’s name with a synthetic voice (flite, espeak-ng) into a file')
  .argument('<name>', 'the name, as it is to be said')
  .requiredOption('--out <file>', 'WAV to write, such as PROMPTS/names/callers/4711.wav')
  .option('--language <code>', 'en or es', 'en')
  .action((name: string, options: NameFlags & { json: boolean }) =>
    promptsName(name, { language: options.language, out: options.out }, options.json, terminal),
  );

addJournalCommands(program, { terminal, load, withConfig, withJson });

addRecordingsCommands(program, { terminal, load, withConfig });
addRetentionCommands(program, { terminal, load, withConfig });
addEvidenceCommands(program, { terminal, load, withConfig });
addCustodyCommands(program, { terminal, load, withConfig });

const calls = withJson(withSocket(withConfig(program.command('calls'))))
  .description('list the calls under way, --follow them, or list --past ones from the journal')
  .option('--follow', 'keep showing what happens to every call, until Ctrl-C', false)
  .option('--past', 'ended calls', false)
  .option('--last <count>', 'how many past calls (default 50)')
  .action(
    (options: {
      config?: string;
      socket?: string;
      json: boolean;
      follow: boolean;
      past: boolean;
      last?: string;
    }) => {
      if (options.follow && options.past)
        throw new CommandError('usage', 'past calls cannot be followed: give --follow or --past', 2);
      if (options.follow) return followCalls(controlSocket(options, { load }), options.json, terminal);
      return options.past
        ? pastCalls(load(options), options.last, options.json, terminal)
        : liveCalls(load(options), options.json, terminal);
    },
  );
addRegistryCommands(program, { terminal, load, withConfig, withJson });
addImportCommands(program, { terminal, load, withConfig, withJson });
addSearchCommands(program, { terminal, load, withConfig, withJson });
addAccountCommands(program, { terminal, load, withConfig, withJson });
addControlCommands(program, calls, { terminal, load, withConfig });
addReviewCommands(program, lists, { terminal, load, withConfig, withJson });
addStatementCommands(program, { terminal, load, withConfig, version });

program
  .command('docs', { hidden: true })
  .description('write the generated tables into docs/')
  .action(() => {
    for (const name of readdirSync(fromRoot('docs')).filter((one) => one.endsWith('.md'))) {
      const file = fromRoot('docs', name);
      writeFileSync(file, withBlocks(readFileSync(file, 'utf8')));
    }
  });

program.parseAsync().catch((error: unknown) => {
  if (error instanceof CommandError) {
    terminal.err(`sallyport: ${error.message} [${error.code}]`);
    process.exitCode = error.exitCode;
  } else if (error instanceof JournalError) {
    terminal.err(`sallyport: ${error.message} [${error.code}]`);
    process.exitCode = 2;
  } else if (error instanceof ConfigError) {
    terminal.err(`${error.message}\nsallyport: the configuration is not sound [${error.code}]`);
    process.exitCode = 2;
  } else {
    terminal.err(`sallyport: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    process.exitCode = 70;
  }
});
