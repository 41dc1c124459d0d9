import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import type { Timer, Timers } from './clock.js';
import { type DnsAnswer, type DnsType, decodeAnswer, encodeQuery } from './dns-message.js';
import type { DnsCounts } from './events.js';

export interface DnsServer {
  readonly host: string;
  readonly port: number;
}

/** One server has this long, and each is asked twice. */
const tryMs = 1000;
const rounds = 2;
/** Packets that are no answer to our question: so many may be a stray or two, more are somebody guessing. */
const maxStrays = 16;

/** What became of a question: an answer that can be used, or that nobody gave one. */
export type DnsResult =
  | Extract<DnsAnswer, { outcome: 'records' | 'alias' | 'none' }>
  | { readonly outcome: 'dead' };

/**
 * Asks recursive resolvers (RFC 1035), one after the other. Each question has a socket of its own, so that its port
 * cannot be guessed any more than its id (RFC 5452). It is a client of our own because Node's does not tell the TTL of
 * SRV and NAPTR records, which a cache that respects them has to know.
 */
export class DnsClient {
  readonly #servers: readonly DnsServer[];
  readonly #timers: Timers;
  readonly #counts: DnsCounts;

  constructor(servers: readonly DnsServer[], timers: Timers, counts: DnsCounts) {
    this.#servers = servers;
    this.#timers = timers;
    this.#counts = counts;
  }

  /** Resolves with what the first server that knows says; never rejects, and ends within `ms`. */
  async ask(name: string, type: DnsType, ms: number): Promise<DnsResult> {
    const { clock } = this.#timers;
    const deadline = clock.now() + ms;
    for (let round = 0; round < rounds; round++) {
      for (const server of this.#servers) {
        const left = deadline - clock.now();
        if (left <= 0) return { outcome: 'dead' };
        const answer = await this.#try(server, name, type, Math.min(tryMs, left));
        if (answer.outcome === 'records' || answer.outcome === 'alias' || answer.outcome === 'none')
          return answer;
        this.#counts.failed++;
      }
    }
    return { outcome: 'dead' };
  }

  async #try(server: DnsServer, name: string, type: DnsType, ms: number): Promise<DnsAnswer> {
    const started = this.#timers.clock.now();
    const answer = await this.#datagram(server, name, type, ms);
    if (answer.outcome !== 'truncated') return answer;
    return this.#stream(server, name, type, Math.max(1, ms - (this.#timers.clock.now() - started)));
  }

  #datagram(server: DnsServer, name: string, type: DnsType, ms: number): Promise<DnsAnswer> {
    const id = randomInt(65536);
    const socket = createSocket(server.host.includes(':') ? 'udp6' : 'udp4');
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      let strays = 0;
      const end = (answer: DnsAnswer): void => {
        if (timer === undefined) return;
        timer = this.#timers.stop(timer);
        socket.removeAllListeners('message');
        socket.close();
        resolve(answer);
      };
      timer = this.#timers.start(ms, () => {
        this.#counts.timeout++;
        end({ outcome: 'failed' });
      });
      socket.on('error', () => end({ outcome: 'failed' }));
      socket.on('message', (data) => {
        const answer = decodeAnswer(data, id, name, type);
        // What is no answer to our question may be a forgery: the true one may still come.
        if (answer.outcome !== 'malformed') end(answer);
        else if (++strays >= maxStrays) end({ outcome: 'failed' });
      });
      // Connected, the kernel takes packets of that very address and port alone, and tells of a port that is closed.
      socket.connect(server.port, server.host, () => {
        if (timer !== undefined) socket.send(encodeQuery(id, name, type));
      });
    });
  }

  #stream(server: DnsServer, name: string, type: DnsType, ms: number): Promise<DnsAnswer> {
    const id = randomInt(65536);
    const socket = connect({ host: server.host, port: server.port });
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      let data = Buffer.alloc(0);
      const end = (answer: DnsAnswer): void => {
        if (timer === undefined) return;
        timer = this.#timers.stop(timer);
        socket.destroy();
        resolve(
          answer.outcome === 'truncated' || answer.outcome === 'malformed' ? { outcome: 'failed' } : answer,
        );
      };
      timer = this.#timers.start(ms, () => {
        this.#counts.timeout++;
        end({ outcome: 'failed' });
      });
      socket.on('error', () => end({ outcome: 'failed' }));
      socket.on('close', () => end({ outcome: 'failed' }));
      socket.on('connect', () => {
        const query = encodeQuery(id, name, type);
        const length = Buffer.alloc(2);
        length.writeUInt16BE(query.length, 0);
        socket.write(Buffer.concat([length, query]));
      });
      socket.on('data', (chunk) => {
        data = Buffer.concat([data, chunk]);
        // Two bytes of length bound it to 64 KiB (RFC 1035 section 4.2.2).
        if (data.length < 2 || data.length < 2 + data.readUInt16BE(0)) return;
        end(decodeAnswer(data.subarray(2, 2 + data.readUInt16BE(0)), id, name, type));
      });
    });
  }
}
