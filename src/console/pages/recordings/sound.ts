import type { Sound } from './opening.js';

/** Seconds of one piece, and how far ahead pieces are handed to the sound card. */
const PIECE_S = 2;
const AHEAD_S = 5;
const LOOK_MS = 250;

export interface Heard {
  /** Seconds from the beginning. */
  readonly at: number;
  readonly playing: boolean;
}

/**
 * Plays an opened recording. Its sound lies in the worker and comes in pieces, each of which begins where the one before
 * ends: the context runs at the recording’s own rate, so nothing is resampled at their seams.
 */
export class SoundPlayer {
  readonly #sound: Sound;
  readonly #told: (heard: Heard) => void;
  readonly #context: AudioContext;
  readonly #sides: readonly [GainNode, GainNode];
  readonly #entry: ChannelSplitterNode;
  #sources = new Set<AudioBufferSourceNode>();
  #playing = false;
  /** Frame from which it plays, and the context’s time at which that frame sounds. */
  #from = 0;
  #since = 0;
  /** Frame and time up to which pieces were handed over. */
  #next = 0;
  #nextAt = 0;
  /** Of seeks and pauses: a piece that comes after one is of another turn. */
  #turn = 0;
  #timer: ReturnType<typeof setInterval> | null = null;
  #filling = false;

  constructor(sound: Sound, told: (heard: Heard) => void) {
    this.#sound = sound;
    this.#told = told;
    this.#context = new AudioContext({ sampleRate: sound.rate, latencyHint: 'playback' });
    const { destination } = this.#context;
    this.#entry = this.#context.createChannelSplitter(2);
    const merger = this.#context.createChannelMerger(2);
    const [left, right] = [this.#context.createGain(), this.#context.createGain()];
    this.#entry.connect(left, 0);
    this.#entry.connect(right, 1);
    left.connect(merger, 0, 0);
    right.connect(merger, 0, 1);
    merger.connect(destination);
    this.#sides = [left, right];
  }

  get #length(): number {
    return this.#sound.frames / this.#sound.rate;
  }

  /** Seconds from the beginning that sound now. */
  get at(): number {
    const from = this.#from / this.#sound.rate;
    if (!this.#playing) return from;
    return Math.min(this.#length, from + Math.max(0, this.#context.currentTime - this.#since));
  }

  get playing(): boolean {
    return this.#playing;
  }

  mute(side: 0 | 1, muted: boolean): void {
    // A short way down and not at once: that would click.
    this.#sides[side].gain.setTargetAtTime(muted ? 0 : 1, this.#context.currentTime, 0.01);
  }

  async play(): Promise<void> {
    if (this.#playing) return;
    if (this.at >= this.#length) this.#from = 0;
    await this.#context.resume();
    this.#begin();
  }

  pause(): void {
    this.#from = Math.round(this.at * this.#sound.rate);
    this.#playing = false;
    this.#stopSources();
    this.#tell();
  }

  /** To seconds from the beginning; it goes on playing if it does. */
  seek(at: number): void {
    const wasPlaying = this.#playing;
    this.#playing = false;
    this.#stopSources();
    this.#from = Math.round(Math.min(this.#length, Math.max(0, at)) * this.#sound.rate);
    if (wasPlaying && this.#from < this.#sound.frames) this.#begin();
    else this.#tell();
  }

  close(): void {
    this.#playing = false;
    this.#stopSources();
    void this.#context.close();
  }

  #begin(): void {
    this.#playing = true;
    this.#next = this.#from;
    this.#since = this.#nextAt = this.#context.currentTime + 0.08;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#look();
    this.#tell();
  }

  #stopSources(): void {
    this.#turn += 1;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    for (const source of this.#sources) source.stop();
    this.#sources = new Set();
  }

  #look(): void {
    if (this.at >= this.#length) {
      this.#from = this.#sound.frames;
      this.#playing = false;
      this.#stopSources();
    } else if (!this.#filling) {
      this.#filling = true;
      void this.#fill(this.#turn).finally(() => {
        this.#filling = false;
      });
    }
    this.#tell();
  }

  async #fill(turn: number): Promise<void> {
    const { rate, frames } = this.#sound;
    while (turn === this.#turn && this.#next < frames) {
      if (this.#nextAt - this.#context.currentTime > AHEAD_S) return;
      const count = Math.min(PIECE_S * rate, frames - this.#next);
      const [left, right] = await this.#sound.piece(this.#next, count);
      if (turn !== this.#turn) return;
      const buffer = this.#context.createBuffer(2, count, rate);
      buffer.copyToChannel(left, 0);
      buffer.copyToChannel(right, 1);
      const source = this.#context.createBufferSource();
      source.buffer = buffer;
      source.connect(this.#entry);
      // Late, as after a page that was asleep: what should have sounded is heard now, and the clock follows it.
      const late = this.#context.currentTime - this.#nextAt;
      if (late > 0) {
        this.#nextAt += late;
        this.#since += late;
      }
      source.start(this.#nextAt);
      source.onended = () => this.#sources.delete(source);
      this.#sources.add(source);
      this.#next += count;
      this.#nextAt += count / rate;
    }
  }

  #tell(): void {
    this.#told({ at: this.at, playing: this.#playing });
  }
}
