import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { Config } from '../config/schema.js';
import { systemClock } from '../main.js';
import { planOf } from '../options.js';
import { RegistryError } from '../registry/errors.js';
import type { Op } from '../registry/read-ops.js';
import type { Change, Registry } from '../registry/registry.js';
import { type DeskEvent, openRegistry, type RegistrySettings, startDesk } from '../registry-desk.js';
import { whoami } from './control-commands.js';
import { CommandError, columns, type Terminal } from './output.js';

interface Shared {
  readonly terminal: Terminal;
  readonly load: (flags: { config?: string }) => Config;
  readonly withConfig: (command: Command) => Command;
  readonly withJson: (command: Command) => Command;
}

interface Flags {
  readonly config?: string;
  readonly json?: boolean;
  readonly plan: string;
  readonly by?: string;
  readonly why?: string;
}

const settingsOf = (config: Config): RegistrySettings => {
  if (config.registry === undefined)
    throw new CommandError('registry-missing', 'the configuration has no registry section', 2);
  return config.registry;
};

/** A step in a few words. Whoever may read the registry may read its numbers. */
const stepText = (op: Op): string => {
  if ('target' in op) {
    const { form, value, of } = op.target;
    return `${op.op} ${form} ${value}${of === null ? '' : ` of ${of}`} (${op.class}; ${op.evidence})`;
  }
  const words = Object.entries(op).filter(([key, value]) => key !== 'op' && value !== null);
  return `${op.op} ${words.map(([key, value]) => `${key} ${value instanceof Date ? value.toISOString() : value}`).join(', ')}`;
};

const needText = ({ needs, approvers, state, dueAt, overAt }: Change): string => {
  const names = approvers.length === 0 ? '' : ` (${approvers.join(', ')})`;
  switch (state) {
    case 'proposed':
      return `${approvers.length} of ${needs.approvals} approvals${names}`;
    case 'waiting':
      return `approved${names}; done at ${dueAt?.toISOString()} unless somebody rejects it`;
    case 'applied':
    case 'rejected':
    case 'withdrawn':
      return `${state} at ${overAt?.toISOString()}${names}`;
    default: {
      const never: never = state;
      return never;
    }
  }
};

const MAX_STEPS = 20;

const changeText = (change: Change): string => {
  const { ops } = change;
  const shown = ops.slice(0, MAX_STEPS).map((op) => `    ${stepText(op)}`);
  const more = ops.length > MAX_STEPS ? [`    … and ${ops.length - MAX_STEPS} more steps`] : [];
  return [
    `${change.id}  ${needText(change)}`,
    `    ${change.maker}, ${change.proposedAt.toISOString()}: ${change.reason}`,
    ...shown,
    ...more,
  ].join('\n');
};

const eventText = (event: DeskEvent): string | null => {
  switch (event.event) {
    case 'published':
      return `published epoch ${event.epoch} (${event.ms} ms${event.whole ? ', everything gone through' : ''})`;
    case 'proved':
      return event.same
        ? null
        : `epoch ${event.epoch} is not what stands in the registry: publishing it anew`;
    case 'done':
      return `change ${event.change} ${event.state}`;
    case 'trouble':
      return `trouble: ${event.code}; trying again`;
    case 'beat':
      return event.outcome === 'beat' ? null : `no heartbeat: ${event.outcome}`;
    default: {
      const never: never = event;
      return never;
    }
  }
};

/** Adds the commands of the registry. */
export const addRegistryCommands = (program: Command, shared: Shared): void => {
  const { terminal, load, withConfig, withJson } = shared;
  const using = (command: Command): Command =>
    withJson(withConfig(command))
      .option('--plan <name>', 'dial plan that numbers are read with', 'default')
      .option('--by <name>', 'who you are (default: the user at this terminal)');
  const withRegistry = async <T>(flags: Flags, use: (registry: Registry) => Promise<T>): Promise<T> => {
    const config = load(flags);
    try {
      const { db, registry } = await openRegistry(settingsOf(config), planOf(config, flags.plan));
      try {
        return await use(registry);
      } finally {
        await db.destroy();
      }
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      const step = error.at === null ? '' : ` (step ${error.at + 1})`;
      throw new CommandError(error.code, `nothing was changed: ${error.message}${step}`, 2);
    }
  };
  const show = (flags: Flags, change: Change): void =>
    terminal.out(flags.json === true ? JSON.stringify(change) : changeText(change));

  const registry = program
    .command('registry')
    .description('the lists’ authority: who may call whom, who is privileged, and who said so');

  using(registry.command('propose'))
    .description('propose a change; what protects or closes is done at once, the rest waits for others')
    .argument('<file>', 'the steps, as a JSON list; - reads them from standard input')
    .requiredOption('--why <reason>', 'why, in words')
    .action(async (file: string, flags: Flags) => {
      let steps: unknown;
      try {
        steps = JSON.parse(readFileSync(file === '-' ? 0 : file, 'utf8'));
      } catch (error) {
        throw new CommandError('steps-unreadable', error instanceof Error ? error.message : 'no JSON', 2);
      }
      const { by = whoami(), why = '' } = flags;
      show(flags, await withRegistry(flags, (one) => one.propose(by, why, steps)));
    });
  for (const [name, about] of [
    ['approve', 'agree to a change of somebody else'],
    ['reject', 'stop a change of somebody else, also while it waits'],
    ['withdraw', 'take a change of your own back'],
  ] as const) {
    using(registry.command(name))
      .description(about)
      .argument('<change>', 'its id')
      .option('--why <reason>', 'why, in words')
      .action(async (change: string, flags: Flags) => {
        const { by = whoami(), why } = flags;
        show(flags, await withRegistry(flags, (one) => one.say(by, change, name, why)));
      });
  }
  using(registry.command('changes'))
    .description('the changes that wait for somebody or for their time')
    .action(async (flags: Flags) => {
      const changes = await withRegistry(flags, (one) => one.open());
      if (flags.json === true) terminal.out(JSON.stringify(changes));
      else terminal.out(changes.length === 0 ? 'nothing waits' : changes.map(changeText).join('\n\n'));
    });
  using(registry.command('run'))
    .description(
      'publish what stands in the registry, do what is due, and keep the heartbeat, in the foreground',
    )
    .action(async (flags: Flags) => {
      const config = load(flags);
      const desk = await startDesk({
        config,
        settings: settingsOf(config),
        plan: planOf(config, flags.plan),
        clock: systemClock,
        tell: (event) => {
          const text = flags.json === true ? JSON.stringify(event) : eventText(event);
          if (text !== null) terminal.out(text);
        },
      });
      terminal.err(columns([['registry', 'running; end it with Ctrl-C']]));
      await new Promise<void>((resolve) => {
        process.once('SIGINT', resolve);
        process.once('SIGTERM', resolve);
      });
      await desk.stop();
    });
};
