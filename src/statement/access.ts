import { codeWord, countOf } from './guard.js';
import type { ControllerPart } from './model.js';
import type { Period } from './period.js';
import type { NodeReader, NodeRow } from './read-node.js';
import { Stretch } from './stretch.js';
import { type Counts, Tally } from './tally.js';

/** What the journals of the API and of the registry tell of who came in and who read what: counts of the period. */
export interface AccessPart {
  /** The journals, as those of the controllers stand in the statement. */
  readonly journals: readonly ControllerPart[];
  /** By how they signed in: password-and-code, link, provider … */
  readonly signIns: Counts;
  /** By what was wrong; beyond ten in a minute they are counted as `not-listed`. */
  readonly failedSignIns: Counts;
  readonly accountChanges: Counts;
  readonly keyChanges: Counts;
  readonly webhookChanges: Counts;
  /** Recordings that somebody asked to read, and said why; sealed ones apart. */
  readonly recordingsAsked: Counts;
  /** What was done with files that lists are taken from: begun, staged, compared, applied, undone … */
  readonly importChanges: Counts;
  /** Encrypted files of recordings that were fetched, sealed ones apart. */
  readonly recordingReads: Counts;
  /** Pages of privileged entries, claims and changes that were read, by class where one was asked for. */
  readonly privilegedReads: Counts;
  /** Numbers that were asked about, by what for. */
  readonly numbersAsked: Counts;
  readonly callReads: Counts;
  readonly evidenceReads: number;
  readonly statementsMade: number;
  readonly orders: Counts;
  /** Of the counsel portal: calls with a code that were asked for, codes entered, contested numbers decided. */
  readonly counsel: Counts;
  /** What investigators did: searches by what for, calls read, notes, flags, hot numbers and their alerts, exports. */
  readonly investigations: Counts;
}

export const accessRowKinds: ReadonlySet<string> = new Set([
  'http-signed-in',
  'http-sign-in-failed',
  'http-sign-ins-not-listed',
  'http-signed-out',
  'http-webhook-changed',
  'http-privileged-read',
  'http-number-asked',
  'http-recording-asked',
  'http-recording-read',
  'http-evidence-read',
  'http-call-read',
  'http-statement-made',
  'http-order',
  'http-code-asked',
  'http-code-entered',
  'http-counsel-decided',
  'account-changed',
  'account-key-changed',
  'import-changed',
  'http-search',
  'http-search-read',
  'http-search-log-read',
  'http-hot-number-refused',
  'http-export-asked',
  'http-export-made',
  'http-export-read',
  'search-note-added',
  'search-flag-marked',
  'search-hot-proposed',
  'search-hot-approved',
  'search-hot-ended',
  'search-hot-alerted',
]);

/** All journals of the API and of registries together. */
export class AccessTotals {
  readonly journals: ControllerPart[] = [];
  readonly signIns = new Tally();
  readonly failed = new Tally();
  readonly accounts = new Tally();
  readonly keys = new Tally();
  readonly webhooks = new Tally();
  readonly asked = new Tally();
  readonly imports = new Tally();
  readonly recordings = new Tally();
  readonly privileged = new Tally();
  readonly numbers = new Tally();
  readonly calls = new Tally();
  readonly orders = new Tally();
  readonly counsel = new Tally();
  readonly investigations = new Tally();
  notListed = 0;
  evidence = 0;
  statements = 0;

  json(): AccessPart {
    const failed = this.failed.json();
    return {
      journals: this.journals,
      signIns: this.signIns.json(),
      failedSignIns: this.notListed === 0 ? failed : { ...failed, 'not-listed': this.notListed },
      accountChanges: this.accounts.json(),
      keyChanges: this.keys.json(),
      webhookChanges: this.webhooks.json(),
      recordingsAsked: this.asked.json(),
      importChanges: this.imports.json(),
      recordingReads: this.recordings.json(),
      privilegedReads: this.privileged.json(),
      numbersAsked: this.numbers.json(),
      callReads: this.calls.json(),
      evidenceReads: this.evidence,
      statementsMade: this.statements,
      orders: this.orders.json(),
      counsel: this.counsel.json(),
      investigations: this.investigations.json(),
    };
  }
}

/** One journal, row by row. Names, places and digests of numbers stand in it; nothing but codes is taken. */
export class AccessFold implements NodeReader {
  readonly #period: Period;
  readonly #totals: AccessTotals;
  readonly #stretch: Stretch;
  /** Rows of the registry may be there twice after a crash, with one number. */
  #outbox = 0;

  constructor(node: string, period: Period, totals: AccessTotals) {
    this.#stretch = new Stretch(node);
    this.#period = period;
    this.#totals = totals;
  }

  readonly wants = (kind: string, at: string): boolean => accessRowKinds.has(kind) && at < this.#period.to;

  readonly take = (row: NodeRow): void => {
    if (row.at < this.#period.from || row.at >= this.#period.to) return;
    this.#stretch.take(row);
    if (!row.abandoned && !this.#isAgain(row)) this.#row(row);
  };

  end(): void {
    this.#totals.journals.push(this.#stretch.json());
  }

  #isAgain({ body }: NodeRow): boolean {
    const outbox = countOf(body.outbox);
    if (outbox === 0) return false;
    if (outbox <= this.#outbox) return true;
    this.#outbox = outbox;
    return false;
  }

  #row({ kind, body }: NodeRow): void {
    const totals = this.#totals;
    switch (kind) {
      case 'http-signed-in':
        totals.signIns.add(codeWord(body.how));
        return;
      case 'http-sign-in-failed':
        totals.failed.add(codeWord(body.what));
        return;
      case 'http-sign-ins-not-listed':
        totals.notListed += countOf(body.count);
        return;
      case 'account-changed':
        totals.accounts.add(codeWord(body.what));
        return;
      case 'account-key-changed':
        totals.keys.add(codeWord(body.what));
        return;
      case 'import-changed':
        totals.imports.add(codeWord(body.what));
        return;
      case 'http-webhook-changed':
        totals.webhooks.add(codeWord(body.change));
        return;
      case 'http-recording-asked':
        totals.asked.add(body.sealed === true ? 'sealed' : 'ordinary');
        return;
      case 'http-recording-read':
        totals.recordings.add(body.sealed === true ? 'sealed' : 'ordinary');
        return;
      case 'http-privileged-read':
        totals.privileged.add(body.class === null ? 'all' : codeWord(body.class));
        return;
      case 'http-number-asked':
        totals.numbers.add(codeWord(body.what));
        return;
      case 'http-call-read':
        totals.calls.add(codeWord(body.verdict));
        return;
      case 'http-evidence-read':
        totals.evidence += 1;
        return;
      case 'http-statement-made':
        totals.statements += 1;
        return;
      case 'http-search':
        totals.investigations.add(`search-${codeWord(body.what)}`);
        return;
      case 'http-search-read':
      case 'http-search-log-read':
      case 'http-hot-number-refused':
      case 'http-export-asked':
      case 'http-export-made':
      case 'http-export-read':
        totals.investigations.add(kind.slice('http-'.length));
        return;
      case 'search-note-added':
      case 'search-flag-marked':
      case 'search-hot-proposed':
      case 'search-hot-approved':
      case 'search-hot-ended':
      case 'search-hot-alerted':
        totals.investigations.add(kind.replace(/^search-(?=hot-)/, ''));
        return;
      case 'http-order':
        totals.orders.add(`${codeWord(body.order)}-${codeWord(body.state)}`);
        return;
      case 'http-code-asked':
        totals.counsel.add('code-asked');
        return;
      case 'http-code-entered':
        totals.counsel.add(`code-${codeWord(body.outcome)}`);
        return;
      case 'http-counsel-decided':
        totals.counsel.add('contest-decided');
        return;
      default:
        return;
    }
  }
}
