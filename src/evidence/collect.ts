import { nodeDisk } from '../journal/disk.js';
import { readJournal } from '../journal/read.js';
import { rowLines } from '../journal/tree/row-lines.js';
import { MAX_ROWS } from './verify/bundle.js';
import { EvidenceError } from './verify/codes.js';

/** A row as it is in the journal, as far as collecting needs it. */
interface Kept {
  readonly seq: number;
  readonly kind: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Attestations looked through between a call's rows, of a CDR that does not name them. */
const MAX_BETWEEN = 1024;
/** Looks after a call that are taken along until two of them saw something. */
const MAX_AFTER = 16;
const TAIL_BYTES = 512;
const KIND =
  /"kind":"([a-z][a-z0-9.-]{0,63})","mono":\d{1,16},"node":"[^"]{1,64}","prev":"[0-9a-f]{64}","seq":\d{1,16}\}$/;

/**
 * Goes through the rows once and keeps what belongs to one call: those with its id, and of the others what they need
 * beside them. Rows are told apart by their bytes, and only those that matter are parsed.
 */
class Collector {
  readonly #needle: Buffer;
  readonly own: Kept[] = [];
  readonly #marks: Kept[] = [];
  #started: Kept | null = null;
  /** The last attestation of each node before the call's first row, those since, and the first after its CDR. */
  readonly #before = new Map<string, Kept>();
  #between: Kept[] = [];
  readonly #after = new Map<string, Kept[]>();
  #cdrs = 0;

  constructor(callId: string) {
    this.#needle = Buffer.from(`"callId":${JSON.stringify(callId)}`);
  }

  take(seq: number, line: Buffer): void {
    if (line.includes(this.#needle)) {
      const row = parsed(seq, line);
      if (JSON.stringify(row.body.callId) === this.#needle.toString().slice(9)) {
        this.#own(row);
        return;
      }
    }
    const kind = KIND.exec(line.toString('latin1', Math.max(0, line.length - TAIL_BYTES)))?.[1];
    switch (kind) {
      case 'attestation':
        this.#attested(parsed(seq, line));
        return;
      case 'controller-started':
        if (this.own.length === 0) this.#started = parsed(seq, line);
        return;
      case 'abandoned':
        if (this.own.length > 0) this.#marks.push(parsed(seq, line));
        return;
      default:
    }
  }

  /** Numbers of the rows that belong into the bundle, ascending. */
  seqs(): number[] {
    const cdr = this.cdr();
    if (cdr === undefined) return [];
    const named = namedNodes(cdr.body);
    const nodes = new Set([...named.keys(), String(cdr.body.node ?? '')]);
    const ofNodes = [...this.#before.values(), ...this.#between].filter((row) => nodes.has(nodeOf(row)));
    const after = [...nodes].flatMap((node) => this.#after.get(node) ?? []);
    const marks = this.#marks.filter((mark) => this.own.some((row) => covers(mark, row)));
    const looks = named.size > 0 ? [...named.values()].flat() : ofNodes.map(({ seq }) => seq);
    const rows = [...this.own, ...marks, ...after, ...(this.#started === null ? [] : [this.#started])];
    return [...new Set([...rows.map(({ seq }) => seq), ...looks])].sort((a, b) => a - b);
  }

  /** The CDR that counts. */
  cdr(): Kept | undefined {
    return this.own.findLast((row) => row.kind === 'cdr' && !this.#marks.some((mark) => covers(mark, row)));
  }

  #own(row: Kept): void {
    if (this.own.length >= MAX_ROWS) throw new EvidenceError('bundle-too-large');
    this.own.push(row);
    if (row.kind !== 'cdr') return;
    this.#cdrs += 1;
    this.#after.clear();
  }

  #attested(row: Kept): void {
    const node = nodeOf(row);
    if (this.own.length === 0) {
      this.#before.set(node, row);
      return;
    }
    if (this.#cdrs === 0) {
      if (this.#between.length < MAX_BETWEEN) this.#between.push(row);
      return;
    }
    // One look may have begun before the call had left its node: the one after it has not. One that saw nothing is no look.
    const after = this.#after.get(node) ?? [];
    const seen = after.filter(({ body }) => body.verdict !== 'unseen').length;
    if (seen < 2 && after.length < MAX_AFTER) this.#after.set(node, [...after, row]);
  }
}

const parsed = (seq: number, line: Buffer): Kept => {
  try {
    const { kind, body } = JSON.parse(line.toString('utf8')) as Kept;
    if (typeof kind === 'string' && typeof body === 'object' && body !== null) return { seq, kind, body };
  } catch {
    // Told below.
  }
  throw new EvidenceError('journal-unreadable', `row ${seq}`);
};

const nodeOf = ({ body }: Kept): string => String(body.node ?? '');

const covers = ({ body }: Kept, { seq }: Kept): boolean =>
  Number(body.firstSeq) <= seq && seq <= Number(body.lastSeq);

const namedNodes = (cdr: Kept['body']): ReadonlyMap<string, readonly number[]> => {
  const { nodes } = (cdr.rows ?? {}) as { readonly nodes?: Readonly<Record<string, readonly number[]>> };
  return new Map(Object.entries(nodes ?? {}));
};

/**
 * Which of the first `size` rows belong to a call's evidence. Throws EvidenceError where the call is not there, or not
 * with a CDR that counts.
 */
export const collectRows = async (dir: string, callId: string, size: number): Promise<readonly number[]> => {
  const collector = new Collector(callId);
  for await (const rows of rowLines(nodeDisk, dir, 1, size)) {
    for (const { seq, bytes } of rows) collector.take(seq, bytes);
  }
  if (collector.cdr() !== undefined) return collector.seqs();
  // What stands after the last head is there, and nobody has signed it yet.
  let later = false;
  for await (const row of readJournal(dir, { callId, fromSeq: size + 1 })) {
    if (row.kind === 'cdr')
      throw new EvidenceError('evidence-not-yet-headed', `row ${row.seq}, heads to ${size}`);
    later = true;
  }
  throw new EvidenceError(collector.own.length === 0 && !later ? 'call-unknown' : 'call-under-way');
};
