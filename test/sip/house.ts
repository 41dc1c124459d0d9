import type { Test } from 'tap';
import { type Agent, type AgentLimits, startAgent } from '../../src/agent/agent.js';
import type { AppEvent } from '../../src/call/events.js';
import type { Anchor, CallerLeg, Dialling, DialOptions, OtherParty, Party } from '../../src/call/ports.js';
import { decide } from '../../src/core/decide.js';
import type { Connectable } from '../../src/core/decision.js';
import type { FacilityId, Leg, TrunkId } from '../../src/core/leg.js';
import { type Dialled, NORTH_AMERICAN_PLAN } from '../../src/core/number.js';
import type { IncomingCall } from '../../src/phones/incoming-call.js';
import type { CallOptions, OutgoingCall } from '../../src/phones/outgoing-call.js';
import { createPhone, type Phone } from '../../src/phones/sip-phone.js';
import { SipCalledLeg } from '../../src/sip/called-leg.js';
import type { SipCallerLeg } from '../../src/sip/caller-leg.js';
import { type EndpointOptions, SipEndpoint } from '../../src/sip/endpoint.js';
import type { CarrierTrunk, FacilityTrunk } from '../../src/sip/trunk.js';
import { answers, input, leg, listed, now, privilegedEntry } from '../core/samples.js';

/** A session description of a media node that is not there: signalling alone is tested here. */
export const nodeSdp = (port: number, direction = 'sendrecv'): string =>
  [
    'v=0',
    `o=- ${port} 1 IN IP4 127.0.0.1`,
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    `m=audio ${port} RTP/AVP 0 101`,
    'a=rtpmap:0 PCMU/8000',
    'a=rtpmap:101 telephone-event/8000',
    `a=${direction}`,
    '',
  ].join('\r\n');

/** An anchor that answers with descriptions of its own and remembers what it was asked. */
export class FakeAnchor {
  readonly asked: string[] = [];
  readonly pool: 'private' | 'recorded';
  readonly offerForCalled: string;
  readonly #port: number;
  /** Set to hold back every re-offer until it is called. */
  gate: Promise<void> = Promise.resolve();

  constructor(pool: 'private' | 'recorded', port: number) {
    this.pool = pool;
    this.#port = port;
    this.offerForCalled = nodeSdp(port);
  }

  get anchor(): Anchor {
    return this as unknown as Anchor;
  }

  async reoffer(from: Party): Promise<string> {
    this.asked.push(`reoffer ${from}`);
    await this.gate;
    return nodeSdp(this.#port + this.asked.length);
  }

  async reanswer(from: Party): Promise<string> {
    this.asked.push(`reanswer ${from}`);
    return nodeSdp(this.#port + this.asked.length);
  }

  async restore(): Promise<void> {
    this.asked.push('restore');
  }
}

/** A decision for that number as `decide` makes it. */
export const decisionFor = (
  dialled: Dialled,
  verdict: 'monitored' | 'private' = 'monitored',
): Connectable => {
  const privileged = verdict === 'private' ? { privileged: listed(privilegedEntry()) } : {};
  const decision = decide(input({ leg: leg({ dialled }), answers: answers(privileged) }));
  if (decision.verdict !== verdict) throw new Error(`expected ${verdict}, got ${decision.verdict}`);
  return decision;
};

export interface HouseOptions {
  readonly facility?: Partial<FacilityTrunk>;
  /** Of every carrier trunk. */
  readonly carrier?: Partial<CarrierTrunk>;
  /** The carrier `west` alone. */
  readonly west?: Partial<CarrierTrunk>;
  readonly endpoint?: Partial<EndpointOptions>;
  readonly limits?: Partial<AgentLimits>;
  readonly t1Ms?: number;
}

/** Our SIP side alone, with real phones on both sides and the test in place of the controller. */
export class House {
  readonly legs: SipCallerLeg[] = [];
  readonly events: AppEvent[] = [];
  readonly caller: Phone;
  readonly carrier: Phone;
  readonly second: Phone;
  readonly agent: Agent;
  readonly endpoint: SipEndpoint;
  #calls = 0;

  constructor(agent: Agent, phones: readonly [Phone, Phone, Phone], options: HouseOptions) {
    this.agent = agent;
    [this.caller, this.carrier, this.second] = phones;
    const facility: FacilityTrunk = {
      kind: 'facility',
      name: 'north' as TrunkId,
      facility: 'north' as FacilityId,
      addresses: [this.caller.host],
      port: null,
      transports: ['udp'],
      caller: { from: 'from-user' },
      unitHeader: null,
      phoneHeader: null,
      plan: NORTH_AMERICAN_PLAN,
      carriers: ['west' as TrunkId],
      presentedNumber: '+12125550100',
      ...options.facility,
    };
    this.endpoint = new SipEndpoint({
      agent: { host: '127.0.0.1', port: agent.appPort, secret: 'test' },
      trunks: [
        facility,
        { ...this.trunk('west', this.carrier), ...options.carrier, ...options.west },
        { ...this.trunk('east', this.second), ...options.carrier },
      ],
      clock: { wall: () => now, mono: () => performance.now() },
      emit: (event) => void this.events.push(event),
      newCallId: () => leg().callId,
      ...options.endpoint,
    });
  }

  trunk(name: string, phone: Phone): CarrierTrunk {
    return {
      kind: 'carrier',
      name: name as TrunkId,
      address: phone.host,
      port: phone.port,
      transport: 'udp',
      keepaliveSeconds: 0,
      firstResponseMs: 5000,
      copyHeaders: [],
    };
  }

  get sip(): { readonly host: string; readonly port: number } {
    const at = this.agent.sip[0];
    if (at === undefined) throw new Error('no listener');
    return at;
  }

  async start(): Promise<void> {
    await this.endpoint.start({
      refusal: () => null,
      crowded: () => null,
      take: (caller: CallerLeg) => this.legs.push(caller as SipCallerLeg),
      reject: () => undefined,
      agentLost: () => undefined,
    });
  }

  /** Waits until it holds, with what the phones said where it does not. */
  async until(what: string, holds: () => boolean, ms = 5000): Promise<void> {
    const deadline = performance.now() + ms;
    while (!holds()) {
      if (performance.now() > deadline)
        throw new Error(
          `waited in vain until ${what}\n${this.caller.log.tail()}\n${this.carrier.log.tail()}`,
        );
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  refusals(): readonly string[] {
    return this.events.flatMap((one) =>
      one.event === 'sip-refused' ? [`${one.method} ${one.status} ${one.why}`] : [],
    );
  }

  /** A call that has come in and been answered, to nobody yet. */
  async received(options: Partial<CallOptions> = {}): Promise<Received> {
    const { call, leg } = await this.arrived(options);
    const answer = nodeSdp(20_000 + 2 * this.#calls);
    await leg.connect(answer);
    await call.answered();
    return { call, leg, answer };
  }

  /** A call that has come in. */
  async arrived(options: Partial<CallOptions> = {}): Promise<{ call: OutgoingCall; leg: SipCallerLeg }> {
    const at = this.#calls++;
    const call = await this.caller.call({
      to: `sip:2125550123@${this.sip.host}:${this.sip.port}`,
      via: this.sip,
      from: `<sip:4711@${this.caller.host}>`,
      ...options,
    });
    await this.until('the call has come in', () => this.legs.length > at);
    return { call, leg: this.legs[at] as SipCallerLeg };
  }

  dial(
    of: Leg,
    options: Partial<DialOptions> = {},
    { decision = decisionFor(of.dialled), anchor = new FakeAnchor('recorded', 30_000) } = {},
  ): Dialling {
    return this.endpoint.dialer.dial(of, decision, anchor.anchor, { rang: () => undefined, ...options });
  }

  /** Both legs, not joined yet. */
  async both(): Promise<Both> {
    const received = await this.received();
    const anchor = new FakeAnchor('recorded', 30_000);
    const before = this.carrier.invites.length;
    const outcome = await this.dial(received.leg.leg, {}, { anchor }).outcome;
    if (outcome.state !== 'answered') throw new Error(`not answered: ${JSON.stringify(outcome)}`);
    const other = this.carrier.incoming.at(-1);
    if (other === undefined || this.carrier.invites.length === before) throw new Error('nobody was called');
    await other.acknowledged200();
    const called = outcome.called;
    if (!(called instanceof SipCalledLeg)) throw new TypeError('not a SIP leg');
    return { ...received, anchor, other, called };
  }
}

export interface Received {
  readonly call: OutgoingCall;
  readonly leg: SipCallerLeg;
  readonly answer: string;
}

export interface Both extends Received {
  readonly anchor: FakeAnchor;
  readonly other: IncomingCall;
  readonly called: SipCalledLeg;
}

/** Opens a house and closes it with the test. */
export const openHouse = async (t: Test, options: HouseOptions = {}): Promise<House> => {
  const t1Ms = options.t1Ms ?? 100;
  const phone = (name: string, host: string) =>
    createPhone({ name, host, transport: 'udp', audio: 'sink', t1Ms });
  const phones = await Promise.all([
    phone('caller', '127.0.4.1'),
    phone('carrier', '127.0.4.2'),
    phone('second', '127.0.4.3'),
  ]);
  const agent = await startAgent({
    app: { host: '127.0.0.1', port: 0, secret: 'test' },
    sip: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
    supported: ['timer', '100rel'],
    timers: { t1: t1Ms, t2: 8 * t1Ms, t4: 10 * t1Ms },
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  const house = new House(agent, phones, options);
  t.teardown(async () => {
    await Promise.all(phones.map((one) => one.close()));
    house.endpoint.stop();
    await agent.stop();
  });
  house.carrier.answerWith({ do: 'answer', ring: false });
  house.second.answerWith({ do: 'answer', ring: false });
  await house.start();
  return house;
};

/** Other parties in short: 'refer +12125550199', 'diversion null'. */
export const inShort = (parties: readonly OtherParty[]): readonly string[] =>
  parties.map(({ how, target }) => {
    if (target === null) return `${how} null`;
    if (target.kind === 'number' || target.kind === 'hotline') {
      const { e164, extension } = target.key;
      return `${how} ${e164}${extension === null ? '' : ` ext ${extension}`}`;
    }
    return `${how} ${target.kind}`;
  });
