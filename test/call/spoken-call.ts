import type { Party } from '../../src/call/ports.js';
import type { Key } from '../../src/core/key.js';
import type { Leg } from '../../src/core/leg.js';
import type { PrivilegedClass } from '../../src/core/lists.js';
import type { Language } from '../../src/core/prompt.js';
import { absent, answers, listed, privilegedEntry } from '../core/samples.js';
import type { FakeCall, World } from './fakes.js';

/** Calls whose conversation is held here, brought to where a test wants them by people who press keys. */

export const privileged = (kind: PrivilegedClass) =>
  answers({ privileged: listed(privilegedEntry({ class: kind })), allow: absent });
export const attorney = privileged('attorney');

/** The caller's number and PIN; `checkInvariants` looks for them everywhere. */
export const pin = '4711918273';

export interface Phone {
  readonly pin?: boolean;
  readonly offersPrivate?: boolean;
  readonly language?: Language;
}

/** Gives the controller a call from a phone whose conversation is held here. */
export const take = (world: World, phone: Phone = {}, change: Partial<Leg> = {}): FakeCall => {
  const { pin = false, offersPrivate = false, language = 'en' } = phone;
  world.conversation = () => ({ manner: { held: 'here', pin, offersPrivate }, language });
  return world.take({ ...(pin ? { caller: null } : {}), ...change });
};

export const phaseOf = (world: World, call: FakeCall): string => world.phaseOf(call.caller.leg.callId);

/** Lets time pass until the call is in this phase. */
export const reach = async (world: World, call: FakeCall, phase: string): Promise<void> => {
  await until(world, () => phaseOf(world, call) === phase, `phase ${phase}`);
};

/** Lets time pass until this party hears, from its beginning, what contains this prompt, for the n-th time. */
export const hears = (world: World, call: FakeCall, to: Party, prompt: string, times = 1): Promise<void> =>
  until(
    world,
    () => world.told(call, to).filter((what) => what.split(' ').includes(prompt)).length >= times,
    `${to} hears ${prompt}`,
  );

const until = async (world: World, there: () => boolean, what: string): Promise<void> => {
  await world.time.settle();
  while (!there()) {
    if (!(await world.time.step())) throw new Error(`never: ${what}\n${world.whats().join('\n')}`);
    if (world.time.now > 3_600_000) throw new Error(`not in an hour: ${what}`);
  }
};

export const keyIn = (world: World, call: FakeCall, keys: string, way: 'audio' | 'info' = 'audio'): void => {
  for (const key of keys) world.press(call, 'caller', key as Key, way);
};

/** The called party accepts, once it has heard the menu. */
export const accept = async (world: World, call: FakeCall): Promise<void> => {
  await reach(world, call, 'asking');
  const menu = world.recordingPossible(call) ? 'menu-recorded' : 'menu-private';
  await hears(world, call, 'called', menu);
  world.press(call, 'called', '1');
};

export const bringUp = async (
  world: World,
  kind: 'monitored' | 'private' | 'machine' = 'monitored',
): Promise<FakeCall> => {
  if (kind === 'private') world.answers = () => attorney;
  if (kind === 'machine') world.answers = () => privileged('hotline');
  const call = take(world);
  if (kind !== 'machine') await accept(world, call);
  await reach(world, call, 'connected');
  return call;
};

export const phases = (world: World, call: FakeCall): readonly string[] =>
  world.events.flatMap((event) =>
    event.event === 'call-phase' && event.callId === call.caller.leg.callId ? [event.phase] : [],
  );
