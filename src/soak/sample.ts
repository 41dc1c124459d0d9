import { metricsOf } from './controller-process.js';
import { lookAtProc, type ProcLook } from './proc.js';
import type { Stage } from './stage.js';

/** One look at everything, some seconds after the last one. */
export interface Sample {
  /** Since the start of the soak, in ms. */
  readonly atMs: number;
  /** Calls placed a second, since the last look. */
  readonly rate: number;
  /** Calls under way. */
  readonly up: number;
  /** INVITE to 200 of the calls answered since the last look, in ms. */
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
  /** By name of the process: what the kernel says of it. */
  readonly processes: Readonly<Record<string, ProcLook>>;
  /** 99th percentile of the controller's event loop delay, in ms, as its metrics say; null where it was not to be had. */
  readonly loopMs: number | null;
  /** What the controller's main thread held after its last full collection, as its metrics say. */
  readonly liveHeapBytes: number | null;
  /** What is resident of the controller beside its main thread's heap, as its metrics say: buffers, code, its workers. */
  readonly outsideHeapBytes: number | null;
  /** The same of the soak's own: how far its measurements can be trusted. */
  readonly ownLoopMs: number;
}

export const lookAtProcesses = (stage: Stage): Record<string, ProcLook> => {
  const looks: Record<string, ProcLook> = {};
  for (const [name, pid] of stage.pids) {
    const look = lookAtProc(pid);
    if (look !== null) looks[name] = look;
  }
  return looks;
};

/** What only the controller can tell of itself; prom-client tells seconds. */
export const controllerFigures = async (
  stage: Stage,
): Promise<Pick<Sample, 'loopMs' | 'liveHeapBytes' | 'outsideHeapBytes'>> => {
  const metrics = await metricsOf(stage.httpPort);
  const seconds = metrics?.get('nodejs_eventloop_lag_p99_seconds');
  // Both of one answer: the heap's size changes by tens of megabytes from one look to the next.
  const resident = metrics?.get('process_resident_memory_bytes');
  const heap = metrics?.get('nodejs_heap_size_total_bytes');
  return {
    loopMs: seconds === undefined ? null : seconds * 1000,
    liveHeapBytes: metrics?.get('sallyport_live_heap_bytes') || null,
    outsideHeapBytes: resident === undefined || heap === undefined ? null : resident - heap,
  };
};
