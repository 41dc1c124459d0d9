/** The thread that reads journals for a look back at past calls, so that nobody else waits for it; see cli/serve-what-if.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { isCanaryTrunk } from './core/leg.js';
import { readJournal } from './journal/read.js';
import { NearIndex } from './review/near-index.js';
import { NearMisses } from './review/near-misses.js';
import type { Row } from './review/past-decision.js';
import { Touched } from './review/touched.js';
import type { ScanAsked, ScanTold } from './what-if-messages.js';

const asked = workerData as ScanAsked;
const tell = (told: ScanTold): void => parentPort?.postMessage(told);

const EVERY = 2_000;

/** What a CDR says of a call that is looked at: how long it was connected, and whether there was a recording of it. */
const endOf = (body: Row['body']): { readonly connectedMs: number; readonly recording: boolean } => ({
  connectedMs: typeof body.connectedMs === 'number' ? body.connectedMs : 0,
  recording: [body.spool, body.sealed].some((part) => {
    const state = (part as { readonly state?: unknown } | null | undefined)?.state;
    return state === 'recording-finished' || state === 'recording-sealed';
  }),
});

const scan = async (): Promise<void> => {
  const touched = new Touched(asked.touch);
  const near = asked.near.length === 0 ? null : new NearMisses(new NearIndex(asked.near));
  const open = new Set<string>();
  let rows = 0;
  let decisions = 0;
  let found = 0;
  const since = new Date(asked.from);
  for (const dir of asked.journals) {
    for await (const row of readJournal(dir, { kinds: ['decision', 'cdr'], since })) {
      rows += 1;
      if (rows % EVERY === 0) tell({ told: 'rows', rows });
      const callId = String(row.body.callId);
      if (row.kind === 'cdr') {
        if (open.delete(callId)) tell({ told: 'end', callId, ...endOf(row.body) });
        continue;
      }
      // A test call is nobody's: what became of it says nothing of callers.
      if (Date.parse(row.at) >= asked.to || !Touched.first(row) || isCanaryTrunk(row.body.trunk)) continue;
      decisions += 1;
      near?.take(row);
      if (!touched.has(row)) continue;
      found += 1;
      if (found > asked.most) continue;
      open.add(callId);
      tell({ told: 'call', row: { at: row.at, kind: row.kind, body: row.body } });
    }
  }
  tell({ told: 'rows', rows });
  const misses = near?.result().misses ?? [];
  tell({
    told: 'done',
    decisions,
    touched: found,
    near: misses.slice(0, asked.mostNear),
    nearTotal: misses.length,
  });
};

scan().catch((error: unknown) => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'journal-unread';
  // No call was made there yet: there is nothing to look back at, and nothing wrong.
  tell({ told: 'failed', code: code === 'ENOENT' ? 'journal-missing' : code });
});
