import { createHash } from 'node:crypto';
import type { Emit, Journal, JsonObject } from './call/ports.js';
import type { Config } from './config/schema.js';
import { RowsOfCalls } from './followed-rows.js';
import { canonicalJson } from './journal/canonical.js';
import type { Journal as JournalFile } from './journal/log.js';
import { policyOf } from './options.js';

/** Rows that are not a call's own. */

/** The journal as the call sees it, with the time of each append as an event, and each call's rows to be followed. */
export const observed = (journal: JournalFile, emit: Emit): Journal => {
  const rows = new RowsOfCalls();
  return {
    follow: (callId) => rows.follow(callId),
    append: (kind, body) => {
      const row = appended(journal, emit, kind, body);
      rows.wrote(kind, body, row);
      return row;
    },
  };
};

const appended = async (journal: JournalFile, emit: Emit, kind: string, body: JsonObject) => {
  const began = performance.now();
  try {
    const head = await journal.append(kind, body);
    emit({ event: 'journal-append', kind, ms: performance.now() - began, outcome: 'durable' });
    return head;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
    emit({ event: 'journal-append', kind, ms: performance.now() - began, outcome: code });
    throw error;
  }
};

export const journalledAttestation = (rows: Journal, attestation: JsonObject): void => {
  // An attestation that cannot be written is not lost: the node's state is in the next one, and calls are refused
  // by the same journal meanwhile.
  rows.append('attestation', JSON.parse(JSON.stringify(attestation)) as JsonObject).catch(() => undefined);
};

export const startRow = (config: Config, version: string, prompts: string): JsonObject => ({
  version,
  prompts,
  policy: policyOf(config).version,
  config: createHash('sha256')
    .update(canonicalJson(JSON.parse(JSON.stringify(config))))
    .digest('hex'),
  pools: {
    recorded: config.media.nodes.filter((node) => node.pool === 'recorded').map((node) => node.name),
    private: config.media.nodes.filter((node) => node.pool === 'private').map((node) => node.name),
  },
});
