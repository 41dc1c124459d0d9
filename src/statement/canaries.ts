import { codeWord, configured } from './guard.js';
import type { NodeRow } from './read-node.js';
import { Listed, type Listing, type Place, Table } from './tally.js';

/** A test call that did not pass, or a change of whether recording is armed. */
export interface CanaryNote extends Place {
  readonly facility: string;
  /** `privileged`, `monitored`, `unlisted`; or `recording` where its state changed. */
  readonly kind: string;
  readonly outcome: string;
  readonly code: string;
}

export interface CanariesJson {
  /** Calls the controllers made to themselves: they are in no other count of calls. */
  readonly calls: number;
  /** By facility: `privileged passed`, `monitored failed`. */
  readonly results: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly listed: Listing<CanaryNote>;
}

/** What test calls add up to, over all controllers. */
export class CanaryTotals {
  readonly #results = new Table();
  readonly #listed = new Listed<CanaryNote>(500);

  /** A row of the period, of kind `canary` or `recording-state`. */
  take({ kind: row, at, node, seq, body }: NodeRow, only: string | null): void {
    const facility = configured(body.facility) ?? 'unreadable';
    if (only !== null && facility !== only) return;
    const note = (kind: string, outcome: string, code: string): void =>
      this.#listed.add({ at, node, seq, facility, kind, outcome, code });
    if (row === 'recording-state') {
      // Why it is disarmed names several codes; the rows of the test calls themselves hold each.
      const state = codeWord(body.state);
      note('recording', state, body.by === 'canary' ? 'by-test-calls' : 'by-order');
      return;
    }
    const [kind, outcome] = [codeWord(body.kind), codeWord(body.outcome)];
    this.#results.add(facility, `${kind} ${outcome}`);
    if (outcome !== 'passed') note(kind, outcome, codeWord(body.code));
  }

  json(calls: number): CanariesJson {
    return { calls, results: this.#results.json(), listed: this.#listed.json() };
  }
}
