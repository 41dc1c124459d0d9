import { ApiProblem, api } from '../../api/client.js';
import type { ImportShown } from './types.js';

/** Waits the API may ask for in one file: it takes so many requests a minute, and a large file has more parts. */
const mostWaits = 120;

/**
 * Sends a file part by part, then has it read. Where a part was lost it goes on from what the API has. Rejects with
 * ApiProblem.
 */
export const upload = async (
  begun: ImportShown,
  file: File,
  partBytes: number,
  progress: (done: number) => void,
): Promise<void> => {
  let waits = 0;
  let at = begun.received;
  while (at < file.size) {
    progress(at);
    const body = file.slice(at, at + partBytes);
    try {
      const { received } = await api.post<{ readonly received: number }>(
        `/v1/imports/${begun.id}/parts?offset=${at}`,
        undefined,
        { raw: { body, type: 'application/octet-stream' } },
      );
      at = received;
    } catch (error) {
      if (!(error instanceof ApiProblem) || error.retryAfter === null || waits >= mostWaits) throw error;
      waits += 1;
      const { retryAfter } = error;
      await new Promise((resolve) => setTimeout(resolve, retryAfter * 1000));
    }
  }
  progress(at);
  await api.post(`/v1/imports/${begun.id}/stage`, undefined);
};
