import type { CallerLeg, Clock, Emit, JsonObject } from '../call/ports.js';
import { type Ending, endingRow } from '../core/ending.js';
import type { CallId, Leg } from '../core/leg.js';
import { SipBridge } from './bridge.js';
import { SipCallerLeg } from './caller-leg.js';
import { CarrierStates } from './carrier-states.js';
import { SipDialer } from './dialer.js';
import { Drachtio } from './drachtio.js';
import { legFromInvite, unsupported } from './leg-from-invite.js';
import type { AttachAgent } from './near-wire.js';
import { defaultTiming, type Timing } from './own-offer.js';
import { reasonHeader, refusalHeaders } from './refusal.js';
import { type ProbeOptions, SelfProbe } from './self-probe.js';
import { answerTimer, timerWords } from './session-timer.js';
import type { IncomingInvite } from './sip-dialog.js';
import { SupervisorDialer, type SupervisorOptions } from './supervisor.js';
import type { Told } from './trace.js';
import { type FacilityTrunk, type Source, type Trunk, TrunkTable } from './trunk.js';
import type { TrunkRates } from './trunk-rates.js';

/** What the SIP side needs of the controller of calls. */
export interface CallTaker {
  /** Why no call can be taken now, or null. */
  refusal(): Ending | null;
  /** Why one more call of that trunk cannot be set up in time, or null. */
  crowded(trunk: string): Ending | null;
  take(caller: CallerLeg): void;
  reject(rejection: {
    readonly trunk: string | null;
    readonly source: string;
    readonly ending: Ending;
    readonly told: Promise<number | null>;
  }): void;
  agentLost(): void;
}

export interface EndpointOptions {
  readonly agent: {
    readonly host: string;
    readonly port: number;
    readonly secret: string;
    readonly tags?: readonly string[];
    readonly attach?: AttachAgent;
  };
  readonly trunks: readonly Trunk[];
  readonly clock: Clock;
  readonly emit: Emit;
  readonly newCallId: () => CallId;
  /** Waits of our own re-INVITEs where they are to be others than those of RFC 3261. */
  readonly timing?: Partial<Timing>;
  /** Which supervisors' phones may be rung; none where it is not given. */
  readonly supervisors?: SupervisorOptions;
  /** Calls a second of each trunk, where the agent does not see to it. */
  readonly rates?: TrunkRates;
  /** OPTIONS to our own SIP port; none where it is not given. */
  readonly probe?: ProbeOptions;
}

/** Everything SIP: admits INVITEs by trunk, reads them into legs, and gives the controller its dialer and bridge. */
export class SipEndpoint {
  readonly dialer: SipDialer;
  readonly bridge: SipBridge;
  readonly supervisors: SupervisorDialer;
  readonly carriers: CarrierStates;
  readonly #options: EndpointOptions;
  readonly #table: TrunkTable;
  readonly #timing: Timing;
  readonly #drachtio: Drachtio;
  /** The INVITEs of calls under way, for the headers that may be copied; gone with the leg. */
  readonly #invites = new WeakMap<Leg, { readonly invite: IncomingInvite; readonly trunk: FacilityTrunk }>();
  readonly #probe: SelfProbe | null;
  #taker: CallTaker | null = null;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#table = new TrunkTable(options.trunks);
    this.#timing = { ...defaultTiming, ...options.timing };
    this.carriers = new CarrierStates(this.#table, options.emit);
    this.bridge = new SipBridge(options.emit);
    this.#drachtio = new Drachtio({
      ...options.agent,
      ...(options.probe === undefined ? {} : { probeUser: options.probe.user }),
      onInvite: (invite) => this.#invite(invite),
      health: (source) => this.#health(source),
      onState: (state, why) => {
        options.emit({ event: 'agent-state', state, why });
        if (state === 'down') this.#taker?.agentLost();
      },
    });
    this.#probe =
      options.probe === undefined ? null : new SelfProbe(options.probe, this.#drachtio, options.emit);
    this.dialer = new SipDialer({
      drachtio: this.#drachtio,
      carriers: this.carriers,
      emit: options.emit,
      timing: this.#timing,
      trunkOf: (leg) => this.#invites.get(leg)?.trunk ?? null,
      headerOf: (leg, name) => this.#invites.get(leg)?.invite.header(name),
    });
    this.supervisors = new SupervisorDialer(
      { drachtio: this.#drachtio, emit: options.emit, timing: this.#timing },
      options.supervisors ?? { allowed: [], trunk: null },
    );
  }

  /** Connects to the agent; from then on calls go to the taker. */
  async start(taker: CallTaker, deadlineMs = 5000): Promise<void> {
    this.#taker = taker;
    await this.#drachtio.connect(deadlineMs);
    this.carriers.start(this.#drachtio);
    this.#probe?.start(this.#drachtio.announced);
  }

  /**
   * Tells one side of a call that an earlier run of the controller left: a BYE in its dialog, or a CANCEL where it was
   * still ringing. Never rejects; gives up after `deadlineMs`.
   */
  endLeft(what: 'dialog' | 'invite', trace: JsonObject, ending: Ending, deadlineMs: number): Promise<Told> {
    return this.#drachtio.endLeft(what, trace, reasonHeader(ending), deadlineMs);
  }

  get up(): boolean {
    return this.#drachtio.up && this.#probe?.alive !== false;
  }

  /** True once OPTIONS of our own have come back through the agent. */
  get probed(): boolean {
    return this.#probe?.armed === true;
  }

  /** Lets new calls go to the agent's other controllers; those under way stay ours. See `Drachtio.leave`. */
  leave(): Promise<void> {
    return this.#drachtio.leave();
  }

  stop(): void {
    this.carriers.stop();
    this.#probe?.stop();
    this.#drachtio.close();
  }

  /** OPTIONS from a trunk is its health check; to anybody else we are not there. */
  #health(source: Source): { readonly status: number; readonly phrase: string } {
    if (this.#table.of(source) === null) return { status: 403, phrase: 'Forbidden' };
    const taker = this.#taker;
    return taker !== null && taker.refusal() === null
      ? { status: 200, phrase: 'OK' }
      : { status: 503, phrase: 'Service Unavailable' };
  }

  #invite(invite: IncomingInvite): void {
    const taker = this.#taker;
    const trunk = this.#table.of(invite.source);
    const turnAway = (ending: Ending): void => {
      const { status, phrase } = endingRow(ending.code);
      const headers: Record<string, string> = { ...refusalHeaders(ending) };
      // RFC 3261 section 8.2.2.3: 420 names what is not supported.
      if (status === 420 && trunk?.kind === 'facility') {
        headers.Unsupported = token(unsupported(invite, trunk).join(', '));
      }
      invite.respond(status, phrase, headers);
      const { address: source } = invite.source;
      taker?.reject({ trunk: trunk?.name ?? null, source, ending, told: invite.told() });
    };
    if (trunk === null || trunk.kind === 'carrier') {
      // Calls are outgoing only: a carrier is not a trunk calls come from.
      turnAway({ code: 'trunk-unknown', detail: trunk === null ? 'address' : 'carrier' });
      return;
    }
    const refusal =
      taker === null
        ? ({ code: 'shutdown' } as const)
        : (taker.refusal() ?? this.#options.rates?.refusal(trunk.name) ?? taker.crowded(trunk.name));
    if (refusal !== null || taker === null) {
      turnAway(refusal ?? { code: 'shutdown' });
      return;
    }
    const read = legFromInvite(invite, trunk, this.#options.newCallId(), this.#options.clock.wall());
    if ('refused' in read) {
      turnAway(read.refused);
      return;
    }
    const { emit } = this.#options;
    const policy = trunk.sessionTimer;
    const words = policy === undefined ? undefined : timerWords((name) => invite.header(name));
    if (words === null) {
      turnAway({ code: 'request-malformed', detail: 'session-expires' });
      return;
    }
    const session = policy === undefined || words === undefined ? undefined : { policy, words };
    const answer = session && answerTimer(session.policy, session.words);
    if (answer?.state === 'too-short') {
      // No call yet: the caller's equipment asks again at once with what we tell it (RFC 4028 section 7.3).
      emit({ event: 'sip-refused', method: 'INVITE', status: 422, why: 'session-interval' });
      invite.respond(422, 'Session Interval Too Small', answer.headers);
      return;
    }
    this.#invites.set(read.leg, { invite, trunk });
    const known = { emit, timing: this.#timing, plan: trunk.plan, others: read.others };
    const parts = session === undefined ? known : { ...known, session };
    taker.take(new SipCallerLeg(read.leg, read.offer, invite, parts));
  }
}

/** Option tags as the caller wrote them, as long as they are tokens (RFC 3261 section 25.1). */
const token = (text: string): string => (/^[A-Za-z0-9.!%*_+`'~, -]{1,200}$/.test(text) ? text : 'unknown');
