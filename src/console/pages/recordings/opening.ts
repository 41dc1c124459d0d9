import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { PlaybackCode } from '../../../playback/errors.js';
import type { Peaks } from '../../../playback/peaks.js';
import { ApiProblem } from '../../api/client.js';
import type { FromWorker, Stage, ToWorker } from './protocol.js';

/** A stretch of both sides, as the sound card takes it. */
export type Sides = readonly [Float32Array<ArrayBuffer>, Float32Array<ArrayBuffer>];

/** An opened recording: what is drawn of it, and its sound in pieces. */
export interface Sound {
  readonly rate: number;
  readonly frames: number;
  readonly peaks: readonly [Peaks, Peaks];
  piece(from: number, count: number): Promise<Sides>;
}

export interface Opening {
  readonly state:
    | { readonly at: 'closed' }
    | { readonly at: 'opening'; readonly stage: Stage; readonly part: number }
    | { readonly at: 'sound'; readonly sound: Sound }
    | { readonly at: 'text'; readonly text: string }
    | { readonly at: 'failed'; readonly code: PlaybackCode | 'failed' }
    | { readonly at: 'refused'; readonly problem: ApiProblem };
  /** SHA-256 of what was fetched. */
  readonly sha256: string | null;
  open(asked: Omit<Extract<ToWorker, { say: 'open' }>, 'say'>): void;
  /** Forgets what was opened: the worker ends, and its memory with it. */
  close(): void;
}

/** One file of a recording in a worker of its own, from the press of the button until the page is left. */
export const useOpening = (): Opening => {
  const [state, setState] = useState<Opening['state']>({ at: 'closed' });
  const [sha256, setSha256] = useState<string | null>(null);
  const worker = useRef<Worker | null>(null);
  const waiting = useRef(new Map<number, (sides: Sides) => void>());

  const close = useCallback(() => {
    worker.current?.terminate();
    worker.current = null;
    waiting.current.clear();
    setState({ at: 'closed' });
    setSha256(null);
  }, []);
  useEffect(() => close, [close]);

  const open = useCallback<Opening['open']>(
    (asked) => {
      close();
      const made = new Worker(new URL('./opening.worker.ts', import.meta.url), { type: 'module' });
      worker.current = made;
      let number = 0;
      const piece = (from: number, count: number): Promise<Sides> =>
        new Promise((resolve) => {
          number += 1;
          waiting.current.set(number, resolve);
          made.postMessage({ say: 'chunk', id: number, from, count } satisfies ToWorker);
        });
      setState({ at: 'opening', stage: 'fetch', part: 0 });
      made.onerror = () => setState({ at: 'failed', code: 'failed' });
      made.onmessage = ({ data }: MessageEvent<FromWorker>) => {
        switch (data.say) {
          case 'progress':
            setState({ at: 'opening', stage: data.stage, part: data.part });
            return;
          case 'digest':
            setSha256(data.sha256);
            return;
          case 'sound': {
            const { rate, frames, peaks } = data;
            setState({ at: 'sound', sound: { rate, frames, peaks, piece } });
            return;
          }
          case 'text':
            setState({ at: 'text', text: data.text });
            return;
          case 'chunk':
            waiting.current.get(data.id)?.(data.sides);
            waiting.current.delete(data.id);
            return;
          case 'failed':
            setState({ at: 'failed', code: data.code });
            return;
          case 'refused': {
            const { status, code, title, detail } = data.refused;
            setState({ at: 'refused', problem: new ApiProblem(status, code, title, { detail }) });
            return;
          }
          default: {
            const never: never = data;
            return never;
          }
        }
      };
      made.postMessage({ say: 'open', ...asked } satisfies ToWorker);
    },
    [close],
  );
  return { state, sha256, open, close };
};
