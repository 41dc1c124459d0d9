import type { BlockList } from 'node:net';
import type { Accounts } from '../registry/accounts/accounts.js';
import type { ApiKeys } from '../registry/accounts/keys.js';
import type { RequestKeys } from '../registry/accounts/request-keys.js';
import type { Webhooks } from '../registry/accounts/webhooks.js';
import type { Counsel } from '../registry/counsel/counsel.js';
import type { RegistryHistory } from '../registry/history.js';
import type { CallIndex } from '../registry/investigation/call-index.js';
import type { CallQuery } from '../registry/investigation/call-query.js';
import type { HotNumbers } from '../registry/investigation/hot-numbers.js';
import type { CallNotes } from '../registry/investigation/notes.js';
import type { SearchLog } from '../registry/investigation/search-log.js';
import type { Registry } from '../registry/registry.js';
import type { RegistrySearch } from '../registry/search.js';
import type { AlertStream } from './alert-stream.js';
import type { CallLog } from './call-log.js';
import type { CounselDesk, CounselSettings } from './counsel-desk.js';
import type { ExportDesk } from './export-desk.js';
import type { ImportDesk } from './import-desk.js';
import type { LiveCalls } from './live.js';
import type { Resolve } from './net-guard.js';
import type { Oidc } from './oidc.js';
import type { PageFiles } from './pages.js';
import type {
  ControllerPort,
  CustodyPort,
  Explainer,
  GatePort,
  JournalsPort,
  OwnJournal,
  RecordingsPort,
  StatementsPort,
} from './ports.js';
import type { PublicationLog } from './publication-log.js';
import type { SignIn } from './sign-in.js';
import type { StatementDesk } from './statement-desk.js';
import type { WhatIfDesk } from './what-if-desk.js';

export interface HttpSettings {
  /** Proxies whose X-Forwarded-For is believed; none where it is not set. */
  readonly trustProxy?: readonly string[];
  /** What this place is called, for people. */
  readonly site: string;
  /** A session that was not used for so long is over. */
  readonly idleSeconds: number;
  /** Origin that browsers see, such as `https://sallyport.example`. */
  readonly publicUrl: string;
  readonly requestsPerMinute: number;
  readonly version: string;
  /** Null where there is no counsel portal. */
  readonly counsel: CounselSettings | null;
}

/** What investigators use: monitored calls alone (docs/search.md). */
export interface Investigation {
  readonly index: CallIndex;
  readonly query: CallQuery;
  readonly notes: CallNotes;
  readonly hot: HotNumbers;
  readonly searches: SearchLog;
  readonly gate: GatePort;
  readonly exports: ExportDesk;
  readonly alerts: AlertStream;
}

/** Everything the routes use. */
export interface Parts {
  /** Requests that say by a key which they are; without it no such key is taken. */
  readonly requestKeys?: RequestKeys;
  readonly settings: HttpSettings;
  readonly accounts: Accounts;
  readonly keys: ApiKeys;
  readonly webhooks: Webhooks;
  readonly webhookNetworks: BlockList;
  readonly resolve?: Resolve;
  readonly registry: Registry;
  readonly search: RegistrySearch;
  readonly imports: ImportDesk;
  readonly history: RegistryHistory;
  readonly publications: PublicationLog;
  readonly whatIf: WhatIfDesk;
  /** Numbers one slip or one office line away from a number with its plus sign, and why. */
  readonly neighbours: (number: string) => readonly { readonly number: string; readonly why: string }[];
  readonly signIn: SignIn;
  readonly oidc: Oidc | null;
  readonly journal: OwnJournal;
  /** A digest of a number under a key of this host, for rows that say what was asked about. */
  readonly numberDigest: (number: string) => Promise<string>;
  /** Files of the console by the address that is asked for; null where it was not built. */
  readonly pages: PageFiles | null;
  readonly controller: ControllerPort;
  readonly explainer: Explainer;
  readonly journals: JournalsPort;
  readonly log: CallLog;
  readonly live: LiveCalls;
  readonly recordings: RecordingsPort;
  readonly statements: StatementDesk;
  readonly statementFiles: StatementsPort;
  readonly custody: CustodyPort;
  readonly counsel: Counsel;
  readonly counselDesk: CounselDesk;
  readonly investigation: Investigation;
  readonly wall: () => number;
  readonly mono: () => number;
  /** Told of faults of ours: where, and a code. */
  readonly fault: (where: string, error: unknown) => void;
}
