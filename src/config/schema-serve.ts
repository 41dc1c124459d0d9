import { z } from 'zod';
import { roleSchema } from '../http/roles.js';
import { exports } from './schema-exports.js';
import { address, path } from './shapes.js';

const origin = z
  .string()
  .max(300)
  .refine(
    (text) => URL.canParse(text) && new URL(text).origin === text && /^https?:/.test(text),
    'must be an origin such as https://sallyport.example, without a path',
  );

const facilityName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,47}$/, 'no name of a facility');

const oidc = z
  .strictObject({
    issuer: z.url().max(300).describe('The provider’s issuer; https, or this host itself.'),
    clientId: z.string().min(1).max(200).describe('Our name at the provider.'),
    clientSecretFile: path.optional().describe('File with our secret there. Without it PKCE alone.'),
    nameClaim: z
      .string()
      .min(1)
      .max(64)
      .default('preferred_username')
      .describe('Claim that names the account.'),
    rolesClaim: z.string().min(1).max(64).default('groups').describe('Claim that `roles` is looked up by.'),
    roles: z
      .array(
        z.strictObject({
          value: z.string().min(1).max(200).describe('A value of that claim.'),
          roles: z.array(roleSchema).min(1).max(8).describe('The roles it gives.'),
        }),
      )
      .min(1)
      .max(100)
      .describe('Roles by the values of that claim. Whoever has none of them is not let in.'),
    facilitiesClaim: z
      .string()
      .min(1)
      .max(64)
      .default('facilities')
      .describe('Claim that `facilities` is looked up by.'),
    facilities: z
      .array(
        z.strictObject({
          value: z.string().min(1).max(200).describe('A value of that claim.'),
          facilities: z
            .array(facilityName)
            .min(1)
            .max(1000)
            .describe('The facilities it gives; `all` alone: all of them, for the provider’s own staff.'),
        }),
      )
      .min(1)
      .max(10_000)
      .describe(
        'Facilities by the values of that claim. Whoever has none of them acts for no facility, and sees nothing.',
      ),
  })
  .describe('Sign-in by an OpenID provider. Its second factor is its own matter.');

export const serve = z
  .strictObject({
    address: address
      .default('127.0.0.1')
      .describe('Address to bind. Any but a loopback address needs `tls`.'),
    port: z.int().min(0).max(65535).default(8443).describe('Port of the API; 0 picks a free one.'),
    tls: z
      .strictObject({
        certFile: path.describe('PEM file: the certificate, then those between it and its authority.'),
        keyFile: path.describe('PEM file: its private key.'),
      })
      .optional()
      .describe('TLS, 1.2 and later.'),
    publicUrl: origin
      .optional()
      .describe(
        'Origin that browsers see. Default: made of `address` and `port`. Requests of pages of other origins are refused.',
      ),
    trustProxy: z
      .array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]))
      .max(64)
      .optional()
      .describe(
        'Proxies whose `X-Forwarded-For` is believed: rates and waits then count for the client they name. None: for the address that connects.',
      ),
    secretsKeyFile: path
      .optional()
      .describe(
        'File with the key that seeds of second factors and secrets of webhooks are sealed with in the database: `sallyport accounts keygen`.',
      ),
    testSite: z
      .boolean()
      .optional()
      .describe('`serve` starts without `secretsKeyFile`: those secrets lie open in the database.'),
    idleMinutes: z.number().min(1).max(480).default(15).describe('A session that is not used ends.'),
    sessionHours: z.number().min(0.1).max(24).default(8).describe('A session ends, used or not.'),
    oidc: oidc.optional(),
    limits: z
      .strictObject({
        requestsPerMinute: z
          .int()
          .min(10)
          .max(100_000)
          .default(600)
          .describe('Most requests from one address in a minute.'),
        watchers: z.int().min(1).max(1000).default(64).describe('Most who follow the live calls at once.'),
        calls: z
          .int()
          .min(1000)
          .max(1_000_000)
          .default(100_000)
          .describe('Past calls that are kept in memory to be searched, the newest.'),
      })
      .prefault({})
      .describe('Bounds.'),
    journal: path
      .default('var/http-journal')
      .describe('Journal of who signed in and who read what. A journal of its own.'),
    journals: z
      .array(path)
      .max(64)
      .default([])
      .describe('Journals of the controllers whose calls are shown. None: that of this configuration.'),
    statements: z
      .strictObject({
        keyFile: path
          .optional()
          .describe('Private key (PEM, Ed25519) that signs statements. Without it none are made.'),
        directory: path.default('var/statements').describe('Where statements are kept.'),
      })
      .prefault({})
      .describe('Statements made over HTTP.'),
    exports,
    webhooks: z
      .strictObject({
        networks: z
          .array(z.union([z.cidrv4(), z.cidrv6()]))
          .max(64)
          .default([])
          .describe('Networks that alarms may be sent to. None: no webhook can be made.'),
      })
      .prefault({})
      .describe('Alarms told to other systems.'),
  })
  .prefault({})
  .describe('The HTTP API (`sallyport serve`), a process of its own beside the registry.');
