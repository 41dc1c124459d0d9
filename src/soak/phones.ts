import type { AnswerPolicy, ReceivedInvite } from '../phones/answer-policy.js';
import type { IncomingCall } from '../phones/incoming-call.js';
import { createPhone, type Phone } from '../phones/sip-phone.js';
import { kindFacts } from './mix.js';
import { QuietSound } from './quiet-sound.js';
import type { CallPlan } from './schedule.js';

/** Passed from the caller's leg to the called party's: it tells which two halves belong together. */
export const callHeader = 'X-Soak-Call';

/** Addresses of the loopback network: those whose calls are listened to, and those whose calls are not. */
export const hosts = {
  sounding: { caller: '127.0.1.1', called: '127.0.2.1' },
  quiet: { caller: '127.0.1.2', called: '127.0.2.2' },
} as const;
export type Line = keyof typeof hosts;
export const lines = Object.keys(hosts) as Line[];

interface Pair {
  readonly caller: Phone;
  readonly called: Phone;
  readonly sounds: { readonly caller: QuietSound; readonly called: QuietSound } | null;
}

/** Both sides of every call: two phones that listen, and two that do not. */
export class Phones {
  readonly #pairs: Readonly<Record<Line, Pair>>;
  /** Calls that are under way, by their header. */
  readonly #plans = new Map<string, CallPlan>();
  readonly #incoming = new Map<string, IncomingCall[]>();
  readonly #over = new AbortController();

  private constructor(pairs: Record<Line, Pair>) {
    this.#pairs = pairs;
    for (const line of lines) {
      const { called } = pairs[line];
      called.answerWith((invite) => this.#policy(invite, pairs[line]));
      void this.#gather(called);
    }
  }

  static async open(): Promise<Phones> {
    const pair = async (line: Line): Promise<Pair> => {
      const quiet = line === 'quiet';
      const phone = (side: 'caller' | 'called') =>
        createPhone({
          name: `soak-${side}`,
          transport: 'udp',
          host: hosts[line][side],
          keepMessages: quiet ? 0 : 2000,
          lingerMs: 8000,
          audio: quiet ? 'sink' : 'per-call',
        });
      const [caller, called] = [await phone('caller'), await phone('called')];
      const sounds = quiet
        ? {
            caller: await QuietSound.open(hosts[line].caller),
            called: await QuietSound.open(hosts[line].called),
          }
        : null;
      return { caller, called, sounds };
    };
    return new Phones({ sounding: await pair('sounding'), quiet: await pair('quiet') });
  }

  at(line: Line): Pair {
    return this.#pairs[line];
  }

  expect(plan: CallPlan): void {
    this.#plans.set(plan.as, plan);
  }

  forget(plan: CallPlan): void {
    this.#plans.delete(plan.as);
    this.#incoming.delete(plan.as);
  }

  /** The called party's halves of a call, so far. */
  incoming(plan: CallPlan): readonly IncomingCall[] {
    return this.#incoming.get(plan.as) ?? [];
  }

  /** Dialogs that a phone holds for open. */
  get live(): number {
    return lines.reduce((sum, line) => {
      const { caller, called } = this.#pairs[line];
      return sum + caller.liveCalls + called.liveCalls;
    }, 0);
  }

  async close(): Promise<void> {
    this.#over.abort();
    for (const line of lines) {
      const { caller, called, sounds } = this.#pairs[line];
      await Promise.all([caller.close({ abrupt: true }), called.close({ abrupt: true })]);
      sounds?.caller.close();
      sounds?.called.close();
    }
  }

  async #gather(phone: Phone): Promise<void> {
    for (let nth = 1; !this.#over.signal.aborted; ) {
      // An hour without a call is no error here: it waits on.
      const call = await phone.incomingCall({ nth, deadlineMs: 3_600_000 }).catch(() => null);
      if (call === null) continue;
      nth += 1;
      const as = headerOf(call.invite);
      if (!this.#plans.has(as)) continue;
      this.#incoming.set(as, [...(this.#incoming.get(as) ?? []), call]);
    }
  }

  #policy(invite: ReceivedInvite, { sounds }: Pair): AnswerPolicy {
    const plan = this.#plans.get(headerOf(invite));
    // Nobody of ours dialled this, or has given up on it already.
    if (plan === undefined) return { do: 'reject', status: 480 };
    const { called } = kindFacts[plan.kind];
    const ring = { afterMs: Math.min(10, plan.answerMs) };
    const tone = plan.tones.called;
    switch (called) {
      case 'answers':
        if (sounds === null) return { do: 'answer', ring, afterMs: plan.answerMs, tone };
        return { do: 'answer', ring, afterMs: plan.answerMs, sdp: sounds.called.sdp() };
      case 'busy':
        return { do: 'reject', status: 486, ring, afterMs: plan.answerMs };
      case 'declines':
        return { do: 'reject', status: 603, ring, afterMs: plan.answerMs };
      case 'rings':
        return { do: 'ring', ring, tone };
      default: {
        const never: never = called;
        return never;
      }
    }
  }
}

const headerOf = (invite: ReceivedInvite): string =>
  invite.request.headers.get(callHeader.toLowerCase()) ?? '';
