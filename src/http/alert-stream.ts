import type { ServerResponse } from 'node:http';
import { covers, type Facilities } from '../registry/accounts/facilities.js';
import type { HotAlert, OwnedAlert } from '../registry/investigation/hot-alerts.js';
import { Problem } from './problems.js';

/** What webhooks know the alarm as. */
export const HOT_ALARM = 'hot-number-called';

/** What webhooks are told: which entry and which call. Neither number nor caller goes to another system. */
export const alertMessage = ({ hot, callId, at, facility }: HotAlert): string =>
  JSON.stringify({ alarm: HOT_ALARM, hot, callId, at, facility });

interface Watcher {
  readonly response: ServerResponse;
  readonly mayStill: () => Promise<boolean>;
  readonly within: Facilities;
}

const MAX_UNREAD = 64 * 1024;

/** Hot numbers that calls are connected with, to whoever watches (server-sent events `alert`). No number stands in it. */
export class AlertStream {
  readonly #bounds: { readonly watchers: number; readonly heartbeatMs: number };
  readonly #watchers = new Set<Watcher>();
  #heartbeat: NodeJS.Timeout | null = null;

  constructor(bounds: { readonly watchers: number; readonly heartbeatMs: number }) {
    this.#bounds = bounds;
  }

  /** Throws Problem `too-many-watchers`. Ask before the response is taken over. */
  admit(): void {
    if (this.#watchers.size >= this.#bounds.watchers) throw new Problem('too-many-watchers', null, 30);
  }

  watch(response: ServerResponse, mayStill: () => Promise<boolean>, within: Facilities): void {
    const watcher = { response, mayStill, within };
    this.#watchers.add(watcher);
    const gone = (): void => this.#gone(watcher);
    response.on('close', gone);
    response.on('error', gone);
    response.write('retry: 2000\n\n');
    this.#heartbeat ??= setInterval(() => void this.#beat(), this.#bounds.heartbeatMs);
  }

  /** To those who act for all that the hot number is of. */
  tell({ of, ...alert }: OwnedAlert): void {
    for (const watcher of [...this.#watchers].filter(({ within }) => covers(within, of)))
      this.#write(watcher, `event: alert\ndata: ${JSON.stringify(alert)}\n\n`);
  }

  #write(watcher: Watcher, text: string): void {
    if (watcher.response.writableLength <= MAX_UNREAD) {
      watcher.response.write(text);
      return;
    }
    watcher.response.destroy();
    this.#gone(watcher);
  }

  #gone(watcher: Watcher): void {
    this.#watchers.delete(watcher);
    if (this.#watchers.size > 0 || this.#heartbeat === null) return;
    clearInterval(this.#heartbeat);
    this.#heartbeat = null;
  }

  async #beat(): Promise<void> {
    for (const watcher of [...this.#watchers]) {
      const may = await watcher.mayStill().catch(() => false);
      if (!this.#watchers.has(watcher)) continue;
      if (may) this.#write(watcher, ': still here\n\n');
      else watcher.response.end();
    }
  }

  close(): void {
    for (const watcher of [...this.#watchers]) {
      watcher.response.end();
      this.#gone(watcher);
    }
  }
}
