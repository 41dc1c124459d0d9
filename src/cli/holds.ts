import { isPrintable, maxByLength, maxWhyLength } from '../api/control-request.js';
import type { Config } from '../config/schema.js';
import { parseCallerId, parseCallId, parseFacilityId } from '../core/leg.js';
import { numberKeyText, parseListed } from '../core/number.js';
import { RetentionError } from '../custody/retention/codes.js';
import { addHold, newHoldId, releaseHold } from '../custody/retention/hold-orders.js';
import { type HeldSubject, type Hold, isHoldId } from '../custody/retention/holds.js';
import { Ledger } from '../custody/retention/ledger.js';
import { openLedger } from '../custody/retention/round.js';
import { storeOf } from '../open-vault.js';
import { planOf } from '../options.js';
import { maskedNumber } from '../review/masked.js';
import { type Found, findRecording, recordingsIn } from '../vault/catalogue.js';
import { VaultError } from '../vault/errors.js';
import { exitCodes } from './control-client.js';
import { custodyJournalDir, withCustodyJournal } from './custody-journal.js';
import { CommandError, columns, type Terminal } from './output.js';

export interface HoldsDesk {
  readonly config: Config;
  readonly json: boolean;
  readonly terminal: Terminal;
}

export interface HoldFlags {
  readonly call?: string;
  readonly caller?: string;
  readonly number?: string;
  readonly facility?: string;
  readonly from?: string;
  readonly to?: string;
  readonly plan: string;
  readonly by: string;
  readonly why: string;
}

const usage = (code: string, message: string): never => {
  throw new CommandError(code, message, exitCodes.usage);
};

/** A refusal of the ledger as a command tells it. */
export const toldRetention = (error: unknown): never => {
  if (error instanceof RetentionError || error instanceof VaultError) {
    throw new CommandError(error.code, error.message, exitCodes.refused);
  }
  throw error;
};

const checkSignature = ({ by, why }: { readonly by: string; readonly why: string }): void => {
  if (!isPrintable(by, maxByLength))
    usage('by-invalid', `say who you are, in 1 to ${maxByLength} characters`);
  if (!isPrintable(why, maxWhyLength)) usage('why-invalid', `say why, in 1 to ${maxWhyLength} characters`);
};

const DAY = /^\d{4}-\d\d-\d\d$/;
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?Z$/;
const DAY_MS = 86_400_000;

/** A day or a moment, in UTC. A day that is an end is counted: it is the beginning of the next. */
const timeOf = (text: string | undefined, isEnd: boolean): string | null => {
  if (text === undefined) return null;
  const at = DAY.test(text) || MOMENT.test(text) ? Date.parse(text) : Number.NaN;
  // `2026-02-30` is a date to the parser, of March.
  const real = !Number.isNaN(at) && new Date(at).toISOString().startsWith(text.slice(0, 10));
  if (!real) usage('date-invalid', 'a time is a day, 2026-11-21, or a moment in UTC, 2026-11-21T06:00Z');
  return new Date(isEnd && DAY.test(text) ? at + DAY_MS : at).toISOString();
};

/** The whole id of a call whose recording is there; of one that has none, if the id is given whole. */
const callOf = async (text: string, config: Config, terminal: Terminal): Promise<string> => {
  const whole = parseCallId(text);
  let found: Found | null = null;
  try {
    found = await findRecording(storeOf(config), text);
  } catch (error) {
    if (!(error instanceof VaultError)) throw error;
    if (whole === null) throw new CommandError(error.code, error.message, exitCodes.refused);
    terminal.err(
      `no recording of that call can be read now [${error.code}]; the hold stands for when there is one`,
    );
  }
  return found?.manifest.callId ?? text;
};

const facilityOf = async (text: string, config: Config): Promise<string> => {
  if (parseFacilityId(text) === null) usage('hold-malformed', 'that is no name of a facility');
  if (Object.hasOwn(config.facilities, text)) return text;
  // One that is no longer configured may have recordings all the same; a mistyped one would hold nothing.
  for await (const one of recordingsIn(storeOf(config))) {
    if (!('code' in one) && one.manifest.facility === text) return text;
  }
  return usage('facility-unknown', `${text} is no facility of the configuration, nor of any recording`);
};

const subjectOf = async (flags: HoldFlags, { config, terminal }: HoldsDesk): Promise<HeldSubject> => {
  const { call, caller, number, facility, plan } = flags;
  const given = [call, caller, number, facility].filter((one) => one !== undefined);
  if (given.length !== 1) {
    usage('usage', 'a hold is on one thing: give one of --call, --caller, --number and --facility');
  }
  if (call !== undefined) {
    if (!/^c[a-z2-7]{5,26}$/.test(call)) {
      usage('hold-malformed', 'a call is named by its id, or at least the first 6 characters of it');
    }
    return { kind: 'call', call: await callOf(call, config, terminal) };
  }
  if (caller !== undefined) {
    if (parseCallerId(caller) === null) usage('hold-malformed', 'that is no id of a caller');
    return { kind: 'caller', caller };
  }
  if (number !== undefined) {
    if (!Object.hasOwn(config.dialPlans, plan)) usage('plan-unknown', `there is no dial plan ${plan}`);
    const read = parseListed(number, planOf(config, plan));
    if (read.kind === 'number' || read.kind === 'hotline') {
      return { kind: 'number', number: numberKeyText(read.key) };
    }
    usage('number-malformed', 'this is not a number of the dial plan');
  }
  return { kind: 'facility', facility: await facilityOf(facility ?? '', config) };
};

/** What a hold is on, for a terminal: never a whole number, unless it was asked for. */
const onText = (subject: HeldSubject, showNumbers = false): string => {
  switch (subject.kind) {
    case 'call':
      return `call ${subject.call}`;
    case 'caller':
      return `caller ${subject.caller}`;
    case 'number':
      return `number ${showNumbers ? subject.number : maskedNumber(subject.number)}`;
    case 'facility':
      return `facility ${subject.facility}`;
    default: {
      const never: never = subject;
      return never;
    }
  }
};

const viewOf = ({ subject, ...rest }: Hold, showNumbers: boolean) => ({
  ...rest,
  subject:
    subject.kind === 'number' && !showNumbers
      ? { ...subject, number: maskedNumber(subject.number) }
      : subject,
});

/** `holds add`: from the moment this returns, no round removes what the hold covers. */
export const holdsAdd = async (flags: HoldFlags, desk: HoldsDesk): Promise<void> => {
  const { config, json, terminal } = desk;
  checkSignature(flags);
  const [from, to] = [timeOf(flags.from, false), timeOf(flags.to, true)];
  if (from !== null && to !== null && from >= to) usage('period-empty', 'the period ends before it begins');
  const subject = await subjectOf(flags, desk);
  const { by, why } = flags;
  const hold: Hold = { id: newHoldId(), subject, from, to, by, why, at: new Date().toISOString() };
  await withCustodyJournal(config, (journal) => addHold(journal, hold));
  if (json) {
    terminal.out(JSON.stringify(viewOf(hold, false)));
    return;
  }
  terminal.out(
    columns([
      ['hold', hold.id],
      ['on', onText(subject)],
      ['calls from', from ?? 'the first'],
      ['up to', to ?? 'it is released'],
      ['in force', 'yes, and durable: nothing it covers expires'],
      ['release', `sallyport holds release ${hold.id} --why …`],
    ]),
  );
};

/** `holds list`: the holds in force, from a journal of custody that was proved row by row. */
export const holdsList = async (
  { showNumbers, by }: { readonly showNumbers: boolean; readonly by: () => string },
  { config, json, terminal }: HoldsDesk,
): Promise<void> => {
  const ledger = await openLedger(custodyJournalDir(config)).catch(toldRetention);
  // Numbers on hold tell whom a case is about: who looks at them is written down first.
  if (showNumbers) {
    const who = by();
    await withCustodyJournal(config, (journal) => journal.append('legal-holds-shown', { by: who }));
  }
  if (json) {
    for (const hold of ledger.holds) terminal.out(JSON.stringify(viewOf(hold, showNumbers)));
    return;
  }
  if (ledger.holds.length === 0) {
    terminal.out('no hold is in force');
    return;
  }
  terminal.out(
    columns([
      ['hold', 'on', 'calls from', 'up to', 'since', 'by', 'why'],
      ...ledger.holds.map(({ id, subject, from, to, at, by: who, why }) => [
        id,
        onText(subject, showNumbers),
        from ?? 'the first',
        to ?? '-',
        at,
        who,
        why,
      ]),
    ]),
  );
};

/** `holds release`: what it alone covered expires with the next round, if it is due. */
export const holdsRelease = async (
  order: { readonly id: string; readonly by: string; readonly why: string },
  { config, json, terminal }: HoldsDesk,
): Promise<void> => {
  checkSignature(order);
  if (!isHoldId(order.id))
    usage('hold-malformed', 'that is no id of a hold; `sallyport holds list` shows them');
  const dir = custodyJournalDir(config);
  const hold = await withCustodyJournal(config, async (journal) =>
    releaseHold(journal, await Ledger.read(dir), order),
  ).catch(toldRetention);
  terminal.out(
    json
      ? JSON.stringify({ released: viewOf(hold, false) })
      : `released ${hold.id} on ${onText(hold.subject)}: what no other hold covers expires when it is due`,
  );
};
