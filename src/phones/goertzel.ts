import { SAMPLE_RATE } from './tone.js';

/**
 * Tones are judged in blocks of 50 ms: 20 Hz apart is told apart, and a gap or a phase jump (a lost packet, a hold, a
 * splice) spoils only the block it falls into. One long window would cancel itself out across a phase jump.
 */
const BLOCK = 400;
const BLOCK_MS = (BLOCK * 1000) / SAMPLE_RATE;

/** A block carries the tone when this share of its energy is at the frequency: up to three equal tones may be mixed. */
const HEARD_SHARE = 0.25;

/** And when the tone itself is at least this loud (root mean square, about -56 dBFS): companding residue is not a tone. */
const HEARD_RMS = 50;

/** And `hears` wants the tone in at least this share of the blocks. */
const HEARD_BLOCKS = 0.5;

/** Goertzel power |X(hz)|² of the samples; `hz` need not fall on a bin. */
export function goertzelPower(samples: Int16Array, hz: number): number {
  const coefficient = 2 * Math.cos((2 * Math.PI * hz) / SAMPLE_RATE);
  let older = 0;
  let newer = 0;
  for (let index = 0; index < samples.length; index++) {
    const next = (samples[index] ?? 0) + coefficient * newer - older;
    older = newer;
    newer = next;
  }
  return newer * newer + older * older - coefficient * newer * older;
}

function energy(samples: Int16Array): number {
  let sum = 0;
  for (let index = 0; index < samples.length; index++) sum += (samples[index] ?? 0) ** 2;
  return sum;
}

/** Root mean square of the samples; 0 for none. */
export function rms(samples: Int16Array): number {
  return samples.length === 0 ? 0 : Math.sqrt(energy(samples) / samples.length);
}

/** A block's energy, and how much of it is at the frequency. The two are equal for a pure tone. */
interface Block {
  readonly energy: number;
  readonly atTone: number;
}

/** The samples in 50 ms blocks; a shorter rest counts only when it is all there is. */
function blocksOf(samples: Int16Array, hz: number): Block[] {
  const blocks: Block[] = [];
  const whole = Math.floor(samples.length / BLOCK);
  for (let index = 0; index < Math.max(whole, 1); index++) {
    const piece = samples.subarray(index * BLOCK, (index + 1) * BLOCK);
    if (piece.length === 0) continue;
    // A sine of N samples has power N·energy/2 at its own frequency (half of it lies at the negative frequency).
    blocks.push({ energy: energy(piece), atTone: (2 * goertzelPower(piece, hz)) / piece.length });
  }
  return blocks;
}

function carries(block: Block): boolean {
  return block.atTone >= HEARD_SHARE * block.energy && Math.sqrt(block.atTone / BLOCK) >= HEARD_RMS;
}

/** The share (0 to 1) of the signal's energy that lies at `hz`; 0 for silence. Gaps without energy do not count. */
export function toneLevel(samples: Int16Array, hz: number): number {
  let total = 0;
  let atTone = 0;
  for (const block of blocksOf(samples, hz)) {
    total += block.energy;
    atTone += block.atTone;
  }
  return total === 0 ? 0 : Math.min(1, atTone / total);
}

/**
 * Is the tone there? True when at least half of the 50 ms blocks carry it: a quarter or more of the block's energy is
 * at `hz`, and that part is at least 50 (of 32767) root mean square. Silence and white noise (about 0.005 of its energy
 * at any one frequency) are never heard.
 */
export function hears(samples: Int16Array, hz: number): boolean {
  const blocks = blocksOf(samples, hz);
  const carrying = blocks.filter(carries).length;
  return carrying > 0 && carrying >= HEARD_BLOCKS * blocks.length;
}

/** For how many milliseconds the tone is there, in steps of 50. To prove that something was never heard, ask for 0. */
export function heardMs(samples: Int16Array, hz: number): number {
  return blocksOf(samples, hz).filter(carries).length * BLOCK_MS;
}
