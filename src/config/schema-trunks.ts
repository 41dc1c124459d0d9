import { z } from 'zod';
import { SERVICE_CLASSES } from '../core/number.js';
import {
  address,
  digestText,
  dnsName,
  e164,
  headerName,
  hostName,
  name,
  path,
  port,
  seconds,
  transport,
} from './shapes.js';

/** Headers the dialog, the media or the identity of a call hangs on: never copied from one leg to the other. */
const neverCopied = new Set(
  (
    'via from to call-id cseq contact max-forwards route record-route content-length content-type require supported ' +
    'proxy-require replaces join refer-to referred-by p-asserted-identity p-preferred-identity remote-party-id ' +
    'diversion history-info authorization proxy-authorization identity identity-info privacy reason target-dialog ' +
    'content-encoding content-disposition content-language session-expires min-se rseq rack expires event'
  ).split(' '),
);

export const dialPlan = z
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

const keys = (whose: string) =>
  z
    .enum(['auto', 'in-band', 'events'])
    .default('auto')
    .describe(
      `How the ${whose} keys come, SIP INFO apart. \`events\`: as RTP events (RFC 4733); \`in-band\`: as tones in the sound; \`auto\`: as events where its side agrees to them, else as tones.`,
    );

const media = (whose: string) =>
  z
    .enum(['rtp', 'srtp-sdes', 'srtp-dtls'])
    .optional()
    .describe(
      `How ${whose} media is protected. What is named is required: nothing else is offered or taken. \`rtp\`, and without it: not at all; \`srtp-sdes\`: SRTP with keys in the description (RFC 4568), over TLS alone; \`srtp-dtls\`: SRTP with keys agreed on the media path (RFC 5764).`,
    );

/** Keys that travel in the description are nobody's secret where the signalling can be read (RFC 4568 section 7.1.1). */
const needsTls = 'srtp-sdes-without-tls: keys in a description need TLS';

const sessionTimer = z
  .strictObject({
    seconds: z
      .int()
      .min(90)
      .max(86_400)
      .default(1800)
      .describe(
        'How long a call may go without a refresh: what is asked for, and the most that is agreed to.',
      ),
    minSeconds: z.int().min(90).max(86_400).default(90).describe('The least that is agreed to.'),
  })
  .optional()
  .describe('Session timers (RFC 4028): a call whose far end answers no refresh is ended. Without it, none.');

const facilityTrunk = z
  .strictObject({
    name: name.describe('Name of the trunk, for rows and metrics.'),
    facility: name.describe('The facility its calls belong to.'),
    addresses: z
      .array(address)
      .max(64)
      .default([])
      .describe(
        'Source addresses the trunk sends from. A packet from elsewhere is no call. May be left out where the trunk proves who it is, and holds beside that where it is given.',
      ),
    tls: z
      .strictObject({
        names: z
          .array(hostName)
          .max(16)
          .default([])
          .describe(
            'Names of its certificate, any of them; an authority of `sip.tls.caFile` must vouch for it.',
          ),
        fingerprints: z
          .array(z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits'))
          .max(16)
          .default([])
          .describe('SHA-256 of its certificate, any of them. Such a certificate needs no authority.'),
      })
      .refine((tls) => tls.names.length + tls.fingerprints.length > 0, {
        message: 'needs a name or a fingerprint',
      })
      .optional()
      .describe('The client certificate it is known by. Only with `transports: [tls]`.'),
    digest: z
      .strictObject({
        username: digestText.describe('Name it gives.'),
        passwordFile: path.describe('File that holds its password, alone on its first line.'),
      })
      .optional()
      .describe('The password it is asked for (Digest, SHA-256 or MD5). Its name must be nobody else’s.'),
    port: port.optional().describe('Source port, where the trunk always sends from one.'),
    transports: z
      .array(transport)
      .min(1)
      .default(['udp', 'tcp'])
      .describe('Transports it may use: `udp`, `tcp`, `tls`.'),
    caller: z
      .strictObject({
        from: z
          .enum(['from-user', 'header', 'pin'])
          .describe(
            '`from-user`: the user part of From; `header`: a header of its own; `pin`: the caller is asked.',
          ),
        header: headerName.optional().describe('That header’s name; only with `from: header`.'),
      })
      .refine((caller) => (caller.from === 'header') === (caller.header !== undefined), {
        message: 'header goes with from: header',
      })
      .default({ from: 'from-user' })
      .describe('Where the trunk says who calls. It is believed because the trunk is known by its address.'),
    conversation: z
      .enum(['here', 'elsewhere'])
      .default('here')
      .describe(
        '`here`: Sallyport answers, asks and announces. `elsewhere`: a PBX tells both parties the truth; we say nothing.',
      ),
    language: z.enum(['en', 'es']).default('en').describe('Language a conversation begins in.'),
    keys: keys('callers’'),
    media: media('its calls’'),
    offerPrivateCall: z
      .boolean()
      .default(false)
      .describe('Ask every caller whose call would be recorded whether it is to be a private one.'),
    privatePrefix: z
      .string()
      .regex(/^[*#]?\d{1,4}$/)
      .optional()
      .describe('Dialled before a number to ask for a private call, such as `*7`.'),
    unitHeader: headerName
      .optional()
      .describe('Header that names the housing unit; calls without it are refused.'),
    phoneHeader: headerName.optional().describe('Header that names the phone; calls without it are refused.'),
    onePhone: z
      .boolean()
      .default(false)
      .describe(
        'The trunk is a single phone: wrong PINs are counted for the trunk. Only where no `phoneHeader` names phones.',
      ),
    dialPlan: name.default('default').describe('Name of a plan under `dialPlans`.'),
    carriers: z.array(name).min(1).max(8).describe('Carrier trunks to try, in order.'),
    rate: z
      .strictObject({
        perSecond: z.number().min(0.01).max(10_000).describe('New calls a second in the long run.'),
        burst: z.int().min(1).max(10_000).describe('New calls at once after a pause.'),
      })
      .optional()
      .describe(
        'Most new calls of this trunk; more are refused with 503. Without it: its share of what there is.',
      ),
    nat: z
      .boolean()
      .optional()
      .describe('It is behind a NAT: requests and responses go back to where its own came from (RFC 3581).'),
    sessionTimer,
    presentedNumber: e164.describe('The number the called party sees.'),
  })
  .refine(
    (trunk) => trunk.conversation === 'here' || (trunk.caller.from !== 'pin' && !trunk.offerPrivateCall),
    {
      message: 'caller from: pin and offerPrivateCall need conversation: here',
    },
  )
  // Five wrong PINs lock a phone. Where nobody can tell the phones of a trunk apart, one of them would lock them all.
  .refine((trunk) => trunk.caller.from !== 'pin' || trunk.phoneHeader !== undefined || trunk.onePhone, {
    path: ['caller', 'from'],
    message:
      'pin needs phoneHeader, or onePhone: true where the trunk is a single phone: else wrong PINs at one phone lock all',
  })
  .refine((trunk) => trunk.addresses.length > 0 || trunk.tls !== undefined || trunk.digest !== undefined, {
    path: ['addresses'],
    message: 'a trunk is known by its addresses, by its certificate (tls) or by a password (digest)',
  })
  .refine((trunk) => trunk.tls === undefined || trunk.digest === undefined, {
    path: ['digest'],
    message: 'tls and digest exclude each other: a certificate is proof enough',
  })
  .refine((trunk) => trunk.tls === undefined || trunk.transports.every((one) => one === 'tls'), {
    path: ['tls'],
    message: 'a certificate proves nothing over another transport: transports must be [tls]',
  })
  .refine((trunk) => trunk.media !== 'srtp-sdes' || trunk.transports.every((one) => one === 'tls'), {
    path: ['media'],
    message: `${needsTls}: transports must be [tls]`,
  })
  .refine((trunk) => !trunk.onePhone || trunk.phoneHeader === undefined, {
    path: ['onePhone'],
    message: 'onePhone and phoneHeader exclude each other',
  })
  .describe('A trunk calls come from.');

const carrierTrunk = z
  .strictObject({
    name: name.describe('Name of the trunk.'),
    address: z
      .union([address, dnsName], 'must be an address or a host name in lower case')
      .describe('Address to send to, or a host name that DNS has the servers of (RFC 3263).'),
    port: port
      .optional()
      .describe(
        'Port to send to. Without it the SRV records of a name say it; where there are none, and for an address, 5060, or 5061 for `tls`.',
      ),
    transport: z
      .enum(['udp', 'tcp', 'tls', 'auto'])
      .default('udp')
      .describe(
        '`udp`, `tcp` or `tls`; `auto` for a name without `port`: what its NAPTR or SRV records say, which whoever can forge DNS chooses.',
      ),
    addresses: z
      .array(address)
      .max(64)
      .optional()
      .describe(
        'Addresses a carrier with a host name sends its own OPTIONS from. DNS says nothing of who somebody is.',
      ),
    tls: z
      .strictObject({
        name: hostName.describe('Name its certificate must hold.'),
      })
      .optional()
      .describe('Only with `transport: tls`. Without it the certificate must hold `address`.'),
    keys: keys('called parties’'),
    media: media('its calls’'),
    credentials: z
      .strictObject({
        realm: digestText.describe('Realm of its challenges. Others are not answered.'),
        username: digestText.describe('Name we give.'),
        passwordFile: path.describe('File that holds our password, alone on its first line.'),
      })
      .optional()
      .describe('What its challenges are answered with, at `address` and `port` alone.'),
    keepaliveSeconds: z
      .number()
      .min(0)
      .max(3600)
      .default(30)
      .describe('Seconds between OPTIONS; 0 sends none and takes the trunk for up.'),
    firstResponseSeconds: seconds(60)
      .default(15)
      .describe('How long to wait for a first ringing or final response before the next trunk is tried.'),
    reliableProvisionals: z
      .boolean()
      .optional()
      .describe(
        'Tell the carrier that its ringing may be sent reliably (100rel, RFC 3262); it is acknowledged.',
      ),
    sessionTimer,
    only: z
      .array(e164)
      .min(1)
      .max(1000)
      .optional()
      .describe(
        'Takes calls to these numbers and to no other, and no other carrier takes one to them: for test calls (`canaries`).',
      ),
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
  .refine((trunk) => trunk.tls === undefined || trunk.transport === 'tls', {
    path: ['tls'],
    message: 'only with transport: tls',
  })
  .refine((trunk) => trunk.media !== 'srtp-sdes' || trunk.transport === 'tls', {
    path: ['media'],
    message: `${needsTls}: transport must be tls`,
  })
  .refine(
    (trunk) =>
      trunk.transport !== 'auto' || (!address.safeParse(trunk.address).success && trunk.port === undefined),
    { path: ['transport'], message: 'auto only for a host name without port' },
  )
  .refine((trunk) => trunk.addresses === undefined || !address.safeParse(trunk.address).success, {
    path: ['addresses'],
    message: 'only where address is a host name',
  })
  .describe('A trunk calls go to.');

export const trunks = z
  .strictObject({
    facilities: z.array(facilityTrunk).min(1).max(10_000).describe('Trunks calls come from.'),
    carriers: z.array(carrierTrunk).min(1).max(100).describe('Trunks calls go to.'),
  })
  .describe('Who may call in, and where calls go.');
