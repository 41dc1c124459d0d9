import type { CallView } from '../call/controller.js';
import type { AlarmCode } from '../call/events.js';
import type { Locked as LockedPlace } from '../call/talk.js';
import type { CallerId, FacilityId } from '../core/leg.js';

export type { LockedPlace };

/**
 * What a running controller lets its operators do, and nothing more: there is no command that makes a call
 * recorded, none that lifts a number's protection, and none that hears a private call. Whoever implements this
 * journals every order with who gave it and why, before it takes effect.
 */
export interface Control {
  /** The calls under way. */
  calls(): readonly CallView[];
  /** Every change of a call as it happens; returns what ends it. The listener never throws. */
  follow(listener: (event: FollowedEvent) => void): () => void;
  /** Ends one call; with `block`, the number it went to is blocked as well. */
  end(callId: string, by: string, why: string, block: boolean): Promise<ControlOutcome>;
  /** Rings a supervisor's phone (a SIP URI) and lets it hear one monitored call. Resolves once it was answered. */
  listen(callId: string, to: string, by: string, why: string): Promise<ControlOutcome>;
  lockdown(place: LockedPlace, state: OnOff, by: string, why: string): Promise<ControlOutcome>;
  /** What stands now. Numbers in it are masked. */
  orders(): readonly OrderView[];
  suspend(caller: string, state: OnOff, by: string, why: string): Promise<ControlOutcome>;
  /** Takes a pending claim or a called party's block of a number back. `numberText` is as a person wrote it. */
  review(numberText: string, verdict: 'clear', by: string, why: string): Promise<ControlOutcome>;
  /** Only journals that callers are about to be changed; who asked makes the change once this is done. */
  noteCallers(change: CallersChange, by: string, why: string | null): Promise<ControlOutcome>;
  /** The media nodes and how they do. */
  nodes(): readonly NodeView[];
  /** `on`: the node takes no new calls, and those it has go on to their ends. */
  drainNode(node: string, state: OnOff, by: string, why: string): Promise<ControlOutcome>;
  /** What test calls have shown, by facility. */
  canaries(): readonly CanaryView[];
  /** Begins the test calls of a facility, or of all (null), and resolves at once. */
  runCanaries(facility: FacilityId | null): Promise<ControlOutcome>;
  /** Arms recording although no test calls have passed since they failed. */
  clearCanary(facility: FacilityId, by: string, why: string): Promise<ControlOutcome>;
  /** Calls a number and tells whoever answers a code (docs/counsel.md). Resolves once the call is on its way. */
  codeCall(call: CodeCallAsked, by: string): Promise<ControlOutcome & { readonly callId?: string | null }>;
}

/** A code to be told. Neither it nor the number may come into any row, log or message. */
export interface CodeCallAsked {
  /** In its canonical writing: E.164, and an extension where there is one. */
  readonly number: string;
  readonly code: string;
  readonly language: 'en' | 'es';
}

type Later<Value> = Value | Promise<Value>;

/** The same where the calls are other processes': also a look takes a while. Every `Control` is one. */
export interface FarControl extends Omit<Control, 'calls' | 'orders' | 'nodes' | 'canaries'> {
  calls(): Later<readonly CallView[]>;
  orders(): Later<readonly OrderView[]>;
  nodes(): Later<readonly NodeView[]>;
  canaries(): Later<readonly CanaryView[]>;
}

/** A media node, as operators see it. */
export interface NodeView {
  readonly name: string;
  readonly pool: 'private' | 'recorded';
  readonly up: boolean;
  readonly attested: boolean;
  readonly drained: boolean;
  readonly weight: number;
  readonly calls: number;
}

/** What is known of a facility's test calls: no number, no caller. Times are RFC 3339, UTC. */
export interface CanaryView {
  readonly facility: string;
  readonly recording: 'armed' | 'disarmed';
  readonly why: string | null;
  readonly since: string;
  readonly passedAt: string | null;
  readonly nextAt: string | null;
  readonly running: boolean;
  /** Sets made since this controller's start. */
  readonly sets: number;
  readonly last: readonly {
    readonly kind: string;
    readonly outcome: 'passed' | 'failed' | 'unknown';
    readonly code: string;
    readonly callId: string | null;
    readonly ms: number;
    readonly at: string;
  }[];
}

/** A change of callers or their PINs, as far as it may be told: no number, no PIN. */
export interface CallersChange {
  readonly change: 'publish' | 'unlock' | 'set-pin';
  readonly facility: FacilityId;
  /** Whom it is about; null where it is about all of a facility. */
  readonly caller: CallerId | null;
  /** How many there are then; null where that is not what changes. */
  readonly callers: number | null;
}

export type OnOff = 'on' | 'off';

export type ControlOutcome =
  /** `note`: a sentence on what came of it ("3 calls are being ended", "it was on already"), or null. */
  | { readonly ok: true; readonly note: string | null }
  /** `code` is kebab-case and stable; `message` is for the operator, and holds no number and no PIN. */
  | { readonly ok: false; readonly code: string; readonly message: string };

/** Something that happened to a call, or an alarm. No number and no caller in it. */
export type FollowedEvent =
  | {
      readonly kind: 'call';
      /** RFC 3339, UTC. */
      readonly at: string;
      readonly what: 'arrived' | 'phase' | 'decided' | 'ended';
      readonly call: CallView;
      /** Why it was decided so, or how it ended: a code. Null for the others. */
      readonly detail: string | null;
    }
  | {
      readonly kind: 'alarm';
      readonly at: string;
      readonly callId: string | null;
      readonly alarm: AlarmCode;
      readonly text: string;
      readonly detail: string;
    };

/** Who gave an order, why, and since when it stands (RFC 3339, UTC). */
export interface Given {
  readonly by: string;
  readonly why: string;
  readonly since: string;
}

/** One thing that stands until somebody takes it back. */
export type OrderView =
  | ({ readonly kind: 'lockdown'; readonly place: LockedPlace } & Given)
  | ({ readonly kind: 'suspension'; readonly caller: string } & Given)
  /** Numbers held for review or blocked, counted by what caused it. */
  | {
      readonly kind: 'pending' | 'block';
      readonly cause: string;
      readonly count: number;
      /** The newest few, masked as `maskedNumber` does it. */
      readonly newest: readonly string[];
    };

/** A number of which only the last two digits are left: enough to recognise one's own, too little to dial it. */
export const maskedNumber = (text: string): string => {
  const digits = text.replace(/\D/g, '');
  return digits.length < 7 ? '…' : `…${digits.slice(-2)}`;
};
