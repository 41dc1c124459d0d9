import { Fft } from './fft.js';
import { SAMPLE_RATE } from './tone.js';

/**
 * Where does a short piece of sound occur in a long one? Asked in the band of the voice's pitch alone, 100 to 450 Hz,
 * at 1000 samples a second: an eighth of the samples, and one in two milliseconds of answers, is enough to say where to
 * look closer.
 */
const DECIMATION = 8;
const RATE = SAMPLE_RATE / DECIMATION;
const BLOCK = 4096;
const LOWEST_BIN = Math.ceil((100 * BLOCK) / RATE);
const HIGHEST_BIN = Math.floor((450 * BLOCK) / RATE);

/** Samples at 8 kHz for one step of the answer. */
export const STEP = 2 * DECIMATION;

/** The longest piece to look for, at 8 kHz. */
export const PROBE_SAMPLES = 1000 * DECIMATION;
const HOP = BLOCK - PROBE_SAMPLES / DECIMATION;

/** Root mean square of 32767 in the band, below which there is nothing to compare. */
const QUIET_RMS = 10;

const TAPS = 32;
/** Half of a symmetric low pass at 450 Hz, Hann window: taps[k] belongs to the samples k before and k after. */
const taps = (() => {
  const half = Float64Array.from({ length: TAPS + 1 }, (_, k) => {
    const x = (2 * Math.PI * 450 * k) / SAMPLE_RATE;
    return (k === 0 ? 1 : Math.sin(x) / x) * (0.5 + 0.5 * Math.cos((Math.PI * k) / (TAPS + 1)));
  });
  const sum = half.reduce((total, tap, k) => total + (k === 0 ? tap : 2 * tap), 0);
  return half.map((tap) => tap / sum);
})();

/** Every eighth sample of the low pass, each in its place (no delay). */
function lowBand(samples: Float32Array): Float64Array {
  const band = new Float64Array(Math.ceil(samples.length / DECIMATION));
  for (let index = 0; index < band.length; index++) {
    const at = index * DECIMATION;
    let sum = (taps[0] as number) * (samples[at] as number);
    for (let k = 1; k <= TAPS; k++)
      sum += (taps[k] as number) * ((samples[at - k] ?? 0) + (samples[at + k] ?? 0));
    band[index] = sum;
  }
  return band;
}

const whole = new Fft(BLOCK);
// The wanted band lies in the lower half of the spectrum: half the size gives every second value of the answer.
const halved = new Fft(BLOCK / 2);

/** A piece of sound to look for. */
export interface Probe {
  /** Spectrum of the band, negative frequencies left out: the answer's magnitude then does not care for its phase. */
  readonly re: Float64Array;
  readonly im: Float64Array;
  readonly norm: number;
  /** At 1 kHz. */
  readonly length: number;
}

/** At most `PROBE_SAMPLES` samples. */
export function probeOf(samples: Float32Array): Probe {
  const band = lowBand(samples);
  const re = new Float64Array(BLOCK);
  const im = new Float64Array(BLOCK);
  re.set(band);
  whole.forward(re, im);
  let energy = 0;
  for (let k = 0; k < BLOCK; k++) {
    if (k < LOWEST_BIN || k > HIGHEST_BIN) re[k] = im[k] = 0;
    energy += (re[k] as number) ** 2 + (im[k] as number) ** 2;
  }
  // Parseval; the other half of the energy lies at the negative frequencies.
  return { re, im, norm: Math.sqrt((2 * energy) / BLOCK), length: band.length };
}

/** A long sound, prepared to be searched. */
export interface Searchable {
  readonly blocks: readonly { readonly re: Float64Array; readonly im: Float64Array }[];
  /** Sums of the band's squares up to each sample at 1 kHz. */
  readonly energy: Float64Array;
}

export function searchable(samples: Float32Array): Searchable {
  const band = lowBand(samples);
  const energy = new Float64Array(band.length + 1);
  for (let at = 0; at < band.length; at++)
    energy[at + 1] = (energy[at] as number) + (band[at] as number) ** 2;
  const blocks: { re: Float64Array; im: Float64Array }[] = [];
  for (let at = 0; at < band.length; at += HOP) {
    const re = new Float64Array(BLOCK);
    const im = new Float64Array(BLOCK);
    re.set(band.subarray(at, at + BLOCK));
    whole.forward(re, im);
    blocks.push({ re, im });
  }
  return { blocks, energy };
}

const productRe = new Float64Array(BLOCK / 2);
const productIm = new Float64Array(BLOCK / 2);

/** How alike (0 to about 1) the probe and the sound are from each `STEP` samples on, written to `answer`. */
export function likeness(sound: Searchable, probe: Probe): Float32Array {
  const { energy } = sound;
  const samples = energy.length - 1;
  const answer = new Float32Array(Math.ceil(samples / 2));
  const quiet = QUIET_RMS ** 2 * probe.length;
  for (const [index, block] of sound.blocks.entries()) {
    productRe.fill(0);
    productIm.fill(0);
    for (let k = LOWEST_BIN; k <= HIGHEST_BIN; k++) {
      const a = block.re[k] as number;
      const b = block.im[k] as number;
      const c = probe.re[k] as number;
      const d = probe.im[k] as number;
      productRe[k] = a * c + b * d;
      productIm[k] = b * c - a * d;
    }
    halved.inverse(productRe, productIm);
    const first = index * HOP;
    for (let m = 0; 2 * m < HOP && first + 2 * m < samples; m++) {
      const at = first + 2 * m;
      const there = (energy[Math.min(samples, at + probe.length)] as number) - (energy[at] as number);
      if (there < quiet) continue;
      const re = productRe[m] as number;
      const im = productIm[m] as number;
      answer[at / 2] = ((2 / BLOCK) * Math.sqrt((re * re + im * im) / there)) / probe.norm;
    }
  }
  return answer;
}
