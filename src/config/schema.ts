import { z } from 'zod';
import { SERVICE_CLASSES } from '../core/number.js';

/**
 * The one schema of the configuration file. Every object is strict: a key it does not know refuses to start, for a
 * mistyped key that is ignored is how a guard falls off. Descriptions are the reference: docs/configuration.md is
 * generated from them.
 */
const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,47}$/, 'must be 1-48 of a-z, 0-9 and hyphen, starting with a letter or digit');
const port = z.int().min(1).max(65535);
const seconds = (max: number) => z.number().positive().max(max);
/** An IPv6 address as sockets show it, in lower case and shortest form: addresses are compared as text. */
const isCanonical = (text: string): boolean =>
  !text.includes(':') || new URL(`http://[${text}]`).hostname === `[${text}]`;
const address = z
  .union([z.ipv4(), z.ipv6()], 'must be an IPv4 or IPv6 address')
  .refine(isCanonical, 'an IPv6 address must be written in its shortest form, in lower case');
const loopback = z.union([z.ipv4().regex(/^127\./, 'must be a loopback address'), z.literal('::1')]);
const headerName = z.string().regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, 'must be a header name');
const path = z.string().min(1).max(1024);
const transport = z.enum(['udp', 'tcp']);

/** Headers the dialog, the media or the identity of a call hangs on: never copied from one leg to the other. */
const neverCopied = new Set(
  (
    'via from to call-id cseq contact max-forwards route record-route content-length content-type require supported ' +
    'proxy-require replaces join refer-to referred-by p-asserted-identity p-preferred-identity remote-party-id ' +
    'diversion history-info authorization proxy-authorization identity identity-info privacy reason target-dialog ' +
    'content-encoding content-disposition content-language session-expires min-se rseq rack expires event'
  ).split(' '),
);

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

const dialPlan = z
  .strictObject({
    country: z
      .string()
      .regex(/^[A-Z]{2}$/)
      .default('US')
      .describe('ISO country whose national numbers are dialled.'),
    outsideLinePrefix: z
      .string()
      .regex(/^\d{1,3}$/)
      .optional()
      .describe('Digits that ask for an outside line, such as `9`.'),
    outsideLineRequired: z
      .boolean()
      .optional()
      .describe('Refuse digits dialled without the outside line prefix.'),
    internationalPrefixes: z
      .array(z.string().regex(/^\d{1,6}$/))
      .max(8)
      .default(['011'])
      .describe('What is dialled instead of `+`.'),
    homeAreaCode: z
      .string()
      .regex(/^\d{2,5}$/)
      .optional()
      .describe('Area code of seven-digit local dialling; without it local numbers are refused.'),
    trunkPrefix: z
      .string()
      .regex(/^\d$/)
      .optional()
      .describe('Outside North America: the digit every national number must begin with.'),
    emergency: z
      .array(z.string().regex(/^\d{2,6}$/))
      .max(32)
      .default(['911'])
      .describe('Emergency codes besides 911, 112 and 999.'),
    services: z
      .record(z.string().max(16), z.enum(SERVICE_CLASSES))
      .default({})
      .describe('Short codes of this site and their class. All are refused.'),
    speedDials: z
      .record(z.string().max(16), z.string().max(64))
      .default({})
      .describe('Codes that dial one full number, such as `*77` for a hotline.'),
    domains: z
      .array(z.string().max(253))
      .max(16)
      .optional()
      .describe('Domains in which a phone-context means this plan.'),
  })
  .describe('How digits are dialled at a site. The same plan reads the callers’ digits and the list files.');

const facilityTrunk = z
  .strictObject({
    name: name.describe('Name of the trunk, for rows and metrics.'),
    facility: name.describe('The facility its calls belong to.'),
    addresses: z
      .array(address)
      .min(1)
      .max(64)
      .describe('Source addresses the trunk sends from. A packet from elsewhere is no call.'),
    port: port.optional().describe('Source port, where the trunk always sends from one.'),
    transports: z.array(transport).min(1).default(['udp', 'tcp']).describe('Transports it may use.'),
    caller: z
      .strictObject({
        from: z
          .enum(['from-user', 'header'])
          .describe('`from-user`: the user part of From; `header`: a header of its own.'),
        header: headerName.optional().describe('That header’s name; only with `from: header`.'),
      })
      .refine((caller) => (caller.from === 'header') === (caller.header !== undefined), {
        message: 'header goes with from: header',
      })
      .default({ from: 'from-user' })
      .describe('Where the trunk says who calls. It is believed because the trunk is known by its address.'),
    unitHeader: headerName
      .optional()
      .describe('Header that names the housing unit; calls without it are refused.'),
    phoneHeader: headerName.optional().describe('Header that names the phone; calls without it are refused.'),
    dialPlan: name.default('default').describe('Name of a plan under `dialPlans`.'),
    carriers: z.array(name).min(1).max(8).describe('Carrier trunks to try, in order.'),
    presentedNumber: z
      .string()
      .regex(/^\+[1-9]\d{6,14}$/, 'must be an E.164 number with +')
      .describe('The number the called party sees.'),
  })
  .describe('A trunk calls come from.');

const carrierTrunk = z
  .strictObject({
    name: name.describe('Name of the trunk.'),
    address: address.describe('Address to send to.'),
    port: port.default(5060).describe('Port to send to.'),
    transport: transport.default('udp').describe('`udp` or `tcp`.'),
    keepaliveSeconds: z
      .number()
      .min(0)
      .max(3600)
      .default(30)
      .describe('Seconds between OPTIONS; 0 sends none and takes the trunk for up.'),
    firstResponseSeconds: seconds(60)
      .default(15)
      .describe('How long to wait for a first ringing or final response before the next trunk is tried.'),
    copyHeaders: z
      .array(
        // One letter is a compact form (RFC 3261 section 7.3.3): another name for a header that may be in the set.
        headerName.refine(
          (header) => header.length > 1 && !neverCopied.has(header.toLowerCase()),
          'this header may never be copied',
        ),
      )
      .max(32)
      .default([])
      .describe('Headers of the caller’s INVITE passed on to this carrier. Nothing else is.'),
  })
  .describe('A trunk calls go to.');

const trunks = z
  .strictObject({
    facilities: z.array(facilityTrunk).min(1).max(10_000).describe('Trunks calls come from.'),
    carriers: z.array(carrierTrunk).min(1).max(100).describe('Trunks calls go to.'),
  })
  .describe('Who may call in, and where calls go.');

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
