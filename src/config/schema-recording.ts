import { z } from 'zod';
import { retention } from './schema-retention.js';
import { store } from './schema-store.js';
import { name, path, recipient, seconds } from './shapes.js';

const keyIds = z.array(name).min(1).max(16);

const vault = z
  .strictObject({
    keys: z
      .record(
        name,
        z
          .strictObject({
            role: z
              .enum(['facility', 'escrow'])
              .describe(
                '`facility`: opens ordinary recordings; `escrow`: opens sealed ones, and ordinary ones of facilities that name it.',
              ),
            recipient: recipient.optional().describe('The public key: `age1…`.'),
            recipientFile: path
              .optional()
              .describe('File that holds the public key, in the place of `recipient`.'),
          })
          .refine((key) => (key.recipient === undefined) !== (key.recipientFile === undefined), {
            message: 'needs a recipient or a recipientFile, and not both',
          }),
      )
      .default({})
      .describe(
        'Public keys (age, X25519) by key id. A new key gets a new id; recordings name the ids they are encrypted to. The private halves never come near the controller.',
      ),
    facilities: z
      .record(name, keyIds)
      .default({})
      .describe('Ids of the keys the ordinary recordings of each facility are encrypted to.'),
    sealed: z
      .array(name)
      .max(16)
      .default([])
      .describe('Ids of the escrow keys sealed recordings are encrypted to, whatever their facility.'),
    minFreeMegabytes: z
      .number()
      .min(0)
      .max(1e9)
      .default(100)
      .describe(
        'Free space `directory`, or the staging folder, must have before a monitored call is dialled.',
      ),
    store,
    readings: path
      .default('var/readings')
      .describe('Journal of who decrypted which recording and why. A journal of its own, by the same rules.'),
  })
  .prefault({})
  .describe(
    'What recordings are encrypted to, and where. Without a key for a facility nothing is recorded there.',
  );

export const recording = z
  .strictObject({
    directory: path
      .default('var/recordings')
      .describe('Where finished recordings are kept, encrypted. Sealed ones are in `sealed/`.'),
    vault,
    spool: z
      .enum(['memory', 'any'])
      .default('memory')
      .describe(
        '`memory`: a spool, where recordings in the making lie in plain, must be a tmpfs, or no call is recorded there; `any`: also on a disk, where they can be found after they were removed.',
      ),
    minFreeMegabytes: z
      .number()
      .min(0)
      .max(1e6)
      .default(100)
      .describe('Free space a spool must have before a monitored call is dialled.'),
    proveMs: z
      .int()
      .min(50)
      .max(4000)
      .default(1000)
      .describe(
        'How long a look at a spool, and proving a recording, may each take before the call is refused, in ms.',
      ),
    growthSeconds: seconds(60)
      .default(5)
      .describe('How often a recording must be seen to grow while packets arrive.'),
    retention: retention.optional(),
  })
  .prefault({})
  .describe('Recordings of monitored calls.');
