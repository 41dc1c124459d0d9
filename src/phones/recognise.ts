import {
  likeness,
  PROBE_SAMPLES,
  type Probe,
  probeOf,
  type Searchable,
  STEP,
  searchable,
} from './low-band.js';
import { SAMPLE_RATE } from './tone.js';

/** A sound to listen for, at 8 kHz. */
export interface Candidate {
  readonly name: string;
  readonly samples: Int16Array | Float32Array;
}

/** One occurrence of a candidate. */
export interface Recognition {
  readonly name: string;
  /** Where the candidate's first sample lies in what was heard; negative where its beginning was missed. */
  readonly atMs: number;
  /** The first and last moment of it that was heard. */
  readonly fromMs: number;
  readonly untilMs: number;
  /** Normalised correlation, sample by sample, of the parts that were heard: 1 is the same wave. */
  readonly score: number;
  /** How much of the candidate's audible parts was heard, 0 to 1. */
  readonly share: number;
  /** Its beginning, its end and at least 85 % of what is between were heard. */
  readonly whole: boolean;
  /** How long the parts are that were heard: less than from the first to the last moment where some are missing. */
  readonly heardMs: number;
}

/** A candidate is compared piece by piece, so that a cut, a loss or a slip of time costs pieces and not the whole. */
const PIECE = SAMPLE_RATE / 4;
/** Pieces this much quieter than the average one say nothing in the noise of a line. */
const FAINT = 0.03;
/** Samples below this share of the peak are no beginning and no end. */
const EDGE = 0.03;

/** A look closer is taken where the low band is this much alike... */
const LIKE = 0.6;
/** ...at most so often for one candidate in one minute. */
const CLOSER_A_MINUTE = 40;
/** From the start of one probe to the next. */
const PROBES_APART = 2 * SAMPLE_RATE;
/** Two looks closer than this are one. */
const APART_STEPS = Math.round((0.1 * SAMPLE_RATE) / STEP);

/** A piece was heard where it correlates so well: half of its energy is there, or the noise is as loud as it is. */
const PIECE_HEARD = 0.7;
/** A piece found at another place than the one before it was: stricter, as the best of many places is looked for. */
const PIECE_MOVED = 0.85;
/** How far a lost or inserted packet or two can move it. */
const MOVED = 480;
/** How far it may have moved in all from one part that was followed to the next. */
const SLIPPED = SAMPLE_RATE / 4;
/** Looked for aside so often in a row: after that the sound has ended, or is another one. */
const MAX_MISSES = 2;
/** Mean square below which nothing is looked for: a pause, or lost. */
const QUIET = 100;
const HEARD_SCORE = 0.75;
/** Less than this is no part of a prompt, but a syllable many have in common. */
const PART_PIECES = 3;
const WHOLE_SHARE = 0.85;
/** Two recognitions that share more than this cannot both be right. */
const SHARED_MS = 250;

interface Piece {
  readonly at: number;
  readonly length: number;
  readonly energy: number;
}

interface Template {
  readonly name: string;
  readonly samples: Float32Array;
  readonly pieces: readonly Piece[];
  readonly probes: readonly { readonly stretch: Piece; readonly probe: Probe }[];
}

function floats(samples: Int16Array | Float32Array): Float32Array {
  return samples instanceof Float32Array ? samples : Float32Array.from(samples);
}

function energyOf(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return sum;
}

/** How a stretch of the template and what was heard at that lag are alike; what was not heard counts as silence. */
function compare(
  template: Template,
  { at, length, energy }: Piece,
  heard: Float32Array,
  lag: number,
): { readonly score: number; readonly loudness: number } {
  const wave = template.samples;
  const last = Math.min(at + length, heard.length - lag);
  let product = 0;
  let there = 0;
  for (let index = Math.max(at, -lag); index < last; index++) {
    const sample = heard[index + lag] as number;
    product += sample * (wave[index] as number);
    there += sample * sample;
  }
  // Less than one unit root mean square is digital silence.
  return { score: there < length ? 0 : product / Math.sqrt(energy * there), loudness: there / length };
}

function templateOf({ name, samples }: Candidate): Template {
  const wave = floats(samples);
  let peak = 0;
  for (const sample of wave) peak = Math.max(peak, Math.abs(sample));
  if (peak === 0) throw new RangeError(`${name}: nothing can be heard in it`);
  const loud = (sample: number): boolean => Math.abs(sample) >= EDGE * peak;
  const first = wave.findIndex(loud);
  const active = wave.findLastIndex(loud) + 1 - first;
  if (active < PIECE) throw new RangeError(`${name}: shorter than ${PIECE} samples`);
  // Equal pieces from the first to the last audible sample.
  const count = Math.floor(active / PIECE);
  const bounds = Array.from({ length: count + 1 }, (_, k) => first + Math.round((k * active) / count));
  const all = bounds.slice(1).map((end, k): Piece => {
    const at = bounds[k] ?? 0;
    return { at, length: end - at, energy: energyOf(wave.subarray(at, end)) };
  });
  const faint = (FAINT * all.reduce((sum, piece) => sum + piece.energy, 0)) / count;
  const pieces = all.filter((piece) => piece.energy >= faint);
  const length = Math.min(PROBE_SAMPLES, active);
  // The beginning finds a prompt that was cut off, the end one whose beginning was lost, and those between them one
  // that lost a packet there: a probe with a gap in it finds nothing, and a prompt with words in common would be taken
  // for it.
  const last = first + active - length;
  const stretches = Math.ceil((last - first) / PROBES_APART);
  const places = Array.from({ length: stretches + 1 }, (_, k) =>
    Math.round(first + (k * (last - first)) / Math.max(1, stretches)),
  );
  const probes = places.map((at) => {
    const samples = wave.subarray(at, at + length);
    return { stretch: { at, length, energy: energyOf(samples) }, probe: probeOf(samples) };
  });
  return { name, samples: wave, pieces, probes };
}

/** The places, best first, where the probe may occur: maxima that are far enough apart. */
function placesOf(alike: Float32Array): number[] {
  const steps: number[] = [];
  for (let step = 0; step < alike.length; step++) {
    const here = alike[step] as number;
    if (here >= LIKE && here >= (alike[step - 1] ?? 0) && here > (alike[step + 1] ?? 0)) steps.push(step);
  }
  steps.sort((a, b) => (alike[b] as number) - (alike[a] as number));
  const most = CLOSER_A_MINUTE * Math.ceil((alike.length * STEP) / (60 * SAMPLE_RATE));
  const kept: number[] = [];
  for (const step of steps) {
    if (kept.length >= most) break;
    if (kept.every((other) => Math.abs(other - step) >= APART_STEPS)) kept.push(step);
  }
  return kept.map((step) => step * STEP);
}

/** Of the lags around one, the one at which the stretch of the template is most like what was heard. */
function bestLag(
  template: Template,
  stretch: Piece,
  heard: Float32Array,
  around: number,
  reach: number,
): { readonly lag: number; readonly score: number } {
  let best = { lag: around, score: -1 };
  const look = (lag: number): void => {
    const { score } = compare(template, stretch, heard, lag);
    if (score > best.score) best = { lag, score };
  };
  // A voice is much the same one sample on, so every second lag is enough to find the neighbourhood.
  for (let lag = around - reach; lag <= around + reach; lag += 2) look(lag);
  const { lag } = best;
  look(lag - 1);
  look(lag + 1);
  return best;
}

interface FoundPiece {
  readonly piece: Piece;
  readonly lag: number;
  readonly score: number;
}

/** Follows the pieces in one direction from a known lag; where one is missing, looks a little aside. */
function walk(template: Template, pieces: readonly Piece[], heard: Float32Array, from: number): FoundPiece[] {
  const found: FoundPiece[] = [];
  let lag = from;
  let misses = 0;
  for (const piece of pieces) {
    const here = compare(template, piece, heard, lag);
    if (here.score >= PIECE_HEARD) {
      found.push({ piece, lag, score: here.score });
      misses = 0;
    } else if (found.length > 0 && misses < MAX_MISSES && here.loudness >= QUIET) {
      const moved = bestLag(template, piece, heard, lag, MOVED);
      if (moved.score >= PIECE_MOVED) {
        lag = moved.lag;
        found.push({ piece, ...moved });
        misses = 0;
      } else misses++;
    }
  }
  return found;
}

/** The pieces that were heard, when one stretch of the template (from that sample on) was at this lag. */
function follow(template: Template, heard: Float32Array, from: number, lag: number): FoundPiece[] {
  const after = template.pieces.filter((piece) => piece.at >= from);
  const before = template.pieces.filter((piece) => piece.at < from).reverse();
  return [...walk(template, before, heard, lag).reverse(), ...walk(template, after, heard, lag)];
}

const ms = (samples: number): number => (samples * 1000) / SAMPLE_RATE;

function judge(template: Template, found: readonly FoundPiece[]): Recognition | undefined {
  const [first, last] = [found[0], found.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  // Each piece at its own level, as a line's level may change.
  const score = found.reduce((sum, one) => sum + one.score, 0) / found.length;
  const share = found.length / template.pieces.length;
  const ends = first.piece === template.pieces[0] && last.piece === template.pieces.at(-1);
  const whole = ends && share >= WHOLE_SHARE;
  if (score < HEARD_SCORE || (!whole && found.length < PART_PIECES)) return undefined;
  return {
    name: template.name,
    atMs: ms(first.lag),
    fromMs: ms(first.piece.at + first.lag),
    untilMs: ms(last.piece.at + last.piece.length + last.lag),
    score,
    share,
    whole,
    heardMs: ms(found.reduce((sum, { piece }) => sum + piece.length, 0)),
  };
}

/**
 * Of recognitions that share a stretch of time, the one that explains most of it: prompts have sentences in common, and
 * a shorter one may be the beginning of a longer one. A whole one wins against a part of about the same length. Only
 * what was heard explains anything: a few words of a long prompt, scattered over two others, are not in their way.
 */
function settle(all: readonly Recognition[]): Recognition[] {
  const explained = (one: Recognition): number => one.heardMs * one.score + (one.whole ? 1.5 * SHARED_MS : 0);
  const kept: Recognition[] = [];
  for (const one of [...all].sort((a, b) => explained(b) - explained(a))) {
    const shared = (other: Recognition): number =>
      Math.min(one.untilMs, other.untilMs) - Math.max(one.fromMs, other.fromMs);
    if (kept.every((other) => shared(other) <= SHARED_MS)) kept.push(one);
  }
  return kept.sort((a, b) => a.fromMs - b.fromMs);
}

/**
 * Listens for a set of sounds. Made once and asked often: preparing the candidates costs as much as hearing a few
 * seconds. Independent of how the sounds were played and of everything that knows what should have been played.
 */
export class Recogniser {
  readonly #templates: readonly Template[];

  /** Throws RangeError for a candidate of less than a quarter of a second, or without a sound. */
  constructor(candidates: readonly Candidate[]) {
    this.#templates = candidates.map(templateOf);
  }

  /** The candidates that were heard whole, in the order of time. */
  recognise(heard: Int16Array | Float32Array): Recognition[] {
    return this.recogniseAll(heard).filter((one) => one.whole);
  }

  /** Also those of which only a part was heard (`whole` is false): cut off, begun late, or with much lost. */
  recogniseAll(heard: Int16Array | Float32Array): Recognition[] {
    const wave = floats(heard);
    const sound = searchable(wave);
    return settle(this.#templates.flatMap((template) => occurrences(template, wave, sound)));
  }
}

function occurrences(template: Template, heard: Float32Array, sound: Searchable): Recognition[] {
  const runs: FoundPiece[][] = [];
  for (const { stretch, probe } of template.probes)
    for (const place of placesOf(likeness(sound, probe))) {
      const { lag, score } = bestLag(template, stretch, heard, place - stretch.at, STEP + 8);
      if (score < LIKE) continue;
      const found = follow(template, heard, stretch.at, lag);
      // Most probes find what the one before them has found.
      if (found.length > 0 && !runs.some((run) => sameRun(run, found))) runs.push(found);
    }
  return joinedRuns(runs).flatMap((found) => judge(template, found) ?? []);
}

const sameRun = (a: readonly FoundPiece[], b: readonly FoundPiece[]): boolean =>
  a.length === b.length && a.every((one, k) => one.piece === b[k]?.piece && one.lag === b[k]?.lag);

/**
 * What lies before a large slip of time and what lies after it are found apart: one that goes on where the other ended
 * is the same saying. Together they outweigh another prompt that has only one of the two in it.
 */
function joinedRuns(runs: readonly FoundPiece[][]): FoundPiece[][] {
  const all = [...runs].sort((a, b) => (a[0]?.piece.at ?? 0) - (b[0]?.piece.at ?? 0));
  for (const run of [...all]) {
    let chain = run;
    for (const next of all) {
      const [end, begin] = [chain.at(-1), next[0]];
      if (end === undefined || begin === undefined || begin.piece.at <= end.piece.at) continue;
      if (Math.abs(begin.lag - end.lag) <= SLIPPED) chain = [...chain, ...next];
    }
    if (chain !== run) all.push(chain);
  }
  return all;
}

/** `Recogniser.recognise` for a single use. */
export function recognise(heard: Int16Array | Float32Array, candidates: readonly Candidate[]): Recognition[] {
  return new Recogniser(candidates).recognise(heard);
}
