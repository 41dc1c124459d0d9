/**
 * The trunk that only wants to phone: an OPTIONS every 100 ms, each sent once, and a call every second. It also watches
 * how late its own timers are, because a probe can be no quicker than who sends it.
 */
import dgram from 'node:dgram';
import { createPhone, type Phone } from '../../src/phones/sip-phone.js';
import { serve } from './ask.js';
import { count, Sound } from './load.js';
import { callerId, monitoredNumber, privilegedNumber } from './numbers.js';

export interface ProbeResult {
  readonly probes: number;
  /** Without a 200 in time, by status or `no answer`. */
  readonly probesLost: Readonly<Record<string, number>>;
  readonly probeUs: readonly number[];
  readonly calls: number;
  /** By status or what went wrong. */
  readonly callsLost: Readonly<Record<string, number>>;
  readonly answerUs: readonly number[];
  /** How late the probe's own timers were at worst, in ms. */
  readonly behindMs: number;
}

const host = '127.0.1.1';
const probeEveryMs = 100;
const callEveryMs = 1000;
/** Long enough for the sound of both, without which a recording is none. */
const holdMs = 600;
/** A probe is sent once: what comes later than this is of no use to whoever asks. */
const probeWaitMs = 2000;
const answerMs = 8000;

interface Side {
  readonly phone: Phone;
  readonly sound: Sound;
  readonly socket: dgram.Socket;
}

/** What is seen between two questions. What is under way belongs to the one it began in. */
class Window {
  probes = 0;
  calls = 0;
  behindMs = 0;
  readonly probesLost: Record<string, number> = {};
  readonly callsLost: Record<string, number> = {};
  readonly probeUs: number[] = [];
  readonly answerUs: number[] = [];
  readonly #open = new Set<Promise<void>>();

  add(work: Promise<void>): void {
    this.#open.add(work);
    void work.finally(() => this.#open.delete(work));
  }

  async whole(): Promise<ProbeResult> {
    while (this.#open.size > 0) await Promise.allSettled([...this.#open]);
    const sorted = (all: number[]): number[] => all.sort((a, b) => a - b);
    return {
      probes: this.probes,
      probesLost: this.probesLost,
      probeUs: sorted(this.probeUs),
      calls: this.calls,
      callsLost: this.callsLost,
      answerUs: sorted(this.answerUs),
      behindMs: this.behindMs,
    };
  }
}

let side: Side | null = null;
let target = { host: '', port: 0 };
let current = new Window();
let timers: NodeJS.Timeout[] = [];
let worstUs = 0;
let probesSent = 0;
let callsMade = 0;
const waiting = new Map<string, (status: string) => void>();

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const open = async (): Promise<Side> => {
  if (side !== null) return side;
  const phone = await createPhone({
    name: 'honest',
    transport: 'udp',
    host,
    audio: 'sink',
    keepMessages: 0,
    lingerMs: 5000,
  });
  const socket = dgram.createSocket('udp4');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(0, host, resolve);
  });
  socket.on('message', (data) => {
    const text = data.toString('latin1');
    const branch = /branch=(z9hG4bKprobe[0-9x]+)/.exec(text)?.[1];
    if (branch !== undefined && text.startsWith('SIP/2.0 ')) waiting.get(branch)?.(text.slice(8, 11));
  });
  side = { phone, sound: await Sound.open(host), socket };
  return side;
};

const probe = ({ socket }: Side, own: Window): Promise<void> => {
  const number = ++probesSent;
  const branch = `z9hG4bKprobe${process.pid}x${number}`;
  const { port } = socket.address();
  const text =
    `OPTIONS sip:${target.host}:${target.port} SIP/2.0\r\nVia: SIP/2.0/UDP ${host}:${port};branch=${branch}\r\n` +
    `Max-Forwards: 70\r\nFrom: <sip:probe@${host}>;tag=p${number}\r\nTo: <sip:${target.host}>\r\n` +
    `Call-ID: probe${process.pid}x${number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n`;
  own.probes++;
  const began = performance.now();
  return new Promise((resolve) => {
    const done = (status: string): void => {
      clearTimeout(timer);
      waiting.delete(branch);
      const us = (performance.now() - began) * 1000;
      worstUs = Math.max(worstUs, us);
      if (status === '200') own.probeUs.push(us);
      else count(own.probesLost, status);
      resolve();
    };
    const timer = setTimeout(() => done('no answer'), probeWaitMs);
    waiting.set(branch, done);
    socket.send(Buffer.from(text, 'latin1'), target.port, target.host);
  });
};

const oneCall = async ({ phone, sound }: Side, own: Window): Promise<void> => {
  const number = ++callsMade;
  own.calls++;
  const call = await phone.call({
    to: `sip:${number % 2 === 0 ? privilegedNumber : monitoredNumber}@${target.host}:${target.port}`,
    via: target,
    from: `<sip:${callerId(number)}@${host}>`,
    sdp: sound.sdp(),
  });
  const answer = await call.answered({ deadlineMs: answerMs }).catch(() => null);
  if (answer === null) {
    const status = call.final?.status ?? 0;
    count(own.callsLost, status === 0 ? 'no answer' : String(status));
    if (call.final === undefined) await call.cancel({ deadlineMs: answerMs }).catch(() => null);
    return;
  }
  own.answerUs.push(call.times.finalUs ?? Number.NaN);
  sound.speak(answer.body, { ended: () => call.ending !== undefined });
  await pause(holdMs);
  if (call.ending !== undefined) return count(own.callsLost, 'hung up by the far side');
  const bye = await call.hangUp({ deadlineMs: answerMs }).catch(() => null);
  if (bye?.status !== 200) count(own.callsLost, `BYE ${bye?.status ?? 'unanswered'}`);
};

/** Does something every so often, and notes how late it was. */
const every = (ms: number, work: () => Promise<void>): void => {
  let due = performance.now() + ms;
  timers.push(
    setInterval(() => {
      const now = performance.now();
      current.behindMs = Math.max(current.behindMs, now - due);
      due = now + ms;
      current.add(work().catch((error: unknown) => count(current.callsLost, String(error).slice(0, 60))));
    }, ms),
  );
};

serve({
  open: async () => (await open()).phone.address,
  begin: async (to: { readonly host: string; readonly port: number }) => {
    const own = await open();
    target = to;
    current = new Window();
    every(probeEveryMs, () => probe(own, current));
    every(callEveryMs, () => oneCall(own, current));
  },
  /** The slowest probe since this was last asked, in µs: which part of an attack it was. */
  worst: () => {
    const us = worstUs;
    worstUs = 0;
    return us;
  },
  /** What was seen since the last question, once all of it is known. */
  read: () => {
    const own = current;
    current = new Window();
    return own.whole();
  },
  end: async () => {
    for (const timer of timers) clearInterval(timer);
    timers = [];
    await current.whole();
  },
  stop: async () => {
    side?.sound.close();
    side?.socket.close();
    await side?.phone.close({ abrupt: true });
  },
});
