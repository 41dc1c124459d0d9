import { z } from 'zod';
import { canaries } from './schema-canaries.js';
import { counsel } from './schema-counsel.js';
import { custody } from './schema-custody.js';
import { imports } from './schema-imports.js';
import { journal, registry } from './schema-journal.js';
import { facility, policy } from './schema-policy.js';
import { recording } from './schema-recording.js';
import { redis } from './schema-redis.js';
import { serve } from './schema-serve.js';
import { dialPlan, trunks } from './schema-trunks.js';
import { address, digestText, loopback, name, path, port, seconds, transport } from './shapes.js';

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
    minSetUps: z
      .int()
      .min(1)
      .max(20_000)
      .default(8)
      .describe(
        'So many calls may be set up at once however long it takes; more than `maxSetUps` counts as that.',
      ),
    maxSetUps: z
      .int()
      .min(1)
      .max(20_000)
      .default(500)
      .describe(
        'Most calls being set up at once, ringing not counted. Fewer where setting them up takes longer than it should; more are refused with 503.',
      ),
    ledger: path
      .optional()
      .describe(
        'Folder of the ledger of calls under way, from which a killed controller’s successor closes them. It need not outlive the machine. Default: `ledger` beside the journal.',
      ),
    drainSeconds: z
      .number()
      .min(0)
      .max(7200)
      .default(30)
      .describe('How long calls may go on after SIGTERM before they are ended.'),
    workers: z
      .int()
      .min(0)
      .max(16)
      .default(0)
      .describe(
        'Processes that take calls, on one agent in a process of its own (docs/scaling.md); 0 for everything in one process. `maxCalls` is of each.',
      ),
    restartSeconds: z
      .number()
      .min(0)
      .max(7200)
      .default(1800)
      .describe(
        'How long the calls of one worker may go on in a rolling restart (SIGHUP) before they are ended.',
      ),
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
  .describe('`embedded` for our own agent, or where a drachtio-server listens.');

const sip = z
  .strictObject({
    agent,
    listen: z
      .array(
        z.strictObject({
          transport: transport.describe('`udp`, `tcp` or `tls`.'),
          address: address.describe('Local address to bind.'),
          port: port.optional().describe('Local port to bind; without it 5060, or 5061 for `tls`.'),
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
    application: z
      .strictObject({
        port: port.default(9022).describe('TCP port on 127.0.0.1.'),
        secretFile: path.describe('File that holds the secret, alone on its first line.'),
      })
      .optional()
      .describe(
        'Where `sallyport agent` takes controllers. With it no other command starts an agent: `run` connects there. For an embedded agent only.',
      ),
    dns: z
      .strictObject({
        resolvers: z
          .array(
            z.strictObject({
              address: address.describe('Address of a recursive resolver.'),
              port: port.default(53).describe('Its port.'),
            }),
          )
          .max(8)
          .default([])
          .describe(
            'Whom the embedded agent asks for names, in this order. Empty: whom this machine asks, its hosts file included.',
          ),
        staleSeconds: z
          .int()
          .min(0)
          .max(86_400)
          .default(3600)
          .describe('How long answers are used past their TTL while no resolver answers (RFC 8767).'),
      })
      .prefault({})
      .describe('How names of carriers, and of who is in a call, become addresses.'),
    realm: digestText
      .default('sallyport')
      .describe('Realm in which trunks with `digest` are asked for their password.'),
    tls: z
      .strictObject({
        certFile: path.describe(
          'PEM file: our certificate, then those between it and its authority. Read again when it changes, and on SIGHUP.',
        ),
        keyFile: path.describe('PEM file: its private key. Readable by its owner alone.'),
        caFile: path
          .optional()
          .describe(
            'PEM file: the authorities that vouch for trunks. Without it, for carriers, those that come with Node.',
          ),
        crlFile: path
          .optional()
          .describe(
            'PEM file: the revocation lists of those authorities, one of each and none past its date, or nobody is believed. Read again like `certFile`.',
          ),
        requireClientCertificate: z
          .boolean()
          .default(true)
          .describe('Close TLS connections that show no certificate of a trunk.'),
      })
      .optional()
      .describe('TLS of the embedded agent, 1.2 and later. Needed where anything uses `tls`.'),
  })
  .describe('Signalling.');

const lists = z
  .strictObject({
    redis,
    keyPrefix: z
      .string()
      .regex(/^[a-z0-9:_-]{1,32}$/)
      .default('sallyport:')
      .describe('Prefix of every key.'),
    publisherKeys: z.array(path).min(1).max(8).describe('Public keys (PEM) of those who may publish lists.'),
    orders: path
      .default('var/orders')
      .describe(
        'This controller’s copy of what was ordered since the last publication: claims, blocks, lockdowns.',
      ),
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

const callers = z
  .strictObject({
    idDigits: z.int().min(4).max(12).default(6).describe('Digits of a caller’s number.'),
    pinDigits: z.int().min(4).max(10).default(4).describe('Digits of a PIN.'),
  })
  .prefault({})
  .describe(
    'How callers say who they are on trunks with `caller: { from: pin }`: their number, then their PIN.',
  );

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
    weight: z
      .int()
      .min(1)
      .max(1000)
      .optional()
      .describe('How many calls it takes against the others of its pool; without it 100.'),
    prompts: path
      .optional()
      .describe('The prompts’ directory as this node sees it; without it, as this host does.'),
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
    keypad: z
      .strictObject({
        address: address.default('127.0.0.1').describe('Address the nodes reach; never a public one.'),
        port: z.int().min(0).max(65535).default(22240).describe('UDP port.'),
      })
      .prefault({})
      .describe('Where the nodes report keys: their `--dtmf-log-dest`.'),
    notices: z
      .strictObject({
        address: address.default('127.0.0.1').describe('Address the nodes reach; never a public one.'),
        port: z.int().min(0).max(65535).default(22241).describe('TCP port.'),
      })
      .optional()
      .describe(
        'Where the nodes say that they gave a call up: their `--b2b-url=http://ADDRESS:PORT/ --xmlrpc-format=1`. Absent: it is found by polling alone, as it is with several workers.',
      ),
    silence: z
      .strictObject({
        bothSeconds: z
          .int()
          .min(0)
          .max(3600)
          .default(45)
          .describe(
            'How long neither party may be heard; less than the nodes’ own `--timeout`. 0: for ever.',
          ),
        oneSeconds: z
          .int()
          .min(0)
          .max(14_400)
          .default(300)
          .describe('How long one of them may not be heard while the other is. 0: for ever.'),
        everySeconds: z.int().min(1).max(60).default(5).describe('How often a node is asked.'),
      })
      .optional()
      .describe(
        'When a call is ended because its media has died (`media-timeout`). A call on hold has none to die. Without it, as by default.',
      ),
    attestSeconds: seconds(300).default(5).describe('How often each node is attested.'),
  })
  .describe('Media servers, in two pools that never mix.');

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

const prompts = z
  .strictObject({
    directory: path
      .optional()
      .describe(
        'Prompts of your own: every one in every language, with its manifest, and recorded names in `names/`. Without it, those that come with Sallyport.',
      ),
  })
  .prefault({})
  .describe(
    'What is said to callers and called parties. A prompt that is missing or not genuine refuses to start.',
  );

const control = z
  .strictObject({
    socket: path.default('var/control.sock').describe('Unix socket of the operators’ commands, mode 0600.'),
    supervisors: z
      .array(z.string().regex(/^sips?:[^\s<>"]{3,200}$/, 'must be a SIP URI'))
      .max(64)
      .default([])
      .describe('Phones `sallyport calls listen` may ring, as full SIP URIs. None, where the list is empty.'),
    alerts: z
      .array(
        z.strictObject({
          number: z.string().max(32).describe('The called number, in E.164.'),
          phone: z.string().max(210).describe('The supervisor’s phone; one of `supervisors`.'),
        }),
      )
      .max(10_000)
      .default([])
      .describe(
        'Called numbers that ring a supervisor, who may listen, when a monitored call to them is accepted.',
      ),
  })
  .prefault({})
  .describe('Live supervision. Nothing here can hear a private call.');

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
  callers,
  prompts,
  media,
  recording,
  custody,
  journal,
  registry: registry.optional(),
  imports,
  policy,
  canaries: canaries.optional(),
  counsel: counsel.optional(),
  control,
  http,
  serve,
  log,
});

export type Config = z.infer<typeof configSchema>;
