import type { ThreeWayEvidence } from '../../call/talk.js';
import { type Noticed, type Sign, weights } from './signs.js';

/** From the flash to the conference hardly takes longer: what lies further back belongs to another story. */
const EPISODE_MS = 45_000;

/**
 * All that a hold can cause, together: it stays below half, however many of its signs there are, and even with the
 * caller pressing keys.
 */
const MOST_AWAY = 40;

/** For each step of the story that came after the one before it. */
const BONUS = { dialled: 15, rangAfterDialling: 15, rangAtOnce: 10, cameBack: 8 } as const;

/** The same sign of the same party within this time is the same event, noticed again. */
const SAME_MS = 1_500;

/** Signs kept; the newest ones, since the score keeps what the older ones told. */
const MAX_SIGNS = 64;

const partOf = (sign: Sign) => weights[sign].part;

/** How far the called party got in the order of the story. Only the order tells a three-way call from noises. */
const orderBonus = (episode: readonly Noticed[]): number => {
  let reached: 'start' | 'away' | 'dialled' | 'rang' | 'back' = 'start';
  let bonus = 0;
  for (const { sign, party } of episode) {
    if (party !== 'called') continue;
    const part = partOf(sign);
    if (reached === 'start' && part === 'away') {
      reached = 'away';
    } else if (reached === 'away' && part === 'dialling') {
      reached = 'dialled';
      bonus += BONUS.dialled;
    } else if ((reached === 'away' || reached === 'dialled') && part === 'ringing') {
      bonus += reached === 'dialled' ? BONUS.rangAfterDialling : BONUS.rangAtOnce;
      reached = 'rang';
    } else if (reached === 'rang' && part === 'away') {
      reached = 'back';
      bonus += BONUS.cameBack;
    }
  }
  return bonus;
};

/** Score (0-100) of the episode that ends with the newest sign. `signs` are in the order of their times. */
export const episodeScore = (signs: readonly Noticed[]): number => {
  const newest = signs.at(-1);
  if (newest === undefined) return 0;
  const episode = signs.filter(({ atMs }) => atMs >= newest.atMs - EPISODE_MS);
  const most = new Map<Sign, number>();
  for (const { sign, party } of episode) {
    most.set(sign, Math.max(most.get(sign) ?? 0, weights[sign][party]));
  }
  const sums = { away: 0, dialling: 0, ringing: 0 };
  for (const [sign, weight] of most) sums[partOf(sign)] += weight;
  const sum = Math.min(sums.away, MOST_AWAY) + sums.dialling + sums.ringing;
  return Math.min(100, sum + orderBonus(episode));
};

/** Collects the signs of one call. The score is that of its worst episode: it never falls. */
export class Evidence {
  #signs: Noticed[] = [];
  #score = 0;

  get evidence(): ThreeWayEvidence {
    return { score: this.#score, signs: [...this.#signs] };
  }

  /** False where it tells nothing new. */
  add(noticed: Noticed): boolean {
    const { sign, party, atMs } = noticed;
    const again = this.#signs.some(
      (one) => one.sign === sign && one.party === party && Math.abs(one.atMs - atMs) < SAME_MS,
    );
    if (again) return false;
    // A silence is noticed at its end and began before what was noticed meanwhile.
    const after = this.#signs.findIndex((one) => one.atMs > atMs);
    this.#signs.splice(after < 0 ? this.#signs.length : after, 0, noticed);
    if (this.#signs.length > MAX_SIGNS) this.#signs.shift();
    this.#score = Math.max(this.#score, episodeScore(this.#signs));
    return true;
  }
}
