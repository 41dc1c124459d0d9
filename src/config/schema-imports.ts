import { z } from 'zod';
import { path } from './shapes.js';

export const imports = z
  .strictObject({
    profiles: path
      .optional()
      .describe('Folder with profiles of your own (YAML or JSON), besides those that come with the product.'),
    uploads: path
      .default('var/imports')
      .describe('Folder that files lie in while they come in through the API and are read.'),
    maxMegabytes: z.int().min(1).max(100_000).default(2048).describe('Largest file.'),
    shrinkPercent: z
      .number()
      .min(0)
      .max(100)
      .default(5)
      .describe('Share of what a source had that a file of it may take away before two people must say so.'),
    shrinkEntries: z
      .int()
      .min(0)
      .max(1_000_000)
      .default(100)
      .describe('Number of entries that it may take away before two people must say so.'),
  })
  .prefault({})
  .describe('Files that lists are taken from.');
