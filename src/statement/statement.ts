import { canonicalJson } from '../journal/canonical.js';
import { bucketsOf } from './buckets.js';
import { StatementError } from './errors.js';
import { NodeFold, type Scope, Totals } from './fold.js';
import type { CallsPart, ControllerPart, ListsPart, NotKept, Statement } from './model.js';
import { nodeNameOf, readNode } from './read-node.js';

/** What a statement should tell and no row of this version's journal holds. Each is said, so that silence is none. */
const notKept: readonly NotKept[] = [
  {
    what: 'Who published and approved each list, its counts, and which shrinks had a second approval',
    where:
      'in the signed manifest of each publication, which the publisher keeps; the epoch’s digest is in this statement',
  },
  {
    what: 'When the lists could not be reached or were too old (that they were not genuine is told)',
    where:
      'calls refused for it are counted by reason (lists-unknown, snapshot-unknown); the moments are not kept by this version',
  },
  {
    what: 'When a spool could not take recordings, and for how long',
    where:
      'each monitored call refused for it raised an alarm (spool-unusable); the moments in between are not kept by this version',
  },
  { what: 'Reads of recordings and of sealed recordings', where: 'not kept by this version' },
  { what: 'How long recordings were kept, and their deletion', where: 'not kept by this version' },
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
  const nodes = new Map<string, string>();
  for (const dir of sources.journals) {
    const node = await nodeNameOf(dir);
    const other = nodes.get(node);
    if (other !== undefined) {
      throw new StatementError('node-repeated', `${dir} and ${other} are both of controller ${node}`);
    }
    nodes.set(node, dir);
  }
  const totals = new Totals();
  const controllers: ControllerPart[] = [];
  // In the order of their names, whatever order they were given in: bounded lists are filled in this order.
  for (const [node, dir] of [...nodes].sort(([a], [b]) => (a < b ? -1 : 1))) {
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
  return statementOf(controllers, totals, scope, version);
};

const statementOf = (
  controllers: readonly ControllerPart[],
  totals: Totals,
  scope: Scope,
  version: string,
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
    notKept,
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
