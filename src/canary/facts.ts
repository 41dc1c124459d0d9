import type { Verdict } from '../core/decision.js';
import type { EndingCode } from '../core/ending.js';
import type { CallId } from '../core/leg.js';
import type { ReasonCode } from '../core/reason.js';

/** The three test calls of a facility, in the order they are made. */
export const canaryKinds = ['privileged', 'monitored', 'unlisted'] as const;
export type CanaryKind = (typeof canaryKinds)[number];

/** What was found on the disks of a call that may leave nothing there. */
export interface DiskFinding {
  readonly state: 'clean' | 'found' | 'unreadable';
  /** Names of files and descriptors that hold the call's id or its sound; or what could not be looked at. */
  readonly what: readonly string[];
  readonly files: number;
  readonly descriptors: number;
}

/** What was heard in the recording of a monitored call. */
export type RecordingFinding =
  | { readonly state: 'missing'; readonly code: string }
  | { readonly state: 'unreadable'; readonly code: string }
  | {
      readonly state: 'heard';
      readonly seconds: number;
      readonly channels: number;
      /** For how many ms each channel carries each party's tone. */
      readonly left: { readonly caller: number; readonly called: number };
      readonly right: { readonly caller: number; readonly called: number };
    };

/** All that a test call showed. Nothing in it was said by the part that is tested about itself but its events. */
export interface CanaryFacts {
  readonly callId: CallId | null;
  /** Why it could not even be sent: a code of the phones. */
  readonly unsent: string | null;
  /** Turned away before it was a call. */
  readonly rejected: EndingCode | null;
  readonly decided: { readonly verdict: Verdict; readonly reason: ReasonCode } | null;
  /** How often the called phone was rung. */
  readonly rung: number;
  readonly connected: boolean;
  readonly heard: { readonly byCaller: boolean; readonly byCalled: boolean };
  readonly ended: EndingCode | null;
  readonly disk: DiskFinding | null;
  readonly recording: RecordingFinding | null;
}

export const noFacts: CanaryFacts = {
  callId: null,
  unsent: null,
  rejected: null,
  decided: null,
  rung: 0,
  connected: false,
  heard: { byCaller: false, byCalled: false },
  ended: null,
  disk: null,
  recording: null,
};
