/**
 * Both phones of the overload measurement: datagrams made from templates, so that ten times the load of a controller
 * costs the one who makes it little. Open loop: calls begin when they are due, whatever became of the others.
 */
import dgram from 'node:dgram';
import { serve } from './ask.js';

const monitored = '+12125550142';
const privileged = '+12125550111';
const answerMs = 8000;
const byeMs = 8000;
const t1 = 500;

export interface OverloadOrder {
  readonly perSecond: number;
  readonly seconds: number;
  readonly holdMs: number;
  readonly target: { readonly host: string; readonly port: number };
  readonly privateEvery: number;
  /** Calls that are up before the load begins and must be none the worse for it. */
  readonly standing: number;
}

export interface OverloadResult {
  readonly calls: number;
  readonly answered: number;
  readonly refused: number;
  /** Final statuses other than 200 and 503, and calls without any. */
  readonly others: Readonly<Record<string, number>>;
  readonly retransmissions: number;
  readonly answerUs: readonly number[];
  readonly refusalUs: readonly number[];
  readonly withoutRetryAfter: number;
  readonly byes: number;
  readonly byesLost: number;
  readonly standing: number;
  readonly reinvites: number;
  readonly reinvitesLost: number;
  readonly probes: number;
  readonly probesLost: number;
  readonly probeUs: readonly number[];
  readonly behindMs: number;
  readonly seconds: number;
}

const sdp = (host: string, port: number): string =>
  `v=0\r\no=- 1 1 IN IP4 ${host}\r\ns=-\r\nc=IN IP4 ${host}\r\nt=0 0\r\nm=audio ${port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n`;

const line = (text: string, name: string): string => {
  const at = text.indexOf(`\r\n${name}: `);
  if (at < 0) return '';
  return text.slice(at + name.length + 4, text.indexOf('\r\n', at + 2));
};

const open = (host: string): Promise<dgram.Socket> =>
  new Promise((resolve, reject) => {
    const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: 8 << 20, lookup: literal as never });
    socket.once('error', reject);
    socket.bind(0, host, () => resolve(socket));
  });
const literal = (host: string, _options: unknown, done: (e: null, a: string, f: number) => void): void =>
  done(null, host, 4);

/** Sends one request until it is answered or given up; gives the final response's text, or null. */
interface Asked {
  readonly began: number;
  done(text: string | null): void;
  provisional: boolean;
}

class Caller {
  readonly #socket: dgram.Socket;
  readonly #host: string;
  readonly #port: number;
  readonly #asked = new Map<string, Asked>();
  #ids = 0;
  retransmissions = 0;

  constructor(socket: dgram.Socket) {
    this.#socket = socket;
    const { address, port } = socket.address();
    this.#host = address;
    this.#port = port;
    socket.on('message', (data) => this.#take(data.toString('latin1')));
  }

  get address(): { host: string; port: number } {
    return { host: this.#host, port: this.#port };
  }

  #take(text: string): void {
    if (!text.startsWith('SIP/2.0 ')) return;
    const via = line(text, 'Via');
    const at = via.indexOf('branch=') + 7;
    const end = via.indexOf(';', at);
    const branch = end < 0 ? via.slice(at) : via.slice(at, end);
    const asked = this.#asked.get(branch);
    if (asked === undefined) return;
    if (text.charCodeAt(8) === 49) {
      asked.provisional = true;
      return;
    }
    this.#asked.delete(branch);
    asked.done(text);
  }

  send(text: string, to: OverloadOrder['target']): void {
    this.#socket.send(Buffer.from(text, 'latin1'), to.port, to.host);
  }

  ask(
    method: string,
    uri: string,
    to: OverloadOrder['target'],
    dialog: { from: string; to: string; callId: string; seq: number },
    body: string,
    giveUpMs: number,
  ): Promise<{ text: string | null; us: number; branch: string }> {
    const branch = `z9hG4bKo${process.pid}x${++this.#ids}`;
    const text =
      `${method} ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP ${this.#host}:${this.#port};branch=${branch}\r\nMax-Forwards: 70\r\n` +
      `From: ${dialog.from}\r\nTo: ${dialog.to}\r\nCall-ID: ${dialog.callId}\r\nCSeq: ${dialog.seq} ${method}\r\n` +
      `Contact: <sip:caller@${this.#host}:${this.#port}>\r\n` +
      `${body === '' ? '' : 'Content-Type: application/sdp\r\n'}Content-Length: ${body.length}\r\n\r\n${body}`;
    const began = performance.now();
    return new Promise((resolve) => {
      const asked: Asked = {
        began,
        provisional: false,
        done: (answer) => resolve({ text: answer, us: (performance.now() - began) * 1000, branch }),
      };
      this.#asked.set(branch, asked);
      this.send(text, to);
      const again = (after: number): void => {
        setTimeout(() => {
          if (this.#asked.get(branch) !== asked) return;
          if (performance.now() - began > giveUpMs) {
            this.#asked.delete(branch);
            asked.done(null);
            return;
          }
          // RFC 3261 section 17.1.1.2: an INVITE that was heard of is not sent again.
          if (!asked.provisional || method !== 'INVITE') {
            this.retransmissions++;
            this.send(text, to);
          }
          again(Math.min(4000, after * 2));
        }, after);
      };
      again(t1);
    });
  }

  ack(uri: string, to: OverloadOrder['target'], response: string, seq: number, branch: string): void {
    this.send(
      `ACK ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP ${this.#host}:${this.#port};branch=${branch}\r\nMax-Forwards: 70\r\n` +
        `From: ${line(response, 'From')}\r\nTo: ${line(response, 'To')}\r\nCall-ID: ${line(response, 'Call-ID')}\r\n` +
        `CSeq: ${seq} ACK\r\nContent-Length: 0\r\n\r\n`,
      to,
    );
  }
}

/** Answers everything at once. */
const answering = (socket: dgram.Socket): void => {
  const { address, port } = socket.address();
  const body = sdp(address, 40_002);
  socket.on('message', (data, from) => {
    const text = data.toString('latin1');
    if (text.startsWith('SIP/2.0 ') || text.startsWith('ACK ')) return;
    const invite = text.startsWith('INVITE ');
    const to = line(text, 'To');
    const tagged = to.includes(';tag=') ? to : `${to};tag=o${port}`;
    const reply = (status: string, extra: string, content: string): void => {
      const vias = [...text.matchAll(/\r\nVia: ([^\r]+)/g)].map(([, via]) => `Via: ${via}\r\n`).join('');
      const answer =
        `SIP/2.0 ${status}\r\n${vias}From: ${line(text, 'From')}\r\nTo: ${tagged}\r\nCall-ID: ${line(text, 'Call-ID')}\r\n` +
        `CSeq: ${line(text, 'CSeq')}\r\n${extra}Content-Length: ${content.length}\r\n\r\n${content}`;
      socket.send(Buffer.from(answer, 'latin1'), from.port, from.address);
    };
    const contact = `Contact: <sip:called@${address}:${port}>\r\n`;
    if (invite) reply('200 OK', `${contact}Content-Type: application/sdp\r\n`, body);
    else reply('200 OK', contact, '');
  });
};

interface Up {
  readonly uri: string;
  readonly from: string;
  readonly to: string;
  readonly callId: string;
}

let caller: Caller | null = null;
let called: dgram.Socket | null = null;
let calls = 0;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const start = async (): Promise<{ caller: object; called: object }> => {
  caller ??= new Caller(await open('127.0.1.1'));
  if (called === null) {
    called = await open('127.0.2.1');
    answering(called);
  }
  const { address, port } = called.address();
  return { caller: caller.address, called: { host: address, port } };
};

class Run {
  readonly #caller: Caller;
  readonly #order: OverloadOrder;
  readonly answerUs: number[] = [];
  readonly refusalUs: number[] = [];
  readonly probeUs: number[] = [];
  readonly others: Record<string, number> = {};
  withoutRetryAfter = 0;
  byes = 0;
  byesLost = 0;
  reinvites = 0;
  reinvitesLost = 0;
  probes = 0;
  probesLost = 0;

  constructor(caller: Caller, order: OverloadOrder) {
    this.#caller = caller;
    this.#order = order;
  }

  #other(why: string): void {
    this.others[why] = (this.others[why] ?? 0) + 1;
  }

  async begin(): Promise<Up | null> {
    const { target, privateEvery } = this.#order;
    const number = ++calls;
    const callee = privateEvery > 0 && number % privateEvery === 0 ? privileged : monitored;
    const { host } = this.#caller.address;
    const callId = `o${process.pid}x${number}`;
    const from = `<sip:${100_000 + (number % 900_000)}@${host}>;tag=f${number}`;
    const uri = `sip:${callee}@${target.host}:${target.port}`;
    const to = `<${uri}>`;
    const asked = await this.#caller.ask(
      'INVITE',
      uri,
      target,
      { from, to, callId, seq: 1 },
      sdp(host, 40_000),
      answerMs,
    );
    const { text, us, branch } = asked;
    if (text === null) {
      this.#other('no final response');
      return null;
    }
    const status = text.slice(8, 11);
    if (status !== '200') {
      this.#caller.ack(uri, target, text, 1, branch);
      if (status !== '503') this.#other(status);
      else {
        this.refusalUs.push(us);
        if (line(text, 'Retry-After') === '') this.withoutRetryAfter++;
      }
      return null;
    }
    this.answerUs.push(us);
    const contact = /<([^>]+)>/.exec(line(text, 'Contact'))?.[1] ?? uri;
    this.#caller.ack(contact, target, text, 1, `${branch}a`);
    return { uri: contact, from, to: line(text, 'To'), callId };
  }

  async end(up: Up, seq: number): Promise<void> {
    this.byes++;
    const { text } = await this.#caller.ask('BYE', up.uri, this.#order.target, { ...up, seq }, '', byeMs);
    if (text === null || !text.startsWith('SIP/2.0 200')) {
      this.byesLost++;
      if (text !== null) this.#other(`BYE ${text.slice(8, 11)}`);
    }
  }

  /** A re-INVITE that asks for nothing new, as a refresh does. */
  async reinvite(up: Up, seq: number): Promise<void> {
    this.reinvites++;
    const { host } = this.#caller.address;
    const body = sdp(host, 40_000);
    const { target } = this.#order;
    const { text, branch } = await this.#caller.ask('INVITE', up.uri, target, { ...up, seq }, body, byeMs);
    if (text === null) this.reinvitesLost++;
    else {
      const good = text.startsWith('SIP/2.0 200');
      this.#caller.ack(up.uri, target, text, seq, good ? `${branch}a` : branch);
      if (!good) this.#other(`re-INVITE ${text.slice(8, 11)}`);
    }
  }

  /** A monitoring system that asks whether we are there. */
  async probe(): Promise<void> {
    const { target } = this.#order;
    const { host } = this.#caller.address;
    const number = ++this.probes;
    const asked = await this.#caller.ask(
      'OPTIONS',
      `sip:${target.host}:${target.port}`,
      target,
      {
        from: `<sip:probe@${host}>;tag=p${number}`,
        to: `<sip:${target.host}>`,
        callId: `op${process.pid}x${calls}x${number}`,
        seq: 1,
      },
      '',
      4000,
    );
    if (asked.text === null) this.probesLost++;
    else this.probeUs.push(asked.us);
  }
}

const run = async (order: OverloadOrder): Promise<OverloadResult> => {
  await start();
  if (caller === null) throw new Error('not started');
  const one = new Run(caller, order);
  // Set up one after another, before the load: they are part of no figure but their own.
  const before = new Run(caller, order);
  const standing: Up[] = [];
  for (let i = 0; i < order.standing; i++) {
    const up = await before.begin();
    if (up !== null) standing.push(up);
  }
  caller.retransmissions = 0;
  const live = new Set<Promise<void>>();
  const keep = (work: Promise<void>): void => {
    live.add(work);
    void work.finally(() => live.delete(work));
  };
  const total = Math.round(order.perSecond * order.seconds);
  const began = performance.now();
  let behindMs = 0;
  let nextProbe = 0;
  let nextRefresh = 0;
  let refreshed = 0;
  const refreshMs = (order.seconds * 1000) / Math.max(1, standing.length);
  const oneCall = async (): Promise<void> => {
    const up = await one.begin();
    if (up === null) return;
    await pause(order.holdMs);
    await one.end(up, 2);
  };
  for (let made = 0; made < total; ) {
    const now = performance.now() - began;
    const due = Math.min(total, Math.floor((now / 1000) * order.perSecond) + 1);
    if (due > made) behindMs = Math.max(behindMs, now - (made / order.perSecond) * 1000);
    for (let few = 0; made < due && few < 64; few++, made++) keep(oneCall());
    if (now >= nextProbe) {
      nextProbe = now + 100;
      keep(one.probe());
    }
    const refresh = standing[refreshed];
    if (refresh !== undefined && now >= nextRefresh) {
      nextRefresh += refreshMs;
      refreshed++;
      keep(one.reinvite(refresh, 2));
    }
    await pause(1);
  }
  const seconds = (performance.now() - began) / 1000;
  for (const up of standing) keep(one.end(up, 3));
  while (live.size > 0) await Promise.allSettled([...live]);
  const sorted = (all: number[]): number[] => all.sort((a, b) => a - b);
  return {
    calls: total,
    answered: one.answerUs.length,
    refused: one.refusalUs.length,
    others: one.others,
    retransmissions: caller.retransmissions,
    answerUs: sorted(one.answerUs),
    refusalUs: sorted(one.refusalUs),
    withoutRetryAfter: one.withoutRetryAfter,
    byes: one.byes,
    byesLost: one.byesLost,
    standing: standing.length,
    reinvites: one.reinvites,
    reinvitesLost: one.reinvitesLost,
    probes: one.probes,
    probesLost: one.probesLost,
    probeUs: sorted(one.probeUs),
    behindMs,
    seconds,
  };
};

serve({
  open: start,
  run,
  stop: () => undefined,
});
