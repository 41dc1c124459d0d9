import { createHash } from 'node:crypto';
import type { OpenFile } from './disk.js';
import { givePage, PAGE, takePage } from './pages.js';

/** Most files that are read are manifests; of a recording, pieces this large cost a tenth of the calls. */
const FIRST_BYTES = 65_536;
const READ_BYTES = 524_288;

/** The bytes of an open file from its beginning on. Who is given a piece may keep it: nothing is read into it again. */
export async function* bytesOf(file: OpenFile): AsyncGenerator<Buffer, void, undefined> {
  let buffer = Buffer.allocUnsafe(FIRST_BYTES);
  let used = 0;
  for (let at = 0; ; ) {
    if (used === buffer.length) {
      buffer = Buffer.allocUnsafe(READ_BYTES);
      used = 0;
    }
    // What is left of the buffer is nobody's yet: seeing the end takes no further one.
    const { bytesRead } = await file.read(buffer, used, buffer.length - used, at);
    if (bytesRead === 0) return;
    yield buffer.subarray(used, used + bytesRead);
    at += bytesRead;
    used += bytesRead;
  }
}

/** sha256 (hex) of what an open file holds. */
export const digestOf = async (file: OpenFile): Promise<string> => {
  const hash = createHash('sha256');
  const page = takePage();
  try {
    for (let at = 0; ; ) {
      const { bytesRead } = await file.read(page, 0, PAGE, at);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(page.subarray(0, bytesRead));
      at += bytesRead;
    }
  } finally {
    givePage(page);
  }
};
