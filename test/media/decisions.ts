import { decide } from '../../src/core/decide.js';
import type { Monitored, Private } from '../../src/core/decision.js';
import { type CallId, type Leg, parseCallerId, parseFacilityId, parseTrunkId } from '../../src/core/leg.js';
import type { ListAnswers, PrivilegedEntry } from '../../src/core/lists.js';
import type { NumberKey } from '../../src/core/number.js';
import { noUsage } from '../../src/core/usage.js';
import { policy } from '../core/samples.js';

/** Decisions as decide() makes them, and nothing else can: one that records and one that never may. */

let made = 0;

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/** A fresh call id of the product's shape. */
export const newCallId = (): CallId => {
  let rest = '';
  let value = BigInt(
    `0x${(++made).toString(16)}${process.hrtime.bigint().toString(16)}${process.pid.toString(16)}`,
  );
  for (let i = 0; i < 26; i++) {
    rest += alphabet[Number(value & 31n)] ?? 'a';
    value >>= 5n;
  }
  return `c${rest}` as CallId;
};

const some = <T>(value: T | null): T => {
  if (value === null) throw new Error('not well formed');
  return value;
};

const key = { e164: '+12125550123', extension: null } as unknown as NumberKey;

export const legOf = (callId: CallId): Leg => ({
  callId,
  origin: {
    trunk: some(parseTrunkId('wall-phones')),
    facility: some(parseFacilityId('north')),
    unit: null,
    phone: null,
  },
  caller: some(parseCallerId('4711')),
  dialled: { kind: 'number', key, type: 'ordinary', region: 'US' },
  claimsPrivate: false,
  receivedAt: Date.now() as Leg['receivedAt'],
});

const decideWith = (callId: CallId, privileged: ListAnswers['privileged']) =>
  decide({
    leg: legOf(callId),
    trunkEnabled: true,
    answers: {
      epoch: { id: 7, digest: 'd'.repeat(64) } as unknown as NonNullable<ListAnswers['epoch']>,
      heartbeatAgeMs: 100,
      privileged,
      snapshot: { state: 'absent' },
      pending: { state: 'absent' },
      block: { state: 'absent' },
      allow: { state: 'listed', entries: [{ id: 'e1', scope: 'caller' } as never] },
    },
    circumstances: {
      lockdown: 'off',
      schedule: 'open',
      suspended: false,
      recording: 'armed',
      usage: noUsage,
      text: false,
    },
    policy: policy(),
    now: Date.now() as Leg['receivedAt'],
  });

export const monitoredDecision = (callId: CallId): Monitored => {
  const decision = decideWith(callId, { state: 'absent' });
  if (decision.verdict !== 'monitored') throw new Error('expected a monitored call');
  return decision;
};

export const privateDecision = (callId: CallId): Private => {
  const entry = {
    id: 'p1',
    class: 'attorney',
    match: 'number',
    scope: 'global',
    validFrom: null,
    validTo: null,
  } as unknown as PrivilegedEntry;
  const decision = decideWith(callId, { state: 'listed', entries: [entry] });
  if (decision.verdict !== 'private') throw new Error('expected a private call');
  return decision;
};
