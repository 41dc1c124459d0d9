import {
  type Anchor,
  type Bridge,
  type CalledLeg,
  type CallerLeg,
  type Emit,
  type Joining,
  MediaError,
  type Party,
  type Sdp,
} from '../call/ports.js';
import { SipCalledLeg } from './called-leg.js';
import { SipCallerLeg } from './caller-leg.js';
import { infoTypes } from './dtmf-info.js';
import type { LegDialog } from './leg-dialog.js';
import { endsDialog } from './own-offer.js';
import { refusalHeaders } from './refusal.js';
import { type InDialogRequest, SipError } from './sip-dialog.js';

/** How long the other party may take to answer a re-INVITE (64*T1, RFC 3261 section 14.1). */
const reinviteMs = 32_000;

/** How long a pause waits for the exchange under way, in ms: longer than a telephone takes, shorter than a dead one. */
const pauseMs = 8000;

const opposite = (party: Party): Party => (party === 'caller' ? 'called' : 'caller');

/** Joins two connected legs for requests inside their dialogs. */
export class SipBridge implements Bridge {
  readonly #emit: Emit;
  readonly #pauseMs: number;
  constructor(emit: Emit, pause = pauseMs) {
    this.#emit = emit;
    this.#pauseMs = pause;
  }

  join(caller: CallerLeg, called: CalledLeg, anchor: Anchor): Joining {
    if (!(caller instanceof SipCallerLeg) || !(called instanceof SipCalledLeg) || !caller.inside.isOpen) {
      throw new TypeError('the bridge joins connected SIP legs alone');
    }
    return new Joined({ caller: caller.inside, called: called.inside }, anchor, this.#emit, this.#pauseMs);
  }
}

class Joined implements Joining {
  readonly #legs: Readonly<Record<Party, LegDialog>>;
  readonly #emit: Emit;
  readonly #pauseMs: number;
  #anchor: Anchor;
  /** One offer/answer at a time in either direction (RFC 3261 section 14.1). */
  #offeringNow: Party | null = null;
  #paused = false;
  /** Told when the exchange under way is over. */
  readonly #over: (() => void)[] = [];

  constructor(legs: Readonly<Record<Party, LegDialog>>, anchor: Anchor, emit: Emit, pause: number) {
    this.#legs = legs;
    this.#anchor = anchor;
    this.#emit = emit;
    this.#pauseMs = pause;
    for (const from of ['caller', 'called'] as const) {
      legs[from].passOn({
        info: (request) => this.#carry(request, () => this.#info(from, request)),
        offer: (request) => this.#carry(request, () => this.#offer(from, request)),
      });
    }
  }

  async pause(): Promise<void> {
    this.#paused = true;
    if (this.#offeringNow === null) return;
    const over = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), this.#pauseMs);
      this.#over.push(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
    if (over) return;
    this.#paused = false;
    throw new SipError('exchange-under-way', 491);
  }

  move(anchor: Anchor): void {
    // An exchange begun on one node and ended on the other would send each party's media to nobody.
    if (!this.#paused || this.#offeringNow !== null) throw new SipError('not-paused');
    this.#anchor = anchor;
  }

  resume(): void {
    this.#paused = false;
  }

  heard(): { readonly caller: Sdp; readonly called: Sdp } {
    return { caller: this.#legs.caller.agreed.heard, called: this.#legs.called.agreed.heard };
  }

  #carry(request: InDialogRequest, work: () => Promise<void>): void {
    work().catch(() => {
      request.respond(500, 'Server Internal Error');
      this.#emit({ event: 'fault', where: 'bridge', code: request.method });
    });
  }

  async #info(from: Party, request: InDialogRequest): Promise<void> {
    const to = opposite(from);
    const type = request.header('Content-Type')?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
    const headers = { 'Content-Type': type };
    const reply = await this.#legs[to].ask('INFO', request.body, headers, reinviteMs);
    const status = reply?.status ?? 408;
    if (status >= 200 && status < 300) return request.respond(200, 'OK');
    // The other party's own words are not passed on: they may mean something else in this dialog (RFC 3261 section
    // 12.2.1.2), or nothing to the library, which sends no status it does not know.
    if (status === 415 || status === 469) {
      request.respond(415, 'Unsupported Media Type', { headers: { Accept: infoTypes.join(', ') } });
    } else {
      request.respond(480, 'Temporarily Unavailable');
    }
    if (endsDialog(status)) await this.#drop(to);
  }

  async #offer(from: Party, request: InDialogRequest): Promise<void> {
    const to = opposite(from);
    if (this.#paused) return request.respond(491, 'Request Pending');
    // RFC 3311 section 5.2 and RFC 3261 section 14.2: glare is 491; a second offer on top of one's own is 500.
    if (this.#offeringNow === to || this.#legs[to].offering) return request.respond(491, 'Request Pending');
    if (this.#offeringNow === from) {
      return request.respond(500, 'Server Internal Error', { headers: { 'Retry-After': '1' } });
    }
    if (this.#legs[from].repeats(request)) return;
    this.#offeringNow = from;
    try {
      await this.#renegotiate(from, request);
    } finally {
      this.#offeringNow = null;
      for (const over of this.#over.splice(0)) over();
    }
  }

  async #renegotiate(from: Party, request: InDialogRequest): Promise<void> {
    const to = opposite(from);
    const offer = await this.#media(request, () => this.#anchor.reoffer(from, request.body));
    if (offer === null) return;
    const reply = await this.#legs[to].ask('INVITE', offer, {}, reinviteMs);
    if (reply === null || reply.status !== 200) {
      await this.#restore();
      return this.#notAccepted(to, request, reply?.status ?? 408);
    }
    const answer = await this.#media(request, () => this.#anchor.reanswer(to, reply.body));
    if (answer === null) return this.#takeBack(from);
    if (request.cancelled) return this.#takeBack(from);
    this.#legs[from].agree({ heard: request.body, told: answer });
    this.#legs[to].agree({ heard: reply.body, told: offer });
    request.respond(200, 'OK', { body: answer });
  }

  /**
   * The other party has accepted an offer that came to nothing after all: its answer was unusable, or the offerer
   * cancelled. It is offered once more what was agreed before, or it would stay on a hold nobody asked for.
   */
  async #takeBack(from: Party): Promise<void> {
    const to = opposite(from);
    try {
      const offer = await this.#anchor.reoffer(from, this.#legs[from].agreed.heard);
      const reply = await this.#legs[to].ask('INVITE', offer, {}, reinviteMs);
      if (reply?.status !== 200) return await this.#restore();
      await this.#anchor.reanswer(to, reply.body);
      this.#legs[to].agree({ heard: reply.body, told: offer });
    } catch {
      // The node has put itself back to what was agreed; what the other party makes of it is its own affair.
      this.#emit({ event: 'sip-refused', method: 'INVITE', status: 488, why: 'take-back' });
    }
  }

  /** The other party did not accept the offer. Glare is passed on, for it goes away; all else is one refusal. */
  async #notAccepted(to: Party, request: InDialogRequest, status: number): Promise<void> {
    if (status === 491) return request.respond(491, 'Request Pending');
    request.respond(488, 'Not Acceptable Here', {
      headers: refusalHeaders({ code: 'called-media-unusable', detail: `sip-${status}` }),
    });
    if (endsDialog(status)) await this.#drop(to);
  }

  /** A party that knows its dialog no more, or does not answer in it, is gone: the call ends as if it had hung up. */
  async #drop(party: Party): Promise<void> {
    this.#emit({ event: 'sip-refused', method: 'BYE', status: 481, why: 'dialog-gone' });
    await this.#legs[party].giveUp();
  }

  /** Does a media command; where it fails the request is refused, the media put back, and null returned. */
  async #media(request: InDialogRequest, command: () => Promise<Sdp>): Promise<Sdp | null> {
    try {
      return await command();
    } catch (error) {
      const detail = error instanceof MediaError ? error.detail : 'media';
      this.#legs.caller.refused(request.method, 488, error instanceof MediaError ? error.code : 'media');
      await this.#restore();
      request.respond(488, 'Not Acceptable Here', {
        headers: refusalHeaders({ code: 'offer-unusable', detail }),
      });
      return null;
    }
  }

  /** Takes the node back to what both parties last agreed on. */
  async #restore(): Promise<void> {
    try {
      await this.#anchor.restore();
    } catch (error) {
      // The call has ended meanwhile, and its media with it: there is nothing to put back.
      if (error instanceof MediaError && error.detail === 'released') return;
      // A node that cannot be put back is found by its health check, which ends the call.
      this.#emit({ event: 'fault', where: 'bridge', code: 'restore-failed' });
    }
  }
}
