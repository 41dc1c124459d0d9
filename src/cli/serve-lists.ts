import type { Config } from '../config/schema.js';
import type { DialPlan } from '../core/number.js';
import type { ShownRow } from '../http/ports.js';
import { PublicationLog } from '../http/publication-log.js';
import { WhatIfDesk } from '../http/what-if-desk.js';
import type { Database } from '../registry/database.js';
import { RegistryHistory } from '../registry/history.js';
import type { Registry } from '../registry/registry.js';
import type { RegistrySearch } from '../registry/search.js';
import { visitEdits } from '../review/edits.js';
import { grownRows } from './serve-journals.js';
import { whatIfPort } from './serve-what-if.js';

/** An office: numbers that differ in the last two digits alone. */
const OFFICE = 100;

/** Numbers one slip or one office line away, with their plus sign. */
export const neighbours = (number: string): readonly { readonly number: string; readonly why: string }[] => {
  const digits = Number(number.slice(1));
  const found = new Map<number, string>();
  visitEdits(digits, (other, why) => {
    if (!found.has(other)) found.set(other, why);
  });
  const first = Math.floor(digits / OFFICE) * OFFICE;
  for (let other = first; other < first + OFFICE; other += 1)
    if (other !== digits && !found.has(other)) found.set(other, 'same-office-block');
  found.delete(digits);
  return Array.from(found, ([other, why]) => ({ number: `+${other}`, why }));
};

interface Given {
  readonly config: Config;
  readonly journal: string;
  readonly plan: DialPlan;
  readonly db: Database;
  readonly registry: Registry;
  readonly search: RegistrySearch;
  readonly wall: () => number;
  readonly mono: () => number;
}

const PUBLICATIONS_KEPT = 10_000;
const CHANGES_KEPT = 100_000;

/** What the API needs besides to look things up in the lists and to look back. */
export const listParts = ({ config, journal, plan, db, registry, search, wall, mono }: Given) => {
  const grown: () => AsyncIterable<ShownRow> = grownRows(journal);
  return {
    history: new RegistryHistory(db),
    publications: new PublicationLog(grown, { publications: PUBLICATIONS_KEPT, changes: CHANGES_KEPT }, mono),
    whatIf: new WhatIfDesk(whatIfPort(config, { registry, search, plan }), wall),
    neighbours,
  };
};
