import { get } from 'node:http';
import type { Check } from '../api/health.js';

/** What each worker says of itself, put together. */

/** Longest answer of a worker: the metrics, and the calls of a full house several times over. */
const MAX_BYTES = 16 * 1024 * 1024;
const ASK_MS = 2000;

/** Asks a worker's health port; null where it does not answer in time. */
export const ask = (port: number, path: string): Promise<{ status: number; text: string } | null> =>
  new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path, timeout: ASK_MS }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > MAX_BYTES) request.destroy();
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      response.on('error', () => resolve(null));
    });
    // The timeout of the request is of a silence; a worker that is stopped must not hold up who asks for longer.
    const timer = setTimeout(() => request.destroy(), ASK_MS);
    request.on('close', () => {
      clearTimeout(timer);
      resolve(null);
    });
    request.on('error', () => resolve(null));
  });

/** The checks of a worker that did not answer, or answered what is none. */
const silent: readonly Check[] = [{ name: 'worker', ok: false, why: 'does not answer' }];

export const checksIn = (text: string | undefined): readonly Check[] => {
  try {
    const { checks } = JSON.parse(text ?? '') as { readonly checks?: unknown };
    return Array.isArray(checks) ? (checks as readonly Check[]) : silent;
  } catch {
    return silent;
  }
};

interface Family {
  readonly head: string[];
  readonly samples: string[];
}

const label = (sample: string, worker: string): string => {
  const open = sample.indexOf('{');
  const space = sample.indexOf(' ');
  return open >= 0 && (space < 0 || open < space)
    ? `${sample.slice(0, open + 1)}worker="${worker}",${sample.slice(open + 1)}`
    : `${sample.slice(0, space)}{worker="${worker}"}${sample.slice(space)}`;
};

/**
 * The metrics of several workers as one text in Prometheus' format: each sample with a label `worker`, each family with
 * its help and type once, as the format asks for.
 */
export const mergedMetrics = (of: readonly { readonly worker: string; readonly text: string }[]): string => {
  const families = new Map<string, Family>();
  for (const { worker, text } of of) {
    let current: Family = { head: [], samples: [] };
    let known = false;
    for (const line of text.split('\n')) {
      if (line === '') continue;
      if (line.startsWith('# HELP ')) {
        const name = line.split(' ', 3)[2] ?? '';
        known = families.has(name);
        current = families.get(name) ?? { head: [], samples: [] };
        families.set(name, current);
      }
      if (!line.startsWith('#')) current.samples.push(label(line, worker));
      else if (!known) current.head.push(line);
    }
  }
  return `${[...families.values()].flatMap(({ head, samples }) => [...head, ...samples]).join('\n')}\n`;
};
