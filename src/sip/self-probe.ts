import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import type { Emit } from '../call/ports.js';

/** Where the agent listens over UDP, and the user part by which its OPTIONS are known for our own. */
export interface ProbeOptions {
  /** Null: where the agent says it listens. */
  readonly at: { readonly host: string; readonly port: number } | null;
  readonly user: string;
  readonly everyMs?: number;
}

/** The connection to the agent, as far as a probe needs it. */
export interface Probed {
  readonly up: boolean;
  /** Asks the agent for a sign of life on that connection; the function tells whether it came since. */
  signOfLife(): () => boolean;
  reconnect(why: string): void;
}

/** So many in a row without an answer: the path is dead. */
const maxMisses = 3;
/** How long a new connection may take before another one is made. */
const reconnectMs = 5000;

/** A user part nobody can guess: it opens nothing, but an OPTIONS with it is answered without a password. */
export const newProbeUser = (): string => `probe-${randomBytes(12).toString('hex')}`;

/**
 * Sends OPTIONS to our own SIP port that must come back through the agent to the application (facts: reliability F2: a
 * wedged connection looks open and idle). Misses count only after a first answer, so that a port that cannot be reached
 * from here raises no alarm. The connection is given up only if the agent gives no sign of life on it either: as long
 * as it does, the calls on it are well, and it is the SIP port that somebody has to look at.
 */
export class SelfProbe {
  readonly #options: ProbeOptions;
  readonly #probed: Probed;
  readonly #emit: Emit;
  #socket: Socket | null = null;
  #timer: NodeJS.Timeout | null = null;
  #to = '';
  #awaited = '';
  #seen: 'answer' | 'busy' | null = null;
  #armed = false;
  #misses = 0;
  #dead = false;
  #pong: (() => boolean) | null = null;
  #reconnectedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ProbeOptions, probed: Probed, emit: Emit) {
    this.#options = options;
    this.#probed = probed;
    this.#emit = emit;
  }

  /** True while probes come back, or none ever did. */
  get alive(): boolean {
    return !this.#dead;
  }

  /** True once a probe came back: misses count from then on. */
  get armed(): boolean {
    return this.#armed;
  }

  /** `announced`: where the agent says it listens, as `tcp/127.0.0.1:5060,udp/127.0.0.1:5060`. */
  start(announced: string): void {
    const to = this.#options.at ?? announcedUdp(announced);
    if (to === null) return;
    const host = to.host === '0.0.0.0' ? '127.0.0.1' : to.host === '::' ? '::1' : to.host;
    this.#to = `${host.includes(':') ? `[${host}]` : host}:${to.port}`;
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    this.#socket = socket;
    // A refused port is a miss like any other.
    socket.on('error', () => undefined);
    socket.on('message', (data) => this.#received(data.toString('latin1')));
    socket.connect(to.port, host, () => {
      if (this.#socket !== socket) return;
      this.#send(socket);
      this.#timer = setInterval(() => {
        this.#judge();
        this.#send(socket);
      }, this.#options.everyMs ?? 1000);
      this.#timer.unref();
    });
    socket.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#socket?.close();
    this.#socket = null;
  }

  #send(socket: Socket): void {
    this.#seen = null;
    this.#awaited = randomBytes(8).toString('hex');
    const { address, port, family } = socket.address();
    const own = `${family === 'IPv6' ? `[${address}]` : address}:${port}`;
    const text = [
      `OPTIONS sip:${this.#options.user}@${this.#to} SIP/2.0`,
      `Via: SIP/2.0/UDP ${own};branch=z9hG4bK${this.#awaited};rport`,
      'Max-Forwards: 1',
      `From: <sip:${this.#options.user}@${own}>;tag=${this.#awaited}`,
      `To: <sip:${this.#options.user}@${this.#to}>`,
      `Call-ID: ${this.#awaited}`,
      'CSeq: 1 OPTIONS',
      'Content-Length: 0',
      '',
      '',
    ].join('\r\n');
    socket.send(text, () => undefined);
  }

  #received(text: string): void {
    if (!text.includes(`\r\nCall-ID: ${this.#awaited}\r\n`)) return;
    if (text.startsWith('SIP/2.0 200 ')) this.#seen = 'answer';
    // It lives and has too much to do: the last moment to take a working connection away from it.
    else if (text.startsWith('SIP/2.0 503 ') && /\r\nRetry-After:/i.test(text)) this.#seen = 'busy';
  }

  #judge(): void {
    if (this.#seen === 'answer') {
      this.#armed = true;
      this.#misses = 0;
      this.#pong = null;
      if (this.#dead) {
        this.#dead = false;
        this.#emit({ event: 'agent-state', state: 'up', why: 'probe-answered' });
      }
      return;
    }
    const now = performance.now();
    const busy = this.#seen === 'busy';
    if (!this.#armed || busy || now - this.#reconnectedAt < reconnectMs) return;
    // A connection that is down is being made anew by itself, and whoever is to know it does; but not if it hangs.
    if (!this.#probed.up && !this.#dead) return;
    this.#misses += 1;
    if (this.#misses === 1) this.#pong = this.#probed.signOfLife();
    if (this.#misses < maxMisses) return;
    this.#misses = 0;
    const pong = this.#pong?.() === true;
    const first = !this.#dead;
    this.#dead = true;
    if (first) {
      const detail = pong ? 'sip-port' : 'connection';
      this.#emit({ event: 'alarm', alarm: 'sip-path-dead', callId: null, detail });
    }
    if (pong) return;
    this.#reconnectedAt = now;
    this.#probed.reconnect('probe-unanswered');
  }
}

/** The first UDP address of those an agent announces. */
const announcedUdp = (announced: string): { readonly host: string; readonly port: number } | null => {
  for (const one of announced.split(',')) {
    const [, host, port] = /^udp\/\[?([0-9A-Fa-f.:]+?)\]?:(\d{1,5})$/.exec(one.trim()) ?? [];
    if (host !== undefined) return { host, port: Number(port) };
  }
  return null;
};
