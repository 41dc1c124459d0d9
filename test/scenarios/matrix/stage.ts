import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AppEvent } from '../../../src/call/events.js';
import { askController } from '../../../src/cli/control-client.js';
import type { Config } from '../../../src/config/schema.js';
import type { AnswerPolicy } from '../../../src/phones/answer-policy.js';
import { heardMs } from '../../../src/phones/goertzel.js';
import type { IncomingCall } from '../../../src/phones/incoming-call.js';
import type { CallOptions, OutgoingCall } from '../../../src/phones/outgoing-call.js';
import type { PhoneCall } from '../../../src/phones/phone-call.js';
import type { Row, Site } from '../../site/site.js';

/** An officer locks the facility down, or lifts that, over the control socket. */
export const orderLockdown = (site: Site, state: 'on' | 'off') =>
  askController(site.config.control.socket, {
    command: 'lockdown',
    place: { level: 'facility', facility: 'north' },
    state,
    by: 'officer',
    why: 'a test',
  });

/** Tones of the phones, as openSite gives them. */
export const callerHz = 440;
export const calledHz = 1000;

const many = { caller: 1000, number: 1000, phone: 1000 };
const limits = { concurrent: many, recent: many, coolDownSeconds: 0 };

/** Many calls of one phone at once: limits, and how slow a disk may be, are not what these tests are about. */
export const unlimited = (config: Config): Config => ({
  ...config,
  journal: { ...config.journal, deadlineMs: 2900 },
  policy: {
    ...config.policy,
    limits: { ...config.policy.limits, monitored: limits, private: limits, alone: limits },
  },
});

/** Follows every event in the very tick it happens in. */
export const follow = (site: Site, each: (event: AppEvent) => void): (() => Promise<void>) => {
  let at = site.events.length;
  let over = false;
  const following = site.until(
    'the test is over',
    () => {
      for (; at < site.events.length; at++) {
        const event = site.events[at];
        if (event !== undefined) each(event);
      }
      return over;
    },
    () => '',
    600_000,
  );
  return () => {
    over = true;
    return following;
  };
};

/** What lies in the journal's files this very moment, asked of the disk and not of the product. */
export const rowsNow = (site: Site): readonly Row[] => {
  const { directory } = site.config.journal;
  const lines = readdirSync(directory)
    .filter((name) => name.endsWith('.jsonl') || /^\d+/.test(name) || name.includes('journal'))
    .flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n'));
  return lines.flatMap((line): readonly Row[] => {
    if (!line.includes('"decision"')) return [];
    try {
      return [JSON.parse(line) as Row];
    } catch {
      // The line being written.
      return [];
    }
  });
};

/** The number an INVITE of the carrier's dials. */
const dialledIn = (uri: string): string => /^sip:(\+\d+)/.exec(uri)?.[1] ?? uri;

/** A site whose called phone does with each number what the number's own test wants. */
export class Stage {
  readonly site: Site;
  readonly #policies = new Map<string, AnswerPolicy | (() => AnswerPolicy)>();
  #placing: Promise<unknown> = Promise.resolve();

  constructor(site: Site) {
    this.site = site;
    site.called.answerWith(({ uri }) => {
      const policy = this.#policies.get(dialledIn(uri)) ?? { do: 'answer', ring: false };
      return typeof policy === 'function' ? policy() : policy;
    });
  }

  on(number: string, policy: AnswerPolicy | (() => AnswerPolicy)): void {
    this.#policies.set(number, policy);
  }

  /** Places a call; knows its id, for no two are placed in the same moment. */
  place(
    dialled: string,
    as: string,
    options: Partial<CallOptions> = {},
  ): Promise<{ readonly call: OutgoingCall; readonly callId: string }> {
    const placing = this.#placing.then(async () => {
      const before = this.site.callIds().length;
      const call = await this.site.call(dialled.slice(1), { as, ...options });
      await this.site.until('the call has arrived', () => this.site.callIds().length > before);
      return { call, callId: this.site.callIds()[before] ?? '' };
    });
    this.#placing = placing.catch(() => undefined);
    return placing;
  }

  /** The last call the carrier got for this number, once there is one. */
  async incoming(number: string, deadlineMs = 20_000): Promise<IncomingCall> {
    const find = (): IncomingCall | undefined => this.callOf(number);
    await this.site.until(
      `a call to ${number}`,
      () => find() !== undefined,
      () => '',
      deadlineMs,
    );
    return find() as IncomingCall;
  }

  callOf(number: string): IncomingCall | undefined {
    return this.site.called.incoming.findLast(({ invite }) => dialledIn(invite.uri) === number);
  }

  async up(callId: string): Promise<void> {
    await this.phase(callId, 'connected');
  }

  async phase(callId: string, phase: string, deadlineMs?: number): Promise<void> {
    await this.site.event(
      'call-phase',
      (event) => event.callId === callId && event.phase === phase,
      deadlineMs,
    );
  }

  async over(callId: string): Promise<void> {
    await this.site.event('call-ended', (event) => event.callId === callId);
  }
}

/** Settles when each has heard the other for so long, from now on. */
export const hearEachOther = async (
  call: PhoneCall,
  other: PhoneCall,
  forMs = 300,
  [calledTone, callerTone] = [calledHz, callerHz],
): Promise<void> => {
  await Promise.all([
    call.audio.untilHears(calledTone, { forMs }),
    other.audio.untilHears(callerTone, { forMs }),
  ]);
};

/** Whether the tone was ever heard, at all, in what a phone got. */
export const heard = (call: PhoneCall | undefined, hz: number): boolean =>
  call !== undefined && heardMs(call.audio.samples(), hz) > 0;

/** At most so many at a time, in order. */
export const inTurns = async <T, R>(
  limit: number,
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> => {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at] as T);
  };
  await Promise.all(Array.from({ length: limit }, worker));
  return results;
};
