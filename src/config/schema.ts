import { z } from 'zod';
import { dialPlan, trunks } from './schema-trunks.js';
import { address, loopback, name, path, port, seconds, transport } from './shapes.js';

/**
 * The one schema of the configuration file. Every object is strict: a key it does not know refuses to start, for a
 * mistyped key that is ignored is how a guard falls off. Descriptions are the reference: docs/configuration.md is
 * generated from them.
 */

const controller = z
  .strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/)
      .default('sallyport')
      .describe(
        'Name of this controller: it is written into every journal row and must be unique among controllers.',
      ),
    maxCalls: z
      .int()
      .min(1)
      .max(20_000)
      .default(500)
      .describe('Most calls under way at once; more are refused with 503.'),
    drainSeconds: z
      .number()
      .min(0)
      .max(7200)
      .default(30)
      .describe('How long calls may go on after SIGTERM before they are ended.'),
    maxUnwrittenCdrs: z
      .int()
      .min(0)
      .max(100_000)
      .default(1000)
      .describe('Most CDRs kept in memory while the journal cannot write. Beyond it every call is ended.'),
  })
  .describe('The process itself.');

const agent = z
  .union([
    z.literal('embedded'),
    z.strictObject({
      host: z
        .string()
        .min(1)
        .describe(
          'Host of drachtio-server; put it on loopback, its protocol sends the secret in clear text.',
        ),
      port: port.default(9022).describe('Admin port of drachtio-server.'),
      secretFile: path.describe('File that holds the secret, alone on its first line.'),
    }),
  ])
  .default('embedded')
  .describe('`embedded` for the agent within this process, or where a drachtio-server listens.');

const sip = z
  .strictObject({
    agent,
    listen: z
      .array(
        z.strictObject({
          transport: transport.describe('`udp` or `tcp`.'),
          address: address.describe('Local address to bind.'),
          port: port.default(5060).describe('Local port to bind.'),
        }),
      )
      .min(1)
      .max(16)
      .default([
        { transport: 'udp', address: '127.0.0.1', port: 5060 },
        { transport: 'tcp', address: '127.0.0.1', port: 5060 },
      ])
      .describe(
        'Where the embedded agent listens. Without meaning for a drachtio-server, which has its own configuration.',
      ),
  })
  .describe('Signalling.');

const lists = z
  .strictObject({
    redis: z
      .strictObject({
        host: z.string().min(1).default('127.0.0.1').describe('Redis host.'),
        port: port.default(6379).describe('Redis port.'),
        db: z.int().min(0).max(15).default(0).describe('Database number.'),
        username: z.string().optional().describe('ACL user; it needs to read only.'),
        passwordFile: path.optional().describe('File that holds the password. Set together with `username`.'),
      })
      .refine((redis) => (redis.username === undefined) === (redis.passwordFile === undefined), {
        message: 'username and passwordFile go together',
      })
      .prefault({})
      .describe('Where the lists are cached.'),
    keyPrefix: z
      .string()
      .regex(/^[a-z0-9:_-]{1,32}$/)
      .default('sallyport:')
      .describe('Prefix of every key.'),
    publisherKeys: z.array(path).min(1).max(8).describe('Public keys (PEM) of those who may publish lists.'),
    snapshot: path.default('var/snapshot.json').describe('Local signed snapshot of the privileged part.'),
    maxAgeSeconds: seconds(3600)
      .default(60)
      .describe('Oldest heartbeat of the publisher on which an ordinary call may be connected.'),
    maxSnapshotAgeHours: z
      .number()
      .positive()
      .max(168)
      .default(24)
      .describe('Oldest snapshot that still protects.'),
    deadlineMs: z.int().min(5).max(1000).default(50).describe('How long a look-up may take, in ms.'),
  })
  .describe('The lists every leg is checked against.');

const mediaNode = z
  .strictObject({
    name: name.describe('Name of the node.'),
    pool: z
      .enum(['recorded', 'private'])
      .describe('`recorded` for monitored calls, `private` for privileged ones. A node is in one pool.'),
    ng: z
      .strictObject({ host: z.string().min(1).describe('Host.'), port: port.describe('Port.') })
      .describe('rtpengine’s NG port.'),
    cli: z
      .strictObject({ host: z.string().min(1).describe('Host.'), port: port.describe('Port.') })
      .describe('rtpengine’s CLI port, for attestation.'),
    mediaAddress: address.describe('The address its SDP names; no other may appear in what we send.'),
    pid: z
      .int()
      .min(2)
      .max(4_194_304)
      .optional()
      .describe('Its process id, where it is a child of this process.'),
    pidFile: path
      .optional()
      .describe('Its pid file, where it runs on this host: lets attestation look at the process itself.'),
    spool: path
      .optional()
      .describe(
        'Its recording directory as this host sees it. Required in the recorded pool, forbidden in the private one.',
      ),
  })
  .refine((node) => (node.pool === 'recorded') === (node.spool !== undefined), {
    message: 'a recorded node needs a spool, a private node must have none',
  })
  .describe('One rtpengine.');

const media = z
  .strictObject({
    nodes: z.array(mediaNode).min(2).max(256).describe('All media nodes; at least one of each pool.'),
    codecs: z
      .array(z.enum(['PCMU', 'PCMA']))
      .min(1)
      .default(['PCMU', 'PCMA'])
      .describe('Audio codecs that may be offered.'),
    peerNetworks: z
      .array(z.union([z.cidrv4(), z.cidrv6()]))
      .min(1)
      .max(256)
      .describe(
        'Networks the parties’ media may come from and go to. A description that names another is refused.',
      ),
    attestSeconds: seconds(300).default(5).describe('How often each node is attested.'),
  })
  .describe('Media servers, in two pools that never mix.');

const recording = z
  .strictObject({
    directory: path.default('var/recordings').describe('Where finished recordings are kept.'),
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
      .describe('How long proving a recording may take before the call is refused, in ms.'),
    growthSeconds: seconds(60)
      .default(5)
      .describe('How often a recording must be seen to grow while packets arrive.'),
  })
  .prefault({})
  .describe('Recordings of monitored calls.');

const journal = z
  .strictObject({
    directory: path.default('var/journal').describe('Where the journal is kept.'),
    deadlineMs: z
      .int()
      .min(10)
      .max(10_000)
      .default(1000)
      .describe('How long a row may take to be durable before the call is refused, in ms.'),
  })
  .prefault({})
  .describe('The durable, hash-chained journal.');

const time = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$|^24:00$/, 'must be HH:MM');
const facility = z
  .strictObject({
    timeZone: z.string().default('UTC').describe('IANA time zone of the facility’s clock.'),
    hours: z
      .array(
        z.strictObject({ from: time.describe('HH:MM.'), to: time.describe('HH:MM; `24:00` for midnight.') }),
      )
      .max(24)
      .default([{ from: '00:00', to: '24:00' }])
      .describe('When monitored calls may be made.'),
    lockdown: z.boolean().default(false).describe('No calls from this facility (privileged ones by policy).'),
    suspendedCallers: z
      .array(z.string().max(64))
      .max(100_000)
      .default([])
      .describe('Callers whose calls are suspended.'),
  })
  .describe('One facility.');

const policy = z
  .strictObject({
    barredNumberTypes: z
      .array(z.enum(['toll-free', 'premium', 'shared-cost', 'directory']))
      .default(['toll-free', 'premium', 'shared-cost', 'directory'])
      .describe('Number types nobody may call, unless the number is privileged.'),
    privilegedInLockdown: z
      .enum(['private', 'refused'])
      .default('private')
      .describe('What lockdown does to privileged calls.'),
    hotlineInLockdown: z
      .enum(['private', 'refused'])
      .default('private')
      .describe('What lockdown does to hotline calls.'),
    maxConcurrentPerCaller: z
      .int()
      .min(1)
      .max(100)
      .default(1)
      .describe('Calls one caller may be in at once.'),
    maxCallMinutes: z.number().positive().max(1440).default(15).describe('Longest monitored call.'),
    maxPrivateCallMinutes: z.number().positive().max(1440).default(60).describe('Longest private call.'),
    maxRingSeconds: seconds(180).default(60).describe('How long the called party may ring.'),
    lockdown: z.boolean().default(false).describe('Lockdown of every facility.'),
  })
  .prefault({})
  .describe('What the operator may choose. Nothing here can record a privileged call.');

const http = z
  .strictObject({
    address: loopback
      .default('127.0.0.1')
      .describe('Address to bind; loopback only, there is no authentication.'),
    port: z
      .int()
      .min(0)
      .max(65535)
      .default(9464)
      .describe('Port of `/live`, `/ready` and `/metrics`; 0 picks a free one.'),
  })
  .prefault({})
  .describe('Health and metrics.');

const log = z
  .strictObject({
    level: z
      .enum(['debug', 'info', 'warn', 'error', 'silent'])
      .default('info')
      .describe('Least severe level written.'),
  })
  .prefault({})
  .describe('The log. It never holds a number or a PIN.');

export const configSchema = z.strictObject({
  controller: controller.prefault({}),
  sip: sip.prefault({}),
  dialPlans: z.record(name, dialPlan).describe('Dial plans by name.'),
  facilities: z.record(name, facility).describe('Facilities by name.'),
  trunks,
  lists,
  media,
  recording,
  journal,
  policy,
  http,
  log,
});

export type Config = z.infer<typeof configSchema>;
