import { parseCallId } from '../core/leg.js';
import type { JsonObject } from '../journal/canonical.js';
import { codeOf } from './codes.js';
import { type Place, rowsFrom, theBeginning } from './follower.js';
import type { SealOrder } from './reseal.js';

type Body = Readonly<Record<string, unknown>>;

const orderOf = (body: Body): SealOrder | null => {
  const callId = parseCallId(String(body.callId));
  const { facility, day, why, lists } = body;
  if (callId === null || typeof day !== 'string' || !/^\d{4}\/\d\d\/\d\d$/.test(day)) return null;
  if (typeof facility !== 'string' || typeof why !== 'string') return null;
  return { callId, facility, day, why, lists: (lists ?? null) as SealOrder['lists'] };
};

/** The row that says that a recording is to be sealed, before anything is done. */
export const sealingRow = ({ callId, facility, day, why, lists }: SealOrder): JsonObject => ({
  ...{ callId, facility, day, why },
  lists: lists === null ? null : { ...lists, entries: lists.entries.map((one) => ({ ...one })) },
});

/**
 * What custody's journal says so far: what is to be sealed and is not yet, what was sealed, what was removed by rule, and
 * what was found missing. It is read on from where it was read last.
 */
export class Known {
  readonly #dir: string;
  #place: Place = theBeginning;
  /** Calls whose recording is to be sealed. */
  readonly sealing = new Map<string, SealOrder>();
  /** Digest of the seal's manifest, by call. */
  readonly sealed = new Map<string, string | null>();
  /** Calls whose recording was removed by rule, with the digest of its manifest where the row has one. */
  readonly removed = new Map<string, string | null>();
  /** Why a call's recording is missing, as it was told last. */
  readonly missing = new Map<string, string>();
  /** Names that were found without an owner and could not be moved: they are told once. */
  readonly left = new Set<string>();
  /** When a full round ended last, RFC 3339. */
  fullRound: string | null = null;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Rejects with CustodyError where the journal cannot be read. A journal that is not there yet says nothing. */
  async refresh(): Promise<void> {
    try {
      for await (const batch of rowsFrom(this.#dir, this.#place)) {
        for (const { row, place } of batch) {
          this.#take(row.kind, row.at, row.body);
          this.#place = place;
        }
      }
    } catch (error) {
      const gone = this.#place.seq === 0 && error instanceof Error && error.message.includes('ENOENT');
      if (gone) return;
      if (codeOf(error) !== 'journal-other') throw error;
      // A row that the journal took back: all of it is read again.
      this.#forget();
      await this.refresh();
    }
  }

  #forget(): void {
    this.#place = theBeginning;
    for (const all of [this.sealing, this.sealed, this.removed, this.missing, this.left]) all.clear();
  }

  #take(kind: string, at: string, body: Body): void {
    const callId = String(body.callId);
    const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
    switch (kind) {
      case 'recording-sealing': {
        const order = orderOf(body);
        if (order !== null) this.sealing.set(callId, order);
        return;
      }
      case 'recording-sealed':
        this.sealing.delete(callId);
        this.sealed.set(callId, text(body.sealedManifestSha256));
        return;
      case 'recording-seal-void':
        this.sealing.delete(callId);
        return;
      case 'tombstone':
        this.removed.set(callId, text(body.manifestSha256));
        return;
      case 'recording-missing':
        this.missing.set(callId, text(body.code) ?? '');
        return;
      case 'recording-found':
        this.missing.delete(callId);
        return;
      case 'stray-found':
        if (body.moved === false) this.left.add(`${text(body.place)}:${text(body.name)}`);
        return;
      case 'custody-round':
        this.fullRound = at;
        return;
      default:
        return;
    }
  }
}
