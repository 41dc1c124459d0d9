import { readFile } from 'node:fs/promises';
import type { Emit } from './call/ports.js';
import type { Config } from './config/schema.js';

const MOST_LOOKS_MS = 10_000;
const MAX_BYTES = 65_536;

/**
 * Looks whether custody's file is written anew, and raises `custody-silent` where it stood still for too long, once each
 * time. Only whether it changes is looked at, and only the time that passes here: no clock needs to be right. Returns
 * what ends it; does nothing where no file is named.
 */
export const watchCustody = (
  { status, maxSilentSeconds }: Pick<Config['custody'], 'status' | 'maxSilentSeconds'>,
  emit: Emit,
): (() => void) => {
  if (status === undefined) return () => undefined;
  let seen: string | null = null;
  let since = performance.now();
  let told = false;
  const look = async (): Promise<void> => {
    const text = await readFile(status, 'utf8').catch(() => null);
    const now = performance.now();
    // What is no file of custody's is no sign of it, however often it changes.
    const alive =
      text !== null && text.length <= MAX_BYTES && text.startsWith('{"format":1,') && text !== seen;
    if (alive) {
      seen = text;
      since = now;
      told = false;
      return;
    }
    if (told || now - since < maxSilentSeconds * 1000) return;
    told = true;
    const detail = text === null ? 'no-file' : 'stands-still';
    emit({ event: 'alarm', alarm: 'custody-silent', callId: null, detail });
  };
  const everyMs = Math.min(MOST_LOOKS_MS, (maxSilentSeconds * 1000) / 4);
  const timer = setInterval(() => void look(), everyMs);
  timer.unref();
  return () => clearInterval(timer);
};
