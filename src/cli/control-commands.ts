import { resolve } from 'node:path';
import { Argument, type Command } from 'commander';
import { maxByLength, maxWhyLength, minPrefixLength } from '../api/control-request.js';
import type { Config } from '../config/schema.js';
import { canaryClear, canaryRun, canaryStatus } from './canary.js';
import {
  type Desk,
  endCall,
  listenToCall,
  type PlaceFlags,
  reviewNumber,
  type Signature,
  setLockdown,
  showLockdowns,
  showOrders,
  suspendCaller,
} from './control.js';
import { exitCodes } from './control-client.js';
import { drainNode, showNodes } from './nodes.js';
import { CommandError, type Terminal } from './output.js';

interface Flags {
  readonly config?: string;
  readonly socket?: string;
  readonly json?: boolean;
}
interface OrderFlags extends Flags {
  readonly why: string;
  readonly by?: string;
}

/** What the commands of main.ts share with these. */
export interface Shared {
  readonly terminal: Terminal;
  readonly load: (flags: Flags) => Config;
  readonly withConfig: (command: Command) => Command;
}

/** Where the controller listens for operators. With `--socket` no configuration is read: an unsound one is no reason to wait. */
export const controlSocket = (flags: Flags, { load }: Pick<Shared, 'load'>): string =>
  resolve(flags.socket ?? load(flags).control.socket);

export const withSocket = (command: Command): Command =>
  command.option('--socket <file>', 'control socket of the controller (default: that of the configuration)');

/** Who is at the keyboard, as the machine knows it: behind sudo, the person and not the account they became. */
export const whoami = (): string => {
  const name = process.env.SUDO_USER ?? process.env.USER;
  if (name !== undefined && name !== '') return name;
  throw new CommandError('by-missing', 'say who you are with --by NAME', exitCodes.usage);
};

const signatureOf = (flags: OrderFlags): Signature => ({ by: flags.by ?? whoami(), why: flags.why });

/** Adds the commands an operator steers a running controller with. `calls` is the command their call orders join. */
export const addControlCommands = (program: Command, calls: Command, shared: Shared): void => {
  const { terminal, withConfig } = shared;
  const deskOf = (flags: Flags): Desk => ({
    socket: controlSocket(flags, shared),
    json: flags.json === true,
    terminal,
  });
  const looking = (command: Command): Command =>
    withSocket(withConfig(command)).option('--json', 'print JSON for programs', false);
  const ordering = (command: Command): Command =>
    looking(
      command
        .requiredOption(
          '--why <text>',
          `why, in at most ${maxWhyLength} characters; required, and journalled`,
        )
        .option(
          '--by <name>',
          `who gives the order, in at most ${maxByLength} characters (default: you, as logged in)`,
        ),
    );
  const idText = `the call: its id, or at least the first ${minPrefixLength} characters of it`;
  const onOff = new Argument('<state>', 'on or off').choices(['on', 'off']);

  ordering(calls.command('end'))
    .description('end a call under way')
    .argument('<id>', idText)
    .option('--block', 'also block the number it went to', false)
    .action((id: string, flags: OrderFlags & { block: boolean }) =>
      endCall(id, flags.block, signatureOf(flags), deskOf(flags)),
    );
  ordering(calls.command('listen'))
    .description(
      'ring a supervisor’s phone and let it hear a monitored call; there is no listening to a private one',
    )
    .argument('<id>', idText)
    .requiredOption('--to <uri>', 'the phone to ring, such as sip:desk1@10.0.0.5')
    .action((id: string, flags: OrderFlags & { to: string }) =>
      listenToCall(id, flags.to, signatureOf(flags), deskOf(flags)),
    );

  const lockdown = program
    .command('lockdown')
    .description('stop the calls of a place, lift that again, or show what is locked down');
  for (const state of ['on', 'off'] as const)
    ordering(lockdown.command(state))
      .description(
        state === 'on'
          ? 'stop the calls of a place; without --facility those of every place. Privileged calls go by the policy'
          : 'lift the lockdown of exactly this place',
      )
      .option('--facility <name>', 'only this facility')
      .option('--unit <name>', 'only this unit of the facility')
      .option('--phone <name>', 'only this phone of the facility')
      .action((flags: OrderFlags & PlaceFlags) =>
        setLockdown(state, flags, signatureOf(flags), deskOf(flags)),
      );
  looking(lockdown.command('show'))
    .description('show every lockdown that stands')
    .action((flags: Flags) => showLockdowns(deskOf(flags)));

  ordering(program.command('suspend'))
    .description('suspend a caller’s calls, or let the caller call again')
    .argument('<caller>', 'the caller’s id, as in calls and lists')
    .addArgument(onOff)
    .action((caller: string, state: 'on' | 'off', flags: OrderFlags) =>
      suspendCaller(caller, state, signatureOf(flags), deskOf(flags)),
    );
  ordering(program.command('review'))
    .description('clear a number: take back claims that hold it for review, and its called party’s block')
    .argument('<number>', 'the number, as it would be dialled')
    .action((number: string, flags: OrderFlags) => reviewNumber(number, signatureOf(flags), deskOf(flags)));
  const nodes = program
    .command('nodes')
    .description('media nodes: show them, take one out of service, and put it back');
  looking(nodes.command('show'))
    .description('show every media node, its calls and its weight')
    .action((flags: Flags) => showNodes(deskOf(flags)));
  for (const [name, state, text] of [
    ['drain', 'on', 'give a node no new calls; those it has go on to their ends'],
    ['undrain', 'off', 'let a node take calls again'],
  ] as const)
    ordering(nodes.command(name))
      .description(text)
      .argument('<node>', 'the node, as the configuration names it')
      .action((node: string, flags: OrderFlags) => drainNode(node, state, signatureOf(flags), deskOf(flags)));
  const canary = program
    .command('canary')
    .description('test calls that prove that private calls leave nothing and monitored ones are recorded');
  looking(canary.command('status'))
    .description('show what the last test calls showed, and whether recording is armed')
    .action((flags: Flags) => canaryStatus(deskOf(flags)));
  looking(canary.command('run'))
    .description('make the test calls now, and wait for what comes of them')
    .argument('[facility]', 'only those of this facility')
    .action((facility: string | undefined, flags: Flags) => canaryRun(facility ?? null, deskOf(flags)));
  ordering(canary.command('clear'))
    .description('arm recording although no test calls have passed since they failed')
    .argument('<facility>', 'the facility, as the configuration names it')
    .action((facility: string, flags: OrderFlags) =>
      canaryClear(facility, signatureOf(flags), deskOf(flags)),
    );

  looking(program.command('orders'))
    .description('show what stands by order: lockdowns, suspensions, numbers held for review or blocked')
    .action((flags: Flags) => showOrders(deskOf(flags)));
};
