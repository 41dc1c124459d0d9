import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { Test } from 'tap';
import type { Config } from '../../src/config/schema.js';
import type { AnswerPolicy } from '../../src/phones/answer-policy.js';
import type { IncomingCall } from '../../src/phones/incoming-call.js';
import { type InfoKeyForm, pressInfoKeys } from '../../src/phones/info-keys.js';
import { pressToneKeys } from '../../src/phones/key-tones.js';
import type { CallOptions, OutgoingCall } from '../../src/phones/outgoing-call.js';
import type { PhoneCall } from '../../src/phones/phone-call.js';
import { createPhone, type Phone, type PhoneOptions } from '../../src/phones/sip-phone.js';
import { checkNothingLeft } from './left-over.js';
import { type Closing, openSite, type Row, type Site, type SiteOptions } from './site.js';
import { type Heard, PromptEar } from './spoken.js';

/** How keys are sent: as RFC 4733 events beside the sound, as tones in it, or as SIP INFO in one of its two forms. */
export type KeyKind = 'events' | 'tones' | InfoKeyForm;

export const press = async (call: PhoneCall, keys: string, kind: KeyKind = 'events'): Promise<void> => {
  if (kind === 'events') await call.audio.pressKeys(keys, { durationMs: 60 });
  else if (kind === 'tones') await pressToneKeys(call.audio, keys);
  else await pressInfoKeys(call, keys, { as: kind });
};

/** Everything that is known of a call that is over. */
export interface Over {
  readonly cdr: Row['body'];
  readonly rows: readonly Row[];
  readonly heard: { readonly caller: readonly Heard[]; readonly called: readonly Heard[] };
}

export interface TalkWords extends Omit<Partial<CallOptions>, 'from'> {
  /** As whom; default a name of its own. */
  readonly as?: string;
  /** The phone it comes from; default the site's caller. */
  readonly from?: Phone;
  /** What the called phone does; default it answers at once. */
  readonly answer?: AnswerPolicy;
}

/** One spoken call, from both ends. */
export class Talk {
  readonly house: TalkSite;
  readonly call: OutgoingCall;
  readonly callId: string;
  readonly number: string;
  readonly #ignored: number;
  #other: IncomingCall | null = null;

  constructor(
    house: TalkSite,
    parts: { call: OutgoingCall; callId: string; number: string; ignored: number },
  ) {
    this.house = house;
    this.call = parts.call;
    this.callId = parts.callId;
    this.number = parts.number;
    this.#ignored = parts.ignored;
  }

  /** The called party's end, once it was rung. */
  async called(): Promise<IncomingCall> {
    const { site } = this.house;
    const find = () => this.house.rung(this.number)[this.#ignored];
    const ended = () => site.events.find((one) => one.event === 'call-ended' && one.callId === this.callId);
    await site.until(`${this.number} is rung`, () => (find() ?? ended()) !== undefined);
    const found = find();
    if (found === undefined) throw new Error(`it ended before it rang: ${JSON.stringify(ended())}`);
    this.#other = found;
    return found;
  }

  get wasDialled(): boolean {
    return this.house.rung(this.number).length > this.#ignored;
  }

  callerHears(prompt: Heard, options: { nth?: number; deadlineMs?: number } = {}): Promise<void> {
    return this.house.ear.until(this.call, prompt, options);
  }

  async calledHears(prompt: Heard, options: { nth?: number; deadlineMs?: number } = {}): Promise<void> {
    return this.house.ear.until(await this.called(), prompt, options);
  }

  callerPresses(keys: string, kind: KeyKind = 'events'): Promise<void> {
    return press(this.call, keys, kind);
  }

  async calledPresses(keys: string, kind: KeyKind = 'events'): Promise<void> {
    return press(await this.called(), keys, kind);
  }

  /** Waits for a phase of the call, as the product's events tell it. */
  async phase(phase: string, deadlineMs = 30_000): Promise<void> {
    const fits = (event: { callId: string; phase: string }) =>
      event.callId === this.callId && event.phase === phase;
    await this.house.site.event('call-phase', fits, deadlineMs);
  }

  /** Both hear each other's tone, and nothing else. */
  async bothHear(t: Test, forMs = 300): Promise<void> {
    const other = await this.called();
    await Promise.all([
      this.call.audio.untilHears(1000, { forMs, deadlineMs: 10_000 }),
      other.audio.untilHears(440, { forMs, deadlineMs: 10_000 }),
    ]);
    t.pass('both hear each other');
  }

  /** Waits for the CDR and the ends of both legs. */
  async over(deadlineMs = 40_000): Promise<Over> {
    const { site, ear } = this.house;
    await site.event('call-ended', (event) => event.callId === this.callId, deadlineMs);
    await this.call.ended();
    const other = this.#other ?? this.house.rung(this.number)[this.#ignored] ?? null;
    await other?.ended();
    const rows = await site.rows({ callId: this.callId });
    const cdrs = rows.filter((row) => row.kind === 'cdr');
    if (cdrs.length !== 1) throw new Error(`${cdrs.length} CDRs of ${this.callId}`);
    return {
      cdr: cdrs[0]?.body,
      rows,
      heard: { caller: ear.heard(this.call), called: other === null ? [] : ear.heard(other) },
    };
  }
}

/** A site whose conversations are held here, with an ear for its prompts. */
export class TalkSite {
  readonly site: Site;
  readonly ear: PromptEar;
  readonly #policies = new Map<string, AnswerPolicy>();
  #placing: Promise<unknown> = Promise.resolve();
  #callers = 0;

  constructor(site: Site, ear: PromptEar) {
    this.site = site;
    this.ear = ear;
    for (const carrier of site.carriers) {
      carrier.answerWith((invite) => this.#policies.get(userOf(invite.uri)) ?? { do: 'answer', ring: false });
    }
  }

  /** Calls to this number that reached a carrier, oldest first. */
  rung(number: string): IncomingCall[] {
    return this.site.carriers.flatMap(({ incoming }) =>
      incoming.filter((call) => userOf(call.invite.uri) === number),
    );
  }

  /** Places a call to a number in E.164, dialled as it stands or as `dialled` says. Calls at once keep apart by number. */
  async talk(number: string, words: TalkWords = {}, dialled: string = number.slice(1)): Promise<Talk> {
    // One after another, so that the call's id is known: the next to arrive.
    const placed = this.#placing.then(() => this.#place(number, words, dialled));
    this.#placing = placed.catch(() => undefined);
    return placed;
  }

  async #place(number: string, words: TalkWords, dialled: string): Promise<Talk> {
    const { site } = this;
    const { as = `c${++this.#callers}`, from = site.caller, answer, ...rest } = words;
    if (answer !== undefined) this.#policies.set(number, answer);
    const before = site.callIds().length;
    const ignored = this.rung(number).length;
    const at = site.sip();
    const call = await from.call({
      to: `sip:${dialled}@${at.host}:${at.port}`,
      via: at,
      from: `<sip:${as}@${from.host}>`,
      ...rest,
    });
    await site.until('the call has arrived', () => site.callIds().length > before);
    return new Talk(this, { call, callId: site.callIds()[before] ?? '', number, ignored });
  }
}

const userOf = (uri: string): string => /^sip:([^@;]*)/.exec(uri)?.[1] ?? '';

/** Limits that are in nobody's way: scenarios of limits set their own. */
const wide = { caller: 1000, number: 1000, phone: 1000 };
export const unlimited = (config: Config): Config => {
  const limits = { concurrent: wide, recent: wide, coolDownSeconds: 0 };
  return {
    ...config,
    policy: {
      ...config.policy,
      limits: { windowHours: 24, monitored: limits, private: limits, alone: limits },
    },
  };
};

export const openTalkSite = async (t: Closing, options: SiteOptions = {}): Promise<TalkSite> => {
  const { prompts = 'short', config = (same: Config) => same } = options;
  const site = await openSite(t, {
    keepAudioMs: 120_000,
    // A finished transaction is kept for 64*T1: a test that waits for the last to be gone waits so long.
    t1Ms: 200,
    ...options,
    conversation: 'here',
    prompts,
    config: (given) => config(unlimited(given)),
  });
  const { directory } = site.config.prompts;
  return new TalkSite(site, new PromptEar(directory));
};

/** Numbers of this test alone: +1 212 555 01xx from the given one on. */
export const numbersFrom = (area: string, from: number, count: number): readonly string[] =>
  Array.from({ length: count }, (_, at) => `+1${area}55501${String(from + at).padStart(2, '0')}`);

type FacilityTrunk = Config['trunks']['facilities'][number];

/** A trunk of its own beside the site's: whoever calls from `host` comes by it. */
export const withTrunk =
  (host: string, trunk: Partial<FacilityTrunk>) =>
  (config: Config): Config => {
    const [first] = config.trunks.facilities;
    if (first === undefined) throw new Error('the site has no trunk');
    const added = { ...first, name: `trunk-${host}`, addresses: [host], ...trunk };
    return {
      ...config,
      trunks: { ...config.trunks, facilities: [...config.trunks.facilities, added] },
    };
  };

/** A phone behind such a trunk; closed with the test. */
export const phoneAt = async (
  t: Closing,
  host: string,
  name = 'phone',
  more: Partial<PhoneOptions> = {},
): Promise<Phone> => {
  const phone = await createPhone({
    name,
    host,
    tone: 440,
    transport: 'udp',
    t1Ms: 200,
    keepAudioMs: 120_000,
    ...more,
  });
  t.teardown(() => phone.close());
  return phone;
};

/** What the CDR says was said to a party, as prompts: the product's own word, to be compared with what was heard. */
export const saidTo = ({ cdr }: Over, party: 'caller' | 'called'): readonly string[] =>
  (cdr.conversation.course as { to?: string; said?: string[] }[])
    .filter(({ to }) => to === party)
    .flatMap(({ said }) => said ?? [])
    .map((file) =>
      file
        .replace(/^en\//, '')
        .replace(/^es\//, 'es:')
        .replace(/\.wav$/, ''),
    );

/** The keys of a menu a party pressed, as the CDR has them. */
export const keysOf = ({ cdr }: Over, party: 'caller' | 'called'): string =>
  (cdr.conversation.course as { party?: string; key?: string }[])
    .filter((one) => one.party === party)
    .map(({ key }) => key)
    .join('');

/** Proves that nothing of the call was recorded, nor lay on any disk at any moment. */
export const checkUnrecorded = (t: Test, talk: Talk, { cdr, rows }: Over): void => {
  t.equal(cdr.armed, null, 'no recording was armed');
  t.ok(['nothing-found', undefined].includes(cdr.spool?.state), 'nothing of it was found');
  t.notOk(
    rows.some(({ kind }) => kind === 'armed'),
    'the journal knows of no recording',
  );
  t.same(talk.house.site.watch.named(talk.callId), [], 'no file of it, at any moment');
};

export const introduction = (notice: 'recorded' | 'private'): readonly Heard[] => [
  'greeting',
  'from-facility',
  'from-caller',
  `notice-${notice}`,
];
export const inSpanish = (ids: readonly Heard[]): readonly Heard[] => ids.map((id) => `es:${id}` as Heard);
export const waiting: readonly Heard[] = ['please-hold', 'hold-tone'];

/** All keys of calls in Redis: places of calls are gone with the last of them. */
export const placesInRedis = async (site: Site): Promise<readonly string[]> => {
  const { host, port } = site.local.redis;
  const redis = new Redis({ host, port, protocol: 2 });
  try {
    return await redis.keys('*use:places:*');
  } finally {
    redis.disconnect();
  }
};

/** Nothing is left of any call, anywhere: legs, nodes of both pools, counts, and files in the spools. */
export const checkClean = async (t: Test, { site }: TalkSite, more: readonly Phone[] = []): Promise<void> => {
  const phones = [site.caller, ...site.carriers, ...more];
  t.same(
    phones.map((phone) => phone.liveCalls),
    phones.map(() => 0),
    'no phone is in a call',
  );
  await checkNothingLeft(t, site);
  t.same(await placesInRedis(site), [], 'no call holds a place in the counts');
  const spools = site.local.recorded.flatMap((node) => node.spool ?? []);
  t.ok(spools.length > 0);
  const files = spools.flatMap((spool) =>
    readdirSync(spool, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  t.same(files, [], 'nothing is left in any spool');
};
