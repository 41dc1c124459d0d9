import type { Clock, Emit } from '../call/ports.js';
import type { CallId } from '../core/leg.js';
import type { NodeAttestation, Pool } from './attestation.js';
import type { SilenceLimits } from './silence.js';

export interface MediaNodeOptions {
  readonly name: string;
  readonly pool: Pool;
  readonly ng: { readonly host: string; readonly port: number };
  /** rtpengine's command line interface, for the attestation. */
  readonly cli?: { readonly host: string; readonly port: number };
  /** The node's process where it runs on this host. */
  readonly pid?: number;
  /** File that holds the pid, where a supervisor may restart the node. */
  readonly pidFile?: string;
  /** Recorded nodes only: the recording folder. */
  readonly spool?: string;
  /** The prompts' directory as this node sees it, absolute. Without it nothing can be said on this node. */
  readonly promptsRoot?: string;
  /** How many calls it takes against the others of its pool, 1 to 1000. Default 100. */
  readonly weight?: number;
  /** The address this node's key reports come from. Default: that of `ng`. */
  readonly keysFrom?: string;
  /** The one address that may appear in the SDP this node makes. */
  readonly mediaAddress: string;
}

export interface NodeTiming {
  /** The whole wait for one NG command. */
  readonly commandMs: number;
  readonly pingMs: number;
  readonly pingDeadlineMs: number;
  /** Pings in a row without a reply after which a node is down. */
  readonly lossThreshold: number;
  readonly attestMs: number;
  /** When calls nobody is heard in are given up. Default: `defaultSilence`. */
  readonly silence?: Partial<SilenceLimits>;
}

export const defaultTiming: NodeTiming = {
  commandMs: 1000,
  pingMs: 1000,
  pingDeadlineMs: 500,
  lossThreshold: 2,
  attestMs: 5000,
};

export interface NodeCircumstances {
  readonly emit: Emit;
  readonly clock: Clock;
  readonly timing: NodeTiming;
  readonly onAttestation: (attestation: NodeAttestation) => void;
  /** A call that ended while the node did not answer is deleted there at last: it does nothing for it any more. */
  readonly onReaped: (callId: CallId) => void;
}
