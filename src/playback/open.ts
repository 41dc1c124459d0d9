import { Decrypter } from 'age-encryption';
import { PlaybackError } from './errors.js';

/** An hour has 115 MB; this is what a browser's memory is asked for at most. */
export const MAX_FILE_BYTES = 512 * 1024 * 1024;
const PIECE = 256 * 1024;

export const sha256Hex = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
  Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');

const piecesOf = (
  bytes: Uint8Array<ArrayBuffer>,
  told: (done: number) => void,
): ReadableStream<Uint8Array<ArrayBuffer>> => {
  let at = 0;
  return new ReadableStream({
    pull: (controller) => {
      if (at >= bytes.length) controller.close();
      else controller.enqueue(bytes.subarray(at, at + PIECE));
      at = Math.min(bytes.length, at + PIECE);
      told(at / bytes.length);
    },
  });
};

/**
 * Opens a file of the vault with identities of the reader: as often as it is encrypted (`.age.age` is sealed over what
 * it was). What comes out is authenticated to its last byte, or nothing comes out. Rejects with PlaybackError.
 */
export const openFile = async (
  bytes: Uint8Array<ArrayBuffer>,
  identities: readonly string[],
  layers: number,
  told: (part: number) => void = () => undefined,
): Promise<Uint8Array<ArrayBuffer>> => {
  if (bytes.length > MAX_FILE_BYTES) throw new PlaybackError('file-too-large');
  const decrypter = new Decrypter();
  try {
    for (const identity of identities) decrypter.addIdentity(identity);
  } catch {
    throw new PlaybackError('identity-malformed');
  }
  try {
    let opened: ReadableStream<Uint8Array> = piecesOf(bytes, told);
    for (let layer = 0; layer < layers; layer += 1) opened = await decrypter.decrypt(opened);
    // What is plain is smaller than what is not: one piece of memory holds it.
    const plain = new Uint8Array(bytes.length);
    let length = 0;
    for (const reader = opened.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) return plain.subarray(0, length);
      plain.set(value, length);
      length += value.length;
    }
  } catch (error) {
    // The library tells its own reasons in words; that nothing fits is the one people can do something about.
    const unfit = error instanceof Error && /no identity matched/.test(error.message);
    throw new PlaybackError(unfit ? 'identity-unfit' : 'file-changed');
  }
};
