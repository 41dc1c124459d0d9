import { Worker } from 'node:worker_threads';

interface StallGuard {
  /** Resolves when it watches. */
  readonly watching: Promise<void>;
  stop(): void;
}

/** A sign of life is given, and looked for, this often. */
const beatMs = 500;

/**
 * Ends the process (SIGKILL) when its event loop has not turned for `ms`: nothing within it could do anything about
 * that, calls go on unsupervised, and the next start closes what is left (docs/recovery.md). The time is counted in
 * turns of the watching thread, so that a process that was stopped as a whole and goes on is not taken for stuck.
 */
export const guardAgainstStalls = (ms: number): StallGuard => {
  const beats = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(watcher, {
    eval: true,
    // What the process was started with, such as the kind of its modules, is not for this text.
    execArgv: [],
    workerData: { beats, beatMs, most: Math.max(2, Math.ceil(ms / beatMs)), pid: process.pid },
  });
  worker.unref();
  // Without its watcher the process is as good as it was before there was one.
  worker.on('error', () => undefined);
  const timer = setInterval(() => Atomics.add(beats, 0, 1), beatMs);
  timer.unref();
  return {
    watching: new Promise((resolve) => worker.once('online', () => resolve())),
    stop: () => {
      clearInterval(timer);
      void worker.terminate();
    },
  };
};

const watcher = `
const { workerData: { beats, beatMs, most, pid } } = require('node:worker_threads');
const { writeSync } = require('node:fs');
let last = -1;
let still = 0;
setInterval(() => {
  const now = Atomics.load(beats, 0);
  still = now === last ? still + 1 : 0;
  last = now;
  if (still < most) return;
  try {
    writeSync(2, JSON.stringify({ level: 'fatal', event: 'fault', where: 'process', code: 'event-loop-stuck' }) + '\\n');
  } catch {}
  process.kill(pid, 'SIGKILL');
}, beatMs);
`;
