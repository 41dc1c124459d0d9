import { endsDialog } from './own-offer.js';
import type { Headers } from './refusal.js';
import {
  agreedTerms,
  answerTimer,
  raised,
  type SessionPolicy,
  type SessionTerms,
  timerHeaders,
  timerWords,
} from './session-timer.js';
import { type Refreshed, SessionWatch } from './session-watch.js';
import type { InDialogRequest, SipDialog, SipReply } from './sip-dialog.js';

/** What was agreed when the dialog began. */
export interface Begun {
  readonly terms: SessionTerms;
  /** The far end's Allow, where it sent one. */
  readonly allow: string | undefined;
}

interface LegSessionParts {
  /** An INVITE of ours is under way or about to be. */
  readonly busy: () => boolean;
  readonly agreed: () => { readonly heard: string; readonly told: string };
  /** Null where no answer came, or the dialog ended. */
  readonly ask: (method: string, body: string, headers: Headers) => Promise<SipReply | null>;
  readonly gone: () => void;
  readonly refused: (why: string) => void;
}

const knows = (allow: string | undefined, method: string): boolean =>
  (allow ?? '').split(',').some((one) => one.trim().toUpperCase() === method);

/** A description but for its o= line, whose version counts what is told and not what is meant (RFC 4566 section 5.2). */
const substance = (sdp: string): string => sdp.replace(/(^|\n)o=[^\n]*/, '$1o=').trimEnd();

/** The session timer of one leg: what its requests say of it, and its own refreshes. */
export class LegSession {
  readonly #parts: LegSessionParts;
  readonly #watch: SessionWatch;
  #policy: SessionPolicy;
  #updates = false;
  #watching = false;

  constructor(policy: SessionPolicy, secondMs: number, parts: LegSessionParts) {
    this.#policy = policy;
    this.#parts = parts;
    this.#watch = new SessionWatch({
      secondMs,
      refresh: () => this.#refresh(),
      expired: () => {
        parts.refused('session-expired');
        parts.gone();
      },
    });
  }

  begin(dialog: SipDialog, { terms, allow }: Begun): void {
    this.#updates = knows(allow, 'UPDATE');
    this.#watching = true;
    dialog.onBye(() => this.stop());
    this.#watch.start(terms);
  }

  stop(): void {
    this.#watching = false;
    this.#watch.stop();
  }

  /** An INVITE or UPDATE of the party. Its 2xx, whoever sends it, refreshes the session; or why it gets none. */
  taken(request: InDialogRequest): {
    readonly status: number;
    readonly phrase: string;
    readonly headers?: Headers;
    readonly why: string;
  } | null {
    if (!this.#watching) return null;
    const allow = request.header('Allow');
    if (allow !== undefined) this.#updates = knows(allow, 'UPDATE');
    const words = timerWords((name) => request.header(name));
    if (words === null) return { status: 400, phrase: 'Bad Request', why: 'session-expires' };
    const answer = answerTimer(this.#policy, words);
    if (answer.state === 'too-short') {
      const { headers } = answer;
      return { status: 422, phrase: 'Session Interval Too Small', headers, why: 'session-interval' };
    }
    const { respond } = request;
    request.respond = (status, phrase, options) => {
      if (status < 200 || status >= 300) return respond(status, phrase, options);
      respond(status, phrase, { ...options, headers: { ...options?.headers, ...answer.headers } });
      if (this.#watching) this.#watch.start(answer.terms);
    };
    return null;
  }

  async #refresh(): Promise<Refreshed> {
    if (this.#parts.busy()) return { state: 'retry' };
    const headers = { Supported: 'timer', ...timerHeaders(this.#policy, 'uac') };
    const { heard, told } = this.#parts.agreed();
    const byUpdate = this.#updates;
    const reply = await this.#parts.ask(byUpdate ? 'UPDATE' : 'INVITE', byUpdate ? '' : told, headers);
    if (reply === null || endsDialog(reply.status)) return { state: 'gone' };
    const { status, body, header } = reply;
    if (status === 422) {
      this.#policy = raised(this.#policy, header) ?? this.#policy;
      return { state: 'retry' };
    }
    // Who says so has changed its mind, or a proxy between us has: an INVITE it must know.
    if (byUpdate && (status === 405 || status === 501)) this.#updates = false;
    if (status < 200 || status >= 300) return { state: 'retry' };
    if (!byUpdate && substance(body) !== substance(heard)) {
      // It moved its media behind our node's back: nobody agreed to that (I9), and nobody would hear it any more.
      this.#parts.refused('refresh-changed-media');
      return { state: 'gone' };
    }
    return { state: 'agreed', terms: agreedTerms(this.#policy, header) };
  }
}
