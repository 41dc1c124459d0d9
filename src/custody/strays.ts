import { lstat } from 'node:fs/promises';
import { nameOfPart } from '../durable/files.js';
import { VaultError } from '../vault/errors.js';
import { MAX_MANIFEST, readManifest } from '../vault/manifest.js';
import { SEALING } from '../vault/sealing-mark.js';
import { readWhole } from '../vault/store.js';
import { SEALED } from '../vault/vault.js';
import type { CallIndex } from './call-index.js';
import { codeOf } from './codes.js';
import type { Known } from './known.js';
import type { CustodyParts } from './parts.js';
import { QUARANTINE, quarantine, type Stray, spoolNames } from './quarantine.js';
import type { Report } from './report.js';

/** Folders at the top of a vault besides those of years. A file system of its own has a lost+found. */
const ownFolders: ReadonlySet<string> = new Set([SEALED, QUARANTINE, SEALING, 'holds', 'lost+found']);
/** More names without an owner than this are counted and not kept. */
const MAX_CANDIDATES = 10_000;
/** So many may always be moved; beyond, only while they are a small share of what lies there. */
const ALWAYS = 20;
const SHARE = 0.05;

/** What nobody has written to for so long in a spool, and whose call has ended, nobody makes a recording of any more. */
const SPOOLED_MS = 3_600_000;

const callIdIn = (name: string): string | null =>
  /(?:^|[^a-z0-9])(c[a-z2-7]{26})(?![a-z2-7])/.exec(name)?.[1] ?? null;

/** Longest name a row holds. */
const MAX_NAME = 500;

/** A name to be judged: the day of its folder, where it is one, and the call it seems to be of. */
interface Candidate extends Stray {
  readonly day: string | null;
  readonly callId: string | null;
}

/** How a name that was left where it is stands in custody's journal. */
const leftName = ({ place, name }: Stray): string => `${place}:${name.slice(0, MAX_NAME)}`;

/** A name a recording's file may have, in the making too. */
const isOfRecording = (callId: string, name: string, sealed: boolean): boolean => {
  const plain = nameOfPart(name) ?? name;
  const ending = plain.slice(callId.length);
  const one = /^\.(?:json|(?:wav|txt|pcap)\.age)$/;
  const two = /^\.(?:json\.age|(?:wav|txt|pcap)\.age\.age)$/;
  return plain.startsWith(callId) && (one.test(ending) || (sealed && two.test(ending)));
};

/**
 * Looks for names that no call owns. Names are gathered first, then the journals are read to their ends, and only then
 * is anything judged: a call is journalled before its first file can be there.
 */
export class Strays {
  readonly #parts: CustodyParts;
  readonly #known: Known;
  readonly #candidates: Candidate[] = [];
  #more = 0;

  constructor(parts: CustodyParts, known: Known) {
    this.#parts = parts;
    this.#known = known;
  }

  /** Names of one day's folder, `owned` being the calls of that day. */
  day(folder: string, day: string, names: readonly string[], owned: ReadonlyMap<string, unknown>): void {
    const sealed = folder.startsWith(`${SEALED}/`);
    for (const name of names) {
      const callId = callIdIn(name);
      const fits = callId !== null && isOfRecording(callId, name, sealed);
      if (fits && owned.has(callId)) continue;
      this.#add({ place: 'vault', name: `${folder}/${name}`, day, callId: fits ? callId : null });
    }
  }

  /** What lies outside the folders of days, and everything in the spools. */
  async elsewhere(report: Report): Promise<void> {
    const { store, spools } = this.#parts;
    for (const name of await store.list('')) this.#add({ place: 'vault', name, day: null, callId: null });
    for (const root of ['', SEALED]) {
      for (const name of await store.folders(root)) {
        if (!/^\d{4}$/.test(name) && !(root === '' && ownFolders.has(name))) {
          this.#folder(root === '' ? name : `${root}/${name}`, report);
        }
      }
    }
    for (const name of await store.list(SEALED)) {
      this.#add({ place: 'vault', name: `${SEALED}/${name}`, day: null, callId: null });
    }
    const inSpools = await spoolNames(spools);
    report.names += inSpools.length;
    for (const name of inSpools) {
      this.#add({ place: 'spool', name, day: null, callId: callIdIn(name.slice(name.lastIndexOf('/'))) });
    }
  }

  folders(folder: string, names: readonly string[], report: Report): void {
    for (const name of names) this.#folder(`${folder}/${name}`, report);
  }

  /** The journals have been read to their ends: what has no owner now has none. */
  async settle(index: CallIndex, report: Report, all: boolean): Promise<void> {
    const asked = new Set(this.#candidates.flatMap(({ callId }) => callId ?? []));
    const owned = await index.known(asked);
    const begins = beginOf(index);
    const strays: Stray[] = [];
    for (const candidate of this.#candidates) {
      const { place, name, day, callId } = candidate;
      // A file of a call that is open may lie in the folder of the day before; one of an ended call may not.
      if (callId !== null && index.isOpen(callId)) continue;
      if (this.#known.left.has(leftName(candidate))) continue;
      if (callId !== null && owned.has(callId) && (await this.#isInPlace(candidate, owned.get(callId))))
        continue;
      if (day !== null && (await this.#isOlder(candidate, begins))) report.notJudged += 1;
      else strays.push({ place, name });
    }
    const count = strays.length + this.#more;
    if (!all && count > Math.max(ALWAYS, SHARE * report.names)) {
      report.add('strays-too-many', { detail: `${count} of ${report.names}` });
      report.alarm('stray-file', null, `${count} without an owner: none was moved`);
      return;
    }
    for (const stray of strays) await this.#move(stray, report);
  }

  /**
   * Whether a file of a known call lies where it belongs: in the vault in its own day, in a spool only for as long as
   * somebody may yet make a recording of it. A node that hung at the call's end leaves plain sound behind for good.
   */
  async #isInPlace({ place, name, day }: Candidate, owned: unknown): Promise<boolean> {
    if (place === 'vault') return owned === day;
    const stat = await lstat(name).catch(() => null);
    return stat === null || Math.abs(this.#parts.wall() - stat.mtimeMs) < SPOOLED_MS;
  }

  /**
   * Whether a file is of a time of which not every journal can tell: of an earlier day, or of a recording whose manifest
   * says that it was made earlier on the day a journal was begun.
   */
  async #isOlder({ name, day, callId }: Candidate, begins: string): Promise<boolean> {
    const first = begins.slice(0, 10).replaceAll('-', '/');
    if (day === null || day > first) return false;
    if (day < first) return true;
    if (callId === null) return false;
    const folder = name.slice(0, name.lastIndexOf('/'));
    try {
      const bytes = await readWhole(this.#parts.store, `${folder}/${callId}.json`, MAX_MANIFEST);
      return readManifest(bytes, `${callId}.json`).receivedAt < begins;
    } catch (error) {
      if (error instanceof VaultError) return false;
      throw error;
    }
  }

  async #move({ place, name }: Stray, report: Report): Promise<void> {
    const { store, escrow, wall, write, alive } = this.#parts;
    alive();
    await write(async (rows) => {
      const shown = name.slice(0, MAX_NAME);
      try {
        const done = await quarantine(store, escrow, { place, name }, wall());
        if (done.state === 'gone') return;
        if (done.state === 'left') {
          report.add(done.code, { name: shown });
          // What is still written to is looked at again next time; a link will be a link.
          if (done.code !== 'stray-link') return;
          report.alarm('stray-file', null, `${done.code} in the ${place}`);
          await rows.append('stray-found', { place, name: shown, code: done.code, moved: false });
          return;
        }
        const { as, bytes, sha256 } = done;
        await rows.append('stray-found', {
          place,
          name: shown,
          code: 'stray-file',
          moved: true,
          as,
          bytes,
          sha256,
        });
        report.add('stray-file', { name: shown, detail: as });
        report.alarm('stray-file', null, `moved from the ${place} to ${as}`);
      } catch (error) {
        report.add('stray-file', { name: shown, detail: `not moved: ${codeOf(error)}` });
        report.alarm('stray-file', null, `in the ${place}, not moved: ${codeOf(error)}`);
      }
    });
  }

  #folder(name: string, report: Report): void {
    report.add('stray-folder', { name: name.slice(0, MAX_NAME) });
  }

  #add(stray: Candidate): void {
    if (this.#candidates.length < MAX_CANDIDATES) this.#candidates.push(stray);
    else this.#more += 1;
  }
}

/** The first moment of which every journal can tell: earlier files may be of calls nobody remembers. */
const beginOf = (index: CallIndex): string =>
  [...index.cursors.values()].reduce((last, { begins }) => {
    const at = begins ?? '9999';
    return at > last ? at : last;
  }, '');
