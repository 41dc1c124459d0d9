import { z } from 'zod';
import { path, seconds } from './shapes.js';

/** The process that watches over recordings after their calls: `sallyport custody run`. */
export const custody = z
  .strictObject({
    journals: z
      .array(path)
      .max(64)
      .default([])
      .describe(
        'Journals of the other controllers whose recordings are in the same folder. Without theirs, their recordings would have no owner.',
      ),
    status: path
      .optional()
      .describe(
        'File that `sallyport custody run` writes anew while it works. Where it is named, a controller raises `custody-silent` when it stands still.',
      ),
    maxSilentSeconds: seconds(86_400)
      .default(300)
      .describe('How long that file may stand still before the controller raises the alarm.'),
    verifyMegabytesPerSecond: z
      .number()
      .min(0.1)
      .max(100_000)
      .default(50)
      .describe('Most that is read of recordings in a second to verify them.'),
  })
  .prefault({})
  .describe('What is done to recordings after their calls (custody.md).');
