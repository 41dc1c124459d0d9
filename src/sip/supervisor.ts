import type { Emit, Sdp } from '../call/ports.js';
import type { Drachtio } from './drachtio.js';
import { LegDialog } from './leg-dialog.js';
import type { Timing } from './own-offer.js';
import { type Headers, reasonHeader } from './refusal.js';
import { type Accepted, type OutgoingInvite, type SipDialog, SipError } from './sip-dialog.js';
import { type CarrierTrunk, hostportOf, proxyOf } from './trunk.js';

export interface SupervisorOptions {
  /** The SIP URIs that may be rung, in full: 'sip:desk@192.0.2.5:5060'. */
  readonly allowed: readonly string[];
  /** A trunk of supervisors' phones: whoever has a URI at its very address and port may be rung, through it. */
  readonly trunk: CarrierTrunk | null;
  /** How long a phone rings before it is given up, in ms. */
  readonly ringMs?: number;
}

interface SupervisorParts {
  readonly drachtio: Drachtio;
  readonly emit: Emit;
  readonly timing: Timing;
}

/** A supervisor's phone, ringing or listening. It is joined to nothing: what it hears, the media node sends it. */
export interface SupervisorCall {
  /**
   * Resolves with the phone's description when it answers. Rejects with SipError: 'sip-status' with its refusal,
   * 'supervisor-no-answer' after the time it may ring, 'cancelled' after `hangUp`.
   */
  answer(): Promise<Sdp>;
  /** Ends it at any moment, an answer that crosses this included. Idempotent, never rejects. */
  hangUp(): Promise<void>;
  /** Calls back once when a phone that had answered is gone. */
  onGone(gone: () => void): void;
}

const defaultRingMs = 30_000;

// RFC 3261 section 25.1 less escapes, passwords, headers and every parameter but the transport: one meaning alone.
const uriShape =
  /^sip:([A-Za-z0-9_.!~*'()+-]{1,64})@((?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?)(?:;transport=(udp|tcp))?$/i;

/** Headers that may be given along: what a phone shows or rings with, and nothing that steers the call. */
const headerShape = /^(?:Subject|Alert-Info|X-[A-Za-z0-9-]{1,48})$/i;

/** Rings supervisors' phones and no others. */
export class SupervisorDialer {
  readonly #parts: SupervisorParts;
  readonly #trunk: CarrierTrunk | null;
  readonly #allowed: ReadonlySet<string>;
  readonly #ringMs: number;

  constructor(parts: SupervisorParts, options: SupervisorOptions) {
    this.#parts = parts;
    this.#trunk = options.trunk;
    this.#ringMs = options.ringMs ?? defaultRingMs;
    this.#allowed = new Set(options.allowed.map((uri) => readUri(uri).name));
  }

  /** Rings a phone with this offer. Throws SipError 'supervisor-not-allowed' or 'header-not-allowed'. */
  dial(uri: string, offer: Sdp, headers: Headers = {}): SupervisorCall {
    const { name, hostport, transport } = readUri(uri);
    const trunk = this.#trunk;
    const onTrunk = trunk !== null && hostport === hostportOf(trunk).toLowerCase();
    if (!onTrunk && !this.#allowed.has(name)) throw new SipError('supervisor-not-allowed', 403);
    for (const [header, value] of Object.entries(headers)) {
      if (!headerShape.test(header) || !/^[\x20-\x7e]{0,256}$/.test(value))
        throw new SipError('header-not-allowed');
    }
    const invite = this.#parts.drachtio.invite(
      uri,
      {
        proxy: onTrunk ? proxyOf(trunk) : `sip:${hostport};transport=${transport}`,
        sdp: offer,
        headers: { From: '<sip:sallyport@localhost>', ...headers },
      },
      () => undefined,
    );
    return new RungPhone(this.#parts, invite, offer, this.#ringMs);
  }
}

/** Takes a supervisor's URI apart. Throws SipError where it has any part that could mean something else. */
const readUri = (uri: string) => {
  const [, user, host = '', transport = 'udp'] = uriShape.exec(uri) ?? [];
  if (user === undefined) throw new SipError('supervisor-not-allowed', 403);
  const hostport = host.toLowerCase();
  // The user part is compared as it stands, the rest is not (RFC 3261 section 19.1.4).
  return { name: `${user}@${hostport} ${transport.toLowerCase()}`, hostport, transport };
};

class RungPhone implements SupervisorCall {
  readonly #invite: OutgoingInvite;
  readonly #answer: Promise<Sdp>;
  #dialog: SipDialog | null = null;
  #over: SipError | null = null;
  #giveUp: (error: SipError) => void = () => undefined;

  constructor({ emit, timing }: SupervisorParts, invite: OutgoingInvite, offer: Sdp, ringMs: number) {
    this.#invite = invite;
    const inside = new LegDialog({ party: 'called', emit, timing });
    const taken = invite.outcome.then((accepted) => this.#taken(accepted, inside, offer));
    const given = new Promise<never>((_resolve, reject) => {
      this.#giveUp = reject;
    });
    const timer = setTimeout(() => this.#end(new SipError('supervisor-no-answer')), ringMs);
    this.#answer = Promise.race([taken, given]).finally(() => clearTimeout(timer));
    // Whoever hangs up before it asks for the answer need not hear that there is none.
    this.#answer.catch(() => undefined);
  }

  answer(): Promise<Sdp> {
    return this.#answer;
  }

  async hangUp(): Promise<void> {
    this.#end(new SipError('cancelled', 487));
    await this.#dialog?.bye({ Reason: reasonHeader({ code: 'caller-hung-up' }) });
  }

  onGone(gone: () => void): void {
    this.#answer.then(
      () => this.#dialog?.onBye(() => gone()),
      () => undefined,
    );
  }

  #taken({ dialog, answer }: Accepted, inside: LegDialog, offer: Sdp): Sdp {
    this.#dialog = dialog;
    if (this.#over !== null) {
      // The answer crossed our CANCEL: nobody listens any more, and a phone off the hook must not go on hearing.
      void dialog.bye({ Reason: reasonHeader({ code: 'caller-cancelled' }) });
      throw this.#over;
    }
    inside.open(dialog, { heard: answer, told: offer });
    return answer;
  }

  #end(error: SipError): void {
    if (this.#over !== null) return;
    this.#over = error;
    this.#invite.cancel({});
    this.#giveUp(error);
  }
}
