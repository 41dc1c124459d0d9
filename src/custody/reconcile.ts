import { SEALED } from '../vault/vault.js';
import type { CustodyCall } from './call-fold.js';
import { CallIndex } from './call-index.js';
import { type CustodyCode, CustodyError } from './codes.js';
import { dayBefore, dayOf } from './days.js';
import { rowsFrom } from './follower.js';
import { Known } from './known.js';
import type { CustodyParts } from './parts.js';
import { notPlayable, type Pace, paced } from './playable.js';
import type { PrivilegedNow } from './privileged-now.js';
import { protectedBy } from './protected.js';
import { Report } from './report.js';
import { partsOf, type SealOrder } from './reseal.js';
import { Sealing } from './sealing.js';
import { Strays } from './strays.js';

/** A recording may come later than its CDR, where the disk was slow: so long it is waited for. */
const GRACE_MS = 120_000;
/** What ended longer ago is left to the full round: the first run reads years of it. */
const RECENT_MS = 3_600_000;
const MAX_WAITING = 10_000;
/** Calls kept in memory before they go to the index on the disk. */
const MAX_BUFFERED = 5_000;
/** Entries named in an order; one is enough to seal. */
const MAX_ENTRIES = 10;

export interface ReconcilerOptions {
  readonly graceMs?: number;
  /** Move files without an owner however many they are. */
  readonly allStrays?: boolean;
}

interface Looking {
  readonly strays: Strays;
  readonly pace: Pace;
  readonly between: () => Promise<unknown>;
}

/**
 * Holds what was recorded against the lists, and the lists' calls against what was recorded, both ways. One of these
 * works at a time; whatever it changes in the vault it changes while it has custody's journal open.
 */
export class Reconciler {
  readonly #parts: CustodyParts;
  readonly #index: CallIndex;
  readonly #known: Known;
  readonly #sealing: Sealing;
  readonly #graceMs: number;
  readonly #allStrays: boolean;
  readonly #waiting = new Map<string, CustodyCall>();
  readonly #unmatched: CustodyCall[] = [];
  #lists: PrivilegedNow | null = null;
  #highest = 0;
  readonly #blind = new Set<string>();
  #names: { readonly day: string; readonly names: readonly string[] } | null = null;

  private constructor(parts: CustodyParts, index: CallIndex, options: ReconcilerOptions) {
    this.#parts = parts;
    this.#index = index;
    this.#known = new Known(parts.own);
    this.#sealing = new Sealing(parts, this.#known);
    this.#graceMs = options.graceMs ?? GRACE_MS;
    this.#allStrays = options.allStrays === true;
  }

  static async open(parts: CustodyParts, options: ReconcilerOptions = {}): Promise<Reconciler> {
    return new Reconciler(parts, await CallIndex.open(parts.state), options);
  }

  /** When a full round ended last, as custody's journal has it; null before the first. */
  async lastFullRound(): Promise<string | null> {
    await this.#known.refresh();
    return this.#known.fullRound;
  }

  /** What came into the journals since: ended calls are matched and verified, and what waits is tried again. */
  async follow(): Promise<Report> {
    const report = this.#begin();
    await this.#known.refresh();
    if (this.#lists === null) await this.#readLists(report);
    await this.#catchUp(report);
    await this.#seal(report, false);
    await this.#verifyWaiting(report);
    return this.#end(report);
  }

  /** The lists changed: every call there ever was is matched against them, and what is hit is sealed. */
  async relist(): Promise<Report> {
    const report = this.#begin();
    await this.#known.refresh();
    await this.#readLists(report);
    await this.#catchUp(report);
    // Each call counts once: what was just read is among those of its day.
    report.calls = 0;
    const orders: SealOrder[] = [];
    for (const day of await this.#index.days()) {
      for (const call of (await this.#index.day(day)).values()) {
        report.calls += 1;
        const order = await this.#orderFor(call);
        if (order !== null) orders.push(order);
      }
      this.#parts.alive();
    }
    for (const call of this.#openCalls()) {
      const order = await this.#orderFor(call);
      if (order !== null) orders.push(order);
    }
    // What is newly hit first: what failed before has its mark already.
    await this.#sealing.order(orders);
    await this.#seal(report, true);
    return this.#end(report);
  }

  /**
   * Everything: lists, every recording to its last byte, and every name in the vault and the spools. It may take hours;
   * `between` is called after every recording, for what cannot wait so long.
   */
  async full(between: () => Promise<unknown> = async () => undefined): Promise<Report> {
    const began = performance.now();
    const report = await this.relist();
    const complete = await this.#looked(report, between);
    const ms = Math.round(performance.now() - began);
    const { calls, verified, names, notJudged, epoch, counts } = report;
    const found = { ...counts };
    await this.#parts.write((rows) =>
      rows.append('custody-round', {
        round: 'full',
        ms,
        calls,
        verified,
        names,
        notJudged,
        epoch,
        complete,
        found,
      }),
    );
    return this.#end(report);
  }

  async #looked(report: Report, between: () => Promise<unknown>): Promise<boolean> {
    const days = await this.#index.days();
    const strays = new Strays(this.#parts, this.#known);
    const pace = this.#pace();
    const all = new Set([...days, ...(await this.#daysInVault(strays, report))]);
    for (const day of [...all].sort().reverse()) await this.#day(day, { strays, pace, between }, report);
    await strays.elsewhere(report);
    const complete = await this.#catchUp(report);
    await this.#seal(report, false);
    // Where a journal could not be read, nobody can say whose a file is.
    if (complete) await strays.settle(this.#index, report, this.#allStrays);
    return complete && report.sighted;
  }

  async #day(day: string, { strays, pace, between }: Looking, report: Report): Promise<void> {
    const { store } = this.#parts;
    const calls = await this.#index.day(day);
    for (const folder of [day, `${SEALED}/${day}`]) {
      const names = await store.list(folder);
      report.names += names.length;
      strays.day(folder, day, names, calls);
      strays.folders(folder, await store.folders(folder), report);
    }
    const missing: { call: CustodyCall; code: string }[] = [];
    const found: string[] = [];
    for (const call of calls.values()) {
      if (call.expected.kind === 'nothing') continue;
      const recent = call.told !== null && this.#parts.wall() - call.told < this.#graceMs;
      const code = await this.#verify(call, pace);
      report.verified += 1;
      this.#parts.alive();
      await between();
      if (code === null && this.#known.missing.has(call.callId)) found.push(call.callId);
      if (code !== null && !recent) missing.push({ call, code });
    }
    await this.#tell(missing, found, report);
  }

  async #verifyWaiting(report: Report): Promise<void> {
    const pace = this.#pace();
    const missing: { call: CustodyCall; code: string }[] = [];
    for (const [callId, call] of this.#waiting) {
      // A recording that came after its CDR was not there when the call was matched.
      const order = await this.#orderFor(call);
      if (order !== null) await this.#sealing.order([order]);
      const code = await this.#verify(call, pace);
      report.verified += 1;
      this.#parts.alive();
      const late = call.told === null || this.#parts.wall() - call.told >= this.#graceMs;
      if (code !== null && !late) continue;
      this.#waiting.delete(callId);
      if (code !== null) missing.push({ call, code });
    }
    await this.#tell(missing, [], report);
  }

  /** Why the recording a call should have is not there as it should be; null where it is, or need not be. */
  async #verify({ callId, began, expected }: CustodyCall, pace: Pace): Promise<string | null> {
    const { store } = this.#parts;
    const { removed, sealed, sealing } = this.#known;
    const day = dayOf(began);
    if (expected.kind === 'nothing' || sealing.has(callId)) return null;
    const own = 'manifestSha256' in expected ? expected.manifestSha256 : null;
    const seal = sealed.get(callId);
    const gone = removed.get(callId);
    // A tombstone explains the recording it names, whichever of its two manifests it names it by.
    if (gone !== undefined && (gone === null || own === null || gone === own || gone === seal)) return null;
    if (seal !== undefined || expected.kind === 'sealed') {
      const code = await notPlayable(store, `${SEALED}/${day}`, callId, seal ?? own, pace);
      return code === 'recording-incomplete' ? null : code;
    }
    const code = await notPlayable(store, day, callId, own, pace);
    return expected.kind === 'none' && code === 'recording-missing' ? 'recording-none' : code;
  }

  async #tell(
    missing: readonly { readonly call: CustodyCall; readonly code: string }[],
    found: readonly string[],
    report: Report,
  ): Promise<void> {
    const fresh = missing.filter(({ call, code }) => this.#known.missing.get(call.callId) !== code);
    // A disk that is not mounted is not a thousand recordings lost.
    if (fresh.length > 0 && !(await this.#vaultThere())) {
      this.#blinded(report, new CustodyError('vault-empty'));
      return;
    }
    for (const { call, code } of missing) report.add(code, { callId: call.callId });
    if (fresh.length === 0 && found.length === 0) return;
    await this.#parts.write(async (rows) => {
      for (const { call, code } of fresh) {
        const { callId, facility, began } = call;
        report.alarm('recording-missing', callId, code);
        await rows.append('recording-missing', { callId, facility, day: dayOf(began), code });
      }
      for (const callId of found) await rows.append('recording-found', { callId });
    });
    await this.#known.refresh();
  }

  /** What has to be sealed of a call: only ever an ordinary recording that is there. */
  async #orderFor(call: CustodyCall): Promise<SealOrder | null> {
    const lists = this.#lists;
    const entries = lists === null ? [] : protectedBy(lists.index, call);
    if (entries.length === 0 && !call.becamePrivate) return null;
    const { callId, facility, began, ended } = call;
    const day = dayOf(began);
    for (const one of ended === null ? [day, dayBefore(day)] : [day]) {
      if (partsOf(callId, await this.#namesOf(one)).length === 0) continue;
      const base = { callId, facility, day: one };
      if (lists === null || entries.length === 0) return { ...base, why: 'became-private', lists: null };
      const named = entries
        .slice(0, MAX_ENTRIES)
        .map(({ id, match, class: of }) => ({ id, match, class: of }));
      const { epoch, digest } = lists;
      return { ...base, why: 'privileged-number', lists: { epoch, digest, entries: named } };
    }
    return null;
  }

  async #seal(report: Report, again: boolean): Promise<void> {
    await this.#sealing.work(report, again);
    this.#names = null;
  }

  /** Names of a day's folder: calls of one day are asked about one after the other. */
  async #namesOf(day: string): Promise<readonly string[]> {
    if (this.#names?.day === day) return this.#names.names;
    const names = await this.#parts.store.list(day);
    this.#names = { day, names };
    return names;
  }

  /**
   * Reads every journal to its end, and matches each call that ended since. What is to be sealed is written down before
   * the place is that was read to. True where all journals could be read.
   */
  async #catchUp(report: Report): Promise<boolean> {
    let complete = true;
    await this.#match();
    for (const journal of this.#parts.journals) {
      try {
        await this.#readOn(journal, report);
      } catch (error) {
        if (!(error instanceof CustodyError)) throw error;
        this.#blinded(report, error);
        complete = false;
        // The index speaks of rows that are not there any more: all of it is made again.
        if (error.code === 'journal-other') await this.#index.clear();
      }
    }
    if (complete) this.#sees('journal-unread', 'journal-other');
    return complete;
  }

  async #readOn(journal: string, report: Report): Promise<void> {
    const cursor = this.#index.cursor(journal);
    for await (const batch of rowsFrom(journal, cursor.place)) {
      for (const { row, place } of batch) {
        cursor.begins ??= row.at;
        const call = cursor.fold.take(row);
        cursor.place = place;
        if (call === null) continue;
        report.calls += 1;
        this.#index.add(call);
        this.#unmatched.push(call);
        this.#wait(call);
      }
      await this.#match();
      this.#parts.alive();
      if (this.#index.buffered >= MAX_BUFFERED) await this.#index.flush();
    }
    await this.#index.flush();
  }

  /** A vault that fails in the midst of it leaves them to be matched, and the place that was read to unwritten. */
  async #match(): Promise<void> {
    const orders: SealOrder[] = [];
    for (const call of this.#unmatched) {
      const order = await this.#orderFor(call);
      if (order !== null) orders.push(order);
    }
    await this.#sealing.order(orders);
    this.#unmatched.length = 0;
  }

  /** A recording is verified soon after its call; what ended long ago is left to the full round. */
  #wait(call: CustodyCall): void {
    const recent = call.told !== null && this.#parts.wall() - call.told < RECENT_MS;
    if (!recent || call.expected.kind === 'nothing' || this.#waiting.size >= MAX_WAITING) return;
    this.#waiting.set(call.callId, call);
  }

  *#openCalls(): Generator<CustodyCall, void, undefined> {
    for (const { fold } of this.#index.cursors.values()) yield* fold.open();
  }

  async #readLists(report: Report): Promise<void> {
    const now = await this.#parts.lists();
    if (now === null) {
      // What was proved before is still true of what it says; what came since is not known.
      this.#blinded(report, new CustodyError('lists-unread'));
      return;
    }
    report.epoch = now.epoch;
    if (now.epoch < this.#highest) {
      this.#blinded(report, new CustodyError('lists-older'));
      return;
    }
    this.#highest = now.epoch;
    this.#lists = now;
    this.#sees('lists-unread', 'lists-older');
  }

  async #vaultThere(): Promise<boolean> {
    try {
      const folders = await this.#parts.store.folders('');
      return folders.some((name) => name === SEALED || /^\d{4}$/.test(name));
    } catch {
      return false;
    }
  }

  async #daysInVault(strays: Strays, report: Report): Promise<string[]> {
    const { store } = this.#parts;
    const days = new Set<string>();
    for (const root of ['', `${SEALED}/`]) {
      for (const year of (await store.folders(root.slice(0, -1))).filter((name) => /^\d{4}$/.test(name))) {
        for (const month of await this.#numbered(`${root}${year}`, strays, report)) {
          for (const day of await this.#numbered(`${root}${year}/${month}`, strays, report)) {
            days.add(`${year}/${month}/${day}`);
          }
        }
      }
    }
    return [...days];
  }

  /** Folders of two digits; whatever else is beside them is nobody's. */
  async #numbered(folder: string, strays: Strays, report: Report): Promise<string[]> {
    const { store } = this.#parts;
    const names = await store.folders(folder);
    strays.day(folder, '9999', await store.list(folder), new Map());
    const others = names.filter((name) => !/^\d\d$/.test(name));
    strays.folders(folder, others, report);
    return names.filter((name) => !others.includes(name));
  }

  #pace(): Pace {
    return paced(this.#parts.bytesPerSecond);
  }

  #begin(): Report {
    this.#names = null;
    return new Report(this.#parts.alarm);
  }

  #end(report: Report): Report {
    report.end();
    return report;
  }

  /** What is seen again may be told again when it is lost again. */
  #sees(...codes: readonly CustodyCode[]): void {
    for (const code of codes) this.#blind.delete(code);
  }

  #blinded(report: Report, error: CustodyError): void {
    if (report.counts[error.code] === undefined) report.add(error.code, { detail: error.message });
    if (this.#blind.has(error.code)) return;
    this.#blind.add(error.code);
    report.alarm('custody-blind', null, error.code);
  }
}
