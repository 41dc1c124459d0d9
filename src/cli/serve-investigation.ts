import type { Config } from '../config/schema.js';
import { AlertStream, alertMessage, HOT_ALARM } from '../http/alert-stream.js';
import { ExportDesk } from '../http/export-desk.js';
import type { Investigation } from '../http/parts.js';
import type { OwnJournal } from '../http/ports.js';
import { systemClock } from '../main.js';
import { storeOf } from '../open-vault.js';
import type { Webhooks } from '../registry/accounts/webhooks.js';
import type { Database } from '../registry/database.js';
import { CallIndex, type FollowedJournals } from '../registry/investigation/call-index.js';
import { CallQuery } from '../registry/investigation/call-query.js';
import { HotNumbers } from '../registry/investigation/hot-numbers.js';
import { CallNotes } from '../registry/investigation/notes.js';
import { SearchLog } from '../registry/investigation/search-log.js';
import { custodyJournalDir } from './custody-journal.js';
import { callJournalsOf } from './serve-journals.js';
import { type Asking, recordingsPort } from './serve-parts.js';
import { bundlesPort, gatePort, rowSource } from './serve-search.js';

export interface InvestigationSources {
  readonly config: Config;
  readonly db: Database;
  readonly journal: OwnJournal;
  readonly gate: { asking(): Promise<Asking> };
  readonly webhooks: Webhooks;
  readonly trouble: (where: string, code: string) => void;
}

const HEARTBEAT_MS = 15_000;
const MOST_READERS_OF_ALERTS = 64;

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'failed';

/** The journals that the index is made from. */
export const followedJournals = (config: Config): FollowedJournals => ({
  calls: callJournalsOf(config),
  custody: [custodyJournalDir(config)],
  access: [config.serve.journal],
});

/** Everything investigators use, as it is wired. `follow` is asked again and again; one turn runs at a time. */
export const investigationOf = async (
  sources: InvestigationSources,
): Promise<Investigation & { follow(): void; close(): Promise<void> }> => {
  const { config, db, journal, gate: lists, webhooks, trouble } = sources;
  const { wall } = systemClock;
  const alerts = new AlertStream({ watchers: MOST_READERS_OF_ALERTS, heartbeatMs: HEARTBEAT_MS });
  const index = new CallIndex({
    ...{ db, source: rowSource, journals: followedJournals(config), wall },
    onAlert: (alert) => {
      alerts.tell(alert);
      webhooks
        .queue(HOT_ALARM, alertMessage(alert), alert.of)
        .catch((error) => trouble('webhooks', codeOf(error)));
    },
  });
  const seals = () => index.sealsToNow();
  const query = new CallQuery(db, seals);
  const notes = new CallNotes(db, seals);
  const gate = gatePort(config, () => lists.asking());
  const bundles = await bundlesPort(config);
  await bundles.clear();
  const recordings = recordingsPort(storeOf(config));
  const exports = new ExportDesk({ ...{ query, notes, gate, recordings, bundles, journal, wall } });
  let told = '';
  let running: Promise<void> | null = null;
  const follow = (): void => {
    running ??= index
      .follow()
      .then(() => {
        told = '';
      })
      .catch((error) => {
        const code = codeOf(error);
        // It is tried again with the next turn, and told once.
        if (code !== told) trouble('search', code);
        told = code;
      })
      .finally(() => {
        running = null;
      });
  };
  return {
    ...{ index, query, notes, gate, exports, alerts, follow },
    hot: new HotNumbers(db),
    searches: new SearchLog(db),
    close: async () => {
      alerts.close();
      await exports.idle();
      await running;
    },
  };
};
