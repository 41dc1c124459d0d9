import type { Ending } from '../core/ending.js';
import { codeOf } from './deadline.js';
import { MediaError } from './ports.js';

/** The ending of a call whose media failed: a party's description that cannot be used is that party's doing. */
export const mediaEnding = (error: unknown, unusable: 'offer-unusable' | 'called-media-unusable'): Ending => {
  if (!(error instanceof MediaError)) return { code: 'media-unavailable', detail: codeOf(error) };
  switch (error.code) {
    case 'offer-unusable':
    case 'answer-unusable':
    case 'foreign-address':
      return { code: unusable, detail: error.detail };
    case 'no-node':
    case 'node-timeout':
    case 'node-refused':
    case 'node-error':
    case 'unexpected-recording':
      return { code: 'media-unavailable', detail: error.code };
    default: {
      const never: never = error.code;
      return never;
    }
  }
};
