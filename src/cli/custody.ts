import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AlarmCode, AppEvent } from '../call/events.js';
import type { Config } from '../config/schema.js';
import type { CallId } from '../core/leg.js';
import { type CustodyCode, CustodyError, custodyTexts } from '../custody/codes.js';
import type { CustodyParts } from '../custody/parts.js';
import { PrivilegedSource } from '../custody/privileged-now.js';
import { Reconciler } from '../custody/reconcile.js';
import { blindCodes, type Report } from '../custody/report.js';
import { keepRounds, type Round } from '../custody/rounds.js';
import { SignOfLife } from '../custody/sign-of-life.js';
import { takeLock } from '../journal/lock.js';
import { createLog } from '../log.js';
import { storeOf, vaultKeysOf } from '../open-vault.js';
import { redisOf } from '../options.js';
import { VaultError } from '../vault/errors.js';
import { journalsOf } from '../workers/worker-config.js';
import { custodyJournalDir, withCustodyJournal } from './custody-journal.js';
import { CommandError, columns, type Terminal } from './output.js';
import { publisherKeysOf } from './publisher-keys.js';
import { runRetention } from './retention.js';

export interface CustodyFlags {
  /** Journals besides that of the configuration and those it names. */
  readonly journals: readonly string[];
  /** Most bytes verified in a second; null for what the configuration says. */
  readonly megabytesPerSecond: number | null;
  readonly allStrays: boolean;
  readonly json: boolean;
}

export const custodyExits = { blind: 2, found: 3 } as const;

const FOLLOW_SECONDS = 2;
const DAY_SECONDS = 86_400;
const EXPIRY_SECONDS = 60;
/** How long lists that could not be proved are left alone. */
const RELIST_MS = 30_000;

type Raise = (event: Extract<AppEvent, { readonly event: 'alarm' }>) => void;

/** Alarms that no row tells yet: they are written when the journal is open next. */
class Alarms {
  readonly #raise: Raise;
  #waiting: { alarm: string; callId: string | null; detail: string }[] = [];

  constructor(raise: Raise) {
    this.#raise = raise;
  }

  readonly raise = (alarm: AlarmCode, callId: string | null, detail: string): void => {
    this.#raise({ event: 'alarm', alarm, callId: callId as CallId | null, detail });
    this.#waiting.push({ alarm, callId, detail: detail.slice(0, 500) });
  };

  async write(config: Config): Promise<void> {
    if (this.#waiting.length === 0) return;
    const rows = this.#waiting.splice(0);
    await withCustodyJournal(config, async (journal) => {
      for (const row of rows) await journal.append('alarm', row);
    });
  }
}

interface Opened {
  readonly parts: CustodyParts;
  readonly source: PrivilegedSource;
}

const openParts = async (
  config: Config,
  state: string,
  flags: Pick<CustodyFlags, 'journals' | 'megabytesPerSecond'>,
  told: { readonly raise: Alarms['raise']; readonly alive: () => void },
): Promise<Opened> => {
  const { sealed } = await vaultKeysOf(config);
  const { keyPrefix, snapshot } = config.lists;
  const publisherKeys = publisherKeysOf(config);
  const source = new PrivilegedSource({ redis: redisOf(config), keyPrefix, publisherKeys, snapshot });
  await source.open();
  const megabytes = flags.megabytesPerSecond ?? config.custody.verifyMegabytesPerSecond;
  const parts: CustodyParts = {
    store: storeOf(config),
    escrow: sealed,
    journals: [...new Set([...journalsOf(config), ...config.custody.journals, ...flags.journals])],
    own: custodyJournalDir(config),
    readings: config.recording.vault.readings,
    spools: config.media.nodes.flatMap(({ spool }) => spool ?? []),
    state,
    lists: () => source.read(),
    write: (use) => withCustodyJournal(config, use),
    alarm: told.raise,
    bytesPerSecond: megabytes * 1024 * 1024,
    wall: () => Date.now(),
    alive: told.alive,
  };
  return { parts, source };
};

const refused = (error: unknown): never => {
  if (error instanceof VaultError || error instanceof CustodyError) {
    throw new CommandError(error.code, error.message.slice(error.code.length + 2), custodyExits.blind);
  }
  throw error;
};

const textOfCode = (code: string): string => custodyTexts[code as CustodyCode] ?? '';

/** A name as somebody may have chosen it: nothing in it moves the cursor. */
const shownName = (name: string): string => JSON.stringify(name).slice(1, -1);

const reportText = (report: Report): string => {
  const { calls, verified, names, notJudged, epoch, counts, findings } = report;
  const lines = [
    columns([
      ['lists', epoch === null ? 'not read' : `epoch ${epoch}`],
      ['calls matched', String(calls)],
      ['recordings verified', String(verified)],
      ['names looked at', String(names)],
      ...(notJudged === 0 ? [] : [['not judged', `${notJudged} name(s) older than the journals`]]),
    ]),
  ];
  for (const [code, count] of Object.entries(counts)) {
    lines.push('', `${count}  ${textOfCode(code)} [${code}]`);
    const some = findings.filter((one) => one.code === code).slice(0, 20);
    const rows = some.map(({ callId, name, detail }) => [
      `   ${callId ?? (name === null ? '' : shownName(name))}`,
      detail ?? '',
    ]);
    if (rows.some(([first, second]) => (first ?? '').trim() !== '' || second !== ''))
      lines.push(columns(rows));
    if (count > some.length) lines.push(`   and ${count - some.length} more`);
  }
  if (report.clean) lines.push('', 'nothing was found: what was recorded might be, and is there');
  return lines.join('\n');
};

const reportJson = ({ calls, verified, names, notJudged, epoch, counts, findings }: Report): string =>
  JSON.stringify({ epoch, calls, verified, names, notJudged, counts, findings });

/**
 * `custody check`: one full round, from the journals' first rows, and what it found. It seals and quarantines as the
 * running process does. Exit code 3 where anything was found, 2 where not everything could be looked at.
 */
export const custodyCheck = async (
  config: Config,
  flags: CustodyFlags,
  terminal: Terminal,
): Promise<void> => {
  const state = await mkdtemp(join(tmpdir(), 'sallyport-custody-'));
  const alarms = new Alarms(({ alarm, callId, detail }) => {
    terminal.err(`ALARM ${alarm}${callId === null ? '' : ` ${callId}`} (${detail})`);
  });
  let source: PrivilegedSource | null = null;
  try {
    const opened = await openParts(config, state, flags, {
      raise: alarms.raise,
      alive: () => undefined,
    }).catch(refused);
    source = opened.source;
    const reconciler = await Reconciler.open(opened.parts, { allStrays: flags.allStrays });
    const report = await reconciler.full().catch(refused);
    await alarms.write(config);
    terminal.out(flags.json ? reportJson(report) : reportText(report));
    conclude(report);
  } finally {
    source?.close();
    await rm(state, { recursive: true, force: true });
  }
};

const conclude = (report: Report): void => {
  const blind = blindCodes.find((code) => report.counts[code] !== undefined);
  if (blind !== undefined) {
    throw new CommandError(blind, 'not everything could be looked at', custodyExits.blind);
  }
  if (report.clean) return;
  const found = Object.values(report.counts).reduce((sum, one) => sum + one, 0);
  throw new CommandError('custody-found', `${found} finding(s)`, custodyExits.found);
};

/** Seconds until the first full round: a day after the last one, by whatever the clock says now. */
const firstFull = (last: string | null): number => {
  const since = last === null ? Number.POSITIVE_INFINITY : (Date.now() - Date.parse(last)) / 1000;
  // A clock that went back would put it off for as long as it went.
  return since >= 0 && since < DAY_SECONDS ? DAY_SECONDS - since : 0;
};

/** `expiry`: what is due goes, where anything is configured to. A round that refuses has its own alarm in the controller. */
const expire = async (
  config: Config,
  journals: readonly string[],
): Promise<Readonly<Record<string, number>>> => {
  const report = await runRetention(config, 'custody', journals);
  if (report === null) return {};
  return { removed: report.counts.removed, ...(report.code === null ? {} : { [report.code]: 1 }) };
};

/** `follow`: a change of the lists before anything else, then what came into the journals. */
const continuous = (reconciler: Reconciler, source: PrivilegedSource): (() => Promise<Report>) => {
  let matched: string | null = null;
  let retryAt = 0;
  return async () => {
    const head = await source.head();
    if (head === null || head === matched || performance.now() < retryAt) return reconciler.follow();
    const report = await reconciler.relist();
    const read = report.counts['lists-unread'] === undefined && report.counts['lists-older'] === undefined;
    if (read) matched = head;
    else retryAt = performance.now() + RELIST_MS;
    return report;
  };
};

/** At most every so many seconds, however often it is asked. */
const atMostEvery = (seconds: number, run: () => Promise<unknown>): (() => Promise<void>) => {
  let next = performance.now();
  return async () => {
    if (performance.now() < next) return;
    await run();
    next = performance.now() + seconds * 1000;
  };
};

/** `custody run`: beside the controllers, until it is told to stop. Says what happens as the controller does, in JSON lines. */
export const custodyRun = async (
  config: Config,
  flags: CustodyFlags,
  stop: AbortSignal,
  raised: (event: AppEvent) => void = createLog(config.log.level),
): Promise<void> => {
  const state = `${custodyJournalDir(config)}-state`;
  await mkdir(state, { recursive: true, mode: 0o700 });
  // Two of them would write one index.
  const release = await takeLock(state);
  const sign = new SignOfLife(config.custody.status ?? null);
  const alarms = new Alarms((event) => {
    sign.alarmed(event.alarm);
    raised(event);
  });
  const told = { raise: alarms.raise, alive: () => sign.beat() };
  let source: PrivilegedSource | null = null;
  try {
    const opened = await openParts(config, state, flags, told).catch(refused);
    source = opened.source;
    const reconciler = await Reconciler.open(opened.parts, { allStrays: flags.allStrays });
    const next = continuous(reconciler, source);
    const follow = async (): Promise<Report> => {
      const report = await next();
      if (report.epoch !== null) sign.say({ epoch: report.epoch });
      await alarms.write(config);
      return report;
    };
    const failing = new Map<string, string>();
    const meanwhile = atMostEvery(FOLLOW_SECONDS, follow);
    const rounds: readonly Round[] = [
      { name: 'follow', everySeconds: FOLLOW_SECONDS, run: async () => (await follow()).counts },
      {
        name: 'full',
        everySeconds: DAY_SECONDS,
        firstAfterSeconds: firstFull(await reconciler.lastFullRound()),
        run: async () => (await reconciler.full(meanwhile)).counts,
      },
      // After what must be sealed was, and never in its stead.
      {
        name: 'expiry',
        everySeconds: DAY_SECONDS,
        firstAfterSeconds: EXPIRY_SECONDS,
        run: () => expire(config, opened.parts.journals),
      },
    ];
    await keepRounds(
      rounds,
      {
        began: (round) => sign.say({ round }),
        ended: (name, counts) => {
          failing.delete(name);
          sign.ended(name, counts);
        },
        failed: (name, code) => {
          raised({ event: 'fault', where: `custody-${name}`, code });
          // Told once: it is tried again every few seconds.
          if (failing.get(name) !== code) alarms.raise('custody-blind', null, `${name}: ${code}`);
          failing.set(name, code);
        },
      },
      stop,
    );
    await alarms.write(config);
  } finally {
    source?.close();
    await sign.close();
    await release();
  }
};
