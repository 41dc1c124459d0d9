import { createHash, type KeyObject, sign } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Config } from '../config/schema.js';
import { type FacilityId, parseCallId } from '../core/leg.js';
import type { ListAnswers } from '../core/lists.js';
import { parseNumberKeyText } from '../core/number.js';
import { CustodyError } from '../custody/codes.js';
import { dayOf } from '../custody/days.js';
import { rowsFrom, theBeginning } from '../custody/follower.js';
import { Known } from '../custody/known.js';
import type { CustodyAlarm, CustodyParts } from '../custody/parts.js';
import { Report } from '../custody/report.js';
import { partsOf, type SealOrder } from '../custody/reseal.js';
import { Sealing } from '../custody/sealing.js';
import { syncFolder } from '../durable/folders.js';
import { type BundlesPort, type GatePort, type ListedNow, PartError } from '../http/ports.js';
import { tarEnd, tarHeader, tarPadding } from '../http/tar.js';
import { storeOf, vaultKeysOf } from '../open-vault.js';
import { JournalMoved, type RowSource } from '../registry/investigation/place.js';
import { keyIdOf, readPrivateKey } from '../statement/keys.js';
import { markOf } from '../vault/sealing-mark.js';
import { custodyJournalDir, withCustodyJournal } from './custody-journal.js';
import type { Asking } from './serve-parts.js';

/** What investigators' search needs of the other parts: journals, lists, custody's seal, a place for bundles. */

const isMissing = (error: unknown): boolean => error instanceof Error && /ENOENT/.test(error.message);

export const rowSource: RowSource = {
  start: theBeginning,
  from: async function* (journal, place) {
    try {
      yield* rowsFrom(journal, place);
    } catch (error) {
      // Nothing was written there yet; where something was read before, it is gone.
      if (isMissing(error) && place.seq === 0) return;
      if (error instanceof CustodyError && error.code === 'journal-other') throw new JournalMoved();
      throw new PartError('journal-unread', 'a journal cannot be read', { unreachable: true });
    }
  },
};

const listedOf = ({ privileged, snapshot, pending }: ListAnswers): ListedNow => {
  if (privileged.state === 'listed' || snapshot.state === 'listed') return 'privileged';
  if (privileged.state === 'unknown' || pending.state === 'unknown') return 'unknown';
  return pending.state === 'listed' ? 'claimed' : 'free';
};

const MEANWHILE = 'found when it was to be exported';

/** Seals as custody does, with custody's own hand: its journal first, its mark, its escrow keys. */
const sealNow = async (
  config: Config,
  calls: readonly { readonly callId: string; readonly facility: string; readonly began: Date }[],
  asking: () => Promise<Asking>,
): Promise<void> => {
  const store = storeOf(config);
  const epoch = await asking().then(
    ({ lists }) => lists.epoch(),
    () => null,
  );
  const lists = {
    ...{ epoch: epoch?.id ?? 0, digest: epoch?.digest ?? '0'.repeat(64) },
    entries: [{ id: 'registry', match: 'export-gate', class: 'privileged' }],
  };
  const orders: SealOrder[] = [];
  for (const { callId: text, facility, began } of calls) {
    const callId = parseCallId(text);
    const day = dayOf(began.getTime());
    if (callId === null || partsOf(callId, await store.list(day)).length === 0) continue;
    orders.push({ callId, facility, day, why: 'privileged-number', lists });
  }
  if (orders.length === 0) return;
  const raised: { readonly alarm: CustodyAlarm; readonly callId: string | null; readonly detail: string }[] =
    [];
  const parts: CustodyParts = {
    ...{ store, escrow: (await vaultKeysOf(config)).sealed, journals: [], own: custodyJournalDir(config) },
    ...{ readings: config.recording.vault.readings, spools: [], state: '', lists: async () => null },
    write: (use) => withCustodyJournal(config, use),
    alarm: (alarm, callId, detail) => void raised.push({ alarm, callId, detail: `${MEANWHILE}; ${detail}` }),
    ...{ bytesPerSecond: Number.POSITIVE_INFINITY, wall: () => Date.now(), alive: () => undefined },
  };
  const known = new Known(parts.own);
  await known.refresh();
  const sealing = new Sealing(parts, known);
  await sealing.order(orders);
  await sealing.work(new Report(parts.alarm), true);
  if (raised.length === 0) return;
  await withCustodyJournal(config, async (journal) => {
    for (const row of raised) await journal.append('alarm', { ...row });
  });
};

export const gatePort = (config: Config, asking: () => Promise<Asking>): GatePort => {
  const store = storeOf(config);
  const refused = (code: string) => () => {
    throw new PartError(code, 'what is sealed cannot be told: nothing leaves', { unreachable: true });
  };
  return {
    listed: async (numbers, facility) => {
      try {
        const { lists, orders } = await asking();
        await orders.refresh();
        return await Promise.all(
          numbers.map(async (number): Promise<ListedNow> => {
            const key = parseNumberKeyText(number);
            if (key === null) return 'unknown';
            return listedOf(await lists.lookUp({ key, caller: null, facility: facility as FacilityId }));
          }),
        );
      } catch {
        return numbers.map(() => 'unknown' as const);
      }
    },
    seal: (calls) => sealNow(config, calls, asking).catch(refused('seal-failed')),
    sealing: async (text) => {
      const callId = parseCallId(text);
      return callId === null || (await store.has(markOf(callId)).catch(refused('vault-unread')));
    },
  };
};

const MEGABYTE = 1_000_000;
const BUNDLE = /^x\d{14}-[0-9a-f]{8}$/;

export const bundlesPort = async ({ serve }: Config): Promise<BundlesPort & { clear(): Promise<void> }> => {
  const { keyFile, directory, maxCalls, maxMegabytes, keptHours } = serve.exports;
  const key: KeyObject | null = keyFile === undefined ? null : await readPrivateKey(keyFile);
  const pathOf = (id: string): string => {
    if (!BUNDLE.test(id)) throw new RangeError('no id of an export');
    return join(directory, `${id}.tar`);
  };
  return {
    keyId: key === null ? null : keyIdOf(key),
    ...{ maxCalls, maxBytes: maxMegabytes * MEGABYTE, keptMs: keptHours * 3_600_000 },
    sign: (bytes) => {
      if (key === null) throw new PartError('key-missing', 'there is no key to sign with');
      return sign(null, bytes, key);
    },
    write: async (id, parts, progress) => {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const path = pathOf(id);
      const file = await open(`${path}.part`, 'wx', 0o600);
      const hash = createHash('sha256');
      let bytes = 0;
      const put = async (part: Buffer): Promise<void> => {
        hash.update(part);
        bytes += part.length;
        await file.writeFile(part);
      };
      try {
        const seconds = Math.floor(Date.now() / 1000);
        for (const part of parts) {
          await put(tarHeader(part.name, part.bytes, seconds));
          let size = 0;
          for await (const piece of part.read()) {
            size += piece.length;
            if (size > part.bytes) break;
            await put(piece);
            progress(bytes);
          }
          if (size !== part.bytes)
            throw new PartError('recording-changed', 'a recording is not of the size its manifest says');
          await put(tarPadding(part.bytes));
        }
        await put(tarEnd);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(`${path}.part`, path);
      await syncFolder(directory);
      return { bytes, sha256: hash.digest('hex') };
    },
    read: async (id, from, to) => {
      const path = pathOf(id);
      const there = await stat(path).catch(() => null);
      if (there === null) return null;
      return from >= to ? Readable.from([]) : createReadStream(path, { start: from, end: to - 1 });
    },
    remove: async (id) => {
      for (const ending of ['', '.part']) await rm(`${pathOf(id)}${ending}`, { force: true });
    },
    // What an earlier run left nobody can ask for any more: the jobs were in its memory.
    clear: async () => {
      const names = await readdir(directory).catch(() => []);
      for (const name of names.filter((one) => /^x\d{14}-[0-9a-f]{8}\.tar(\.part)?$/.test(one)))
        await rm(join(directory, name), { force: true });
    },
  };
};
