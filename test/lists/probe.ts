import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { CallId, Leg, TrunkId, WallMs } from '../../src/core/leg.js';
import { caller, facility, type Opened, question } from './fixtures.js';
import { verdict } from './forms.js';

/** What asks and counts while servers die, stand still and come back. */

type Test = { teardown(close: () => Promise<unknown>): void };

/** Asks one question again and again, and keeps every answer there was. */
export class Probe {
  seen = new Set<string>();
  last = '';
  #stopped = false;
  readonly #done: Promise<void>;

  constructor(t: Test, { lists }: Opened, text: string, where = 'north') {
    this.#done = (async () => {
      while (!this.#stopped) {
        this.last = verdict(await lists.lookUp(question(text, 'c1', where)));
        this.seen.add(this.last);
        await sleep(5);
      }
    })();
    t.teardown(() => this.stop());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }
}

export const onlyPrivate = ({ seen }: Probe): boolean => seen.size === 1 && seen.has('private');

/** Of an allowed number: it may be refused while nobody can say, and for no other reason. */
export const neverAbsent = ({ seen }: Probe): boolean =>
  [...seen].every((one) => one === 'allowed' || one.startsWith('unknown '));

/** A call for the counts; each is another one. */
export const leg = (): Leg => ({
  callId: `c${randomBytes(13).toString('hex')}` as CallId,
  origin: { trunk: 't1' as TrunkId, facility: facility('north'), unit: null, phone: null },
  caller: caller('c1'),
  dialled: { kind: 'emergency', code: '911' },
  claimsPrivate: false,
  receivedAt: 0 as WallMs,
});

/** A client that asks this server, whatever it is. */
export const direct = (server: { readonly host: string; readonly port: number }): Redis =>
  new Redis({ host: server.host, port: server.port, protocol: 2, lazyConnect: true });
