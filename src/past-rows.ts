import { resolve } from 'node:path';
import type { PastRow } from './call/ports.js';
import type { CallId } from './core/leg.js';
import { nodeDisk } from './journal/disk.js';
import { scanRow } from './journal/row.js';
import { rowLines } from './journal/tree/row-lines.js';

/** How far before the first row of a call its nodes' attestation in force is looked for. */
const lookBack = 4096;

/** A call whose rows are looked for, and the media nodes it is known to have been on. */
export interface CallSought {
  readonly callId: CallId;
  readonly nodes: readonly string[];
}

interface Attested extends PastRow {
  readonly node: string;
}

/**
 * What an earlier run of this controller wrote of calls that it left: the rows with their id, and the attestations of
 * their nodes from the one in force at their beginning. `from`: the first row that may be one of a call's own; `through`:
 * the last row that is looked at. Rows are proved by their own hash as they are read; one that is damaged is passed over
 * (the verifier tells of it).
 */
export const readPastRows = async (
  directory: string,
  { from, through }: { readonly from: number; readonly through: number },
  calls: readonly CallSought[],
): Promise<ReadonlyMap<CallId, readonly PastRow[]>> => {
  const own = new Map<string, PastRow[]>(calls.map(({ callId }) => [callId, []]));
  const nodes = new Set(calls.flatMap((call) => call.nodes));
  const attested: Attested[] = [];
  const first = Math.max(1, from - lookBack);
  for await (const lines of rowLines(nodeDisk, resolve(directory), first, through)) {
    for (const { seq, bytes } of lines) {
      const row = scanRow(bytes);
      if (row === undefined) continue;
      const { callId, node } = bodyOf(bytes);
      if (typeof callId === 'string') own.get(callId)?.push({ node: null, seq, hash: row.hash });
      if (row.kind === 'attestation' && typeof node === 'string' && nodes.has(node)) {
        attested.push({ node, seq, hash: row.hash });
      }
    }
  }
  const rowsOf = ({ callId, nodes: on }: CallSought): readonly PastRow[] => {
    const rows = own.get(callId) ?? [];
    return [...rows, ...on.flatMap((node) => inForceFrom(rows[0]?.seq ?? through, node, attested))];
  };
  return new Map(calls.map((call) => [call.callId, rowsOf(call)]));
};

const inForceFrom = (seq: number, node: string, attested: readonly Attested[]): readonly PastRow[] => {
  const ofNode = attested.filter((row) => row.node === node);
  const inForce = ofNode.findLastIndex((row) => row.seq < seq);
  return ofNode.slice(Math.max(0, inForce));
};

const bodyOf = (line: Buffer): { readonly callId?: unknown; readonly node?: unknown } => {
  try {
    const { body } = JSON.parse(line.toString('utf8')) as { readonly body?: unknown };
    return typeof body === 'object' && body !== null ? body : {};
  } catch {
    return {};
  }
};
