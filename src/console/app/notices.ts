import type { Tone } from '../ui/tone.js';
import { cell } from './cell.js';

/** Something to be told that the page itself does not show: it stands in the corner, and is read out. */
export interface Told {
  readonly id: number;
  readonly tone: Tone;
  readonly text: string;
}

const MOST = 4;
const GONE_MS = 8_000;

export const told = cell<readonly Told[]>([]);
let last = 0;

export const dismiss = (id: number): void => told.set(told.get().filter((one) => one.id !== id));

/** Tells something. What is bad stays until somebody takes it away; the others go by themselves. */
export const tell = (tone: Tone, text: string): void => {
  last += 1;
  const id = last;
  told.set([...told.get(), { id, tone, text }].slice(-MOST));
  if (tone !== 'bad') setTimeout(() => dismiss(id), GONE_MS);
};
