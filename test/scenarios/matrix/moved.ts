import { existsSync, statSync } from 'node:fs';
import type { Test } from 'tap';
import type { AppEvent } from '../../../src/call/events.js';
import { heardMs } from '../../../src/phones/goertzel.js';
import type { PhoneCall } from '../../../src/phones/phone-call.js';
import { readWav } from '../../../src/phones/wav.js';
import type { Row, Site } from '../../site/site.js';
import { calledHz, callerHz } from './stage.js';

/** Tones the parties play from the moment their recording is said to have stopped: nobody may find them on a disk. */
export const callerAfterHz = 2000;
export const calledAfterHz = 1700;

interface Traced {
  readonly call: PhoneCall;
  readonly other: PhoneCall;
  readonly phases: string[];
  /** Size of the pcap when the recording had stopped, and its largest since. */
  atStop: number | null;
  since: number;
}

/** Watches calls that become private from the outside: what their files do, and when they were told what. */
export class Tracer {
  readonly #site: Site;
  readonly #traced = new Map<string, Traced>();

  constructor(site: Site) {
    this.#site = site;
  }

  trace(callId: string, call: PhoneCall, other: PhoneCall): void {
    this.#traced.set(callId, { call, other, phases: [], atStop: null, since: 0 });
  }

  phases(callId: string): readonly string[] {
    return this.#traced.get(callId)?.phases ?? [];
  }

  hasMoved(callId: string): boolean {
    const phases = this.phases(callId);
    return phases.includes('moving') && phases.at(-1) === 'connected';
  }

  sizes(callId: string): { readonly atStop: number | null; readonly since: number } {
    const { atStop = null, since = 0 } = this.#traced.get(callId) ?? {};
    return { atStop, since };
  }

  /** To be called with every event, in its own tick. */
  observe(event: AppEvent): void {
    if (event.event === 'call-phase') this.#phase(event.callId, event.phase);
    for (const [callId, traced] of this.#traced) {
      if (traced.atStop !== null) traced.since = Math.max(traced.since, this.#size(callId));
    }
  }

  #phase(callId: string, phase: string): void {
    const traced = this.#traced.get(callId);
    if (traced === undefined) return;
    traced.phases.push(phase);
    // The phase after the stop, or that of the last words: from now on nothing may be written.
    if ((phase !== 'journalling-move' && phase !== 'parting') || traced.atStop !== null) return;
    traced.atStop = this.#size(callId);
    traced.call.audio.play(callerAfterHz);
    traced.other.audio.play(calledAfterHz);
  }

  #size(callId: string): number {
    const pcaps = this.#site.watch.named(callId).filter((file) => file.endsWith('.pcap') && existsSync(file));
    return pcaps.reduce((sum, file) => {
      try {
        return sum + statSync(file).size;
      } catch {
        return sum;
      }
    }, 0);
  }
}

/** What was recorded until then is sealed, holds both parties, and not a moment of what they said after. */
export const checkSealed = (t: Test, site: Site, cdr: Row['body'], name: string): void => {
  t.equal(cdr.sealed?.state, 'recording-sealed', `${name}: sealed`);
  const file: string = cdr.sealed?.file ?? '';
  t.ok(file.startsWith(`${site.config.recording.directory}/sealed/`), `${name}: apart from the recordings`);
  if (!existsSync(file)) return;
  const [left = new Int16Array(), right = new Int16Array()] = readWav(site.opened(file)).channels;
  t.ok(heardMs(left, callerHz) >= 200, `${name}: the caller is in it`);
  t.ok(heardMs(right, calledHz) >= 200, `${name}: the called party is in it`);
  for (const channel of [left, right]) {
    t.equal(heardMs(channel, callerAfterHz), 0, `${name}: nothing the caller said after`);
    t.equal(heardMs(channel, calledAfterHz), 0, `${name}: nothing the called party said after`);
  }
  const ordinary = site.watch
    .named(cdr.callId)
    .filter((one) => one.startsWith(site.config.recording.directory) && !one.includes('/sealed/'));
  t.same(ordinary, [], `${name}: never among the recordings`);
};
