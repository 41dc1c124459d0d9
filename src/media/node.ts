import { type Between, MediaError, type Party } from '../call/ports.js';
import type { CallId } from '../core/leg.js';
import type { Pool } from './attestation.js';
import { Attester } from './attester.js';
import { type Bencodable, type BencodeDict, integerAt, isDict, isList } from './bencode.js';
import { type CallFacts, readFacts } from './call-facts.js';
import { CallReplies } from './call-replies.js';
import { isPromptFile } from './closed-commands.js';
import {
  answerCommand,
  answerOfNobodyCommand,
  blockCommand,
  blockKeysCommand,
  blockPartyCommand,
  blockPartyKeysCommand,
  deleteCommand,
  hearTonesCommand,
  listCommand,
  MAX_LISTED,
  offerCommand,
  offerToNobodyCommand,
  otherParty,
  pingCommand,
  playCommand,
  queryCommand,
  statisticsCommand,
  stopPlayingCommand,
  unblockCallCommand,
  unblockCommand,
  unblockKeysCommand,
  unblockPartyCommand,
  unhearTonesCommand,
} from './commands.js';
import { ForeignCommands, type Settled } from './foreign-commands.js';
import { NgSocket } from './ng-socket.js';
import type { MediaNodeOptions, NodeCircumstances } from './node-options.js';
import { type Heard, limitsOfSilence } from './silence.js';
import { SilenceWatch, type WatchedCall } from './silence-watch.js';

/** A call as its node sees it. */
export interface CallOnNode extends WatchedCall {
  lost(why: string): void;
}

/** Calls whose deletion failed and is tried again, and how many at a time. */
const MAX_REAPED = 10_000;
const REAPED_AT_ONCE = 32;

const readReason = (reply: BencodeDict, command: Bencodable | undefined): MediaError => {
  const reason = String(reply['error-reason'] ?? '');
  if (/^Unknown call-id/i.test(reason)) return new MediaError('node-error', 'call-unknown');
  if (/session limit|Ran out of ports|load limit/i.test(reason))
    return new MediaError('node-refused', 'node-full');
  if (/parse SDP|Incomplete SDP/i.test(reason))
    return new MediaError(command === 'answer' ? 'answer-unusable' : 'offer-unusable', 'sdp-malformed');
  return new MediaError('node-error', 'command-failed');
};

/**
 * One rtpengine. What may be sent to it is decided by `gate` of its kind, on the last step before the socket; there
 * is no method that takes a command or a flag from outside.
 */
export abstract class MediaNode {
  abstract readonly pool: Pool;
  readonly name: string;
  readonly mediaAddress: string;
  readonly weight: number;
  readonly attester: Attester;
  readonly #circumstances: NodeCircumstances;
  readonly #ng: NgSocket;
  readonly #pingNg: NgSocket;
  readonly #gate: (message: BencodeDict) => void;
  readonly #foreign = new ForeignCommands();
  readonly #promptsRoot: string | null;
  readonly #calls = new Map<CallId, CallOnNode>();
  readonly #replies = new Map<string, CallReplies>();
  readonly #toReap = new Set<CallId>();
  readonly #silence: SilenceWatch;
  #state: 'starting' | 'up' | 'down' = 'starting';
  #missed = 0;
  #timer: NodeJS.Timeout | null = null;
  #pinging = false;
  #reaping = false;
  #closed = false;

  constructor(
    options: MediaNodeOptions,
    circumstances: NodeCircumstances,
    gate: (message: BencodeDict) => void,
  ) {
    const { emit, timing } = circumstances;
    this.name = options.name;
    this.mediaAddress = options.mediaAddress;
    this.weight = options.weight ?? 100;
    this.#promptsRoot = options.promptsRoot ?? null;
    this.#circumstances = circumstances;
    this.#gate = gate;
    const address = { node: options.name, host: options.ng.host, port: options.ng.port, emit };
    this.#ng = new NgSocket({ ...address, deadlineMs: timing.commandMs });
    // Pings have a socket of their own, so that a full queue of commands does not look like a dead node.
    this.#pingNg = new NgSocket({ ...address, deadlineMs: timing.pingDeadlineMs, emit: () => undefined });
    this.attester = new Attester(options, circumstances, {
      statistics: () => this.#send(statisticsCommand, this.#pingNg),
      foreign: this.#foreign,
      restarted: (why) => this.loseCalls(why),
      lost: (why) => this.attestationLost(why),
      up: () => this.#state === 'up',
    });
    const node = this;
    this.#silence = new SilenceWatch(
      {
        get up() {
          return node.up;
        },
        calls: this.#calls,
        now: () => circumstances.clock.mono(),
        list: () => this.#list(),
        hear: (callId) => this.#hear(callId),
        look: () => this.attester.look(),
      },
      limitsOfSilence(timing.silence),
    );
  }

  /** Milliseconds of a clock that only goes forward. */
  now(): number {
    return this.#circumstances.clock.mono();
  }

  get silenceLimits() {
    return limitsOfSilence(this.#circumstances.timing.silence);
  }

  /** The node, or whoever heard of it, says that a call's media has died: it is looked for now. */
  lookForSilence(): Promise<void> {
    return this.#silence.look();
  }

  /** May take new calls. */
  get usable(): boolean {
    return this.#state === 'up' && this.attester.attested;
  }

  get up(): boolean {
    return this.#state === 'up';
  }

  get load(): number {
    return this.#calls.size;
  }

  has(callId: CallId): boolean {
    return this.#calls.has(callId);
  }

  /** The pid of the node's process on this host, or null. */
  get pid(): number | null {
    return this.attester.pid;
  }

  /** Looks at the node for the first time, then goes on by timers. */
  async start(): Promise<void> {
    await this.#ping();
    await this.attester.start();
    if (this.#closed) return;
    this.#timer = setInterval(() => void this.#ping(), this.#circumstances.timing.pingMs);
    this.#timer.unref();
    this.#silence.start();
  }

  close(): void {
    this.#closed = true;
    this.#silence.close();
    if (this.#timer !== null) clearInterval(this.#timer);
    this.attester.close();
    this.#ng.close();
    this.#pingNg.close();
  }

  /** Gives what the node will be told and reply of this call. */
  enter(callId: CallId, call: CallOnNode): CallReplies {
    if (this.#calls.has(callId)) throw new MediaError('node-error', 'call-known');
    // What is left of an earlier call of that id would be taken for this one, and be deleted as such.
    if (this.#toReap.has(callId)) throw new MediaError('node-refused', 'call-leftover');
    this.#calls.set(callId, call);
    const replies = new CallReplies(this.name, this.pool);
    this.#replies.set(callId, replies);
    return replies;
  }

  leave(callId: CallId): void {
    this.#calls.delete(callId);
    this.#replies.get(callId)?.left(this.#circumstances.clock.wall());
    this.#replies.delete(callId);
    this.attester.callLeft();
  }

  async offer(callId: CallId, from: Party, again: boolean, sdp: string, between: Between): Promise<string> {
    const to = between[otherParty(from)];
    return this.sdpOf(await this.command(offerCommand(callId, from, again, sdp, this.mediaAddress, to)));
  }

  /** `from` is the party that answers. */
  async answer(callId: CallId, from: Party, sdp: string, between: Between): Promise<string> {
    const to = between[otherParty(from)];
    return this.sdpOf(await this.command(answerCommand(callId, from, sdp, this.mediaAddress, to)));
  }

  /** Stops sound and keys between the parties. */
  async block(callId: CallId): Promise<void> {
    await this.#both(blockCommand(callId), blockKeysCommand(callId));
  }

  async unblock(callId: CallId): Promise<void> {
    await this.#both(unblockKeysCommand(callId), unblockCommand(callId));
  }

  /** Joins a party with nobody (see ToneEar): what the node answers the party, whose port stays. */
  async joinNobody(
    callId: CallId,
    party: Party,
    said: string,
    ofNobody: string,
    between: Between,
  ): Promise<string> {
    const { mediaAddress: address } = this;
    await this.command(offerToNobodyCommand(callId, party, said, address));
    const answer = answerOfNobodyCommand(callId, party, ofNobody, address, between[party]);
    return this.sdpOf(await this.command(answer));
  }

  /** Listens to the tones of a party that is joined with nobody. It hears nothing of the other party. */
  async hearTones(callId: CallId, party: Party): Promise<void> {
    await this.command(blockPartyCommand(callId, otherParty(party)));
    await this.command(blockPartyKeysCommand(callId, otherParty(party)));
    await this.command(hearTonesCommand(callId));
    await this.command(unblockCallCommand(callId));
  }

  /** Blocks the call as before, and then listens no more. */
  async unhearTones(callId: CallId, party: Party): Promise<void> {
    await this.command(blockCommand(callId));
    await this.command(unhearTonesCommand(callId));
    await this.command(blockKeysCommand(callId));
    await this.command(unblockPartyCommand(callId, otherParty(party)));
  }

  /**
   * Plays a sound of the prompts' directory to one party, `times` in a row. Gives the length of one round in ms, or
   * null where the node did not say.
   */
  async play(callId: CallId, to: Party, file: string, times: number): Promise<number | null> {
    if (this.#promptsRoot === null) throw new MediaError('node-error', 'prompts-not-configured');
    if (!isPromptFile(file)) throw new MediaError('node-error', 'sound-not-allowed');
    const reply = await this.command(playCommand(callId, to, `${this.#promptsRoot}/${file}`, times));
    return integerAt(reply, 'duration');
  }

  async stopPlaying(callId: CallId, to: Party): Promise<void> {
    await this.command(stopPlayingCommand(callId, to));
  }

  async query(callId: CallId): Promise<CallFacts> {
    return readFacts(await this.command(queryCommand(callId)));
  }

  /**
   * Deletes a call, whoever else hangs on it. Null where the node did not know it. Where the node does not answer,
   * the call is deleted as soon as it answers again, and this rejects.
   */
  async remove(callId: CallId): Promise<CallFacts | null> {
    try {
      const reply = await this.command(deleteCommand(callId, 'caller'));
      const facts = isDict(reply.tags) ? readFacts(reply) : null;
      // Tags that are not the parties' keep the call alive, and the reply need not name them (measured: two listeners,
      // gone or not, do so): delete what is left, by call-id alone.
      if (facts !== null) await this.command(deleteCommand(callId, null));
      this.#toReap.delete(callId);
      return facts;
    } catch (error) {
      // Last in line, so that one that fails again and again holds up no other.
      this.#toReap.delete(callId);
      if (this.#toReap.size < MAX_REAPED) this.#toReap.add(callId);
      throw error;
    }
  }

  protected abstract attestationLost(why: string): void;

  /** Ends every call here: the node is gone, restarted or not to be trusted. */
  protected loseCalls(why: string): void {
    for (const call of [...this.#calls.values()]) call.lost(why);
  }

  /**
   * Two commands that need nothing of each other, on their way together. Both are settled when this is: what follows
   * a failure, the deletion, must not be overtaken.
   */
  async #both(one: BencodeDict, other: BencodeDict): Promise<void> {
    for (const done of await Promise.allSettled([this.command(one), this.command(other)])) {
      if (done.status === 'rejected') throw done.reason;
    }
  }

  /** Sends a command and turns the node's error into a MediaError. */
  protected async command(message: BencodeDict): Promise<BencodeDict> {
    const command = String(message.command);
    const replies = this.#replies.get(String(message['call-id']));
    replies?.sent(command);
    try {
      const reply = await this.#send(message, this.#ng);
      if (reply.result !== 'ok') throw readReason(reply, message.command);
      replies?.answered(command, reply);
      return reply;
    } catch (error) {
      replies?.failed();
      // Do not wait for the next ping to find out whether the node is gone.
      if (error instanceof MediaError && error.code.startsWith('node-')) void this.#ping();
      throw error;
    }
  }

  async #send(message: BencodeDict, socket: NgSocket): Promise<BencodeDict> {
    this.#gate(message);
    const settle = this.#foreign.sending(String(message.command));
    let settled: Settled = 'unknown';
    try {
      const reply = await socket.ask(message);
      settled = 'answered';
      return reply;
    } catch (error) {
      if (error instanceof MediaError && (error.detail === 'ng-queue-full' || error.detail === 'ng-closed'))
        settled = 'unsent';
      throw error;
    } finally {
      settle(settled);
    }
  }

  async #list(): Promise<ReadonlySet<string> | null> {
    try {
      const { result, calls } = await this.#send(listCommand, this.#ng);
      // A list that is full may have left out any.
      if (result !== 'ok' || !isList(calls) || calls.length >= MAX_LISTED) return null;
      return new Set(calls.map(String));
    } catch {
      return null;
    }
  }

  /** Null where it did not answer, or does not know the call: the list tells of those, and of no others. */
  async #hear(callId: CallId): Promise<Heard | null> {
    try {
      const reply = await this.#send(queryCommand(callId), this.#ng);
      return reply.result === 'ok' ? readFacts(reply).heard : null;
    } catch {
      return null;
    }
  }

  protected sdpOf(reply: BencodeDict): string {
    const sdp = reply.sdp;
    if (typeof sdp !== 'string' || sdp.length > 8_000) throw new MediaError('node-error', 'reply-malformed');
    return sdp;
  }

  async #ping(): Promise<void> {
    if (this.#pinging || this.#closed) return;
    this.#pinging = true;
    try {
      const reply = await this.#send(pingCommand, this.#pingNg);
      if (reply.result !== 'pong') throw new MediaError('node-error', 'reply-malformed');
      this.#missed = 0;
      this.#become('up', 'answers');
      if (this.#toReap.size > 0) void this.#reap();
    } catch (error) {
      this.#missed++;
      const refused = error instanceof MediaError && error.code === 'node-refused';
      if (refused || this.#missed >= this.#circumstances.timing.lossThreshold || this.#state === 'starting') {
        this.#become('down', refused ? 'refused' : 'no-answer');
      }
    } finally {
      this.#pinging = false;
    }
    this.attester.checkRestart();
  }

  #become(state: 'up' | 'down', why: string): void {
    if (this.#closed || this.#state === state) return;
    const first = this.#state === 'starting';
    this.#state = state;
    this.#circumstances.emit({ event: 'node-state', node: this.name, pool: this.pool, state, why });
    if (state === 'down') {
      this.attester.forget();
      this.loseCalls(`node-${why}`);
    } else if (!first) {
      void this.attester.look();
    }
  }

  /** Deletes calls that ended while the node did not answer. */
  async #reap(): Promise<void> {
    if (this.#reaping) return;
    this.#reaping = true;
    const some = [...this.#toReap].slice(0, REAPED_AT_ONCE);
    await Promise.all(
      some.map((callId) =>
        this.remove(callId).then(
          () => this.#circumstances.onReaped(callId),
          () => undefined,
        ),
      ),
    );
    this.#reaping = false;
  }
}
