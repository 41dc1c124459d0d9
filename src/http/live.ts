import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { FollowedEvent } from '../api/control.js';
import type { CallView } from '../call/controller.js';
import { type Facilities, holds } from '../registry/accounts/facilities.js';
import type { ControllerPort } from './ports.js';
import { Problem } from './problems.js';

export interface LiveBounds {
  readonly watchers: number;
  readonly heartbeatMs: number;
}

interface Watcher {
  readonly response: ServerResponse;
  /** Whether who watches may still; asked with each heartbeat. */
  readonly mayStill: () => Promise<boolean>;
  /** Calls of other facilities are not told. */
  readonly within: Facilities;
}

interface Kept {
  readonly number: number;
  /** As somebody with these facilities gets it; null: not at all. */
  readonly text: (within: Facilities) => string | null;
}

const KEPT = 1024;
/** What a watcher may leave unread before it is let go: it can come back and resume. */
const MAX_UNREAD = 256 * 1024;
const AGAIN_MS = 1_000;

const frame = (event: string, id: string, data: object): string =>
  `event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`;

const callsIn = (calls: readonly CallView[], within: Facilities): readonly CallView[] =>
  calls.filter(({ facility }) => holds(within, facility));

/**
 * The calls under way, to whoever watches (server-sent events). One connection to the controller serves all of them,
 * and is there only while somebody watches. Events have rising numbers under a mark of this process: who was away for a
 * moment gets what it missed, and who was away for too long, or from before a restart, gets all calls anew.
 */
export class LiveCalls {
  readonly #controller: ControllerPort;
  readonly #bounds: LiveBounds;
  readonly #mark = randomBytes(6).toString('hex');
  readonly #watchers = new Set<Watcher>();
  readonly #kept: Kept[] = [];
  readonly #calls = new Map<string, CallView>();
  #number = 0;
  #connected = false;
  #following: { readonly stop: AbortController; readonly ended: Promise<void> } | null = null;
  #heartbeat: NodeJS.Timeout | null = null;

  constructor(controller: ControllerPort, bounds: LiveBounds) {
    this.#controller = controller;
    this.#bounds = bounds;
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  /** Throws Problem `too-many-watchers`. Ask before the response is taken over. */
  admit(): void {
    if (this.#watchers.size >= this.#bounds.watchers) throw new Problem('too-many-watchers', null, 30);
  }

  /** Writes to the response until it closes. `lastId`: what the watcher saw last. */
  watch(
    response: ServerResponse,
    lastId: string | null,
    mayStill: () => Promise<boolean>,
    within: Facilities,
  ): void {
    const watcher: Watcher = { response, mayStill, within };
    this.#watchers.add(watcher);
    response.on('close', () => this.#gone(watcher));
    response.on('error', () => this.#gone(watcher));
    const missed = this.#missed(lastId);
    response.write('retry: 2000\n\n');
    if (missed === null) response.write(this.#snapshot(within));
    else for (const { text } of missed) response.write(text(within) ?? '');
    this.#start();
  }

  #snapshot(within: Facilities): string {
    const data = { connected: this.#connected, calls: callsIn([...this.#calls.values()], within) };
    return frame('calls', `${this.#mark}-${this.#number}`, data);
  }

  #missed(lastId: string | null): readonly Kept[] | null {
    const match = /^([0-9a-f]{12})-(\d{1,15})$/.exec(lastId ?? '');
    if (match === null || match[1] !== this.#mark) return null;
    const seen = Number(match[2]);
    const first = this.#kept[0]?.number ?? this.#number + 1;
    if (seen > this.#number || seen + 1 < first) return null;
    return this.#kept.filter(({ number }) => number > seen);
  }

  #tell(event: string, of: (within: Facilities) => object | null): void {
    this.#number += 1;
    const id = `${this.#mark}-${this.#number}`;
    const text = (within: Facilities): string | null => {
      const data = of(within);
      return data === null ? null : frame(event, id, data);
    };
    this.#kept.push({ number: this.#number, text });
    if (this.#kept.length > KEPT) this.#kept.shift();
    for (const watcher of [...this.#watchers]) {
      const told = text(watcher.within);
      if (told !== null) this.#write(watcher, told);
    }
  }

  #write(watcher: Watcher, text: string): void {
    if (watcher.response.writableLength > MAX_UNREAD) {
      watcher.response.destroy();
      this.#gone(watcher);
    } else watcher.response.write(text);
  }

  #gone(watcher: Watcher): void {
    if (!this.#watchers.delete(watcher) || this.#watchers.size > 0) return;
    void this.#stop();
  }

  #start(): void {
    this.#heartbeat ??= setInterval(() => void this.#beat(), this.#bounds.heartbeatMs);
    if (this.#following !== null) return;
    const stop = new AbortController();
    this.#following = { stop, ended: this.#follow(stop.signal) };
  }

  async #follow(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await this.#controller
        .follow(
          {
            calls: (calls) => {
              this.#calls.clear();
              for (const call of calls) this.#calls.set(call.callId, call);
              this.#connected = true;
              this.#tell('calls', (within) => ({ connected: true, calls: callsIn(calls, within) }));
            },
            event: (event) => this.#happened(event),
          },
          stop,
        )
        // That it is gone is told below; what it said when it went is for its own log.
        .catch(() => undefined);
      if (stop.aborted) return;
      if (this.#connected) {
        this.#connected = false;
        this.#calls.clear();
        this.#tell('calls', () => ({ connected: false, calls: [] }));
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, AGAIN_MS);
        stop.addEventListener('abort', () => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  #happened(event: FollowedEvent): void {
    if (event.kind === 'alarm') {
      const { at, callId, alarm, text } = event;
      // An alarm of no call is of the whole system.
      const facility = (callId === null ? null : this.#calls.get(callId)?.facility) ?? null;
      this.#tell('alarm', (within) => (holds(within, facility) ? { at, callId, alarm, text } : null));
      return;
    }
    const { at, what, call, detail } = event;
    if (what === 'ended') this.#calls.delete(call.callId);
    else this.#calls.set(call.callId, call);
    this.#tell('call', (within) => (holds(within, call.facility) ? { at, what, call, detail } : null));
  }

  async #beat(): Promise<void> {
    for (const watcher of [...this.#watchers]) {
      const may = await watcher.mayStill().catch(() => false);
      if (!this.#watchers.has(watcher)) continue;
      if (may) this.#write(watcher, ': still here\n\n');
      else watcher.response.end();
    }
  }

  async #stop(): Promise<void> {
    if (this.#heartbeat !== null) clearInterval(this.#heartbeat);
    this.#heartbeat = null;
    const following = this.#following;
    this.#following = null;
    this.#connected = false;
    following?.stop.abort();
    await following?.ended;
  }

  async close(): Promise<void> {
    for (const { response } of this.#watchers) response.end();
    this.#watchers.clear();
    await this.#stop();
  }
}
