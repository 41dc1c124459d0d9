import dgram from 'node:dgram';
import t from 'tap';
import type { Between, Sdp } from '../../src/call/ports.js';
import type { BencodeDict } from '../../src/media/bencode.js';
import { PrivateCall } from '../../src/media/private-call.js';
import { PrivateNode } from '../../src/media/private-node.js';
import { RecordedCall } from '../../src/media/recorded-call.js';
import { RecordedNode } from '../../src/media/recorded-node.js';
import { peerRules } from '../../src/media/sdp-in.js';
import { encodeG711 } from '../../src/phones/g711.js';
import { goertzelPower, hears } from '../../src/phones/goertzel.js';
import { buildRtp, parseRtp } from '../../src/phones/rtp-packet.js';
import { toneSamples } from '../../src/phones/tone.js';
import { channelOf, finished, openHouse } from '../recording/house.js';
import { legOf, monitoredDecision, newCallId, privateDecision } from './decisions.js';
import { AT_ONCE, readOut } from './read-out.js';
import { strengthOf, until } from './rtp-phone.js';
import { foreignTo, quick, startSpokenSite } from './spoken-site.js';
import { type WiredPhone, wiredPhone } from './srtp-phone.js';

/**
 * Somebody on the same network who knows the ports of a call, and perhaps its SSRC and sequence numbers, sends sound of
 * its own to both ports, from another address and from another port of a party's own address (facts: reliability F8).
 */

const PACKETS = 250;
const FORGED_HZ = 2200;
const forged = encodeG711('PCMU', toneSamples(FORGED_HZ, 160));

interface Known {
  readonly ssrc: number;
  readonly sequence: number;
  readonly timestamp: number;
}
const guessed: Known = { ssrc: 0x0bad_cafe, sequence: 1, timestamp: 160 };

class Attacker {
  readonly #socket = dgram.createSocket('udp4');
  got = 0;

  async open(host: string): Promise<this> {
    this.#socket.on('error', () => undefined);
    this.#socket.on('message', () => this.got++);
    await new Promise<void>((resolve) => this.#socket.bind(0, host, resolve));
    return this;
  }

  async spray(
    { address, port }: { address: string; port: number },
    known: Known,
    { packets = PACKETS, payloadType = 0, payload = forged } = {},
  ): Promise<void> {
    for (let i = 0; i < packets; i++) {
      const sequence = known.sequence + i;
      const timestamp = (known.timestamp + 160 * i) >>> 0;
      const packet = buildRtp({ payloadType, marker: false, sequence, timestamp, ssrc: known.ssrc, payload });
      await new Promise<void>((sent) => this.#socket.send(packet, port, address, () => sent()));
      // A deadened port would end the call as media-timeout, and is no way into it.
      if (i % AT_ONCE === AT_ONCE - 1) await readOut(port);
    }
  }

  close(): void {
    this.#socket.close();
  }
}

const portIn = (sdp: Sdp): { address: string; port: number } => ({
  address: /^c=IN IP4 (\S+)/m.exec(sdp)?.[1] ?? '',
  port: Number(/^m=audio (\d+)/m.exec(sdp)?.[1]),
});

/** Of what somebody overhears on the wire of a party: what its next packet will look like. */
const nextOf = (phone: WiredPhone): Known => {
  const last = phone.packets('out').at(-1);
  const packet = last === undefined ? undefined : parseRtp(last);
  if (packet === undefined) throw new Error('the party has sent nothing');
  return { ssrc: packet.ssrc, sequence: packet.sequence + 1, timestamp: packet.timestamp + 160 };
};

/** Payloads on the wire to a plain party that are the attacker's, byte for byte. */
const forgedIn = (phone: WiredPhone): number =>
  phone.packets('in').filter((bytes) => Buffer.from(forged).equals(bytes.subarray(12, 172))).length;

const carriesForged = (samples: Int16Array): boolean =>
  samples.length > 0 && (2 * Math.sqrt(goertzelPower(samples, FORGED_HZ))) / samples.length > 300;

const site = await startSpokenSite();
t.teardown(() => site.stop());

interface Attacked {
  readonly phones: { readonly caller: WiredPhone; readonly called: WiredPhone };
  readonly attackers: readonly Attacker[];
  readonly ports: { readonly caller: ReturnType<typeof portIn>; readonly called: ReturnType<typeof portIn> };
}

/** Both of the attackers, at both ports, with what they know. */
const attack = async ({ attackers, ports }: Attacked, caller: Known, called: Known): Promise<void> => {
  for (const attacker of attackers) {
    await attacker.spray(ports.caller, caller);
    await attacker.spray(ports.called, called);
  }
};

/** 0 of what was sent has come to a party, and nothing of the call to an attacker. */
const unharmed = async (t: Tap, { phones, attackers }: Attacked, when: string): Promise<void> => {
  for (const [name, phone] of Object.entries(phones)) {
    t.equal(forgedIn(phone), 0, `${when}: 0 of ${PACKETS} on the wire to the ${name}`);
    t.equal(carriesForged(phone.audio.samples()), false, `${when}: the ${name} has not heard it`);
    t.ok(phone.audio.counters.streams <= 1, `${when}: the ${name} gets one stream`);
  }
  t.strictSame(
    attackers.map(({ got }) => got),
    [0, 0],
    `${when}: the attackers get nothing`,
  );
};
type Tap = Pick<typeof t, 'equal' | 'strictSame' | 'ok'>;
type Tearing = { teardown(work: () => unknown): unknown };

const hearEachOther = async ({ phones: { caller, called } }: Attacked): Promise<void> => {
  for (const phone of [caller, called]) phone.forget();
  await Promise.all([
    caller.audio.untilHears(1000, { deadlineMs: 15_000 }),
    called.audio.untilHears(440, { deadlineMs: 15_000 }),
  ]);
  // What the attackers sent is far behind by now.
  await until('sound since then', () => [caller, called].every((one) => one.packets('in').length >= 50));
};

const partiesOf = async (t: Tearing, between: Between) => {
  const caller = await wiredPhone({ tone: 440, srtp: between.caller === 'srtp-sdes' });
  const called = await wiredPhone({ tone: 1000, srtp: between.called === 'srtp-sdes' });
  // From another address, and from the address of the parties.
  const attackers = [await new Attacker().open('127.0.0.66'), await new Attacker().open('127.0.0.1')];
  t.teardown(() => {
    for (const one of [caller, called, ...attackers]) one.close();
  });
  return { phones: { caller, called }, attackers };
};

/** Each command of ours is answered, and then the node is left alone with strangers before the next one. */
let meanwhile: (callId: string) => Promise<void> = async () => undefined;
class BesetPrivate extends PrivateNode {
  protected override async command(message: BencodeDict): Promise<BencodeDict> {
    const reply = await super.command(message);
    await meanwhile(String(message['call-id']));
    return reply;
  }
}
class BesetRecorded extends RecordedNode {
  protected override async command(message: BencodeDict): Promise<BencodeDict> {
    const reply = await super.command(message);
    await meanwhile(String(message['call-id']));
    return reply;
  }
}

for (const pool of ['private', 'recorded'] as const) {
  await t.test(`between any two commands of a ${pool} call, from its first`, async (t) => {
    const { phones, attackers } = await partiesOf(t, { caller: 'rtp', called: 'rtp' });
    const { caller, called } = phones;
    const options = site.nodes.find((node) => node.pool === pool);
    if (options === undefined) throw new Error('no such node');
    const id = newCallId();
    const foreign = foreignTo(site[pool]);
    const seen: number[] = [];
    meanwhile = async (callId) => {
      if (callId !== id) return;
      const query = JSON.stringify(await foreign.ask({ command: 'query', 'call-id': id }));
      const ports = new Set([...query.matchAll(/"local port":(\d+)/g)].map(([, port]) => Number(port)));
      seen.push(ports.size);
      const [attacker] = attackers;
      for (const port of ports) {
        await attacker?.spray({ address: '127.0.0.1', port }, guessed, { packets: 10 });
        const key = { packets: 10, payloadType: 101, payload: Buffer.from([4, 0x8a, 0x01, 0x40]) };
        await attacker?.spray({ address: '127.0.0.1', port }, guessed, key);
        await readOut(port);
      }
    };
    const circumstances = {
      emit: () => undefined,
      clock: { mono: () => performance.now(), wall: () => Date.now() as never },
      timing: { ...quick, pingDeadlineMs: 5000 },
      onAttestation: () => undefined,
      onReaped: () => undefined,
    };
    const parts = {
      rules: peerRules(['127.0.0.0/8'], []),
      keypad: null,
      earAddress: null,
      emit: () => undefined,
    };
    const plain = { caller: 'rtp', called: 'rtp' } as const;
    const begin = async () => {
      if (pool === 'private') {
        const node = new BesetPrivate(options, circumstances);
        await node.start();
        return { node, call: new PrivateCall(node, id, caller.offer(), plain, parts) };
      }
      const node = new BesetRecorded(options, circumstances);
      await node.start();
      return { node, call: new RecordedCall(node, id, caller.offer(), plain, parts) };
    };
    const { node, call } = await begin();
    t.teardown(async () => {
      await call.release();
      node.close();
      foreign.close();
    });
    await call.begin();
    t.equal(seen.length, 4, 'two offers, and what blocks sound and keys between them');
    const received = await call.receive();
    const answer = called.answer(call.offerForCalled);
    await (call instanceof PrivateCall
      ? call.answer(privateDecision(id), answer)
      : call.answer(monitoredDecision(id), answer));
    await call.open();
    t.equal(caller.takes(received), true);
    t.ok(seen.length >= 8 && seen.every((ports) => ports >= 4), `${seen}`);
    // What was sent before lies before it in the same socket.
    await until('sound both ways', () => [caller, called].every((one) => one.packets('in').length >= 50));
    for (const [name, phone] of Object.entries(phones)) {
      t.equal(forgedIn(phone), 0, `nothing of a stranger on the wire to the ${name}`);
      const keys = phone.packets('in').filter((bytes) => ((bytes[1] ?? 0) & 0x7f) === 101);
      t.equal(keys.length, 0, `and no key to the ${name}`);
    }
    t.strictSame(
      attackers.map(({ got }) => got),
      [0, 0],
    );
  });
}

for (const protection of ['rtp', 'srtp-sdes'] as const) {
  const between = { caller: protection, called: protection };

  await t.test(`a private call over ${protection}`, async (t) => {
    const { media } = await site.media();
    const { phones, attackers } = await partiesOf(t, between);
    const { caller, called } = phones;
    const id = newCallId();
    const decision = privateDecision(id);
    const call = await media.anchorPrivate(id, decision, caller.offer(), { between });
    t.teardown(() => call.release());
    const forCalled = call.offerForCalled;
    const early: Attacked = {
      phones,
      attackers,
      ports: { caller: portIn(forCalled), called: portIn(forCalled) },
    };
    await attack(early, guessed, guessed);
    const answer = await call.answer(decision, called.answer(forCalled));
    const ports = { caller: portIn(answer), called: portIn(forCalled) };
    const all: Attacked = { phones, attackers, ports };
    await attack(all, guessed, guessed);
    await call.open();
    // Open, and neither party has sent anything yet: whoever sends first is no party for that.
    await attack(all, guessed, guessed);
    await unharmed(t, all, 'before a party has sent');
    t.equal(caller.takes(answer), true);
    await hearEachOther(all);
    await unharmed(t, all, 'before');
    await attack(all, nextOf(caller), nextOf(called));
    await attack(all, guessed, guessed);
    await hearEachOther(all);
    await unharmed(t, all, 'in the call');
    const heard = called.audio.samples({ lastMs: 200 });
    t.equal(hears(heard, 440), true, 'and it goes on');
  });

  await t.test(`a recorded call over ${protection}`, async (t) => {
    const house = await openHouse();
    const { phones, attackers } = await partiesOf(t, between);
    const { caller, called } = phones;
    const id = newCallId();
    const decision = monitoredDecision(id);
    await house.recorder.ready(legOf(id));
    const anchor = await house.media.anchorRecorded(id, decision, caller.offer(), { between });
    const armed = await house.recorder.arm(decision, anchor, called.answer(anchor.offerForCalled));
    const ports = { caller: portIn(armed.answerForCaller), called: portIn(anchor.offerForCalled) };
    const all: Attacked = { phones, attackers, ports };
    await attack(all, guessed, guessed);
    await anchor.open();
    t.equal(caller.takes(armed.answerForCaller), true);
    await hearEachOther(all);
    await attack(all, nextOf(caller), nextOf(called));
    await hearEachOther(all);
    await unharmed(t, all, 'in the call');
    const { file } = finished(
      await house.recorder.finish(legOf(id), decision, anchor, await anchor.release()),
    );
    for (const [channel, hz] of [
      [0, 440],
      [1, 1000],
    ] as const) {
      const samples = channelOf(file, channel, 0, 60_000);
      t.ok(strengthOf(samples.slice(-3200), hz) > 0.1, `channel ${channel} holds its party`);
      t.ok(strengthOf(samples, FORGED_HZ) < 0.002, `channel ${channel} holds nothing of the attackers`);
    }
  });
}
