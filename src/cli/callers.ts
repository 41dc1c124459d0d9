import type { Config } from '../config/schema.js';
import { type CallerId, type FacilityId, parseCallerId, parseFacilityId } from '../core/leg.js';
import { languages } from '../core/prompt.js';
import { CallersError, callersErrorCodes, rowFaults } from '../lists/callers-file.js';
import {
  type CallersAdmin,
  publishCallers,
  type ShownCallers,
  setPin,
  showCallers,
  unlockCaller,
} from '../lists/commands-callers.js';
import { systemClock } from '../main.js';
import { redisOf } from '../options.js';
import { type Changer, noteChange } from './callers-row.js';
import { CommandError, columns, progress, type Terminal } from './output.js';
import { readSecret, type SecretInput } from './secret-line.js';

export interface CallersDesk {
  readonly config: Config;
  readonly json: boolean;
  readonly terminal: Terminal;
}

/** Where callers are changed, which is journalled. */
export type ChangeDesk = CallersDesk & Changer;

const adminOf = ({ config }: CallersDesk): CallersAdmin => ({
  redis: redisOf(config),
  keyPrefix: config.lists.keyPrefix,
  clock: systemClock,
});

const changing = (desk: ChangeDesk): CallersAdmin => ({
  ...adminOf(desk),
  before: (change) => noteChange(change, desk),
});

/** What the operator reads of a CallersError. No text of the file is in it: it may be a PIN. */
const explained = (error: unknown, what: string): unknown =>
  error instanceof CallersError
    ? new CommandError(
        error.code,
        `${what}: ${callersErrorCodes[error.code]}`,
        error.code === 'redis-failed' ? 1 : 2,
      )
    : error;

const facilityOf = (text: string, { config }: CallersDesk): FacilityId => {
  const facility = parseFacilityId(text);
  if (facility !== null && Object.hasOwn(config.facilities, facility)) return facility;
  const known = Object.keys(config.facilities).join(', ');
  throw new CommandError('facility-unknown', `the configuration has no such facility; it has ${known}`, 2);
};

const callerOf = (text: string): CallerId => {
  const caller = parseCallerId(text);
  if (caller !== null) return caller;
  const shape = 'a caller is 1-64 characters of letters, digits, dot, hyphen, underscore';
  throw new CommandError('caller-invalid', shape, 2);
};

/** `callers publish`. Exit code 2, and every row at fault with its line, where the file is not sound. */
export const callersPublish = async (file: string, desk: ChangeDesk): Promise<void> => {
  const { config, json, terminal } = desk;
  const bar = progress(terminal, 'PINs hashed');
  try {
    const published = await publishCallers(file, {
      ...changing(desk),
      ...config.callers,
      onProgress: ({ hashed, of }) => bar.at(hashed, of),
    });
    bar.end();
    if (json) terminal.out(JSON.stringify({ ok: true, published }));
    else
      terminal.out(
        columns([
          ['facility', 'callers', 'before'],
          ...published.map((one) => [one.facility, String(one.callers), String(one.before ?? 'none')]),
        ]),
      );
  } catch (error) {
    bar.end();
    if (error instanceof CallersError) {
      if (json) terminal.out(JSON.stringify({ ok: false, code: error.code, problems: error.problems }));
      else
        for (const { line, code } of error.problems)
          terminal.out(`${file}:${line}: error: ${rowFaults[code]} [${code}]`);
    }
    // A failure half way may have published some facilities already: only a file that was refused changed nothing.
    const what = error instanceof CallersError && error.code !== 'redis-failed' ? 'refused' : 'not finished';
    throw explained(error, `the callers of ${file} were ${what}`);
  }
};

/** `callers unlock`. */
export const callersUnlock = async (facility: string, caller: string, desk: ChangeDesk): Promise<void> => {
  const { json, terminal } = desk;
  const [place, who] = [facilityOf(facility, desk), callerOf(caller)];
  try {
    const { wrongTries } = await unlockCaller(place, who, changing(desk));
    if (json) terminal.out(JSON.stringify({ ok: true, wrongTries }));
    else
      terminal.out(
        wrongTries === 0
          ? `caller ${who} had no wrong PIN to forget`
          : `caller ${who} may try again: ${wrongTries} wrong PIN(s) forgotten`,
      );
  } catch (error) {
    throw explained(error, `caller ${who} was not unlocked`);
  }
};

export interface PinFlags {
  readonly facility: string;
  /** The digits keyed in before the PIN: adds a caller who is not there yet. */
  readonly number?: string;
  readonly language?: string;
}

/** `callers set-pin`: the PIN comes from standard input, and is hashed as a publication does it. */
export const callersSetPin = async (
  caller: string,
  flags: PinFlags,
  input: SecretInput,
  desk: ChangeDesk,
): Promise<void> => {
  const { config, json, terminal } = desk;
  const [facility, who] = [facilityOf(flags.facility, desk), callerOf(caller)];
  const language = languages.find((one) => one === flags.language);
  if (flags.language !== undefined && language === undefined) {
    throw new CommandError('language-unknown', `prompts are spoken in ${languages.join(' and ')}`, 2);
  }
  const pin = await readSecret('PIN', input, terminal);
  try {
    const id = flags.number ?? null;
    const given = { facility, caller: who, id, pin, language: language ?? ('as-it-is' as const) };
    const { added } = await setPin({ ...given, ...config.callers }, changing(desk));
    if (json) terminal.out(JSON.stringify({ ok: true, added }));
    else terminal.out(added ? `caller ${who} is added` : `caller ${who} has a new PIN`);
  } catch (error) {
    const [fault] = error instanceof CallersError ? error.problems : [];
    if (fault !== undefined) {
      throw new CommandError(fault.code, `caller ${who} was not changed: ${rowFaults[fault.code]}`, 2);
    }
    throw explained(error, `caller ${who} was not changed`);
  }
};

const showOne = async (facility: FacilityId, desk: CallersDesk): Promise<ShownCallers | null> => {
  try {
    return await showCallers(facility, adminOf(desk));
  } catch (error) {
    if (error instanceof CallersError && error.code === 'no-callers') return null;
    throw explained(error, `the callers of ${facility} cannot be shown`);
  }
};

/** `callers show`: of one facility or of all. Exit code 2 where what is in Redis is not what was published. */
export const callersShow = async (facility: string | undefined, desk: CallersDesk): Promise<void> => {
  const { config, json, terminal } = desk;
  const facilities =
    facility === undefined
      ? Object.keys(config.facilities).map((name) => facilityOf(name, desk))
      : [facilityOf(facility, desk)];
  const shown: ShownCallers[] = [];
  const none: FacilityId[] = [];
  for (const one of facilities) {
    const found = await showOne(one, desk);
    if (found === null) none.push(one);
    else shown.push(found);
  }
  if (json) terminal.out(JSON.stringify({ shown, none }));
  else terminal.out(shownText(shown, none));
  const changed = shown.filter((one) => !one.genuine).map((one) => one.facility);
  if (changed.length > 0)
    throw new CommandError(
      'callers-changed',
      `what is in Redis is not what was published for ${changed.join(', ')}; publish again`,
      2,
    );
};

const shownText = (shown: readonly ShownCallers[], none: readonly FacilityId[]): string => {
  const tries = shown.flatMap((one) =>
    one.tries.map((t) => [one.facility, t.caller, String(t.wrong), t.locked ? 'locked' : 'may try on']),
  );
  const facilities = columns([
    ['facility', 'callers', 'published', 'genuine'],
    ...shown.map((one) => [
      one.facility,
      String(one.callers),
      new Date(one.publishedAt).toISOString(),
      one.genuine ? 'yes' : 'NO',
    ]),
    ...none.map((one) => [one, 'none', '-', '-']),
  ]);
  return tries.length === 0
    ? facilities
    : `${facilities}\n\n${columns([['facility', 'caller', 'wrong PINs', 'state'], ...tries])}`;
};
