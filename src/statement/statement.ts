import { canonicalJson } from '../journal/canonical.js';
import { AccessFold, type AccessPart, AccessTotals } from './access.js';
import { bucketsOf } from './buckets.js';
import { type CustodyJson, CustodyTotals } from './custody.js';
import { StatementError } from './errors.js';
import { NodeFold, type Scope, Totals } from './fold.js';
import type { CallsPart, ControllerPart, ListsPart, NotKept, Statement } from './model.js';
import { nodeNameOf, readNode } from './read-node.js';
import { RetentionFold, type RetentionPart, RetentionTotals } from './retention.js';

const expiry: NotKept = {
  what: 'How long recordings were kept, and their removal',
  where: 'in the journal of custody, which was not given to this statement',
};

const reads: NotKept = {
  what: 'Reads of recordings and of sealed recordings',
  where: 'in the journal of the HTTP API, which was not given to this statement',
};

/** What a statement should tell and no row of this version's journal holds. Each is said, so that silence is none. */
const notKept: readonly NotKept[] = [
  reads,
  expiry,
  {
    what: 'Whether an order to listen led to a phone that listened, and for how long',
    where: 'not kept by this version; the order itself is in the journal before anything is done',
  },
  {
    what: 'Lockdowns and hours that stand in the configuration rather than in an order',
    where:
      'the digest of the configuration is in this statement; calls refused for them are counted by reason',
  },
];

export interface StatementSources {
  /** Journal folders, one for each controller, in any order. */
  readonly journals: readonly string[];
  /** Folders of custody's journals, one for each controller that has one. */
  readonly custody?: readonly string[];
  /** Journals of the API and of registries. */
  readonly access?: readonly string[];
  readonly scope: Scope;
  readonly version: string;
  /** Told now and then, with the rows of this journal read so far. */
  readonly progress?: (node: string, rows: number) => void;
}

/**
 * Reads the journals and makes the statement of a period. It reads nothing else, no clock either: the same journals
 * lead to the same statement. Throws StatementError; see `readNode` for what is wrong with a journal, and besides
 * `node-repeated`, `period-without-rows`, `facility-unknown`.
 */
export const makeStatement = async (sources: StatementSources): Promise<Statement> => {
  const { scope, version, progress } = sources;
  const nodes = await byNode(sources.journals);
  const totals = new Totals();
  const controllers: ControllerPart[] = [];
  for (const [node, dir] of sortedByNode(nodes)) {
    const fold = new NodeFold(node, scope, totals);
    await readNode(dir, scope.period.to, {
      wants: fold.wants,
      take: fold.take,
      progress: (rows) => progress?.(node, rows),
    });
    controllers.push(fold.end());
  }
  if (controllers.every(({ rows }) => rows === 0)) {
    throw new StatementError('period-without-rows', 'the journals hold no row of this period');
  }
  const parts = { ...(await custodyOf(sources)), access: await accessOf(sources) };
  return statementOf(controllers, totals, scope, version, parts);
};

/** What the journals of custody tell, both of recordings that were sealed or missing and of those that expired. */
interface CustodyParts {
  readonly custody: CustodyJson;
  /** Null where no journal of custody was given: nothing is known of any expiry. */
  readonly retention: RetentionPart | null;
}

const custodyOf = async ({
  custody: dirs = [],
  scope,
  progress,
}: StatementSources): Promise<CustodyParts> => {
  const custody = new CustodyTotals();
  const retention = new RetentionTotals();
  const { period, facility } = scope;
  for (const [node, dir] of sortedByNode(await byNode(dirs))) {
    const sealing = custody.reader(node, period, facility);
    const expiring = new RetentionFold(node, period, facility, retention);
    await readNode(dir, period.to, {
      wants: (kind, at) => sealing.wants(kind, at) || expiring.wants(kind, at),
      take: (row) => {
        sealing.take(row);
        expiring.take(row);
      },
      progress: (rows) => progress?.(node, rows),
    });
    sealing.end();
    expiring.end();
  }
  return { custody: custody.json(), retention: dirs.length === 0 ? null : retention.json() };
};

/** Null where no such journal was given: nothing is known of who read what. */
const accessOf = async ({
  access: dirs = [],
  scope,
  progress,
}: StatementSources): Promise<AccessPart | null> => {
  const totals = new AccessTotals();
  for (const [node, dir] of sortedByNode(await byNode(dirs))) {
    const fold = new AccessFold(node, scope.period, totals);
    await readNode(dir, scope.period.to, {
      wants: fold.wants,
      take: fold.take,
      progress: (rows) => progress?.(node, rows),
    });
    fold.end();
  }
  return dirs.length === 0 ? null : totals.json();
};

const byNode = async (dirs: readonly string[]): Promise<ReadonlyMap<string, string>> => {
  const nodes = new Map<string, string>();
  for (const dir of dirs) {
    const node = await nodeNameOf(dir);
    const other = nodes.get(node);
    if (other !== undefined) {
      throw new StatementError('node-repeated', `${dir} and ${other} are both of controller ${node}`);
    }
    nodes.set(node, dir);
  }
  return nodes;
};

/** In the order of their names, whatever order they were given in: bounded lists are filled in this order. */
const sortedByNode = (nodes: ReadonlyMap<string, string>): readonly (readonly [string, string])[] =>
  [...nodes].sort(([a], [b]) => (a < b ? -1 : 1));

const statementOf = (
  controllers: readonly ControllerPart[],
  totals: Totals,
  scope: Scope,
  version: string,
  { custody, retention, access }: CustodyParts & { readonly access: AccessPart | null },
): Statement => {
  const { calls, orders } = totals;
  const { period, facility, words } = scope;
  const byFacility = calls.byFacility.json();
  if (facility !== null && byFacility[facility] === undefined && calls.otherFacilities > 0) {
    throw new StatementError('facility-unknown', `no call of this period came from ${facility}`);
  }
  const endings = calls.endings.json();
  return {
    format: 1,
    product: 'sallyport',
    version,
    period,
    facility,
    facilities: Object.keys(byFacility).sort(),
    words: words ? 'masked' : 'withheld',
    controllers,
    calls: callsPart(totals, scope),
    privateCalls: { byClass: calls.byClass.json(), absence: calls.privateAbsence.json() },
    monitoredCalls: {
      recordings: calls.recordings.json(),
      withoutRecording: calls.missing.json(),
      armings: totals.armings,
      unproved: Object.values(endings).reduce((sum, one) => sum + (one['recording-unproved'] ?? 0), 0),
    },
    otherCallsOnDisk: calls.otherAbsence.json(),
    sealed: calls.sealed.json(),
    incidents: { counts: calls.incidentKinds.json(), listed: calls.incidentsJson() },
    lists: listsPart(totals),
    outages: totals.outages.json(),
    attestation: totals.attestation.json(),
    orders: orders.json(period.from, period.to),
    canaries: totals.canaries.json(calls.canaryCalls),
    alarms: totals.alarms.json(),
    otherParties: totals.otherParties.json(),
    decidedAgain: totals.decidedAgain.json(),
    starts: totals.starts.json(),
    custody,
    ...(retention === null ? {} : { retention }),
    ...(access === null ? {} : { access }),
    notKept: notKept.filter(
      (one) => (one !== expiry || retention === null) && (one !== reads || access === null),
    ),
    rows: {
      kinds: totals.kinds.json(),
      abandoned: totals.abandoned,
      notInterpreted: totals.notInterpreted.json(),
    },
  };
};

const callsPart = ({ calls }: Totals, { period }: Scope): CallsPart => {
  const buckets = bucketsOf(period);
  return {
    byVerdict: calls.byVerdict.json(),
    byFacility: calls.byFacility.json(),
    reasons: calls.reasons.json(),
    refusedByFacility: calls.refusedByFacility.json(),
    endings: calls.endings.json(),
    dispositions: calls.dispositions.json(),
    buckets: {
      unit: buckets.unit,
      rows: buckets.starts.map((from) => ({ from, counts: calls.buckets.row(from).json() })),
    },
    underWayAtEnd: calls.underWay,
    withoutRecord: calls.withoutRecord.json(),
    turnedAway: { counted: calls.turnedAway.json(), beyondTheBound: calls.uncounted },
    threeWaySuspected: calls.threeWay.sum,
    reducedRecords: calls.reduced,
  };
};

const listsPart = ({ calls, taken }: Totals): ListsPart => ({
  epochs: {
    rows: [...calls.epochs]
      .sort(([a], [b]) => a - b)
      .map(([epoch, { digest, from, to, calls: count }]) => ({ epoch, digest, from, to, calls: count })),
    more: calls.moreEpochs,
  },
  taken: taken.json(),
});

/** Over the bounds of every list a statement has a few MiB; this is far beyond. */
export const MAX_STATEMENT_BYTES = 64 * 1024 * 1024;

/** `statement.json`: canonical (RFC 8785), so that equal statements are equal bytes. */
export const statementText = (statement: Statement): string =>
  `${canonicalJson(statement, { maxBytes: MAX_STATEMENT_BYTES })}\n`;
