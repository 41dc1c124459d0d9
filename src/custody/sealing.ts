import type { JsonObject } from '../journal/canonical.js';
import { mark, markOf } from '../vault/sealing-mark.js';
import { codeOf } from './codes.js';
import { type Known, sealingRow } from './known.js';
import type { CustodyParts, Rows } from './parts.js';
import { MAX_READERS, type PastReader, readersOf } from './readers.js';
import type { Report } from './report.js';
import { type Resealed, reseal, type SealOrder } from './reseal.js';

/** Recordings sealed while the journal is open once: others wait for it meanwhile. */
const BATCH = 16;
/** How long a seal that failed is left alone, and for how long its alarm stands for it. */
const RETRY_MS = 30_000;
const ALARM_AGAIN_MS = 3_600_000;
/** Readers named in a row; a row has a bound, and the journal of readings names them all. */
const NAMED = 20;

interface Failed {
  readonly code: string;
  readonly retryAt: number;
  readonly alarmAt: number;
}

const readersText = (readers: readonly PastReader[]): string => {
  if (readers.length === 0) return 'never read';
  const names = [...new Set(readers.map(({ by }) => by))].slice(0, 5).join(', ');
  return `read ${readers.length} time(s), by ${names}`;
};

const sealedRow = (order: SealOrder, done: Resealed, readers: readonly PastReader[]): JsonObject => ({
  ...sealingRow(order),
  manifestSha256: done.manifestSha256,
  sealedManifestSha256: done.sealedManifestSha256,
  intact: done.intact,
  readings: readers.length,
  readers: readers.slice(0, NAMED).map((one) => ({ ...one, why: one.why.slice(0, 200) })),
});

/**
 * Carries out what is to be sealed. That it is to be is a durable row, and a mark in the vault where there is room,
 * before anything else is done, and stands from then on, whatever the lists say later: a seal only ever goes one way.
 */
export class Sealing {
  readonly #parts: CustodyParts;
  readonly #known: Known;
  readonly #failed = new Map<string, Failed>();

  constructor(parts: CustodyParts, known: Known) {
    this.#parts = parts;
    this.#known = known;
  }

  /** Writes down that these are to be sealed, all of them before the first one is. */
  async order(orders: readonly SealOrder[]): Promise<void> {
    const fresh = orders.filter(({ callId }) => !this.#known.sealing.has(callId));
    if (fresh.length === 0) return;
    await this.#parts.write(async (rows) => {
      await Promise.all(fresh.map((order) => rows.append('recording-sealing', sealingRow(order))));
      for (const order of fresh) await this.#mark(order);
    });
    await this.#known.refresh();
  }

  /** Seals what waits for it; with `again`, also what failed a moment ago. */
  async work(report: Report, again: boolean): Promise<void> {
    const due = [...this.#known.sealing.values()].filter(({ callId }) => {
      const failed = this.#failed.get(callId);
      return again || failed === undefined || performance.now() >= failed.retryAt;
    });
    for (let first = 0; first < due.length; first += BATCH) {
      const batch = due.slice(first, first + BATCH);
      const readers = await readersOf(this.#parts.readings, new Set(batch.map(({ callId }) => callId)));
      await this.#parts.write(async (rows) => {
        // Another process may have done it while this one waited for the journal.
        await this.#known.refresh();
        for (const { callId } of batch) {
          const order = this.#known.sealing.get(callId);
          if (order !== undefined) await this.#one(order, readers.get(callId) ?? [], rows, report);
          this.#parts.alive();
        }
      });
      await this.#known.refresh();
    }
  }

  async #one(order: SealOrder, readers: readonly PastReader[], rows: Rows, report: Report): Promise<void> {
    const { store, escrow, wall } = this.#parts;
    const { callId } = order;
    try {
      await this.#mark(order);
      const done = await reseal(store, escrow, order, wall());
      // A recording that was sealed before, and came back as it was, is not told twice.
      const told = done.state === 'was-sealed' && this.#known.sealed.has(callId);
      const news = done.state !== 'nothing' && !told;
      if (news) await rows.append('recording-sealed', sealedRow(order, done, readers));
      else await rows.append('recording-seal-void', { callId });
      await store.remove(markOf(callId));
      this.#failed.delete(callId);
      if (!news) return;
      const code = order.lists === null ? 'recording-ordinary' : 'recording-privileged';
      const classes = [...new Set(order.lists?.entries.map((one) => one.class))].join(', ');
      const what = order.lists === null ? order.why : `${classes}, epoch ${order.lists.epoch}`;
      const detail = `${what}; ${readersText(readers.slice(0, MAX_READERS))}`;
      report.add(code, { callId, detail });
      report.alarm('recording-privileged', callId, detail);
      if (!done.intact) {
        report.add('recording-changed', { callId, detail: 'sealed as it was found' });
        report.alarm('recording-missing', callId, 'recording-changed');
      }
    } catch (error) {
      await this.#failure(order, codeOf(error), rows, report);
    }
  }

  /** Nothing was removed. It is told at once, and again every hour, however often it is tried. */
  async #failure({ callId }: SealOrder, code: string, rows: Rows, report: Report): Promise<void> {
    const now = performance.now();
    const before = this.#failed.get(callId);
    report.add('seal-failed', { callId, detail: code });
    const quiet = before !== undefined && before.code === code && now < before.alarmAt;
    this.#failed.set(callId, {
      code,
      retryAt: now + RETRY_MS,
      alarmAt: quiet ? before.alarmAt : now + ALARM_AGAIN_MS,
    });
    if (quiet) return;
    report.alarm('seal-failed', callId, code);
    await rows.append('recording-seal-failed', { callId, code }).catch(() => undefined);
  }

  /** A vault that takes no mark may take no seal either: the row stands for it. */
  async #mark({ callId, why, lists }: SealOrder): Promise<void> {
    const says = { why, epoch: lists?.epoch ?? null };
    await mark(this.#parts.store, callId, says).catch(() => undefined);
  }
}
