import type { Emit, Party, Sdp } from '../call/ports.js';
import type { Ending } from '../core/ending.js';
import type { Key } from '../core/key.js';
import { allow } from './allow.js';
import { infoTypeOf, infoTypes, keyOfInfo, maxInfoBody } from './dtmf-info.js';
import { type Begun, LegSession } from './leg-session.js';
import { OwnOffer, type Timing } from './own-offer.js';
import { type Headers, refusalHeaders } from './refusal.js';
import { RequestRate } from './request-rate.js';
import type { SessionPolicy } from './session-timer.js';
import type { InDialogRequest, SipDialog, SipReply } from './sip-dialog.js';

/** How long a refresh may take to be answered (64*T1, RFC 3261 section 17). */
const refreshMs = 32_000;

/** The last session descriptions agreed with one party: what it sent, and what we sent it. */
export interface Agreed {
  readonly heard: Sdp;
  readonly told: Sdp;
}

/** Whoever joins the leg to another one. Each request must be answered. */
export interface PassOn {
  info(request: InDialogRequest): void;
  offer(request: InDialogRequest): void;
}

export interface LegDialogParts {
  readonly party: Party;
  readonly emit: Emit;
  /** The session timer of its trunk, where it has one. */
  readonly session?: SessionPolicy;
  /** Notes whom a request in the dialog names besides, before it is answered. */
  readonly note?: (request: InDialogRequest) => void;
  readonly timing: Timing;
}

/**
 * One leg's conduct within its dialog, from the moment it is confirmed: every request is answered here, alone or, once
 * the leg is joined to another, by way of the bridge. Also our own re-INVITEs.
 */
export class LegDialog {
  readonly party: Party;
  readonly #parts: LegDialogParts;
  readonly #rate = new RequestRate();
  readonly #own: OwnOffer;
  readonly #session: LegSession | null;
  #dialog: SipDialog | null = null;
  #agreed: Agreed = { heard: '', told: '' };
  #onKey: ((key: Key) => void) | null = null;
  #bridge: PassOn | null = null;

  constructor(parts: LegDialogParts) {
    this.party = parts.party;
    this.#parts = parts;
    this.#own = new OwnOffer(parts.party, parts.timing);
    this.#session =
      parts.session === undefined
        ? null
        : new LegSession(parts.session, parts.timing.secondMs, {
            busy: () => this.#own.busy,
            agreed: () => this.#agreed,
            ask: (method, body, headers) => this.#askWhenQuiet(method, body, headers),
            gone: () => void this.#dialog?.giveUp('session-expired'),
            refused: (why) => this.refused('session', 408, why),
          });
  }

  /** The dialog is confirmed, with these descriptions. Its requests are answered from now on. */
  open(dialog: SipDialog, agreed: Agreed, begun?: Begun): void {
    this.#dialog = dialog;
    this.#agreed = agreed;
    this.#own.open(dialog);
    if (this.#session !== null && begun !== undefined) this.#session.begin(dialog, begun);
    dialog.onRequest((request) => this.#take(request));
  }

  /** Our own request, once no INVITE of ours waits for its ACK. */
  async #askWhenQuiet(method: string, body: string, headers: Headers): Promise<SipReply | null> {
    if (method === 'INVITE') await this.#dialog?.acknowledged();
    return this.#own.ask(method, body, { ...headers }, refreshMs);
  }

  get isOpen(): boolean {
    return this.#dialog !== null;
  }

  get agreed(): Agreed {
    return this.#agreed;
  }

  agree(agreed: Agreed): void {
    this.#agreed = agreed;
  }

  /** An INVITE of ours is out in this dialog, or waits to go out. */
  get offering(): boolean {
    return this.#own.busy;
  }

  onKey(listener: ((key: Key) => void) | null): void {
    this.#onKey = listener;
  }

  passOn(bridge: PassOn): void {
    this.#bridge = bridge;
  }

  /** Our own re-INVITE; see `SpokenLeg.reinvite`. */
  async reinvite(offer: Sdp): Promise<Sdp> {
    const heard = await this.#own.make(offer);
    this.#agreed = { heard, told: offer };
    return heard;
  }

  /** Asks the party something; null where it did not answer in time or could not be asked. */
  async ask(
    method: string,
    body: string,
    headers: Record<string, string>,
    withinMs: number,
  ): Promise<SipReply | null> {
    try {
      return await this.#own.ask(method, body, headers, withinMs);
    } catch {
      return null;
    }
  }

  /** BYE for a party that answers no more; whoever listens for its end is told. Never rejects. */
  async giveUp(): Promise<void> {
    await this.#dialog?.giveUp();
  }

  /** A request that is refused, for the log. */
  refused(method: string, status: number, why: string): void {
    this.#parts.emit({ event: 'sip-refused', method, status, why });
  }

  /** The same description again is a session refresh: nothing changes, so it is answered here and nobody is asked. */
  repeats(request: InDialogRequest): boolean {
    if (request.body !== this.#agreed.heard) return false;
    request.respond(200, 'OK', { body: this.#agreed.told });
    return true;
  }

  #take(request: InDialogRequest): void {
    let reply: Reply;
    try {
      reply = this.#answer(request);
    } catch {
      this.#parts.emit({ event: 'fault', where: 'leg-dialog', code: request.method });
      reply = { status: 500, phrase: 'Server Internal Error' };
    }
    if (reply === 'elsewhere') return;
    const { status, phrase, headers, why } = reply;
    if (why !== undefined) this.refused(request.method, status, why);
    request.respond(status, phrase, headers === undefined ? {} : { headers });
  }

  #answer(request: InDialogRequest): Reply {
    const rate = this.#rate.take();
    if (rate !== 'within') {
      if (rate === 'over') this.refused(request.method, 500, 'too-many-requests');
      // Not 503: a proxy between us would take that for our whole house (RFC 3261 section 21.5.4).
      return { status: 500, phrase: 'Server Internal Error', headers: { 'Retry-After': '1' } };
    }
    switch (request.method) {
      case 'INVITE':
      case 'UPDATE':
        return this.#offer(request);
      case 'INFO':
        return this.#info(request);
      case 'OPTIONS':
        return ok;
      case 'REFER':
        // A transfer would put a party on the call nobody decided on (I7).
        this.#parts.note?.(request);
        return { status: 603, phrase: 'Decline', headers: transferRefused(), why: 'refer' };
      case 'SUBSCRIBE':
        return { status: 489, phrase: 'Bad Event' };
      default:
        return { status: 405, phrase: 'Method Not Allowed', headers: { Allow: allow }, why: 'method' };
    }
  }

  #offer(request: InDialogRequest): Reply {
    // RFC 3891 section 3: Replaces within a dialog is no call that could take another over.
    if (request.header('Replaces') !== undefined || request.header('Join') !== undefined) {
      return { status: 403, phrase: 'Forbidden', headers: transferRefused(), why: 'replaces' };
    }
    const refused = this.#session?.taken(request) ?? null;
    if (refused !== null) return refused;
    this.#parts.note?.(request);
    // Without a body it is a session refresh (RFC 4028 section 7.4) and ours to answer.
    if (request.method === 'UPDATE' && request.body === '') return ok;
    // RFC 3261 section 14.2 and RFC 3311 section 5.2: one offer at a time, and ours is out.
    if (this.#own.out) return { status: 491, phrase: 'Request Pending' };
    if (request.body === '') return notAcceptable({ code: 'offer-missing' }, 'late-offer');
    if (this.#bridge !== null) {
      this.#bridge.offer(request);
      return 'elsewhere';
    }
    if (this.repeats(request)) return 'elsewhere';
    // Nobody is there yet to be asked, and what the party was told stays true until somebody is.
    return notAcceptable({ code: 'offer-unusable', detail: 'not-joined' }, 'not-joined');
  }

  #info(request: InDialogRequest): Reply {
    if (request.body === '') return ok;
    const type = infoTypeOf(request.header('Content-Type'));
    if (type === null || request.body.length > maxInfoBody) {
      const headers = { Accept: infoTypes.join(', ') };
      return { status: 415, phrase: 'Unsupported Media Type', headers, why: 'content-type' };
    }
    const key = keyOfInfo(type, request.body);
    if (key === null) return { status: 400, phrase: 'Bad Request', why: 'no-key' };
    this.#bridge?.info(request);
    try {
      this.#onKey?.(key);
    } catch {
      this.#parts.emit({ event: 'fault', where: 'leg-dialog', code: 'key-listener' });
    }
    return this.#bridge === null ? ok : 'elsewhere';
  }
}

/** What we answer, or 'elsewhere' where somebody else does. `why` is for the log, and stands where we refuse. */
type Reply =
  | 'elsewhere'
  | { readonly status: number; readonly phrase: string; readonly headers?: Headers; readonly why?: string };

const ok: Reply = { status: 200, phrase: 'OK' };
const transferRefused = (): Headers => refusalHeaders({ code: 'transfer-refused' });
const notAcceptable = (ending: Ending, why: string): Reply => ({
  status: 488,
  phrase: 'Not Acceptable Here',
  headers: refusalHeaders(ending),
  why,
});
