import { z } from 'zod';
import { path, seconds } from './shapes.js';

const heads = z
  .strictObject({
    keyFile: path.describe(
      'Private key (PEM, Ed25519) that signs: `sallyport journal keygen`. Readable by its owner alone.',
    ),
    everySeconds: seconds(3600)
      .default(60)
      .describe('How often a journal that grew is signed. What is after the last head can be rewritten.'),
    ship: path
      .optional()
      .describe(
        'A directory on another disk or machine, there already, to which heads and closed segments are copied.',
      ),
  })
  .describe('Signed tree heads. Without them the journal can be rewritten by whoever can write its files.');

export const journal = z
  .strictObject({
    directory: path.default('var/journal').describe('Where the journal is kept.'),
    deadlineMs: z
      .int()
      .min(10)
      .max(10_000)
      .default(1000)
      .describe('How long a row may take to be durable before the call is refused, in ms.'),
    heads: heads.optional(),
  })
  .prefault({})
  .describe('The durable, hash-chained journal.');

export const registry = z
  .strictObject({
    host: z.string().min(1).max(255).default('127.0.0.1').describe('Host of the PostgreSQL server.'),
    port: z.int().min(1).max(65535).default(5432).describe('Its port.'),
    database: z.string().min(1).max(63).default('sallyport').describe('The database.'),
    user: z.string().min(1).max(63).default('sallyport').describe('The role that connects.'),
    passwordFile: path.optional().describe('File that holds the role’s password. Without it none is sent.'),
    publisherKey: path.describe(
      'Private key (PEM, Ed25519) publications are signed with: `sallyport lists keygen`.',
    ),
    redis: z
      .strictObject({
        username: z.string().min(1).max(128).describe('ACL user that publishes.'),
        passwordFile: path.describe('File that holds its password.'),
      })
      .optional()
      .describe(
        'Who publishes in Redis, as `publisher` in `config/redis.acl`. Without it the user of `lists.redis`, who then has to be one that may.',
      ),
    journal: path
      .default('var/registry')
      .describe('Journal of who proposed, approved and published what. A journal of its own.'),
    removalHours: z
      .number()
      .min(1)
      .max(720)
      .default(24)
      .describe('How long a change waits, after its last approval, that takes protection from a number.'),
    proofMinutes: z
      .number()
      .min(1)
      .max(10_080)
      .optional()
      .describe(
        'How often it is proved that what was published change by change is what stands in the registry, which reads all of it. Default: 60.',
      ),
  })
  .describe('The registry of the lists. The controller never asks it: calls go on without.');
