import { randomInt } from 'node:crypto';
import dgram from 'node:dgram';
import { closeLater } from './close-later.js';
import { type CodecName, encodeG711, payloadTypes } from './g711.js';
import { hears, rms } from './goertzel.js';
import { literalLookup } from './literal-lookup.js';
import { buildRtp, eventOfKey, eventPayload, parseRtp } from './rtp-packet.js';
import { type AudioCounters, ReceivedAudio } from './rtp-receiver.js';
import { packetTicker } from './rtp-ticker.js';
import { newMasterKey, SrtpReceiver, SrtpSender } from './srtp.js';
import { openText, type TextEndpoint } from './text-endpoint.js';
import { PACKET_SAMPLES, SAMPLE_RATE, toneSamples } from './tone.js';
import { type Deadline, nowUs, Waits } from './waiting.js';

/** The payload type this side offers for telephone-event. */
export const EVENT_PAYLOAD_TYPE = 101;

const MAX_QUEUED_KEYS = 32;

/** Enough to look at what has just been heard; who wants to know all that was said in a call asks for more. */
export const DEFAULT_KEEP_MS = 5000;
const MAX_KEEP_MS = 600_000;

/** Source addresses counted one by one; packets from more of them fall under "others". */
const MAX_SOURCES = 16;

/** Quieter than this (root mean square of 32767) is silence. */
const SILENCE_RMS = 50;

export interface RtpOptions {
  readonly host?: string;
  /** The tone to send, in whole Hz; without it, silence packets are sent. */
  readonly tone?: number;
  readonly codec?: CodecName;
  /** Drop packets that do not come from the remote address (they are counted as strangers either way). */
  readonly strictPeer?: boolean;
  /** How much received audio is kept, default 5 seconds, at most ten minutes. */
  readonly keepMs?: number;
  /** Only take and count packets: nothing is sent, nothing decoded. For signalling load. */
  readonly sink?: boolean;
  /** Real-time text beside the audio, on a port of its own. */
  readonly text?: boolean;
  /** Everything is SRTP, with keys of SDES: before the far end's is known, nothing is taken. */
  readonly srtp?: boolean;
}

export interface RtpCounters extends AudioCounters {
  readonly sent: number;
  /** Packets from elsewhere than the remote address, taken or (with `strictPeer`) dropped. */
  readonly strangers: number;
  /** Packets dropped because they were not authentic, or came before there was a key. */
  readonly forged: number;
  /** Packets by 'host:port' they came from. */
  readonly sources: Readonly<Record<string, number>>;
  /** Monotonic microseconds, undefined while nothing came. */
  readonly firstArrivalUs: number | undefined;
  readonly lastArrivalUs: number | undefined;
}

interface Key {
  readonly event: number;
  readonly packets: number;
  sent: number;
  timestamp: number;
  gone: boolean;
}

/** Encoded packets of one second: any whole number of Hz repeats after a second. */
const payloadCache = new Map<string, Uint8Array[]>();

function payloadsOf(tone: number | undefined, codec: CodecName): Uint8Array[] {
  const name = `${codec} ${tone}`;
  const known = payloadCache.get(name);
  if (known !== undefined) return known;
  const samples =
    tone === undefined ? new Int16Array(SAMPLE_RATE) : toneSamples(Math.round(tone), SAMPLE_RATE);
  const bytes = encodeG711(codec, samples);
  const payloads: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += PACKET_SAMPLES)
    payloads.push(bytes.subarray(at, at + PACKET_SAMPLES));
  if (payloadCache.size < 256) payloadCache.set(name, payloads);
  return payloads;
}

/**
 * One end of an RTP stream on its own UDP port: sends a packet every 20 ms once it knows where to and is allowed to,
 * and keeps what it hears. Made by `openRtp`.
 */
export class RtpEndpoint {
  readonly #socket: dgram.Socket;
  readonly #sink: boolean;
  readonly #strict: boolean;
  readonly #audio: ReceivedAudio;
  readonly #waits = new Waits(() => this.describe());
  readonly #sources = new Map<string, number>();
  readonly #ssrc = randomInt(2 ** 32);
  readonly #keys: Key[] = [];
  /** Sound that goes out once, in place of the tone. */
  readonly #once: { readonly samples: Int16Array; at: number }[] = [];
  #tone: number | undefined;
  #codec: CodecName;
  #payloads: Uint8Array[];
  #eventType: number | undefined = EVENT_PAYLOAD_TYPE;
  #remote: { address: string; port: number } | undefined;
  #remoteName = '';
  #sequence = randomInt(2 ** 16);
  readonly #timestampBase = randomInt(2 ** 32);
  #muted = false;
  #maySend = true;
  #talking = false;
  /** This side's master key in base64; undefined where it sends plain RTP. */
  readonly key: string | undefined;
  readonly #sender: SrtpSender | undefined;
  #receiver: SrtpReceiver | undefined;
  #theirKey: string | undefined;
  #sent = 0;
  #strangers = 0;
  #forged = 0;
  #firstUs: number | undefined;
  #lastUs: number | undefined;
  #closed = false;

  constructor(socket: dgram.Socket, options: RtpOptions, text?: TextEndpoint) {
    this.text = text;
    const keepMs = options.keepMs ?? DEFAULT_KEEP_MS;
    this.#socket = socket;
    this.key = options.srtp === true ? newMasterKey() : undefined;
    this.#sender = this.key === undefined ? undefined : new SrtpSender(this.key);
    this.port = socket.address().port;
    this.#sink = options.sink ?? false;
    this.#strict = options.strictPeer ?? false;
    this.#tone = options.tone;
    this.#codec = options.codec ?? 'PCMU';
    this.#payloads = payloadsOf(this.#tone, this.#codec);
    this.#audio = new ReceivedAudio(keepMs, EVENT_PAYLOAD_TYPE);
    socket.on('message', (bytes, from) => this.#receive(bytes, from));
    // A port nobody listens on any more answers with ICMP; a phone goes on sending, as real ones do.
    socket.on('error', () => undefined);
    if (!this.#sink) packetTicker.add(this.#tick);
  }

  /** Real-time text of the same call, where it was asked for. */
  readonly text: TextEndpoint | undefined;

  /** The local port packets are received on, for the SDP. */
  readonly port: number;

  /** Where packets go: from now on, a tone flows (unless muted or held). Undefined stops it. */
  sendTo(remote: { address: string; port: number } | undefined): void {
    this.#remote = remote;
    this.#remoteName = remote === undefined ? '' : `${remote.address}:${remote.port}`;
  }

  /** The far end's master key. Without one, nothing that comes is taken by an endpoint that has a key of its own. */
  hearWith(master: string | undefined): void {
    if (master === this.#theirKey) return;
    this.#theirKey = master;
    this.#receiver = master === undefined ? undefined : new SrtpReceiver(master);
  }

  /** The codec to send, as agreed by SDP, and the payload type the far end wants for keys (undefined: none). */
  agree(codec: CodecName, eventType: number | undefined): void {
    this.#codec = codec;
    this.#eventType = eventType;
    this.#payloads = payloadsOf(this.#tone, codec);
  }

  /** Another tone from the next packet on; undefined sends silence. */
  play(tone: number | undefined): void {
    this.#tone = tone;
    this.#payloads = payloadsOf(tone, this.#codec);
  }

  /** Stops sending altogether, as a held phone does; receiving goes on. */
  mute(): void {
    this.#muted = true;
  }

  unmute(): void {
    this.#muted = false;
  }

  /** What the agreed direction (RFC 3264) allows; apart from `mute`, so that a resume does not undo a mute. */
  allowSending(allowed: boolean): void {
    this.#maySend = allowed;
  }

  /**
   * Presses keys ('0' to '9', '*', '#', 'A' to 'D', '!' for a hook flash), each for `durationMs` (default 100), as RFC 4733 events.
   * Settles when the last one has been sent. At most 32 keys wait at a time.
   */
  async pressKeys(
    keys: string,
    { durationMs = 100, ...deadline }: Deadline & { durationMs?: number } = {},
  ): Promise<void> {
    if (this.#eventType === undefined) throw new Error('the far end takes no telephone-event');
    if (this.#keys.length + keys.length > MAX_QUEUED_KEYS) {
      throw new RangeError(`more than ${MAX_QUEUED_KEYS} keys are waiting`);
    }
    const packets = Math.max(1, Math.round(durationMs / 20));
    const pressed = Array.from(keys, (key): Key => {
      return { event: eventOfKey(key), packets, sent: 0, timestamp: 0, gone: false };
    });
    this.#keys.push(...pressed);
    await this.#waits.until('keys sent', () => pressed.every((key) => key.gone) || undefined, deadline);
  }

  /** Sends these samples (whole packets of 20 ms) once in place of the tone. Settles when the last one has gone. */
  async sendOnce(samples: Int16Array, deadline: Deadline = {}): Promise<void> {
    if (this.#once.length >= MAX_QUEUED_KEYS) throw new RangeError('too much sound is waiting');
    const sound = { samples, at: 0 };
    this.#once.push(sound);
    await this.#waits.until('sound sent', () => sound.at >= samples.length || undefined, deadline);
  }

  /** Keys the far end pressed, oldest first. */
  get keysHeard(): string {
    return this.#audio.keys;
  }

  get counters(): RtpCounters {
    return {
      ...this.#audio.counters,
      sent: this.#sent,
      strangers: this.#strangers,
      forged: this.#forged,
      sources: Object.fromEntries(this.#sources),
      firstArrivalUs: this.#firstUs,
      lastArrivalUs: this.#lastUs,
    };
  }

  /** The position of the newest sample, to ask later what came after it. */
  mark(): number {
    return this.#audio.ring.end;
  }

  /** Received samples: all that are kept, those since a mark, or the last milliseconds. */
  samples({ since, lastMs }: { since?: number; lastMs?: number } = {}): Int16Array {
    const ring = this.#audio.ring;
    const from = lastMs === undefined ? 0 : ring.end - Math.round((lastMs * SAMPLE_RATE) / 1000);
    return ring.read(Math.max(from, since ?? 0));
  }

  /** Forgets the samples received so far. */
  forget(): void {
    this.#audio.ring.clear();
  }

  /** Waits until the last `forMs` (default 200) of what came in after this call carry the tone. */
  async untilHears(
    hz: number,
    { forMs = 200, ...deadline }: Deadline & { forMs?: number } = {},
  ): Promise<void> {
    const mark = this.mark();
    await this.#waits.until(
      `tone of ${hz} Hz`,
      () =>
        (this.mark() - mark >= (forMs * SAMPLE_RATE) / 1000 && hears(this.samples({ lastMs: forMs }), hz)) ||
        undefined,
      deadline,
    );
  }

  /** Waits until, for `forMs` (default 200) after this call, no packet came or only silence. */
  async untilSilent({ forMs = 200, ...deadline }: Deadline & { forMs?: number } = {}): Promise<void> {
    const mark = this.mark();
    const since = nowUs();
    await this.#waits.until(
      `silence for ${forMs} ms`,
      () => {
        const quietUs = nowUs() - Math.max(since, this.#lastUs ?? 0);
        if (quietUs >= forMs * 1000) return true;
        const enough = this.mark() - mark >= (forMs * SAMPLE_RATE) / 1000;
        return (enough && rms(this.samples({ lastMs: forMs })) < SILENCE_RMS) || undefined;
      },
      deadline,
    );
  }

  /** Waits until the far end has pressed these keys, in this order, as the last ones. */
  async untilKeys(keys: string, deadline: Deadline = {}): Promise<void> {
    await this.#waits.until(`keys "${keys}"`, () => this.keysHeard.endsWith(keys) || undefined, deadline);
  }

  /** One line of state, shown when a wait fails. */
  describe(): string {
    return `rtp port ${this.port}${this.#closed ? ' (closed)' : ''} to ${this.#remoteName || 'nobody'}: ${JSON.stringify(this.counters)}`;
  }

  close(): void {
    if (this.#closed) return;
    packetTicker.remove(this.#tick);
    this.#keys.length = 0;
    this.#once.length = 0;
    this.#waits.finish('the endpoint is closed');
    this.#closed = true;
    closeLater(this.#socket);
    this.text?.close();
  }

  readonly #tick = (packet: number): void => {
    this.#waits.poke();
    if (this.#remote === undefined || this.#muted || !this.#maySend) {
      this.#talking = false;
      return;
    }
    // The timestamp follows the clock, so a hold leaves the gap in it that RFC 3550 section 5.1 asks for.
    const timestamp = this.#timestampBase + packet * PACKET_SAMPLES;
    const key = this.#keys[0];
    if (key !== undefined && this.#eventType !== undefined) this.#sendKey(key, timestamp, this.#eventType);
    else this.#sendAudio(timestamp, packet);
  };

  #sendAudio(timestamp: number, packet: number): void {
    const payload = this.#nextOfOnce() ?? this.#payloads[packet % this.#payloads.length];
    if (payload === undefined) return;
    this.#transmit(payloadTypes[this.#codec], timestamp, payload, !this.#talking);
    this.#talking = true;
  }

  #nextOfOnce(): Uint8Array | undefined {
    const sound = this.#once[0];
    if (sound === undefined) return undefined;
    const samples = sound.samples.subarray(sound.at, sound.at + PACKET_SAMPLES);
    sound.at += PACKET_SAMPLES;
    if (sound.at >= sound.samples.length) this.#once.shift();
    this.#waits.poke();
    return encodeG711(this.#codec, samples);
  }

  /** A key is its packets with a growing duration, the end three times (RFC 4733 section 2.5.1.4), then a pause. */
  #sendKey(key: Key, timestamp: number, eventType: number): void {
    if (key.sent === 0) key.timestamp = timestamp;
    const pausePackets = 3;
    if (key.sent >= key.packets + 2 + pausePackets) {
      this.#keys.shift();
      key.gone = true;
      this.#waits.poke();
      return;
    }
    if (key.sent < key.packets + 2) {
      const end = key.sent >= key.packets - 1;
      const duration = Math.min(key.sent + 1, key.packets) * PACKET_SAMPLES;
      this.#transmit(eventType, key.timestamp, eventPayload(key.event, end, duration), key.sent === 0);
    }
    key.sent++;
    this.#talking = false;
  }

  #transmit(payloadType: number, timestamp: number, payload: Uint8Array, marker: boolean): void {
    if (this.#remote === undefined) return;
    const sequence = this.#sequence++;
    const packet = buildRtp({ payloadType, marker, sequence, timestamp, ssrc: this.#ssrc, payload });
    const bytes = this.#sender?.protect(packet) ?? packet;
    this.#sent++;
    this.#socket.send(bytes, this.#remote.port, this.#remote.address, ignoreSendError);
  }

  #receive(bytes: Buffer, from: dgram.RemoteInfo): void {
    const source = `${from.address}:${from.port}`;
    if (this.#sources.has(source) || this.#sources.size < MAX_SOURCES) bump(this.#sources, source);
    else bump(this.#sources, 'others');
    const stranger = source !== this.#remoteName;
    if (stranger) this.#strangers++;
    if (stranger && this.#strict) return;
    const now = nowUs();
    this.#firstUs ??= now;
    this.#lastUs = now;
    if (this.#sink) return;
    const plain = this.key === undefined ? bytes : this.#receiver?.unprotect(bytes);
    if (plain === undefined) this.#forged++;
    const packet = plain === undefined ? undefined : parseRtp(plain);
    if (packet === undefined) return;
    this.#audio.take(packet);
    this.#waits.poke();
  }
}

const ignoreSendError = (): void => undefined;

function bump(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

/** Opens an endpoint on a free UDP port of `host` (default 127.0.0.1). Throws RangeError for too much to keep. */
export async function openRtp(options: RtpOptions = {}): Promise<RtpEndpoint> {
  const { keepMs = DEFAULT_KEEP_MS } = options;
  if (!(keepMs > 0 && keepMs <= MAX_KEEP_MS))
    throw new RangeError(`${keepMs} ms of audio: between 0 and ${MAX_KEEP_MS} can be kept`);
  const socket = dgram.createSocket({ type: 'udp4', lookup: literalLookup });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(0, options.host ?? '127.0.0.1', () => {
      socket.off('error', reject);
      resolve();
    });
  });
  const text = options.text === true ? await openText(options.host ?? '127.0.0.1', options.srtp) : undefined;
  return new RtpEndpoint(socket, options, text);
}
