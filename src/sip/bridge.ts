import {
  type Anchor,
  type Bridge,
  type CalledLeg,
  type CallerLeg,
  type Emit,
  MediaError,
  type Party,
  type Sdp,
} from '../call/ports.js';
import { SipCallerLeg } from './caller-leg.js';
import { SipCalledLeg } from './dialer.js';
import { refusalHeaders } from './refusal.js';
import type { InDialogRequest, SipDialog, SipReply } from './sip-dialog.js';

/** How long the other party may take to answer a re-INVITE (64*T1, RFC 3261 section 14.1). */
const reinviteMs = 32_000;

/** DTMF by INFO is the only body passed between the parties. */
const infoTypes = ['application/dtmf-relay', 'application/dtmf'];

/** Responses that end the dialog they come in (RFC 3261 section 12.2.1.2); 408 is also what no response is. */
const endsDialog = (status: number): boolean => status === 408 || status === 481;

const opposite = (party: Party): Party => (party === 'caller' ? 'called' : 'caller');

/** Joins two connected legs for requests inside their dialogs. */
export class SipBridge implements Bridge {
  readonly #emit: Emit;
  constructor(emit: Emit) {
    this.#emit = emit;
  }

  join(caller: CallerLeg, called: CalledLeg, anchor: Anchor): void {
    if (!(caller instanceof SipCallerLeg) || !(called instanceof SipCalledLeg) || caller.dialog === null) {
      throw new TypeError('the bridge joins connected SIP legs alone');
    }
    const joined = new Joined({ caller: caller.dialog, called: called.dialog }, anchor, this.#emit, {
      caller: { heard: caller.offer, told: caller.answer },
      called: { heard: called.answer, told: anchor.offerForCalled },
    });
    caller.dialog.onRequest((request) => joined.take('caller', request));
    called.dialog.onRequest((request) => joined.take('called', request));
  }
}

/** The last session descriptions agreed with one party: what it sent, and what we sent it. */
interface Agreed {
  heard: Sdp;
  told: Sdp;
}

class Joined {
  readonly #dialogs: Readonly<Record<Party, SipDialog>>;
  readonly #anchor: Anchor;
  readonly #emit: Emit;
  readonly #agreed: Record<Party, Agreed>;
  /** One offer/answer at a time in either direction (RFC 3261 section 14.1). */
  #offeringNow: Party | null = null;

  constructor(dialogs: Record<Party, SipDialog>, anchor: Anchor, emit: Emit, agreed: Record<Party, Agreed>) {
    this.#dialogs = dialogs;
    this.#anchor = anchor;
    this.#emit = emit;
    this.#agreed = agreed;
  }

  take(from: Party, request: InDialogRequest): void {
    this.#answer(from, request).catch(() => {
      request.respond(500, 'Server Internal Error');
      this.#emit({ event: 'fault', where: 'bridge', code: request.method });
    });
  }

  async #answer(from: Party, request: InDialogRequest): Promise<void> {
    switch (request.method) {
      case 'INVITE':
        return this.#reinvite(from, request);
      case 'UPDATE':
        // Without a body it is a session refresh (RFC 4028 section 7.4) and ours to answer.
        return request.body === '' ? request.respond(200, 'OK') : this.#reinvite(from, request);
      case 'INFO':
        return this.#info(from, request);
      case 'OPTIONS':
        return request.respond(200, 'OK');
      case 'REFER':
        // A transfer would put a party on the call nobody decided on (I7).
        this.#refused(request.method, 603, 'refer');
        return request.respond(603, 'Decline', { headers: refusalHeaders({ code: 'transfer-refused' }) });
      case 'SUBSCRIBE':
        return request.respond(489, 'Bad Event');
      default:
        this.#refused(request.method, 405, 'method');
        return request.respond(405, 'Method Not Allowed', {
          headers: { Allow: 'INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE' },
        });
    }
  }

  #refused(method: string, status: number, why: string): void {
    this.#emit({ event: 'sip-refused', method, status, why });
  }

  async #info(from: Party, request: InDialogRequest): Promise<void> {
    const type = request.header('Content-Type')?.split(';', 1)[0]?.trim().toLowerCase();
    if (request.body === '') return request.respond(200, 'OK');
    if (type === undefined || !infoTypes.includes(type) || request.body.length > 256) {
      this.#refused('INFO', 415, 'content-type');
      return request.respond(415, 'Unsupported Media Type', { headers: { Accept: infoTypes.join(', ') } });
    }
    const to = opposite(from);
    const reply = await this.#ask(to, 'INFO', request.body, { 'Content-Type': type });
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

  async #reinvite(from: Party, request: InDialogRequest): Promise<void> {
    // RFC 3311 section 5.2 and RFC 3261 section 14.2: glare is 491; a second offer on top of one's own is 500.
    if (this.#offeringNow === opposite(from)) return request.respond(491, 'Request Pending');
    if (this.#offeringNow === from) {
      return request.respond(500, 'Server Internal Error', { headers: { 'Retry-After': '1' } });
    }
    if (request.body === '') {
      this.#refused(request.method, 488, 'late-offer');
      return request.respond(488, 'Not Acceptable Here', {
        headers: refusalHeaders({ code: 'offer-missing' }),
      });
    }
    // The same description again is a session refresh: nothing changes, so nobody else is asked.
    if (request.body === this.#agreed[from].heard) {
      return request.respond(200, 'OK', { body: this.#agreed[from].told });
    }
    this.#offeringNow = from;
    try {
      await this.#renegotiate(from, request);
    } finally {
      this.#offeringNow = null;
    }
  }

  async #renegotiate(from: Party, request: InDialogRequest): Promise<void> {
    const to = opposite(from);
    const offer = await this.#media(request, () => this.#anchor.reoffer(from, request.body));
    if (offer === null) return;
    const reply = await this.#ask(to, 'INVITE', offer, {});
    if (reply === null || reply.status !== 200) {
      await this.#restore();
      return this.#notAccepted(to, request, reply?.status ?? 408);
    }
    const answer = await this.#media(request, () => this.#anchor.reanswer(to, reply.body));
    if (answer === null) return this.#takeBack(from);
    if (request.cancelled) return this.#takeBack(from);
    this.#agreed[from] = { heard: request.body, told: answer };
    this.#agreed[to] = { heard: reply.body, told: offer };
    request.respond(200, 'OK', { body: answer });
  }

  /**
   * The other party has accepted an offer that came to nothing after all: its answer was unusable, or the offerer
   * cancelled. It is offered once more what was agreed before, or it would stay on a hold nobody asked for.
   */
  async #takeBack(from: Party): Promise<void> {
    const to = opposite(from);
    try {
      const offer = await this.#anchor.reoffer(from, this.#agreed[from].heard);
      const reply = await this.#ask(to, 'INVITE', offer, {});
      if (reply?.status !== 200) return await this.#restore();
      await this.#anchor.reanswer(to, reply.body);
      this.#agreed[to] = { heard: reply.body, told: offer };
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
    await this.#dialogs[party].giveUp();
  }

  /** Does a media command; where it fails the request is refused, the media put back, and null returned. */
  async #media(request: InDialogRequest, command: () => Promise<Sdp>): Promise<Sdp | null> {
    try {
      return await command();
    } catch (error) {
      const detail = error instanceof MediaError ? error.detail : 'media';
      this.#refused(request.method, 488, error instanceof MediaError ? error.code : 'media');
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
    } catch {
      // A node that cannot be put back is found by its health check, which ends the call.
      this.#emit({ event: 'fault', where: 'bridge', code: 'restore-failed' });
    }
  }

  async #ask(
    party: Party,
    method: string,
    body: string,
    headers: Record<string, string>,
  ): Promise<SipReply | null> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), reinviteMs);
    });
    try {
      return await Promise.race([this.#dialogs[party].request(method, { body, headers }), late]);
    } catch {
      return null;
    } finally {
      clearTimeout(timer);
    }
  }
}
