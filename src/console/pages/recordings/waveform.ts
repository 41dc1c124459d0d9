import type { Peaks } from '../../../playback/peaks.js';

export interface Look {
  readonly ground: string;
  readonly line: string;
  readonly sides: readonly [string, string];
  readonly faded: string;
  readonly head: string;
}

/** How loud a side is drawn for how loud it is: speech is far below full scale, so its root is drawn. */
const heightOf = (peak: number): number => Math.sign(peak) * Math.sqrt(Math.abs(peak));

/** Draws both sides under each other, each about a line of its own, and the place that sounds now. */
export const drawWaveform = (
  canvas: HTMLCanvasElement,
  peaks: readonly [Peaks, Peaks],
  look: Look,
  { part, muted }: { readonly part: number; readonly muted: readonly [boolean, boolean] },
): void => {
  const context = canvas.getContext('2d');
  if (context === null) return;
  const { width, height } = canvas;
  context.fillStyle = look.ground;
  context.fillRect(0, 0, width, height);
  const lane = height / 2;
  const now = Math.round(part * (width - 1));
  for (const side of [0, 1] as const) {
    const middle = lane * side + lane / 2;
    context.fillStyle = look.line;
    context.fillRect(0, Math.round(middle), width, 1);
    const columns = peaks[side].length / 2;
    context.fillStyle = muted[side] ? look.faded : look.sides[side];
    for (let x = 0; x < width; x += 1) {
      const first = Math.floor((x * columns) / width);
      const last = Math.max(first + 1, Math.floor(((x + 1) * columns) / width));
      let [low, high] = [0, 0];
      for (let column = first; column < last; column += 1) {
        low = Math.min(low, peaks[side][2 * column] ?? 0);
        high = Math.max(high, peaks[side][2 * column + 1] ?? 0);
      }
      const [top, bottom] = [heightOf(high), heightOf(low)].map((one) => middle - one * (lane / 2 - 4));
      context.globalAlpha = x <= now ? 1 : 0.55;
      context.fillRect(x, top ?? middle, 1, Math.max(1, (bottom ?? middle) - (top ?? middle)));
    }
    context.globalAlpha = 1;
  }
  context.fillStyle = look.head;
  context.fillRect(Math.max(0, now - 1), 0, 2, height);
};
