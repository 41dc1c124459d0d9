import { createHash } from 'node:crypto';
import type { CallId, WallMs } from '../core/leg.js';
import { heardMs } from '../phones/goertzel.js';
import { readWav } from '../phones/wav.js';
import type { Identity } from '../vault/age-keys.js';
import { openBytes } from '../vault/age-stream.js';
import { MAX_MANIFEST, type Manifest, readManifest } from '../vault/manifest.js';
import { readWhole, type Store } from '../vault/store.js';
import type { RecordingFinding } from './facts.js';

export interface Tones {
  readonly caller: number;
  readonly called: number;
}

/** A test call lasts seconds; this is a quarter of an hour. */
const MAX_WAV = 16 * 1024 * 1024;
const DAY_MS = 86_400_000;

const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10).replaceAll('-', '/');

const manifestOf = async (
  store: Store,
  callId: CallId,
  now: WallMs,
): Promise<{ readonly folder: string; readonly manifest: Manifest } | null> => {
  for (const folder of [now, now - DAY_MS, now + DAY_MS].map(dayOf)) {
    if (!(await store.has(`${folder}/${callId}.json`))) continue;
    const bytes = await readWhole(store, `${folder}/${callId}.json`, MAX_MANIFEST);
    return { folder, manifest: readManifest(bytes, `${callId}.json`) };
  }
  return null;
};

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unreadable';

/**
 * Reads a test call's recording out of the vault, as anybody with a key would, and listens to it, all in memory. Never
 * rejects.
 */
export const lookAtRecording = async (
  store: Store,
  identity: Identity,
  callId: CallId,
  tones: Tones,
  now: WallMs,
): Promise<RecordingFinding> => {
  try {
    const found = await manifestOf(store, callId, now);
    if (found === null) return { state: 'missing', code: 'no-manifest' };
    const file = found.manifest.files.find(({ name }) => name === `${callId}.wav.age`);
    if (file === undefined) return { state: 'missing', code: 'no-sound' };
    const sealed = await readWhole(store, `${found.folder}/${file.name}`, MAX_WAV);
    if (sealed === null) return { state: 'unreadable', code: 'too-long' };
    const sha256 = createHash('sha256').update(sealed).digest('hex');
    if (sha256 !== file.sha256) return { state: 'unreadable', code: 'recording-changed' };
    const { channels, sampleRate } = readWav(await openBytes(sealed, [identity]));
    const [left = new Int16Array(), right = new Int16Array()] = channels;
    const heardIn = (samples: Int16Array) => ({
      caller: heardMs(samples, tones.caller),
      called: heardMs(samples, tones.called),
    });
    return {
      state: 'heard',
      seconds: left.length / sampleRate,
      channels: channels.length,
      left: heardIn(left),
      right: heardIn(right),
    };
  } catch (error) {
    return { state: 'unreadable', code: codeOf(error) };
  }
};
