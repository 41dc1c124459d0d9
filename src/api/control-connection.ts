import type { Socket } from 'node:net';
import type { FarControl, FollowedEvent } from './control.js';
import { carryOut, type Order } from './control-orders.js';
import { maxLineBytes, parseRequest, type RequestId } from './control-request.js';

export interface ControlLimits {
  readonly connections: number;
  /** Orders under way on one connection. */
  readonly outstanding: number;
  /** Bytes written to a connection and not taken by its other end. */
  readonly unreadBytes: number;
  /** How long an order may take before its asker is told that its outcome is unknown. */
  readonly answerMs: number;
  /** The same for `listen`, which waits until a person has picked up a phone. */
  readonly listenMs: number;
  /** How long a connection may ask nothing while it follows nothing. */
  readonly idleMs: number;
  /** How long a connection that was told its last line has to take it. */
  readonly lingerMs: number;
}

export const defaultLimits: ControlLimits = {
  connections: 16,
  outstanding: 64,
  unreadBytes: 256 * 1024,
  answerMs: 10_000,
  listenMs: 45_000,
  idleMs: 60_000,
  lingerMs: 2000,
};

/** Events that are kept while the calls under way are gathered from other processes. */
const maxEarly = 10_000;

export interface ConnectionOptions {
  readonly control: FarControl;
  readonly limits: ControlLimits;
  /** Something in the controller threw. */
  readonly onFault: (command: string) => void;
}

interface Fault {
  readonly code: string;
  readonly message: string;
}

/** The last line, and no more: for who comes when there is no place left. */
export const turnAway = (socket: Socket, fault: Fault, lingerMs: number): void => {
  socket.on('error', () => undefined);
  socket.resume();
  socket.end(`${JSON.stringify({ id: null, ok: false, error: fault })}\n`);
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(timer));
};

/**
 * One operator's connection: requests in, replies and followed events out. What it may make us keep is bounded on
 * every side: unread bytes stop us from reading on, and a follower that falls behind is dropped and told so.
 */
export class ControlConnection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  /** What came and is no line yet, or waits because the other end does not read. */
  #rest: Buffer = Buffer.alloc(0);
  #inputEnded = false;
  #finished = false;
  readonly #outstanding = new Set<RequestId>();
  #following: { readonly id: RequestId; readonly stop: () => void } | null = null;
  #idle: NodeJS.Timeout | null = null;
  readonly #closed: Promise<void>;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    // Every failure of a socket is followed by its close, which is all that matters here.
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('drain', () => this.#work());
    socket.on('end', () => {
      this.#inputEnded = true;
      this.#work();
    });
    this.#closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#finished = true;
        this.#release();
        resolve();
      });
    });
    this.#watchIdle();
  }

  /** Resolves once the socket is closed. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  /** Says a last line under every id that waits for one, and closes. Idempotent. */
  finish(fault: Fault | null): void {
    if (this.#finished) return;
    if (fault !== null) {
      const waiting: (RequestId | null)[] = [...this.#outstanding];
      if (this.#following !== null) waiting.push(this.#following.id);
      if (waiting.length === 0) waiting.push(null);
      for (const id of waiting) this.#send({ id, ok: false, error: fault });
    }
    this.#finished = true;
    this.#release();
    this.#rest = Buffer.alloc(0);
    this.#socket.resume();
    this.#socket.end();
    // Not at once: closed while the other end still writes, it would meet a broken pipe before our last line.
    const timer = setTimeout(() => this.#socket.destroy(), this.#options.limits.lingerMs);
    this.#socket.once('close', () => clearTimeout(timer));
  }

  #release(): void {
    this.#following?.stop();
    this.#following = null;
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = null;
  }

  #read(chunk: Buffer): void {
    if (this.#finished) return;
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#work();
  }

  /** Takes the lines that are there, as long as the other end reads what it is told. */
  #work(): void {
    while (!this.#finished) {
      if (this.#socket.writableLength > this.#options.limits.unreadBytes) {
        this.#socket.pause();
        return;
      }
      const end = this.#rest.indexOf(0x0a);
      if ((end === -1 ? this.#rest.length : end) > maxLineBytes) {
        this.finish({ code: 'line-too-long', message: `a request is at most ${maxLineBytes} bytes` });
        return;
      }
      if (end === -1) break;
      const line = this.#rest.subarray(0, end);
      this.#rest = this.#rest.subarray(end + 1);
      this.#take(line);
    }
    if (this.#finished) return;
    this.#socket.resume();
    if (!this.#inputEnded) return;
    // A command that was cut off is not carried out, not even if it happens to be complete.
    if (this.#rest.length > 0)
      this.finish({ code: 'line-incomplete', message: 'the last request did not end with a newline' });
    else if (this.#outstanding.size === 0) this.finish(null);
  }

  #take(line: Buffer): void {
    this.#watchIdle();
    const request = parseRequest(line);
    if (!request.ok) {
      this.#refuse(request.id, request.fault);
      return;
    }
    const { id, command } = request;
    if (this.#outstanding.has(id) || this.#following?.id === id) {
      this.#refuse(id, { code: 'id-in-use', message: 'a request with this id is still under way' });
      return;
    }
    switch (command.command) {
      case 'calls':
        this.#look(id, command.command, () => this.#options.control.calls());
        return;
      case 'orders':
        this.#look(id, command.command, () => this.#options.control.orders());
        return;
      case 'canaries':
        this.#look(id, command.command, () => this.#options.control.canaries());
        return;
      case 'nodes':
        this.#look(id, command.command, () => this.#options.control.nodes());
        return;
      case 'follow':
        this.#follow(id);
        return;
      default:
        this.#order(id, command);
    }
  }

  /** Gives a value to whoever waits for it: in this turn where it is there already. */
  #whenThere<Value>(
    id: RequestId,
    command: string,
    look: () => Value | Promise<Value>,
    use: (value: Value) => void,
  ): void {
    try {
      const value = look();
      if (value instanceof Promise) value.then(use, () => this.#failed(id, command));
      else use(value);
    } catch {
      this.#failed(id, command);
    }
  }

  #look(id: RequestId, command: 'calls' | 'orders' | 'canaries' | 'nodes', look: () => unknown): void {
    this.#whenThere(id, command, look, (value) => this.#send({ id, ok: true, result: { [command]: value } }));
  }

  #follow(id: RequestId): void {
    if (this.#following !== null) {
      this.#refuse(id, { code: 'already-following', message: 'this connection follows already' });
      return;
    }
    // What happens while the calls are gathered is told after them.
    let early: FollowedEvent[] | null = [];
    const { control } = this.#options;
    this.#whenThere(
      id,
      'follow',
      () => {
        // The calls under way and all that follows, in one go: where they are ours nothing can happen in between.
        const calls = control.calls();
        const stop = control.follow((event) => {
          if (early === null) this.#tell(id, event);
          else if (early.length < maxEarly) early.push(event);
        });
        if (this.#finished) stop();
        else this.#following = { id, stop };
        return calls;
      },
      (calls) => {
        this.#send({ id, ok: true, result: { calls } });
        const events = early ?? [];
        early = null;
        for (const event of events) this.#tell(id, event);
      },
    );
  }

  #tell(id: RequestId, event: FollowedEvent): void {
    if (this.#finished) return;
    const line = `${JSON.stringify({ id, event })}\n`;
    if (this.#socket.writableLength + Buffer.byteLength(line) > this.#options.limits.unreadBytes)
      this.finish({
        code: 'follower-too-slow',
        message: 'events came faster than they were read; some were left out, so following ends here',
      });
    else this.#socket.write(line);
  }

  #order(id: RequestId, order: Order): void {
    const { limits } = this.#options;
    if (this.#outstanding.size >= limits.outstanding) {
      this.#refuse(id, {
        code: 'too-many-requests',
        message: `at most ${limits.outstanding} orders may be under way on one connection`,
      });
      return;
    }
    this.#outstanding.add(id);
    const timer = setTimeout(
      () => {
        this.#settle(id, {
          ok: false,
          error: {
            code: 'outcome-unknown',
            message: 'the controller has not said in time whether this was done; look before you try again',
          },
        });
      },
      order.command === 'listen' ? limits.listenMs : limits.answerMs,
    );
    timer.unref();
    carryOut(this.#options.control, order)
      .then(
        (outcome) =>
          outcome.ok === true
            ? { ok: true, result: { note: outcome.note, call: outcome.callId } }
            : { ok: false, error: { code: outcome.code, message: outcome.message } },
        () => this.#broken(order.command),
      )
      .then(
        (reply) => {
          clearTimeout(timer);
          this.#settle(id, reply);
        },
        // Nothing above can throw; were it to, the deadline answers.
        () => undefined,
      );
  }

  /** Answers an order, once. */
  #settle(id: RequestId, reply: object): void {
    if (!this.#outstanding.delete(id)) return;
    this.#watchIdle();
    this.#send({ id, ...reply });
    this.#work();
  }

  #broken(command: string): object {
    this.#options.onFault(command);
    // What was thrown is not repeated: nobody knows what it holds.
    const message = 'the controller failed to do this; whether it took effect is not known';
    return { ok: false, error: { code: 'control-failed', message } };
  }

  #failed(id: RequestId, command: string): void {
    this.#send({ id, ...this.#broken(command) });
  }

  #refuse(id: RequestId | null, error: Fault): void {
    this.#send({ id, ok: false, error });
  }

  #send(value: object): void {
    if (!this.#finished && this.#socket.writable) this.#socket.write(`${JSON.stringify(value)}\n`);
  }

  #watchIdle(): void {
    if (this.#finished) return;
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      this.#idle = null;
      if (this.#outstanding.size > 0 || this.#following !== null) this.#watchIdle();
      else this.finish({ code: 'idle', message: 'nothing was asked for a while' });
    }, this.#options.limits.idleMs);
  }
}
