import {
  type Between,
  type Emit,
  type JsonObject,
  MediaError,
  type MediaTotals,
  type Party,
  type Sdp,
  type TextStreams,
} from '../call/ports.js';
import type { Asked, Sound, Voice } from '../call/talk.js';
import type { Key } from '../core/key.js';
import type { CallId } from '../core/leg.js';
import type { CallFacts } from './call-facts.js';
import type { CallReplies } from './call-replies.js';
import { nobody } from './commands.js';
import { Exchange } from './exchange.js';
import type { Keypad } from './keypad.js';
import type { CallOnNode, MediaNode } from './node.js';
import { holdsProtocols } from './protection.js';
import {
  checkStreams,
  holdsEvents,
  type PeerRules,
  type PeerSource,
  type PeerStreams,
  type SdpUse,
} from './sdp-in.js';
import { type Heard, Silence } from './silence.js';
import { Speech } from './speech.js';
import { ToneEar } from './tone-ear.js';
import { Turns } from './turns.js';

/** Addresses a party may have had in one call. */
const MAX_SOURCES = 64;

/** Within the call's own bound for opening its media; a lost packet of the handshake comes again after a second. */
const MAX_HANDSHAKE_MS = 3500;
const HANDSHAKE_LOOK_MS = 50;

/** What all calls share. */
export interface CallParts {
  readonly rules: PeerRules;
  /** Null where no keypad is configured: then no key is ever reported. */
  readonly keypad: Keypad | null;
  /** Where a supervisor's sound is mixed; null where the node itself is on this host. */
  readonly earAddress: string | null;
  readonly emit: Emit;
}

/** One call on one node: what calls of both pools can do. */
export abstract class AnchoredCall<Node extends MediaNode> implements Omit<Voice, 'release'> {
  readonly callId: CallId;
  readonly between: Between;
  protected readonly home: Node;
  protected readonly turns = new Turns();
  protected readonly parts: CallParts;
  readonly #speech: Speech;
  readonly #sources: Readonly<Record<Party, Set<PeerSource>>> = { caller: new Set(), called: new Set() };
  protected readonly exchange: Exchange;
  readonly #tones: ToneEar;
  #stopListening: (() => void) | null = null;
  #released: Promise<MediaTotals | null> | null = null;
  #replies: CallReplies | null = null;
  #lostWhy: string | null = null;
  #onLost: ((why: string) => void) | null = null;
  #onSilent: ((why: string) => void) | null = null;
  readonly #silence: Silence;
  #open = false;

  constructor(home: Node, callId: CallId, offer: Sdp, between: Between, parts: CallParts) {
    this.home = home;
    this.callId = callId;
    this.between = between;
    this.parts = parts;
    this.#silence = new Silence(home.silenceLimits);
    const { sdp, text } = this.check('caller', offer, 'offer');
    this.exchange = new Exchange(home, callId, between, sdp, text);
    this.#speech = new Speech({
      play: (to, file, times, wanted) =>
        this.inTurn(async () => (wanted() ? this.home.play(callId, to, file, times) : 'unwanted')),
      stop: (to) => this.inTurn(() => this.home.stopPlaying(callId, to), true),
    });
    this.#tones = new ToneEar(home, callId, between, {
      checkPort: (of, sdp) => this.exchange.checkPort(of, sdp),
      rejoin: () => this.exchange.rejoin(),
    });
  }

  get node(): string {
    return this.home.name;
  }

  get offerForCalled(): Sdp {
    return this.exchange.offerForCalled;
  }

  /** See `Anchored`. */
  get correction(): Sdp | null {
    return this.exchange.correction;
  }

  /** See `Anchored`. */
  replies(): JsonObject {
    return {
      ...(this.#replies?.json() ?? { node: this.node, pool: this.home.pool }),
      protection: { ...this.between },
    };
  }

  /** What both agreed to last holds text. */
  get carriesText(): boolean {
    return this.exchange.carriesText;
  }

  /** The call's real-time text, once both parties were told of it. */
  text(): TextStreams | null {
    return this.exchange.text;
  }

  /** Offers the caller's media to the node and blocks the call: nothing passes until `open`. */
  async begin(): Promise<void> {
    this.#replies = this.home.enter(this.callId, this.#onNode());
    try {
      // Blocked before anything else is looked at, so that no way out of here leaves an open call.
      await this.inTurn(() => this.exchange.begin(() => this.home.block(this.callId)));
    } catch (error) {
      // Not waited for: after a timeout the next node is to be tried now.
      void this.release();
      throw error;
    }
  }

  async open(): Promise<void> {
    await this.together(async () => {
      this.exchange.agreed();
      await this.#refuseForeignTags();
      await this.#untilVerified();
      await this.home.unblock(this.callId);
    });
    this.#silence.begin(this.home.now());
    this.#open = true;
  }

  async shut(): Promise<void> {
    this.#open = false;
    await this.inTurn(() => this.home.block(this.callId), true);
  }

  receive(): Promise<Sdp> {
    return this.inTurn(() => this.exchange.receive());
  }

  async readdress(party: Party, said: Sdp): Promise<void> {
    const { sdp, text } = this.check(party, said, 'reanswer');
    await this.together(() => this.exchange.readdress(party, sdp, text));
  }

  async withdrawText(): Promise<void> {
    await this.together(() => this.exchange.withdrawText());
  }

  say(to: Party, sounds: readonly Sound[], repeat = false): Promise<'said' | 'hushed'> {
    return this.#speech.say(to, sounds, repeat);
  }

  async hush(to: Party): Promise<void> {
    // Nothing plays on a node that is gone, or to a call that is.
    if (this.#released !== null || this.#lostWhy !== null) return;
    await this.#speech.hush(to);
  }

  onKey(listener: ((party: Party, key: Key) => void) | null): void {
    this.#stopListening?.();
    this.#stopListening = null;
    if (listener === null || this.#released !== null || this.#lostWhy !== null) return;
    this.#stopListening = this.parts.keypad?.listen(this.callId, listener) ?? null;
  }

  ask(asked: Asked | null): void {
    if (this.parts.keypad === null || this.#released !== null || this.#lostWhy !== null) return;
    this.inTurn(() => this.#hearTones(asked), true).catch((error: unknown) => {
      if (asked === null || this.#released !== null) return;
      // Who cannot be heard is asked in vain, and the call ends as for one who presses nothing.
      const code = error instanceof MediaError ? error.detail : 'unknown';
      this.parts.emit({ event: 'fault', where: 'in-band-keys', code });
    });
  }

  /** Listens for keys in the sound of who is asked, where they do not come as events. */
  async #hearTones(asked: Asked | null): Promise<void> {
    const said = asked === null ? null : this.exchange.saidBy(asked.party);
    if (asked === null || said === null || asked.by === 'events') return this.#tones.leave();
    if (asked.by === 'auto' && holdsEvents(said)) return this.#tones.leave();
    return this.#tones.listen(asked.party, said);
  }

  async reoffer(from: Party, said: Sdp): Promise<Sdp> {
    const { sdp, text } = this.check(from, said, 'reoffer');
    return this.together(() => this.exchange.reoffer(from, sdp, text));
  }

  async reanswer(from: Party, said: Sdp): Promise<Sdp> {
    let streams: PeerStreams;
    try {
      streams = this.check(from, said, 'reanswer');
    } catch (error) {
      await this.restore().catch(() => undefined);
      throw error;
    }
    return this.together(() => this.exchange.reanswer(from, streams.sdp, streams.text));
  }

  async restore(): Promise<void> {
    await this.together(() => this.exchange.restore());
  }

  async packets(): Promise<number | null> {
    if (this.#released !== null || this.#lostWhy !== null) return null;
    try {
      const { packets, heard } = await this.home.query(this.callId);
      this.#heard(heard);
      return packets;
    } catch (error) {
      this.#noteUnknown(error);
      return null;
    }
  }

  release(): Promise<MediaTotals | null> {
    this.#released ??= this.#release();
    return this.#released;
  }

  onLost(lost: (why: string) => void): void {
    if (this.#lostWhy !== null) {
      const why = this.#lostWhy;
      queueMicrotask(() => lost(why));
    } else if (this.#released === null) {
      this.#onLost = lost;
    }
  }

  onSilent(silent: (why: string) => void): void {
    this.#onSilent = silent;
  }

  sources(): { caller: readonly PeerSource[]; called: readonly PeerSource[] } {
    return { caller: [...this.#sources.caller], called: [...this.#sources.called] };
  }

  protected check(party: Party, sdp: Sdp, use: SdpUse): PeerStreams {
    const streams = checkStreams(sdp, use, this.parts.rules, this.between[party]);
    const source = streams.audio;
    const known = this.#sources[party];
    if (!known.has(source) && known.size >= MAX_SOURCES) {
      throw new MediaError('node-error', 'too-many-addresses');
    }
    known.add(source);
    return streams;
  }

  /** Tags besides the parties' that may be in this call, and those of them that may listen now. */
  protected ears(): { readonly known: readonly string[]; readonly listening: readonly string[] } {
    return { known: [], listening: [] };
  }

  /** The last things to be done before the call is deleted on the node, or after it was lost. Never rejects. */
  protected async closing(): Promise<void> {}

  /** The called party's first answer, sent to the node by `send`: the description for the caller. */
  protected async firstAnswer(said: Sdp, send: (answer: Sdp) => Promise<string>): Promise<Sdp> {
    const { sdp, text } = this.check('called', said, 'answer');
    return this.together(() => this.exchange.firstAnswer(sdp, text, send));
  }

  /** A tag that is not ours is somebody who listens or plays into the call. */
  async #refuseForeignTags(): Promise<void> {
    const { tags, listening, protocols } = await this.home.query(this.callId);
    const ears = this.ears();
    const foreign = (tag: string): boolean =>
      tag !== 'caller' &&
      tag !== 'called' &&
      !(tag === nobody && this.#tones.used) &&
      !ears.known.includes(tag);
    if (
      !tags.includes('caller') ||
      !tags.includes('called') ||
      tags.some(foreign) ||
      listening.some((tag) => !ears.listening.includes(tag))
    ) {
      throw new MediaError('unexpected-recording', 'foreign-tag');
    }
    // The last look before anybody hears anything: nothing goes out unprotected that was promised to be protected.
    if (!holdsProtocols(protocols, this.between)) throw new MediaError('node-error', 'protection-differs');
  }

  /**
   * Waits for the handshakes of DTLS legs. A party that shakes hands before its answer is there does so before the node
   * knows its fingerprint, and where that turns out to be another one the node says so in its log and goes on (measured):
   * nothing is opened before it calls the certificate verified.
   */
  async #untilVerified(): Promise<void> {
    const dtls = (['caller', 'called'] as const).filter((party) => this.between[party] === 'srtp-dtls');
    if (dtls.length === 0) return;
    const end = this.home.now() + MAX_HANDSHAKE_MS;
    for (;;) {
      const { verified } = await this.home.query(this.callId);
      if (dtls.every((party) => verified[party])) return;
      if (this.home.now() >= end) throw new MediaError('node-error', 'fingerprint-unverified');
      await new Promise((resolve) => setTimeout(resolve, HANDSHAKE_LOOK_MS));
    }
  }

  async #release(): Promise<MediaTotals | null> {
    this.#onLost = this.#onSilent = null;
    this.onKey(null);
    this.#speech.close('hushed');
    const closed = this.closing();
    this.turns.close(new MediaError('node-error', 'released'));
    await Promise.all([this.turns.done(), closed]);
    let facts: CallFacts | null = null;
    try {
      facts = await this.home.remove(this.callId);
    } catch {
      // The node deletes it when it answers again, or its own timeout does.
    } finally {
      this.home.leave(this.callId);
    }
    return facts === null ? null : facts.totals;
  }

  #lost(why: string): void {
    if (this.#lostWhy !== null || this.#released !== null) return;
    this.#lostWhy = why;
    const lost = new MediaError('node-error', 'node-lost');
    this.turns.close(lost);
    this.#speech.close(lost);
    this.onKey(null);
    void this.closing();
    this.#onLost?.(why);
    this.#onLost = null;
  }

  #onNode(): CallOnNode {
    const isToBeHeard = (): boolean => this.#isToBeHeard;
    return {
      lost: (why) => this.#lost(why),
      get isToBeHeard() {
        return isToBeHeard();
      },
      isDue: (now) => this.#silence.isDue(now),
      heard: (heard) => this.#heard(heard),
      missing: () => this.#silent('node-timed-out'),
    };
  }

  /** It is open, and neither holds it: whoever is not heard now is silent on the wire. */
  get #isToBeHeard(): boolean {
    const over = this.#released !== null || this.#lostWhy !== null;
    return this.#open && !over && this.exchange.bothSpeak;
  }

  #heard(heard: Heard): void {
    const now = this.home.now();
    // Counted on, so that the packets of a hold are none of what comes after it.
    const silent = this.#silence.note(heard, now);
    if (!this.#isToBeHeard) this.#silence.begin(now);
    else if (silent !== null) this.#silent(`silent-${silent}`);
  }

  #silent(why: string): void {
    const tell = this.#onSilent;
    this.#onSilent = null;
    tell?.(why);
  }

  /**
   * The node answers but does not know the call: it is another process than before, or it has given the call up because
   * neither party was heard.
   */
  #noteUnknown(error: unknown): void {
    if (!(error instanceof MediaError && error.detail === 'call-unknown')) return;
    const { bothMs } = this.home.silenceLimits;
    const quiet = this.#isToBeHeard && this.#onSilent !== null && bothMs > 0;
    if (quiet && this.#silence.quietFor(this.home.now()) >= bothMs / 2) this.#silent('node-timed-out');
    else this.#lost('call-unknown-to-node');
  }

  /** As `inTurn`, for what the node is told of both parties: one that was joined with nobody is back first. */
  protected together<Value>(work: () => Promise<Value>): Promise<Value> {
    return this.inTurn(async () => {
      await this.#tones.leave();
      return work();
    });
  }

  /** One command, or several that belong together, when those before it are done. */
  protected inTurn<Value>(work: () => Promise<Value>, must = false): Promise<Value> {
    const run = this.turns.take(work, must);
    run.catch((error: unknown) => this.#noteUnknown(error));
    return run;
  }
}
