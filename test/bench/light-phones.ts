/**
 * Both phones of the comparison without media, in one process: datagrams made from templates, so that a thousand calls
 * a second leave the machine to what is between. Without sound; otherwise what caller.ts and called.ts are, and they
 * answer to the same questions.
 */
import dgram from 'node:dgram';
import { serve } from './ask.js';
import type { CalledReport } from './called.js';
import { count, pace, type RunOrder, type RunResult } from './load.js';
import { callerId, monitoredNumber, privilegedNumber } from './numbers.js';

const answerMs = 12_000;
const byeMs = 8_000;
/** RFC 3261 section 17.1.1.1. */
const t1 = 500;
const t2 = 4000;

interface Place {
  readonly host: string;
  readonly port: number;
}

/** The first header of this name; '' where there is none. Whoever is measured here writes names in full. */
const header = (text: string, name: string): string => {
  const at = text.indexOf(`\r\n${name}: `);
  return at < 0 ? '' : text.slice(at + name.length + 4, text.indexOf('\r\n', at + 2));
};

const headers = (text: string, name: string): string[] => {
  const found: string[] = [];
  const title = `\r\n${name}: `;
  for (let at = text.indexOf(title); at >= 0; at = text.indexOf(title, at + 2))
    found.push(text.slice(at + title.length, text.indexOf('\r\n', at + 2)));
  return found;
};

const branchOf = (via: string): string => /;branch=([^;,\s]+)/.exec(via)?.[1] ?? '';

const sdp = ({ host, port }: Place): string =>
  `v=0\r\no=- 1 1 IN IP4 ${host}\r\ns=-\r\nc=IN IP4 ${host}\r\nt=0 0\r\nm=audio ${port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n`;

const bodyLines = (body: string): string =>
  `${body === '' ? '' : 'Content-Type: application/sdp\r\n'}Content-Length: ${body.length}\r\n\r\n${body}`;

const literal = (host: string, _options: unknown, done: (e: null, a: string, f: number) => void): void =>
  done(null, host, 4);

const open = (host: string): Promise<dgram.Socket> =>
  new Promise((resolve, reject) => {
    // Every address here is one already: nobody needs to be asked for it.
    const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: 8 << 20, lookup: literal as never });
    socket.once('error', reject);
    socket.bind(0, host, () => resolve(socket));
  });

const placeOf = (socket: dgram.Socket): Place => {
  const { address, port } = socket.address();
  return { host: address, port };
};

interface Dialog {
  readonly uri: string;
  readonly from: string;
  readonly to: string;
  readonly callId: string;
  /** The Route lines of a request in it (RFC 3261 section 12.1.2). */
  readonly routes: string;
}

/** A response to `text` from the party at `here`. */
const responseTo = (text: string, status: string, body: string, here: Place): Buffer => {
  const to = header(text, 'To');
  const lines = (name: string): string =>
    headers(text, name)
      .map((value) => `${name}: ${value}\r\n`)
      .join('');
  return Buffer.from(
    `SIP/2.0 ${status}\r\n${lines('Via')}${lines('Record-Route')}From: ${header(text, 'From')}\r\n` +
      `To: ${to.includes(';tag=') ? to : `${to};tag=l${here.port}`}\r\nCall-ID: ${header(text, 'Call-ID')}\r\n` +
      `CSeq: ${header(text, 'CSeq')}\r\nContact: <sip:called@${here.host}:${here.port}>\r\n${bodyLines(body)}`,
    'latin1',
  );
};

/** The calling phone. */
class Caller {
  readonly #socket: dgram.Socket;
  readonly #here: Place;
  readonly #waiting = new Map<string, (text: string) => void>();
  /** Call-ID of an INVITE that was answered → its ACK, for an answer that comes again. */
  readonly #acks = new Map<string, { readonly text: string; readonly to: Place }>();
  /** Call-IDs of the calls that the far side hung up. */
  readonly hungUp = new Set<string>();
  #ids = 0;
  #calls = 0;
  /** Messages sent twice. */
  again = 0;

  constructor(socket: dgram.Socket) {
    this.#socket = socket;
    this.#here = placeOf(socket);
    socket.on('message', (data, from) => this.#take(data.toString('latin1'), from));
  }

  get here(): Place {
    return this.#here;
  }

  reset(): void {
    this.again = 0;
    this.#acks.clear();
    this.hungUp.clear();
  }

  #take(text: string, from: dgram.RemoteInfo): void {
    if (text.startsWith('BYE ')) {
      this.hungUp.add(header(text, 'Call-ID'));
      this.#socket.send(responseTo(text, '200 OK', '', this.#here), from.port, from.address);
    }
    if (!text.startsWith('SIP/2.0 ')) return;
    const waiting = this.#waiting.get(branchOf(header(text, 'Via')));
    if (waiting !== undefined) {
      waiting(text);
      return;
    }
    const ack = header(text, 'CSeq').endsWith('INVITE') ? this.#acks.get(header(text, 'Call-ID')) : undefined;
    if (ack === undefined || text.startsWith('SIP/2.0 1')) return;
    this.again++;
    this.#send(ack.text, ack.to);
  }

  #send(text: string, to: Place): void {
    this.#socket.send(Buffer.from(text, 'latin1'), to.port, to.host);
  }

  #write(method: string, branch: string, dialog: Dialog, seq: number, body = ''): string {
    const { host, port } = this.#here;
    return (
      `${method} ${dialog.uri} SIP/2.0\r\nVia: SIP/2.0/UDP ${host}:${port};branch=${branch}\r\nMax-Forwards: 70\r\n${dialog.routes}` +
      `From: ${dialog.from}\r\nTo: ${dialog.to}\r\nCall-ID: ${dialog.callId}\r\nCSeq: ${seq} ${method}\r\n` +
      `Contact: <sip:caller@${host}:${port}>\r\n${bodyLines(body)}`
    );
  }

  /** Sends it until there is a final response, and gives that; null where none came in time. */
  #ask(text: string, branch: string, to: Place, giveUpMs: number): Promise<string | null> {
    return new Promise((resolve) => {
      const began = performance.now();
      let wait = t1;
      const end = (answer: string | null): void => {
        clearTimeout(timer);
        this.#waiting.delete(branch);
        resolve(answer);
      };
      const repeat = (): void => {
        if (performance.now() - began > giveUpMs) {
          end(null);
          return;
        }
        this.again++;
        this.#send(text, to);
        wait = Math.min(t2, wait * 2);
        timer = setTimeout(repeat, wait);
      };
      let timer = setTimeout(repeat, t1);
      this.#waiting.set(branch, (answer) => {
        if (!answer.startsWith('SIP/2.0 1')) {
          end(answer);
          return;
        }
        // An INVITE that was heard of is not sent again (RFC 3261 section 17.1.1.2).
        if (!text.startsWith('INVITE ')) return;
        clearTimeout(timer);
        timer = setTimeout(() => end(null), giveUpMs);
      });
      this.#send(text, to);
    });
  }

  #branch(): string {
    return `z9hG4bKl${process.pid}x${++this.#ids}`;
  }

  /** One INVITE, acknowledged; what became of it. */
  async invite(order: RunOrder): Promise<{ status: string; us: number; dialog: Dialog }> {
    const { target, privateEvery } = order;
    const number = ++this.#calls;
    const callee = privateEvery > 0 && number % privateEvery === 0 ? privilegedNumber : monitoredNumber;
    const uri = `sip:${callee}@${target.host}:${target.port}`;
    const from = `<sip:${callerId(number)}@${this.#here.host}>;tag=f${number}`;
    const first = { uri, from, to: `<${uri}>`, callId: `l${process.pid}x${number}`, routes: '' };
    const branch = this.#branch();
    const body = sdp({ host: this.#here.host, port: 40_000 });
    const began = performance.now();
    const answer = await this.#ask(this.#write('INVITE', branch, first, 1, body), branch, target, answerMs);
    const us = (performance.now() - began) * 1000;
    if (answer === null) {
      this.#send(this.#write('CANCEL', branch, first, 1), target);
      return { status: 'no answer', us, dialog: first };
    }
    const status = answer.slice(8, 11);
    const good = status.startsWith('2');
    const dialog: Dialog = {
      ...first,
      uri: good ? (/<([^>]+)>/.exec(header(answer, 'Contact'))?.[1] ?? uri) : uri,
      to: header(answer, 'To'),
      routes: good
        ? headers(answer, 'Record-Route')
            .reverse()
            .map((route) => `Route: ${route}\r\n`)
            .join('')
        : '',
    };
    // The ACK of a refusal belongs to the INVITE's transaction, that of a 200 does not (RFC 3261 sections 17.1.1.3, 13.2.2.4).
    const ack = this.#write('ACK', good ? this.#branch() : branch, dialog, 1);
    this.#acks.set(dialog.callId, { text: ack, to: target });
    this.#send(ack, target);
    return { status, us, dialog };
  }

  /** Hangs up; gives the status, or null where nobody answered. */
  async bye(order: RunOrder, dialog: Dialog): Promise<string | null> {
    const branch = this.#branch();
    const answer = await this.#ask(this.#write('BYE', branch, dialog, 2), branch, order.target, byeMs);
    return answer?.slice(8, 11) ?? null;
  }
}

/** The called phone: it rings and answers every call at once. */
class Called {
  readonly #socket: dgram.Socket;
  readonly #here: Place;
  /** Call-ID → the answer, until it is acknowledged, and the timer that sends it again. */
  readonly #calls = new Map<string, { readonly answer: () => void; timer: NodeJS.Timeout | null }>();
  invites = 0;
  again = 0;

  constructor(socket: dgram.Socket) {
    this.#socket = socket;
    this.#here = placeOf(socket);
    socket.on('message', (data, from) => this.#take(data.toString('latin1'), from));
  }

  get here(): Place {
    return this.#here;
  }

  get live(): number {
    return this.#calls.size;
  }

  reset(): void {
    this.invites = 0;
    this.again = 0;
  }

  #take(text: string, from: dgram.RemoteInfo): void {
    if (text.startsWith('SIP/2.0 ')) return;
    const callId = header(text, 'Call-ID');
    const call = this.#calls.get(callId);
    if (text.startsWith('ACK ')) {
      if (call?.timer != null) clearTimeout(call.timer);
      if (call !== undefined) call.timer = null;
    } else if (text.startsWith('INVITE ')) {
      if (call !== undefined) {
        this.again++;
        call.answer();
      } else this.#ring(text, callId, from);
    } else {
      if (text.startsWith('BYE ')) {
        if (call === undefined) this.again++;
        if (call?.timer != null) clearTimeout(call.timer);
        this.#calls.delete(callId);
      }
      this.#reply(text, '200 OK', '', from);
    }
  }

  #ring(text: string, callId: string, from: dgram.RemoteInfo): void {
    this.invites++;
    this.#reply(text, '180 Ringing', '', from);
    const answer = (): void =>
      this.#reply(text, '200 OK', sdp({ host: this.#here.host, port: 40_002 }), from);
    const repeat = (wait: number): NodeJS.Timeout =>
      setTimeout(
        () => {
          // RFC 3261 section 13.3.1.4: for 64·T1, and then the call is given up.
          if (wait > 64 * t1) {
            this.#calls.delete(callId);
            return;
          }
          this.again++;
          answer();
          call.timer = repeat(wait * 2);
        },
        Math.min(wait, t2),
      );
    const call = { answer, timer: repeat(t1) as NodeJS.Timeout | null };
    this.#calls.set(callId, call);
    answer();
  }

  #reply(text: string, status: string, body: string, from: dgram.RemoteInfo): void {
    this.#socket.send(responseTo(text, status, body, this.#here), from.port, from.address);
  }
}

let sides: { readonly caller: Caller; readonly called: Called } | null = null;

const started = async (): Promise<{ readonly caller: Caller; readonly called: Called }> => {
  sides ??= { caller: new Caller(await open('127.0.1.1')), called: new Called(await open('127.0.2.1')) };
  return sides;
};

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const run = async (order: RunOrder): Promise<RunResult> => {
  const { caller } = await started();
  caller.reset();
  const failures: Record<string, number> = {};
  const latenciesUs: number[] = [];
  const live: Promise<void>[] = [];
  const began = performance.now();
  const one = async (): Promise<void> => {
    const { status, us, dialog } = await caller.invite(order);
    if (status !== '200') return count(failures, status);
    latenciesUs.push(us);
    await pause(order.holdMs);
    if (caller.hungUp.has(dialog.callId)) return count(failures, 'hung up by the far side');
    const bye = await caller.bye(order, dialog);
    if (bye !== '200') count(failures, `BYE ${bye ?? 'unanswered'}`);
  };
  const behindMs = await pace(order, () => live.push(one()));
  await Promise.all(live);
  return {
    calls: live.length,
    answered: latenciesUs.length,
    failures,
    retransmissions: caller.again,
    latenciesUs: latenciesUs.sort((a, b) => a - b),
    rtp: null,
    behindMs,
    seconds: (performance.now() - began) / 1000,
  };
};

const report = async (): Promise<CalledReport> => {
  const { called } = await started();
  return {
    calls: called.invites,
    retransmissions: called.again,
    liveCalls: called.live,
    rtp: { sent: 0, received: 0 },
  };
};

serve({
  open: async () => {
    const { caller, called } = await started();
    return { caller: caller.here, called: called.here };
  },
  reset: async () => (await started()).called.reset(),
  run,
  report,
  stop: () => undefined,
});
