import { z } from 'zod';
import { path } from './shapes.js';

/** What leaves by investigators' exports (search.md). */
export const exports = z
  .strictObject({
    keyFile: path
      .optional()
      .describe('Private key (PEM, Ed25519) that signs exports. Without it none are made.'),
    directory: path.default('var/exports').describe('Where bundles lie until their time is over.'),
    maxCalls: z.int().min(1).max(1000).default(500).describe('Most calls in one export.'),
    maxMegabytes: z.number().min(1).max(100_000).default(2000).describe('Largest bundle.'),
    keptHours: z.number().min(0.1).max(720).default(24).describe('A bundle is taken away after that.'),
  })
  .prefault({})
  .describe('Exports of monitored calls for a case.');
