import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import { type Emit, MediaError } from '../call/ports.js';
import { type BencodeDict, decode, encode, isDict } from './bencode.js';

export interface NgSocketOptions {
  readonly node: string;
  readonly host: string;
  readonly port: number;
  readonly emit: Emit;
  /** The whole wait for one command, in ms. Default 1000. */
  readonly deadlineMs?: number;
  /** When the same datagram is sent again, in ms after the one before. Default 100, 200, 400. */
  readonly retransmitMs?: readonly number[];
  /** Commands that may wait for a reply at once. Default 1024. */
  readonly maxInFlight?: number;
}

/** What came in and was of no use. */
export interface NgCounters {
  readonly sent: number;
  readonly retransmitted: number;
  /** Replies to commands nobody waits for any more, or with a cookie that is not ours. */
  readonly stray: number;
  readonly malformed: number;
  readonly refused: number;
}

interface Waiting {
  readonly command: string;
  readonly startedMs: number;
  timer: NodeJS.Timeout | null;
  readonly settle: (reply: BencodeDict | MediaError) => void;
}

const COOKIE_BYTES = 16;

/**
 * Speaks the NG protocol with one rtpengine over a connected UDP socket. A command is sent again with the same
 * cookie until its reply comes or the deadline passes; rtpengine answers a cookie it has seen with the same reply,
 * so sending again is safe (facts: rtpengine). Because it does so for any client, the cookie holds 128 random bits
 * of this socket and a counter: nobody else can hit it.
 */
export class NgSocket {
  readonly #options: Required<NgSocketOptions>;
  readonly #waiting = new Map<string, Waiting>();
  readonly #prefix = randomBytes(COOKIE_BYTES).toString('hex');
  #socket: dgram.Socket | null = null;
  #opening: Promise<dgram.Socket> | null = null;
  #counter = 0;
  #closed = false;
  #sent = 0;
  #retransmitted = 0;
  #stray = 0;
  #malformed = 0;
  #refused = 0;

  constructor(options: NgSocketOptions) {
    this.#options = { deadlineMs: 1000, retransmitMs: [100, 200, 400], maxInFlight: 1024, ...options };
  }

  get counters(): NgCounters {
    return {
      sent: this.#sent,
      retransmitted: this.#retransmitted,
      stray: this.#stray,
      malformed: this.#malformed,
      refused: this.#refused,
    };
  }

  /**
   * Sends one command and gives the node's reply, `result: error` included. Rejects with MediaError: node-timeout,
   * node-refused (nobody listens there), node-error (malformed reply, too many commands, closed).
   */
  async ask(message: BencodeDict): Promise<BencodeDict> {
    const command = String(message.command);
    if (this.#closed) throw new MediaError('node-error', 'ng-closed');
    if (this.#waiting.size >= this.#options.maxInFlight) throw new MediaError('node-error', 'ng-queue-full');
    const cookie = `${this.#prefix}_${(this.#counter++).toString(36)}`;
    const datagram = encode(message, `${cookie} `);
    const socket = this.#socket ?? (await this.#open());
    return new Promise((resolve, reject) => {
      const settle = (reply: BencodeDict | MediaError): void => {
        const waiting = this.#waiting.get(cookie);
        if (waiting === undefined) return;
        this.#waiting.delete(cookie);
        if (waiting.timer !== null) clearTimeout(waiting.timer);
        this.#report(waiting, reply);
        if (reply instanceof MediaError) reject(reply);
        else resolve(reply);
      };
      const waiting: Waiting = { command, startedMs: performance.now(), timer: null, settle };
      this.#waiting.set(cookie, waiting);
      this.#schedule(waiting, socket, datagram, 0, 0);
      this.#sent++;
      socket.send(datagram);
    });
  }

  close(): void {
    this.#closed = true;
    this.#failAll(new MediaError('node-error', 'ng-closed'));
    this.#socket?.close();
    this.#socket = null;
  }

  /** One timer a command, for nearly all are answered before the first of them. `at` ms of the deadline are over. */
  #schedule(waiting: Waiting, socket: dgram.Socket, datagram: Buffer, again: number, at: number): void {
    const { deadlineMs, retransmitMs } = this.#options;
    const wait = retransmitMs[again];
    if (wait === undefined || at + wait >= deadlineMs) {
      // After a stall of our own, timers run before sockets are read: setImmediate lets a waiting reply win.
      const expire = (): void => waiting.settle(new MediaError('node-timeout', 'ng-timeout'));
      waiting.timer = setTimeout(() => setImmediate(expire), deadlineMs - at);
      return;
    }
    waiting.timer = setTimeout(() => {
      this.#retransmitted++;
      if (!this.#closed) socket.send(datagram);
      this.#schedule(waiting, socket, datagram, again + 1, at + wait);
    }, wait);
  }

  #report(waiting: Waiting, reply: BencodeDict | MediaError): void {
    this.#options.emit({
      event: 'ng-command',
      node: this.#options.node,
      command: waiting.command,
      ms: performance.now() - waiting.startedMs,
      outcome: reply instanceof MediaError ? reply.code : String(reply.result ?? 'none').slice(0, 16),
    });
  }

  #open(): Promise<dgram.Socket> {
    this.#opening ??= new Promise((resolve, reject) => {
      const { host, port } = this.#options;
      const socket = dgram.createSocket(isIPv6(host) ? 'udp6' : 'udp4');
      socket.on('message', (bytes) => this.#take(bytes));
      // The socket is connected, so the kernel hands us the ICMP error of a port nobody listens on.
      socket.on('error', () => {
        this.#refused++;
        this.#failAll(new MediaError('node-refused', 'ng-refused'));
      });
      socket.once('connect', () => {
        if (this.#closed) {
          socket.close();
          reject(new MediaError('node-error', 'ng-closed'));
          return;
        }
        this.#socket = socket;
        resolve(socket);
      });
      socket.connect(port, host);
    });
    return this.#opening;
  }

  #failAll(error: MediaError): void {
    for (const waiting of [...this.#waiting.values()]) waiting.settle(error);
  }

  #take(bytes: Buffer): void {
    const space = bytes.subarray(0, 80).indexOf(0x20);
    const waiting = space < 0 ? undefined : this.#waiting.get(bytes.toString('latin1', 0, space));
    if (waiting === undefined) {
      this.#stray++;
      return;
    }
    try {
      const reply = decode(bytes.subarray(space + 1));
      if (!isDict(reply)) throw new MediaError('node-error', 'reply-malformed');
      waiting.settle(reply);
    } catch {
      this.#malformed++;
      waiting.settle(new MediaError('node-error', 'reply-malformed'));
    }
  }
}
