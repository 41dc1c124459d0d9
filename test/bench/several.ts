/** The parent of several workers, in a process of its own, for the benchmark to load. */
import { writeSync } from 'node:fs';
import type { Config } from '../../src/config/schema.js';
import { startWorkers, type Workers } from '../../src/workers/workers.js';
import { serve } from './ask.js';

let workers: Workers | null = null;

/** Where calls go, and which process is what. */
export interface SeveralStarted {
  readonly host: string;
  readonly port: number;
  readonly agent: number;
  readonly workers: readonly number[];
  readonly healthPort: number;
}

const ready = async (port: number): Promise<boolean> => {
  const answer = await fetch(`http://127.0.0.1:${port}/ready`);
  const { checks } = (await answer.json()) as { readonly checks: readonly { readonly ok: boolean }[] };
  return checks.length > 0 && checks.every(({ ok }) => ok);
};

const start = async (config: Config): Promise<SeveralStarted> => {
  workers = await startWorkers({
    config,
    tell: (event) => {
      if (event.event === 'part-failed' || event.event === 'part-silent')
        writeSync(2, `bench: ${JSON.stringify(event)}\n`);
    },
  });
  const { healthPort, sip } = workers;
  for (let waited = 0; !(await ready(healthPort)); waited += 50) {
    if (waited > 30_000) throw new Error('the workers are not ready');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const udp = sip.find((one) => one.transport === 'udp');
  const pids = workers.pids();
  const known = pids.workers.filter((pid) => pid !== null);
  if (udp === undefined || pids.agent === null || known.length !== config.controller.workers)
    throw new Error('a part is missing');
  return { host: udp.host, port: udp.port, agent: pids.agent, workers: known, healthPort };
};

serve({ start, stop: () => workers?.stop(0) });
