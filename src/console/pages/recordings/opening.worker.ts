import { PlaybackError } from '../../../playback/errors.js';
import { MAX_FILE_BYTES, openFile, sha256Hex } from '../../../playback/open.js';
import { peaksOf } from '../../../playback/peaks.js';
import { readWav, sideOf, type Wav } from '../../../playback/wav.js';
import { type FromWorker, PEAK_COLUMNS, type Refused, type Stage, type ToWorker } from './protocol.js';

/**
 * Fetches, digests and opens a recording away from the page, which must not stand still for an hour of sound. What is
 * plain is in this worker’s memory alone: no file, no blob (browsers may write those to a disk), and gone with the worker.
 */

interface Scope {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
}
const scope = globalThis as unknown as Scope;

const MAX_TEXT = 4 * 1024 * 1024;
let wav: Wav | null = null;

/** Some ten words a second would be as good, and a hundred thousand are not. */
const telling = (stage: Stage): ((part: number) => void) => {
  let last = -1;
  return (part) => {
    if (part < 1 && part - last < 0.01) return;
    last = part;
    scope.postMessage({ say: 'progress', stage, part });
  };
};

class RefusedError extends Error {
  readonly refused: Refused;
  constructor(refused: Refused) {
    super(refused.code);
    this.refused = refused;
  }
}

const fetched = async (path: string, size: number): Promise<Uint8Array<ArrayBuffer>> => {
  if (size > MAX_FILE_BYTES) throw new PlaybackError('file-too-large');
  const answer = await fetch(path, { credentials: 'same-origin', cache: 'no-store', redirect: 'error' });
  if (!answer.ok || answer.body === null) {
    const body = (await answer.json().catch(() => ({}))) as Partial<Refused>;
    const { code = 'answer-malformed', title = `HTTP ${answer.status}`, detail = null } = body;
    throw new RefusedError({ status: answer.status, code, title, detail });
  }
  const bytes = new Uint8Array(size);
  const told = telling('fetch');
  let length = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    // More than the manifest says is no file of it.
    if (length + value.length > size) throw new PlaybackError('digest-differs');
    bytes.set(value, length);
    length += value.length;
    told(size === 0 ? 1 : length / size);
  }
  if (length !== size) throw new PlaybackError('digest-differs');
  return bytes;
};

const open = async (asked: Extract<ToWorker, { say: 'open' }>): Promise<void> => {
  const bytes = await fetched(asked.path, asked.bytes);
  scope.postMessage({ say: 'progress', stage: 'digest', part: 0 });
  const sha256 = await sha256Hex(bytes);
  scope.postMessage({ say: 'digest', sha256 });
  if (sha256 !== asked.sha256) throw new PlaybackError('digest-differs');
  const plain = await openFile(bytes, asked.identities, asked.layers, telling('open'));
  if (asked.kind === 'text') {
    scope.postMessage({ say: 'text', text: new TextDecoder().decode(plain.subarray(0, MAX_TEXT)) });
    return;
  }
  scope.postMessage({ say: 'progress', stage: 'draw', part: 0 });
  wav = readWav(plain);
  const peaks = [peaksOf(wav, 0, PEAK_COLUMNS), peaksOf(wav, 1, PEAK_COLUMNS)] as const;
  const { rate, frames } = wav;
  scope.postMessage({ say: 'sound', rate, frames, peaks }, [peaks[0].buffer, peaks[1].buffer]);
};

scope.onmessage = ({ data }) => {
  if (data.say === 'open') {
    open(data).catch((error: unknown) => {
      if (error instanceof RefusedError) scope.postMessage({ say: 'refused', refused: error.refused });
      else scope.postMessage({ say: 'failed', code: error instanceof PlaybackError ? error.code : 'failed' });
    });
    return;
  }
  if (wav === null) return;
  const sides = [sideOf(wav, 0, data.from, data.count), sideOf(wav, 1, data.from, data.count)] as const;
  scope.postMessage({ say: 'chunk', id: data.id, sides }, [sides[0].buffer, sides[1].buffer]);
};
