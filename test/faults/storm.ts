import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { heardMs } from '../../src/phones/goertzel.js';
import type { OutgoingCall } from '../../src/phones/outgoing-call.js';
import type { ListWords, Site } from '../site/site.js';
import { callsOn, type Dice, dial, incomingOf, type Nodes, rawNg, redisClient, tones } from './kit.js';

/** What a test knows of one call it placed, from the phones alone. */
export interface Placed {
  readonly as: string;
  readonly number: string;
  /** What the lists said when it was dialled; `either` while the number was just being made privileged. */
  readonly expected: 'private' | 'monitored' | 'refused' | 'either';
  readonly cancelled: boolean;
  /** Final status the caller saw. */
  readonly status: number;
  /** Both parties heard the other's tone for 200 ms or more. */
  readonly talked: boolean;
}

export interface StormPlan {
  readonly privateNumbers: readonly string[];
  readonly monitoredNumbers: readonly string[];
  readonly refusedNumbers: readonly string[];
  /** Allowed at first; each is made privileged once, in the middle of the storm. */
  readonly turning: readonly string[];
  readonly privates: number;
  readonly monitored: number;
  readonly refused: number;
  readonly atOnce: number;
  readonly words: (privileged: readonly string[]) => ListWords;
}

type Kind = 'private' | 'monitored' | 'refused' | 'turning';

/** Many calls at once, while everything the system stands on is broken and mended in an order the dice choose. */
export class Storm {
  readonly placed: Placed[] = [];
  readonly injected: string[] = [];
  readonly #site: Site;
  readonly #nodes: Nodes;
  readonly #dice: Dice;
  readonly #plan: StormPlan;
  /** Made privileged for good: the controller serves a publication that says so. */
  readonly #turned = new Set<string>();
  readonly #turningNow = new Set<string>();
  #serial = 0;
  #over = false;

  constructor(site: Site, nodes: Nodes, dice: Dice, plan: StormPlan) {
    this.#site = site;
    this.#nodes = nodes;
    this.#dice = dice;
    this.#plan = plan;
  }

  async run(): Promise<void> {
    const { privates, monitored, refused, turning, atOnce } = this.#plan;
    const jobs = this.#dice.shuffle<Kind>([
      ...Array<Kind>(privates).fill('private'),
      ...Array<Kind>(monitored).fill('monitored'),
      ...Array<Kind>(refused).fill('refused'),
      ...Array<Kind>(turning.length * 6).fill('turning'),
    ]);
    const faults = this.#injectAll();
    const worker = async (): Promise<void> => {
      for (let kind = jobs.pop(); kind !== undefined; kind = jobs.pop()) await this.#place(kind);
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    this.#over = true;
    await faults;
  }

  // ---- calls

  #numberFor(kind: Kind): { number: string; expected: Placed['expected'] } {
    const { privateNumbers, monitoredNumbers, refusedNumbers, turning } = this.#plan;
    switch (kind) {
      case 'private':
        return { number: this.#dice.pick(privateNumbers), expected: 'private' };
      case 'monitored':
        return { number: this.#dice.pick(monitoredNumbers), expected: 'monitored' };
      case 'refused':
        return { number: this.#dice.pick(refusedNumbers), expected: 'refused' };
      case 'turning': {
        const number = this.#dice.pick(turning);
        if (this.#turned.has(number)) return { number, expected: 'private' };
        return { number, expected: this.#turningNow.has(number) ? 'either' : 'monitored' };
      }
      default: {
        const never: never = kind;
        return never;
      }
    }
  }

  async #place(kind: Kind): Promise<void> {
    const { number, expected } = this.#numberFor(kind);
    const as = `${kind}-${++this.#serial}`;
    const cancel = this.#dice.next() < 0.15 ? this.#dice.between(0, 60) : null;
    const byCaller = this.#dice.next() < 0.5;
    const out = await dial(this.#site, number, as);
    if (cancel !== null) {
      await new Promise((resolve) => setTimeout(resolve, cancel));
      if (out.final === undefined) {
        const final = await out.cancel({ impatient: true, deadlineMs: 30_000 });
        this.placed.push({ as, number, expected, cancelled: true, status: final.status, talked: false });
        return;
      }
    }
    const final = await out.answered({ deadlineMs: 30_000 }).catch(() => out.final);
    const status = final?.status ?? 0;
    const talked = status === 200 && (await this.#talk(out, as, byCaller));
    this.placed.push({
      as,
      number,
      expected: this.#stillExpected(number, expected),
      cancelled: false,
      status,
      talked,
    });
  }

  /** A number that was turned while the call was on its way to us may have been decided either way. */
  #stillExpected(number: string, expected: Placed['expected']): Placed['expected'] {
    const turnedSince = this.#turned.has(number) || this.#turningNow.has(number);
    return expected === 'monitored' && turnedSince ? 'either' : expected;
  }

  async #talk(out: OutgoingCall, as: string, byCaller: boolean): Promise<boolean> {
    const incoming = await incomingOf(this.#site, as);
    // A fault may end the call before it was heard: then there is nothing to hear, and nothing is claimed.
    const heard = await Promise.all([
      out.audio.untilHears(tones.called, { deadlineMs: 10_000 }),
      incoming.audio.untilHears(tones.caller, { deadlineMs: 10_000 }),
    ]).then(
      () => true,
      () => false,
    );
    const long =
      heard &&
      heardMs(out.audio.samples(), tones.called) >= 200 &&
      heardMs(incoming.audio.samples(), tones.caller) >= 200;
    const [first, second] = byCaller ? [out, incoming] : [incoming, out];
    if (first.ending === undefined) await first.hangUp({ deadlineMs: 30_000 }).catch(() => undefined);
    await second.ended({ deadlineMs: 30_000 });
    return long;
  }

  // ---- faults

  /** Waits until so many more calls are over: the storm's own measure of time. */
  #calls(count: number): Promise<void> {
    const until = this.#site.endedCalls + count;
    return this.#site.until(
      `${count} more calls are over`,
      () => this.#over || this.#site.endedCalls >= until,
      () => `${this.#site.endedCalls} are`,
      60_000,
    );
  }

  async #injectAll(): Promise<void> {
    const redis = redisClient(this.#site);
    redis.on('error', () => undefined);
    const faults = {
      'redis-frozen': async () => {
        this.#site.local.redis.freeze();
        await this.#calls(this.#dice.between(2, 8));
        this.#site.local.redis.thaw();
        await this.#armed();
      },
      flushed: async () => {
        await redis.flushall();
        await this.#calls(this.#dice.between(2, 8));
        await this.#publish();
      },
      'recorded-killed': () => this.#killed(this.#dice.pick(['recorded-1', 'recorded-2'])),
      'private-killed': () => this.#killed(this.#dice.pick(['private-1', 'private-2'])),
      'spool-unwritable': async () => {
        const pcaps = join(this.#nodes.get('recorded-1').spool ?? '', 'pcaps');
        chmodSync(pcaps, 0o500);
        await this.#calls(this.#dice.between(2, 8));
        chmodSync(pcaps, 0o700);
      },
      'foreign-command': () => this.#meddle(),
      turned: () => this.#turn(),
    };
    const names = Object.keys(faults) as (keyof typeof faults)[];
    // Every fault at least once, in an order of the dice's, and more of them as long as the storm lasts.
    const order = this.#dice.shuffle([...names, 'turned', 'turned'] as const);
    while (!this.#over || order.length > 0) {
      const name = order.shift() ?? this.#dice.pick(names);
      this.injected.push(name);
      await faults[name]();
      await this.#calls(this.#dice.between(1, 4));
    }
    redis.disconnect();
  }

  #armed(): Promise<void> {
    const { lists } = this.#site.sallyport;
    return this.#site.until(
      'the lists are armed',
      () => lists.armed().armed,
      () => lists.armed().why,
    );
  }

  async #publish(): Promise<void> {
    const privileged = [...this.#turned, ...this.#turningNow];
    const {
      manifest: { epoch },
    } = await this.#site.publish(this.#plan.words(privileged), { repair: true });
    const { lists } = this.#site.sallyport;
    await this.#site.until(
      `epoch ${epoch} is served`,
      () => lists.armed().armed && (lists.epoch()?.id ?? 0) >= epoch,
      () => lists.armed().why,
    );
  }

  async #killed(name: string): Promise<void> {
    await this.#nodes.get(name).kill();
    await this.#calls(this.#dice.between(2, 8));
    await this.#nodes.restart(name);
    await this.#nodes.until(name, true);
  }

  /** Somebody on this host sends a private node what could record or fork a call. */
  async #meddle(): Promise<void> {
    const name = this.#dice.pick(['private-1', 'private-2']);
    const node = this.#nodes.get(name);
    const [victim] = this.#dice.shuffle(await callsOn(node).catch(() => []));
    if (victim === undefined) return;
    const command = this.#dice.pick(['start recording', 'start forwarding', 'subscribe request']);
    await rawNg(node.ng, {
      command,
      'call-id': victim,
      ...(command === 'subscribe request' ? { 'from-tag': 'caller' } : {}),
    }).catch(() => undefined);
    // Looked at twice since: the second look began after the command, so its consequences are not still to come.
    await this.#lookedAt(name);
    await this.#lookedAt(name);
  }

  async #lookedAt(name: string): Promise<void> {
    const last = () => this.#site.sallyport.media.attestations().find((one) => one.node === name)?.at ?? 0;
    const before = last();
    await this.#site.until(`${name} is looked at`, () => last() > before);
  }

  /** A number becomes privileged; from the moment the publication is served, no call to it may be monitored. */
  async #turn(): Promise<void> {
    const number = this.#plan.turning.find((one) => !this.#turned.has(one));
    if (number === undefined) return;
    this.#turningNow.add(number);
    await this.#publish();
    this.#turned.add(number);
    this.#turningNow.delete(number);
  }
}
