import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Emit, Party } from '../call/ports.js';
import { type Key, keyOfEvent } from '../core/key.js';
import type { CallId } from '../core/leg.js';

export type KeyListener = (party: Party, key: Key) => void;

export interface KeypadOptions {
  /** Where the nodes send the keys: loopback, or an address only they can reach. */
  readonly host: string;
  /** 0: any free one; `address` then says which. */
  readonly port: number;
  /** Another process listens there for several of us and hands on what comes: `report` takes it. */
  readonly elsewhere?: boolean;
}

export interface KeypadCounters {
  /** Keys given to a call. */
  readonly keys: number;
  /** From an address no node has. */
  readonly foreign: number;
  readonly malformed: number;
  /** Of a call nobody listens to, or of a tag that is no party's. */
  readonly unheard: number;
  /** More keys than a finger presses. */
  readonly tooMany: number;
}

/** A report is about 200 bytes. */
const MAX_BYTES = 1024;

/** Keys of one party in one second: ten is more than a fast finger. */
const MAX_A_SECOND = 20;

interface Pressed {
  sinceMs: number;
  keys: number;
}

/** Somebody who wants the keys of one call. */
interface Listening {
  readonly callId: CallId;
  readonly listener: KeyListener;
  readonly pressed: Readonly<Record<Party, Pressed>>;
}

interface Report {
  readonly callId: string;
  readonly tag: string;
  readonly event: number;
}

const readReport = (bytes: Buffer): Report | null => {
  if (bytes.length > MAX_BYTES || bytes[0] !== 0x7b) return null;
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { type, callid, source_tag: tag, event } = value as { readonly [key: string]: unknown };
  if (type !== 'DTMF' || typeof callid !== 'string' || typeof tag !== 'string') return null;
  return typeof event === 'number' ? { callId: callid, tag, event } : null;
};

/**
 * Receives what parties press, as the nodes report it: one datagram for each key, at its end (RFC 4733; measured: a
 * node that gets the three end packets of a key reports it once, and one whose end it never got not at all). Which
 * key it was goes to the call's listener and nowhere else: into no event, no counter and no error (I11).
 */
export class Keypad {
  readonly #options: KeypadOptions;
  readonly #nodes: ReadonlySet<string>;
  readonly #emit: Emit;
  readonly #mono: () => number;
  /** Those who want a call's keys, the last one the one who gets them. */
  readonly #calls = new Map<string, Listening[]>();
  #socket: dgram.Socket | null = null;
  #keys = 0;
  #foreign = 0;
  #malformed = 0;
  #unheard = 0;
  #tooMany = 0;

  /** `nodes`: the addresses reports may come from. */
  constructor(options: KeypadOptions, nodes: readonly string[], emit: Emit, mono: () => number) {
    this.#options = options;
    this.#nodes = new Set(nodes);
    this.#emit = emit;
    this.#mono = mono;
  }

  get counters(): KeypadCounters {
    return {
      keys: this.#keys,
      foreign: this.#foreign,
      malformed: this.#malformed,
      unheard: this.#unheard,
      tooMany: this.#tooMany,
    };
  }

  /** Where it listens; null before `open` and after `close`. */
  get address(): { readonly host: string; readonly port: number } | null {
    return this.#socket === null ? null : { host: this.#options.host, port: this.#socket.address().port };
  }

  /** Rejects with the system's error where the address cannot be had. */
  async open(): Promise<void> {
    if (this.#socket !== null || this.#options.elsewhere === true) return;
    const { host, port } = this.#options;
    const socket = dgram.createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close();
        reject(error);
      });
      // Shared with nobody: a second socket on this address would get some of the keys.
      socket.bind({ address: host, port, exclusive: true }, resolve);
    });
    socket.removeAllListeners('error');
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#emit({ event: 'fault', where: 'keypad', code: error.code ?? 'unknown' });
    });
    socket.on('message', (bytes, from) => this.#take(bytes, from.address));
    socket.unref();
    this.#socket = socket;
  }

  /**
   * Gives this call's keys to a listener until the function it returns is called. While several listen to one call,
   * as when it moves from node to node, the last one gets them.
   */
  listen(callId: CallId, listener: KeyListener): () => void {
    const none = (): Pressed => ({ sinceMs: 0, keys: 0 });
    const one: Listening = { callId, listener, pressed: { caller: none(), called: none() } };
    this.#calls.set(callId, [...(this.#calls.get(callId) ?? []), one]);
    return () => {
      const left = (this.#calls.get(callId) ?? []).filter((other) => other !== one);
      if (left.length === 0) this.#calls.delete(callId);
      else this.#calls.set(callId, left);
    };
  }

  close(): void {
    this.#socket?.close();
    this.#socket = null;
    this.#calls.clear();
  }

  /** A report that came to whoever listens in our place, from that address. */
  report(bytes: Buffer, from: string): void {
    if (this.#options.elsewhere === true) this.#take(bytes, from);
  }

  #take(bytes: Buffer, from: string): void {
    if (!this.#nodes.has(from)) {
      this.#foreign++;
      return;
    }
    const report = readReport(bytes);
    const key = report === null ? null : keyOfEvent(report.event);
    if (report === null || key === null) {
      this.#malformed++;
      return;
    }
    const { tag } = report;
    const listening = this.#calls.get(report.callId)?.at(-1);
    if (listening === undefined || (tag !== 'caller' && tag !== 'called')) {
      this.#unheard++;
      return;
    }
    if (!this.#may(listening.pressed[tag])) {
      this.#tooMany++;
      return;
    }
    this.#keys++;
    try {
      listening.listener(tag, key);
    } catch {
      // A listener's error may quote the key it choked on.
      this.#emit({ event: 'fault', where: 'keypad', code: 'listener-threw' });
    }
  }

  #may(pressed: Pressed): boolean {
    const now = this.#mono();
    if (now - pressed.sinceMs >= 1000) {
      pressed.sinceMs = now;
      pressed.keys = 0;
    }
    pressed.keys++;
    return pressed.keys <= MAX_A_SECOND;
  }
}
