import type { LockedPlace, OnOff, OrderView } from '../api/control.js';
import type { FacilityId } from '../core/leg.js';
import { askController, exitCodes, plain } from './control-client.js';
import { CommandError, columns, type Terminal } from './output.js';

/** How a command reaches the controller, and how it answers the operator. */
export interface Desk {
  readonly socket: string;
  readonly json: boolean;
  readonly terminal: Terminal;
}

/** Who gives an order, and why. */
export interface Signature {
  readonly by: string;
  readonly why: string;
}

interface Done {
  readonly note: string | null;
  readonly call: string | null;
}

/** Asks about orders: with no controller to ask, also says where orders live. */
const ask = async (
  socket: string,
  request: Readonly<Record<string, unknown>> & { readonly command: string },
): Promise<unknown> => {
  try {
    return await askController(socket, request);
  } catch (error) {
    if (!(error instanceof CommandError) || error.code !== 'controller-unreachable') throw error;
    const more =
      'Lockdowns and other orders are given to a running controller; controllers that share a Redis pass them on to each other.';
    throw new CommandError(error.code, `${error.message}. ${more}`, error.exitCode);
  }
};

/** Gives one order, and says what came of it in the words `said` makes of its outcome. */
const give = async (
  desk: Desk,
  request: Readonly<Record<string, unknown>> & { readonly command: string },
  said: (done: Done) => string,
): Promise<void> => {
  const { terminal, json } = desk;
  try {
    const done = (await ask(desk.socket, request)) as Done;
    if (json) terminal.out(JSON.stringify({ ok: true, ...done }));
    else terminal.out(said({ note: done.note === null ? null : plain(done.note), call: done.call }));
  } catch (error) {
    if (json && error instanceof CommandError && error.exitCode !== exitCodes.usage)
      terminal.out(JSON.stringify({ ok: false, code: error.code, message: error.message }));
    throw error;
  }
};

export interface PlaceFlags {
  readonly facility?: string;
  readonly unit?: string;
  readonly phone?: string;
}

/** The place the flags name; without any, everywhere. */
const placeOf = ({ facility, unit, phone }: PlaceFlags): LockedPlace => {
  const usage = (message: string): CommandError => new CommandError('usage', message, exitCodes.usage);
  if (unit !== undefined && phone !== undefined)
    throw usage('a lockdown is of a unit or of a phone: give --unit or --phone, not both');
  if (facility === undefined) {
    if (unit !== undefined || phone !== undefined)
      throw usage('units and phones are those of a facility: give --facility too');
    return { level: 'global' };
  }
  // What it is worth is checked with the request.
  const within = facility as FacilityId;
  if (unit !== undefined) return { level: 'unit', facility: within, unit };
  if (phone !== undefined) return { level: 'phone', facility: within, phone };
  return { level: 'facility', facility: within };
};

const placeText = (place: LockedPlace): string => {
  switch (place.level) {
    case 'global':
      return 'everywhere';
    case 'facility':
      return `facility ${plain(place.facility)}`;
    case 'unit':
      return `facility ${plain(place.facility)}, unit ${plain(place.unit)}`;
    case 'phone':
      return `facility ${plain(place.facility)}, phone ${plain(place.phone)}`;
    default: {
      const never: never = place;
      return plain(JSON.stringify(never));
    }
  }
};

const placeFlagsText = (place: LockedPlace): string => {
  switch (place.level) {
    case 'global':
      return '';
    case 'facility':
      return ` --facility ${place.facility}`;
    case 'unit':
      return ` --facility ${place.facility} --unit ${place.unit}`;
    case 'phone':
      return ` --facility ${place.facility} --phone ${place.phone}`;
    default: {
      const never: never = place;
      return never;
    }
  }
};

export const setLockdown = (
  state: OnOff,
  flags: PlaceFlags,
  signature: Signature,
  desk: Desk,
): Promise<void> => {
  const place = placeOf(flags);
  const next =
    state === 'on'
      ? `lift it with: sallyport lockdown off${placeFlagsText(place)} --why …`
      : 'what is locked down elsewhere stays so: sallyport lockdown show';
  return give(desk, { command: 'lockdown', place, state, ...signature }, ({ note }) =>
    [
      `lockdown is ${state === 'on' ? 'ON' : 'off'}: ${placeText(place)}`,
      ...(note === null ? [] : [note]),
      next,
    ].join('\n'),
  );
};

export const suspendCaller = (
  caller: string,
  state: OnOff,
  signature: Signature,
  desk: Desk,
): Promise<void> =>
  give(desk, { command: 'suspend', caller, state, ...signature }, ({ note }) =>
    [
      state === 'on' ? `caller ${caller} is suspended` : `caller ${caller} is no longer suspended`,
      ...(note === null ? [] : [note]),
    ].join('\n'),
  );

export const endCall = (call: string, block: boolean, signature: Signature, desk: Desk): Promise<void> =>
  give(
    desk,
    { command: 'end', call, block, ...signature },
    (done) =>
      `call ${plain(done.call ?? call)}: ${done.note ?? (block ? 'it ends, and its number is blocked' : 'it ends')}`,
  );

export const listenToCall = (call: string, to: string, signature: Signature, desk: Desk): Promise<void> =>
  give(
    desk,
    { command: 'listen', call, to, ...signature },
    (done) => `${to} hears call ${plain(done.call ?? call)}${done.note === null ? '' : `: ${done.note}`}`,
  );

export const reviewNumber = (number: string, signature: Signature, desk: Desk): Promise<void> =>
  give(
    desk,
    { command: 'review', number, verdict: 'clear', ...signature },
    ({ note }) =>
      `cleared: ${note ?? 'what held or blocked this number is taken back, and the lists decide on it again'}`,
  );

const ordersOf = async (desk: Desk): Promise<readonly OrderView[]> =>
  ((await ask(desk.socket, { command: 'orders' })) as { readonly orders: readonly OrderView[] }).orders;

type LockdownView = Extract<OrderView, { kind: 'lockdown' }>;
type SuspensionView = Extract<OrderView, { kind: 'suspension' }>;
type NumbersView = Extract<OrderView, { kind: 'pending' | 'block' }>;

const isLockdown = (order: OrderView): order is LockdownView => order.kind === 'lockdown';
const isSuspension = (order: OrderView): order is SuspensionView => order.kind === 'suspension';
const isNumbers = (order: OrderView): order is NumbersView =>
  order.kind === 'pending' || order.kind === 'block';

const givenCells = (given: LockdownView | SuspensionView): readonly string[] =>
  [given.since, given.by, given.why].map(plain);

/** `lockdown show`. */
export const showLockdowns = async (desk: Desk): Promise<void> => {
  const lockdowns = (await ordersOf(desk)).filter(isLockdown);
  if (desk.json) desk.terminal.out(JSON.stringify({ lockdowns }));
  else if (lockdowns.length === 0) desk.terminal.out('no lockdown stands');
  else
    desk.terminal.out(
      columns([
        ['locked down', 'since', 'by', 'why'],
        ...lockdowns.map((one) => [placeText(one.place), ...givenCells(one)]),
      ]),
    );
};

/** `orders`: all that people ordered since the lists were published, and that stands. */
export const showOrders = async (desk: Desk): Promise<void> => {
  const orders = await ordersOf(desk);
  if (desk.json) {
    desk.terminal.out(JSON.stringify({ orders }));
    return;
  }
  const people = [
    ...orders.filter(isLockdown).map((one) => ['lockdown', placeText(one.place), ...givenCells(one)]),
    ...orders
      .filter(isSuspension)
      .map((one) => ['suspension', `caller ${plain(one.caller)}`, ...givenCells(one)]),
  ];
  const numbers = orders
    .filter(isNumbers)
    .filter((one) => one.count > 0)
    .map((one) => [
      one.kind === 'pending' ? 'held for review' : 'blocked',
      plain(one.cause),
      String(one.count),
      one.newest.map(plain).join(' '),
    ]);
  const tables = [
    ...(people.length === 0 ? [] : [columns([['order', 'of', 'since', 'by', 'why'], ...people])]),
    ...(numbers.length === 0 ? [] : [columns([['numbers', 'cause', 'count', 'newest'], ...numbers])]),
  ];
  desk.terminal.out(
    tables.length === 0
      ? 'nothing stands: no lockdown, no suspension, no number held for review or blocked by an order'
      : tables.join('\n\n'),
  );
};
