import { chmodSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  CanaryView,
  Control,
  ControlOutcome,
  FollowedEvent,
  NodeView,
  OrderView,
} from '../../src/api/control.js';
import type { CallView } from '../../src/call/controller.js';
import type { FacilityId } from '../../src/core/leg.js';

/** Ids as the controller makes them; the last two begin alike. */
export const ids = {
  monitored: 'cmonitor22222222222222222aa',
  private: 'cprivate22222222222222222aa',
  undecided: 'cundecid22222222222222222aa',
  twin: 'ctwinabc22222222222222222aa',
  otherTwin: 'ctwinabc33333333333333333aa',
} as const;

const call = (callId: string, verdict: string, phase = 'connected', elapsedMs = 12_300): CallView => ({
  callId,
  trunk: 'county-pbx',
  facility: 'county-jail',
  phase,
  verdict,
  elapsedMs,
});

export const standingOrders: readonly OrderView[] = [
  {
    kind: 'lockdown',
    place: { level: 'unit', facility: 'county-jail' as FacilityId, unit: '7B' },
    by: 'alice',
    why: 'fight in the yard',
    since: '2026-11-21T22:10:03.120Z',
  },
  {
    kind: 'suspension',
    caller: '4711',
    by: 'bob',
    why: 'threats',
    since: '2026-11-21T20:00:00.000Z',
  },
  { kind: 'pending', cause: 'caller-claim', count: 2, newest: ['…42', '…17'] },
  { kind: 'block', cause: 'called-party', count: 1, newest: ['…99'] },
];

/** A control that notes what it is told. `answer` says how orders end; a test may hold it back or make it throw. */
export class FakeControl implements Control {
  view: CallView[] = [
    call(ids.monitored, 'monitored'),
    call(ids.private, 'private', 'connected', 4000),
    call(ids.undecided, 'undecided', 'looking-up', 3),
    call(ids.twin, 'monitored'),
    call(ids.otherTwin, 'monitored'),
  ];
  standing: readonly OrderView[] = standingOrders;
  readonly told: unknown[][] = [];
  readonly followers = new Set<(event: FollowedEvent) => void>();
  answer: () => Promise<ControlOutcome> = async () => ({ ok: true, note: null });

  canaryView: CanaryView[] = [];
  canaries(): readonly CanaryView[] {
    return this.canaryView;
  }
  runCanaries(facility: FacilityId | null): Promise<ControlOutcome> {
    this.told.push(['canary-run', facility]);
    return this.answer();
  }
  clearCanary(facility: FacilityId, by: string, why: string): Promise<ControlOutcome> {
    this.told.push(['canary-clear', facility, by, why]);
    return this.answer();
  }

  nodeView: NodeView[] = [];
  nodes(): readonly NodeView[] {
    return this.nodeView;
  }
  drainNode(...order: Parameters<Control['drainNode']>): Promise<ControlOutcome> {
    return this.#order('drain', order);
  }

  calls(): readonly CallView[] {
    return this.view;
  }

  follow(listener: (event: FollowedEvent) => void): () => void {
    this.followers.add(listener);
    return () => void this.followers.delete(listener);
  }

  end(...order: [string, string, string, boolean]): Promise<ControlOutcome> {
    return this.#order('end', order);
  }
  listen(...order: [string, string, string, string]): Promise<ControlOutcome> {
    return this.#order('listen', order);
  }
  lockdown(...order: Parameters<Control['lockdown']>): Promise<ControlOutcome> {
    return this.#order('lockdown', order);
  }
  suspend(...order: Parameters<Control['suspend']>): Promise<ControlOutcome> {
    return this.#order('suspend', order);
  }
  review(...order: Parameters<Control['review']>): Promise<ControlOutcome> {
    return this.#order('review', order);
  }
  noteCallers(...order: Parameters<Control['noteCallers']>): Promise<ControlOutcome> {
    return this.#order('callers', order);
  }
  codeCall(...order: Parameters<Control['codeCall']>): Promise<ControlOutcome> {
    return this.#order('code-call', order);
  }
  orders(): readonly OrderView[] {
    return this.standing;
  }

  tell(event: FollowedEvent): void {
    for (const listener of [...this.followers]) listener(event);
  }

  #order(name: string, order: readonly unknown[]): Promise<ControlOutcome> {
    this.told.push([name, ...order]);
    return this.answer();
  }
}

export const phaseEvent = (phase: string, elapsedMs = 1000): FollowedEvent => ({
  kind: 'call',
  at: '2026-11-21T22:14:03.500Z',
  what: 'phase',
  call: call(ids.monitored, 'monitored', phase, elapsedMs),
  detail: null,
});

/** A directory of this test's own that no one else may write to, and the path of a socket in it. */
export const socketPath = (): string => {
  const dir = mkdtempSync(join(tmpdir(), 'control-'));
  mkdirSync(join(dir, 'var'));
  chmodSync(join(dir, 'var'), 0o755);
  return join(dir, 'var', 'control.sock');
};

/** Looks every 10 ms until `condition` holds. */
export const until = async (what: string, condition: () => boolean, deadlineMs = 10_000): Promise<void> => {
  const end = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};
