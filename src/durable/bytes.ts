import { createHash } from 'node:crypto';
import type { OpenFile } from './disk.js';

const READ_BYTES = 65_536;

/** The bytes of an open file from its beginning on. */
export async function* bytesOf(file: OpenFile): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0; ; ) {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    const { bytesRead } = await file.read(buffer, 0, READ_BYTES, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** sha256 (hex) of what an open file holds. */
export const digestOf = async (file: OpenFile): Promise<string> => {
  const hash = createHash('sha256');
  for await (const bytes of bytesOf(file)) hash.update(bytes);
  return hash.digest('hex');
};
