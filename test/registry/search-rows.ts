import { PartError } from '../../src/http/ports.js';
import type { Place, PlacedRow, RowSource } from '../../src/registry/investigation/place.js';
import { JournalMoved } from '../../src/registry/investigation/place.js';

/** Journals in memory, and rows as the controller writes them. */

export type Row = PlacedRow['row'];

export const callId = (n: number): string => {
  const letters = 'abcdefghijklmnopqrstuvwxyz234567';
  let text = '';
  for (let rest = n, i = 0; i < 26; i += 1) {
    text = (letters[rest % 32] ?? 'a') + text;
    rest = Math.floor(rest / 32);
  }
  return `c${text}`;
};

export class Rows implements RowSource {
  readonly start: Place = { segment: 0, offset: 0, seq: 0, hash: '0' };
  readonly journals = new Map<string, Row[]>();
  /** Rows in one batch of reading. */
  batch = 7;
  broken = new Set<string>();

  add(journal: string, kind: string, body: object, at: string = new Date().toISOString()): number {
    const rows = this.journals.get(journal) ?? [];
    this.journals.set(journal, rows);
    const seq = rows.length + 1;
    rows.push({ seq, node: 'one', at, kind, body: body as Row['body'] });
    return seq;
  }

  async *from(journal: string, place: Place): AsyncGenerator<readonly PlacedRow[]> {
    if (this.broken.has(journal)) throw new PartError('journal-unread', 'unreadable', { unreachable: true });
    const rows = this.journals.get(journal) ?? [];
    if (place.seq > rows.length) throw new JournalMoved();
    for (let at = place.seq; at < rows.length; at += this.batch) {
      yield rows.slice(at, at + this.batch).map((row) => ({
        row,
        place: { segment: 1, offset: row.seq * 10, seq: row.seq, hash: `${journal}-${row.seq}` },
      }));
    }
  }
}

export interface CallMade {
  readonly id: number;
  readonly number: string;
  readonly caller?: string;
  readonly facility?: string;
  readonly began?: string;
  readonly verdict?: 'monitored' | 'private' | 'refused';
  readonly connectedMs?: number;
  readonly threeWay?: number;
  readonly unit?: string;
  readonly phone?: string;
  /** Rows between its decision and its end. */
  readonly between?: readonly { readonly kind: string; readonly body: object }[];
  readonly cdr?: object;
  readonly decision?: object;
}

export const decision = (call: CallMade, more: object = {}): object => ({
  callId: callId(call.id),
  ...{
    trunk: 'north',
    facility: call.facility ?? 'north',
    unit: call.unit ?? 'a',
    phone: call.phone ?? 'p1',
  },
  ...{ caller: call.caller ?? 'c1', verdict: call.verdict ?? 'monitored' },
  dialled: { kind: 'number', number: call.number, type: 'unknown' },
  lists: { privileged: { state: 'absent' }, snapshot: { state: 'absent' } },
  ...call.decision,
  ...more,
});

/** A call as it stands in a journal, from its decision to its CDR. */
export const writeCall = (rows: Rows, journal: string, call: CallMade): void => {
  const began = call.began ?? '2026-11-01T10:00:00.000Z';
  const ended = new Date(Date.parse(began) + (call.connectedMs ?? 60_000)).toISOString();
  rows.add(journal, 'decision', decision(call), began);
  if ((call.verdict ?? 'monitored') === 'monitored')
    rows.add(journal, 'armed', { callId: callId(call.id), proof: {} }, began);
  for (const { kind, body } of call.between ?? [])
    rows.add(journal, kind, { callId: callId(call.id), ...body }, began);
  rows.add(
    journal,
    'cdr',
    {
      ...decision(call),
      ...{ ending: 'called-hung-up', disposition: 'completed', arrivedAt: began },
      ...{ durationMs: call.connectedMs ?? 60_000, connectedMs: call.connectedMs ?? 60_000 },
      spool: { state: 'recording-finished' },
      ...(call.threeWay === undefined ? {} : { threeWay: { score: call.threeWay, signs: [] } }),
      ...call.cdr,
    },
    ended,
  );
};
