import { MediaError, type Party } from '../call/ports.js';
import type { Sound } from '../call/talk.js';

/** What the node does for speech. Both wait for the call's other commands, and reject with MediaError. */
export interface Player {
  /** Plays a file, unless it is unwanted by the time its turn comes ('unwanted'). Gives one round's length in ms. */
  play(to: Party, file: string, times: number, wanted: () => boolean): Promise<number | null | 'unwanted'>;
  stop(to: Party): Promise<void>;
}

type Outcome = 'said' | 'hushed' | MediaError;

interface Utterance {
  readonly to: Party;
  readonly sounds: readonly Sound[];
  readonly repeat: boolean;
  readonly end: (outcome: Outcome) => void;
  timer: NodeJS.Timeout | null;
}

/** Sounds in one utterance; longest and shortest length of one in ms. */
const MAX_SOUNDS = 32;
const MAX_MS = 600_000;
const MIN_MS = 20;

/** Rounds the node plays of its own accord where one sound is repeated: no gap, and few commands. */
const ROUNDS = 20;

const usable = ({ ms }: Sound): boolean => Number.isFinite(ms) && ms >= MIN_MS && ms <= MAX_MS;

/**
 * What one call's parties are told. The node does not say when a sound has ended, so the end is timed by the length
 * it names. Sounds follow each other without a gap: the node sends the first packets of each ahead of time (measured:
 * about 160 ms), and a phone plays them in its own time.
 */
export class Speech {
  readonly #player: Player;
  readonly #now: Record<Party, Utterance | null> = { caller: null, called: null };

  constructor(player: Player) {
    this.#player = player;
  }

  say(to: Party, sounds: readonly Sound[], repeat = false): Promise<'said' | 'hushed'> {
    if (sounds.length > MAX_SOUNDS || !sounds.every(usable)) {
      return Promise.reject(new MediaError('node-error', 'sound-not-allowed'));
    }
    const before = this.#now[to];
    // Nothing to say is said at once, but what was being said has an end all the same.
    if (sounds.length === 0) return this.hush(to).then(() => 'said');
    const said = new Promise<'said' | 'hushed'>((resolve, reject) => {
      const end = (outcome: Outcome): void => {
        if (this.#now[to] === utterance) this.#now[to] = null;
        if (utterance.timer !== null) clearTimeout(utterance.timer);
        if (outcome instanceof MediaError) reject(outcome);
        else resolve(outcome);
      };
      const utterance: Utterance = { to, sounds, repeat, end, timer: null };
      this.#now[to] = utterance;
      before?.end('hushed');
      this.#go(utterance, 0);
    });
    // Hold music is nobody's to wait for: its failure must not be an error that nobody handles.
    said.catch(() => undefined);
    return said;
  }

  async hush(to: Party): Promise<void> {
    const now = this.#now[to];
    if (now === null) return;
    now.end('hushed');
    await this.#player.stop(to);
  }

  /** Settles whatever is being said: the call is over, and nothing is sent any more. */
  close(outcome: 'hushed' | MediaError): void {
    this.#now.caller?.end(outcome);
    this.#now.called?.end(outcome);
  }

  #go(utterance: Utterance, at: number): void {
    const { to, sounds, repeat, end } = utterance;
    const index = repeat ? at % sounds.length : at;
    const sound = sounds[index];
    if (sound === undefined) {
      end('said');
      return;
    }
    const times = repeat && sounds.length === 1 ? ROUNDS : 1;
    const wanted = (): boolean => this.#now[to] === utterance;
    this.#player.play(to, sound.file, times, wanted).then(
      (ms) => {
        if (ms === 'unwanted' || !wanted()) return;
        const round = ms === null ? sound.ms : Math.min(Math.max(ms, MIN_MS), MAX_MS);
        utterance.timer = setTimeout(() => this.#go(utterance, index + 1), round * times);
      },
      (error: unknown) => this.#failed(utterance, error),
    );
  }

  /** What was heard before a sound failed is stopped: half an utterance is none. */
  #failed(utterance: Utterance, error: unknown): void {
    if (this.#now[utterance.to] !== utterance) return;
    utterance.end(error instanceof MediaError ? error : new MediaError('node-error', 'not-played'));
    this.#player.stop(utterance.to).catch(() => undefined);
  }
}
