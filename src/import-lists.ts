import type { DialPlan } from './core/number.js';
import type { Database } from './registry/database.js';
import { readingWith } from './registry/import/overlay.js';
import { listsOf, type RegistryLists } from './registry-lists.js';

/** The lists as they would be published with everything of an import done. Rejects with RegistryError. */
export const listsWithImport = async (db: Database, id: string, plan: DialPlan): Promise<RegistryLists> =>
  await listsOf(db, 0, plan, { forget: false }, await readingWith(db, id, plan));
