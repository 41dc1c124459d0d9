import { z } from 'zod';
import { seconds } from './shapes.js';

/** Facilities with their hours, and what the operator may choose. */

const time = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$|^24:00$/, 'must be HH:MM');
const hours = z
  .array(
    z.strictObject({
      days: z
        .array(z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']))
        .min(1)
        .max(7)
        .optional()
        .describe('Days on which these hours begin; every day where none is named.'),
      from: time.describe('HH:MM.'),
      to: time.describe('HH:MM; `24:00` for midnight. Before `from`: the next day.'),
    }),
  )
  .max(64);
const placeName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);

export const facility = z
  .strictObject({
    timeZone: z.string().default('UTC').describe('IANA time zone of the facility’s clock.'),
    hours: hours
      .default([{ from: '00:00', to: '24:00' }])
      .describe('When monitored calls may be made. Units and phones can only narrow it.'),
    units: z
      .record(placeName, z.strictObject({ hours: hours.describe('When monitored calls may be made there.') }))
      .default({})
      .describe('Housing units with hours of their own.'),
    phones: z
      .record(
        placeName,
        z.strictObject({
          hours: hours.optional().describe('When monitored calls may be made from it.'),
          textTelephone: z
            .boolean()
            .default(false)
            .describe('A text telephone (TTY): its calls may last as long as relay calls.'),
        }),
      )
      .default({})
      .describe('Phones with hours or kinds of their own.'),
    lockdown: z
      .boolean()
      .default(false)
      .describe(
        'No calls from this facility (privileged ones by policy). `sallyport lockdown` needs no restart.',
      ),
    suspendedCallers: z
      .array(z.string().max(64))
      .max(100_000)
      .default([])
      .describe('Callers whose calls are suspended.'),
  })
  .describe('One facility.');

const count = z.int().min(0).max(100_000);
interface Defaults {
  readonly caller: number;
  readonly number: number;
  readonly phone: number;
}
const limits = (concurrent: Defaults, recent: Defaults) =>
  z
    .strictObject({
      concurrent: z
        .strictObject({
          caller: count.default(concurrent.caller).describe('Of one caller.'),
          number: count.default(concurrent.number).describe('To one number.'),
          phone: count.default(concurrent.phone).describe('From one phone.'),
        })
        .prefault({})
        .describe('Calls at once.'),
      recent: z
        .strictObject({
          caller: count.default(recent.caller).describe('Of one caller.'),
          number: count.default(recent.number).describe('To one number.'),
          phone: count.default(recent.phone).describe('From one phone.'),
        })
        .prefault({})
        .describe('Connected calls within the window.'),
      coolDownSeconds: z
        .number()
        .min(0)
        .max(86_400)
        .default(0)
        .describe('How long a caller waits after a call.'),
    })
    .prefault({});

// A public defender's office has hundreds of callers, and so may a family's number: numbers are limited only by choice.
const monitoredLimits = limits(
  { caller: 1, number: 10_000, phone: 1 },
  { caller: 50, number: 100_000, phone: 500 },
);
const privateLimits = limits(
  { caller: 1, number: 10_000, phone: 1 },
  { caller: 100, number: 100_000, phone: 1000 },
);
const aloneLimits = limits(
  { caller: 1, number: 10_000, phone: 1 },
  { caller: 10, number: 10_000, phone: 100 },
);

export const policy = z
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
    limits: z
      .strictObject({
        windowHours: z.number().positive().max(24).default(24).describe('The window for connected calls.'),
        monitored: monitoredLimits.describe('For calls that would be recorded.'),
        private: privateLimits.describe('For privileged calls; they count for themselves.'),
        alone: aloneLimits.describe('Hold besides while Redis is lost and a controller counts alone.'),
      })
      .prefault({})
      .describe('How much callers, numbers and phones may use. 0 forbids.'),
    maxCallMinutes: z.number().positive().max(1440).default(15).describe('Longest monitored call.'),
    maxPrivateCallMinutes: z.number().positive().max(1440).default(60).describe('Longest private call.'),
    maxRelayCallMinutes: z
      .number()
      .positive()
      .max(1440)
      .default(120)
      .describe(
        'Longest call to a relay service, and from a text telephone: typing takes longer than talking.',
      ),
    maxRingSeconds: seconds(180).default(60).describe('How long the called party may ring.'),
    acceptance: z
      .strictObject({
        monitored: z
          .enum(['key', 'notice'])
          .default('key')
          .describe('`key`: the called party accepts with a key; `notice`: it is told and may hang up.'),
        private: z.enum(['key', 'notice']).default('key').describe('The same for private calls.'),
        machine: z
          .enum(['key', 'notice', 'none'])
          .default('none')
          .describe('Hotlines and relay services, which answer with machines of their own.'),
      })
      .prefault({})
      .describe(
        'What the called party does before a call is connected, on trunks with `conversation: here`.',
      ),
    onBecomingPrivate: z
      .enum(['move', 'end'])
      .default('move')
      .describe('A monitored call whose number becomes privileged: goes on as a private one, or ends.'),
    onForward: z
      .enum(['flag', 'end'])
      .default('flag')
      .describe('A call forwarded to a number nobody listed. One to another class ends whatever this says.'),
    onThreeWay: z
      .enum(['note', 'warn', 'end'])
      .default('note')
      .describe('A monitored call that sounds as if a third party was added. A score, never a proof.'),
    threeWayScore: z.int().min(1).max(100).default(70).describe('The score from which `onThreeWay` acts.'),
    lockdown: z.boolean().default(false).describe('Lockdown of every facility.'),
  })
  .prefault({})
  .describe('What the operator may choose. Nothing here can record a privileged call.');
