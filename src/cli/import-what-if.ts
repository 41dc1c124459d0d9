import type { Config } from '../config/schema.js';
import type { WallMs } from '../core/leg.js';
import type { DialPlan } from '../core/number.js';
import { listsWithImport } from '../import-lists.js';
import { hypothetical } from '../lists/hypothetical.js';
import type { Database } from '../registry/database.js';
import type { DiffCounts } from '../registry/import/diff.js';
import type { Imports } from '../registry/import/imports.js';
import { changes } from '../review/change.js';
import { type Period, periodOf } from '../review/period.js';
import { WhatIf, type WhatIfResult } from '../review/what-if.js';
import { CommandError, type Terminal } from './output.js';
import { configured, isoPeriod, replayRows } from './what-if.js';

export interface ImportWhatIfAsked {
  readonly config: Config;
  readonly db: Database;
  readonly imports: Imports;
  readonly plan: DialPlan;
  readonly journals: readonly string[];
  /** Default: the last thirty days. */
  readonly period?: Period;
}

/** What is kept of a replay: counts and groups, and no number. */
export interface KeptWhatIf {
  readonly period: { readonly from: string; readonly to: string };
  /** Why there is none; null where there is one. */
  readonly unavailable: string | null;
  readonly decisions: number;
  readonly replayed: number;
  readonly changed: WhatIfResult['changed'] | null;
  readonly groups: WhatIfResult['groups'];
}

const silent: Terminal = { out: () => undefined, err: () => undefined, live: false };
const mostGroups = 50;

const none = (period: Period, unavailable: string): KeptWhatIf => ({
  ...{ period: isoPeriod(period), unavailable, decisions: 0, replayed: 0, changed: null, groups: [] },
});

/**
 * Replays past calls under the lists as they would be with an import in them, and keeps what came of it beside the
 * import. A journal that cannot be read says so: it is no “nothing would change”. Rejects with RegistryError.
 */
export const importWhatIf = async (id: string, asked: ImportWhatIfAsked): Promise<KeptWhatIf> => {
  const { config, db, imports, plan, journals } = asked;
  const { counts } = await imports.standing(id);
  const period = asked.period ?? periodOf({}, Date.now() as WallMs, '30d');
  const { lists } = await listsWithImport(db, id, plan);
  const present = configured(config);
  const whatIf = new WhatIf({ ...present, present, lists: hypothetical(lists) });
  const rows = { period, journals, calls: false, showNumbers: false };
  let kept: KeptWhatIf;
  try {
    await replayRows(whatIf, rows, { json: true, terminal: silent });
    const { decisions, replayed, changed, groups } = whatIf.result();
    const ordered = [...groups].sort(
      (one, other) => changes.indexOf(one.change) - changes.indexOf(other.change),
    );
    kept = {
      ...{ period: isoPeriod(period), unavailable: null, decisions, replayed, changed },
      groups: ordered.slice(0, mostGroups),
    };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    kept = none(period, error.code);
  }
  await imports.keepWhatIf(id, (counts as DiffCounts | null)?.digest ?? '', kept);
  return kept;
};
