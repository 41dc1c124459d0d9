import { z } from 'zod';
import { name } from './shapes.js';

/** A hundred years: what is to be kept longer is kept for ever, and says so. */
const maxDays = 36_500;

const keep = z.union(
  [z.int().min(1).max(maxDays), z.literal('forever')],
  `must be a whole number of days from 1 to ${maxDays}, or forever`,
);

const ordinary = 'Recordings of monitored calls: days after the call began, or `forever`.';
const sealed = 'Recordings of calls that became private: days after the call began, or `forever`.';
const quarantined =
  'Files put aside because no call owns them: days after they were put there, or `forever`.';

/** How long recordings are kept. What a facility does not say is as `keepDays` says. */
export const retention = z
  .strictObject({
    keepDays: z
      .strictObject({
        ordinary: keep.describe(ordinary),
        sealed: keep.describe(sealed),
        quarantined: keep.describe(quarantined),
      })
      .describe('For every facility that says nothing else, and for those that are no longer configured.'),
    facilities: z
      .record(
        name,
        z.strictObject({
          ordinary: keep.optional().describe(ordinary),
          sealed: keep.optional().describe(sealed),
        }),
      )
      .default({})
      .describe('What is otherwise in one facility.'),
    guard: z
      .strictObject({
        percent: z
          .number()
          .min(0)
          .max(100)
          .default(20)
          .describe(
            'Share of all recordings, in percent. A round that would remove more, and more than `recordings`, removes none until their number is confirmed.',
          ),
        recordings: z
          .int()
          .min(0)
          .max(1_000_000)
          .default(50)
          .describe('Recordings that a round may remove whatever their share.'),
      })
      .prefault({})
      .describe('Against a mistyped rule and a wrong clock.'),
    maxClockGapHours: z
      .number()
      .min(1)
      .max(8760)
      .default(48)
      .describe(
        'Longest time without a row in the controllers’ journals for which the clock is believed to have run, and not jumped.',
      ),
    overdueHours: z
      .number()
      .min(1)
      .max(8760)
      .default(36)
      .describe(
        'A recording may be due, and a complete round may be past, for so long before it is an alarm.',
      ),
  })
  .describe(
    'How long recordings are kept. Without it every recording is kept for ever, and nothing ever expires.',
  );
