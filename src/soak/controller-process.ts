import { fromRoot } from '../root.js';
import { type Child, startChild } from '../stack/child.js';

/** The controller as a process of its own, as `sallyport run` starts it. */
export interface ControllerProcess extends Child {
  readonly startedAt: number;
}

/** Starts it; it is not ready yet when this settles. */
export const startController = async (configFile: string, cwd: string): Promise<ControllerProcess> => {
  const child = await startChild({
    name: 'controller',
    program: { path: process.execPath },
    args: [fromRoot('dist', 'src', 'cli', 'main.js'), 'run', '--config', configFile],
    runAs: null,
    cwd,
  });
  return { ...child, startedAt: Date.now() };
};

const get = async (url: string): Promise<{ readonly status: number; readonly text: string } | null> => {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    return { status: response.status, text: await response.text() };
  } catch {
    return null;
  }
};

/** What is in the way of being ready, as the controller says it; null where nothing is. */
export const unreadyBecause = async (httpPort: number): Promise<string | null> => {
  const answer = await get(`http://127.0.0.1:${httpPort}/ready`);
  if (answer === null) return 'it does not answer';
  return answer.status === 200 ? null : answer.text.trim();
};

/** The samples of a Prometheus text by name and labels, as they stand there; null where there was no answer. */
export const metricsOf = async (httpPort: number): Promise<ReadonlyMap<string, number> | null> => {
  const answer = await get(`http://127.0.0.1:${httpPort}/metrics`);
  if (answer?.status !== 200) return null;
  const samples = new Map<string, number>();
  for (const line of answer.text.split('\n')) {
    const at = line.lastIndexOf(' ');
    if (line.startsWith('#') || at < 0) continue;
    samples.set(line.slice(0, at), Number(line.slice(at + 1)));
  }
  return samples;
};
