import type { AgentStats, SipTimers } from '../agent/agent.js';
import type { Config } from '../config/schema.js';
import type { Among } from '../main.js';
import type { AgentSaid, SipListener } from '../sip-agent.js';

/** What the parent and its parts say to each other, over the channel that Node opens between them. */

export type Role = 'agent' | 'controller';

export type Order =
  | {
      readonly do: 'be-agent';
      readonly config: Config;
      readonly app: { readonly port: number; readonly secret: string };
      readonly timers: Partial<SipTimers>;
      readonly version: string;
    }
  | { readonly do: 'be-controller'; readonly config: Config; readonly among: Among }
  /** A key's report, as it came from that address (base64). */
  | { readonly do: 'take-key'; readonly from: string; readonly report: string }
  /** What the agent told, for the controller that counts and journals it. */
  | { readonly do: 'hear'; readonly said: AgentSaid }
  /** What has the agent counted? */
  | { readonly do: 'count' }
  /** Are you there? */
  | { readonly do: 'answer' }
  /** The files of the certificate are new. */
  | { readonly do: 'reload-tls' }
  /** Take no more new calls, let those under way go on for so long, and end. */
  | { readonly do: 'stop'; readonly seconds: number };

export type Word =
  | { readonly is: 'waiting' }
  | { readonly is: 'agent'; readonly port: number; readonly sip: readonly SipListener[] }
  | { readonly is: 'controller'; readonly healthPort: number }
  | { readonly is: 'there' }
  | { readonly is: 'counts'; readonly stats: AgentStats }
  | { readonly is: 'telling'; readonly said: AgentSaid }
  | { readonly is: 'failed'; readonly code: string; readonly message: string };

const isSaid = (value: unknown, member: 'do' | 'is'): boolean =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as Record<string, unknown>)[member] === 'string';

export const isOrder = (value: unknown): value is Order => isSaid(value, 'do');
export const isWord = (value: unknown): value is Word => isSaid(value, 'is');
