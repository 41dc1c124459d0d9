import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/schema.js';
import type { FacilityId, WallMs } from '../core/leg.js';
import type { ListAnswers } from '../core/lists.js';
import { type NumberKey, numberKeyText, parseListed } from '../core/number.js';
import { createRedisLists } from '../lists/redis-lists.js';
import { systemClock } from '../main.js';
import { listsOptionsOf } from '../open-parts.js';
import { planOf } from '../options.js';
import { maskedNumber } from '../review/masked.js';
import type { Period } from '../review/period.js';
import { DecisionsOn, type Protection, protectionOf } from '../review/protection.js';
import { enquiryDigest, journalEnquiry } from './enquiries.js';
import { journalRows } from './journal-rows.js';
import { CommandError, columns } from './output.js';
import { publisherKeysOf } from './publisher-keys.js';
import type { ReviewDesk } from './what-if.js';

export interface PrivilegedAsked {
  readonly number: string;
  readonly plan: string;
  /** Calls that are looked through for the last one; null for all there are. */
  readonly period: Period | null;
  readonly journals: readonly string[];
  readonly by: () => string;
}

export const privilegedExits = { notProtected: 3, unknown: 2 } as const;

/**
 * `privileged check`: whether calls to a number are private, since when, and how the last call to it was decided.
 * Nothing else, and nothing about anybody else. The enquiry is journalled before it is answered. Exit code 3 where
 * the number is not protected; every other but 0 is no answer.
 */
export const privilegedCheck = async (asked: PrivilegedAsked, desk: ReviewDesk): Promise<void> => {
  const { config, json, terminal } = desk;
  const read = parseListed(asked.number, planOf(config, asked.plan));
  if (read.kind !== 'number') {
    throw new CommandError(
      'number-malformed',
      'this is not a number of the dial plan',
      privilegedExits.unknown,
    );
  }
  const number = numberKeyText(read.key);
  // Before the journal is read: without these there is nothing to answer.
  publisherKeysOf(config);
  const decisions = new DecisionsOn(number);
  const { period } = asked;
  const filter = {
    kinds: ['decision'],
    ...(period === null ? {} : { since: new Date(period.from), until: new Date(period.to) }),
  };
  for await (const row of journalRows(asked.journals, filter, terminal)) decisions.take(row);
  const answers = await lookedUp(config, read.key);
  const protection = protectionOf(answers, Date.now() as WallMs, decisions);
  await journalEnquiry(config, 'privileged-check', {
    number: await enquiryDigest(config, number),
    by: asked.by(),
    answer: protection.answer,
    why: protection.why,
    since: protection.since === null ? null : { ...protection.since },
    begins: protection.begins,
    last: protection.last === null ? null : { ...protection.last },
  });
  terminal.out(json ? jsonOf(protection) : textOf(protection, maskedNumber(number)));
  if (protection.answer === 'unknown') {
    throw new CommandError(
      'protection-unknown',
      `the lists could not be asked (${protection.why}): this is no answer, ask again`,
      privilegedExits.unknown,
    );
  }
  if (protection.answer === 'not-protected') {
    throw new CommandError(
      'number-not-protected',
      'calls to this number are not private',
      privilegedExits.notProtected,
    );
  }
};

/** The lists' answer now, as a controller on this host would get it. Its snapshot is read and never written to. */
const lookedUp = async (config: Config, key: NumberKey): Promise<ListAnswers> => {
  const dir = await mkdtemp(join(tmpdir(), 'sallyport-privileged-'));
  const snapshotPath = join(dir, 'snapshot');
  try {
    for (const part of ['', '.heartbeat']) {
      // A snapshot that is not there yet, or cannot be read, is unknown to the lists too.
      await copyFile(`${config.lists.snapshot}${part}`, `${snapshotPath}${part}`).catch(() => undefined);
    }
    const options = { ...listsOptionsOf(config, systemClock), snapshotPath };
    const lists = await createRedisLists({ ...options, emit: () => undefined });
    try {
      await lists.refresh();
      // Protection holds in every facility: which one is asked about makes no difference.
      const facility = (Object.keys(config.facilities)[0] ?? '') as FacilityId;
      return await lists.lookUp({ key, caller: null, facility });
    } finally {
      await lists.close();
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
};

const iso = (at: number): string => new Date(at).toISOString();

const jsonOf = ({ answer, why, since, begins, last }: Protection): string =>
  JSON.stringify({
    answer,
    why,
    since: since === null ? null : { by: since.by, at: iso(since.at) },
    begins: begins === null ? null : iso(begins),
    last,
  });

const answerTexts = {
  protected: 'PROTECTED: calls to it are connected on media nodes that cannot record, or not at all',
  'not-protected': 'NOT PROTECTED: calls to it are recorded where they are allowed',
  unknown: 'NOT KNOWN',
} as const satisfies Record<Protection['answer'], string>;

const sinceText = ({ answer, since, begins }: Protection): string => {
  if (since?.by === 'entry') return iso(since.at);
  if (since?.by === 'calls')
    return `${iso(since.at)} at the latest: the first call from which on all were private`;
  if (begins !== null) return `it begins ${iso(begins)}`;
  return answer === 'protected' ? 'not recorded, and no call since tells' : '-';
};

const textOf = (protection: Protection, shown: string): string =>
  columns([
    ['number', shown],
    ['answer', answerTexts[protection.answer]],
    ['since', sinceText(protection)],
    [
      'last call',
      protection.last === null ? 'none found' : `${protection.last.at}, decided ${protection.last.verdict}`,
    ],
  ]);
