import { z } from 'zod';
import { address, e164, name, path, port } from './shapes.js';

/** Test calls that the controller makes to itself, through the path every other call takes. */

const facilityCanaries = z
  .strictObject({
    trunk: name.describe('The facility’s trunk they are like, in everything but where they come from.'),
    port: port.describe('UDP port of the phone they are made from, at `canaries.address`.'),
    caller: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be a caller’s id')
      .describe('Who makes them: the caller whose list holds `monitored`.'),
    privileged: e164.describe('A number the lists must hold as privileged.'),
    monitored: e164.describe('A number on this caller’s list, or on the facility’s.'),
    unlisted: e164.describe('A number on no list.'),
  })
  .describe('Test calls of one facility.');

export const canaries = z
  .strictObject({
    address: address.describe(
      'Address of this host they are made from. A packet from there and `port` is the facility’s test call, so no trunk may have it.',
    ),
    carrier: name.describe(
      'The carrier trunk they go to: an address of this host, `only` for their numbers.',
    ),
    sip: z
      .strictObject({
        address: address.describe('Address.'),
        port: port.default(5060).describe('UDP port.'),
      })
      .optional()
      .describe('Where they are sent; without it, the first of `sip.listen` that is UDP.'),
    everyMinutes: z
      .number()
      .min(1)
      .max(1440)
      .default(60)
      .describe('How often each facility’s three calls are made, give or take a tenth.'),
    firstSeconds: z
      .number()
      .min(0)
      .max(3600)
      .default(15)
      .describe('How soon after the start, at the latest.'),
    retrySeconds: z
      .number()
      .min(1)
      .max(3600)
      .default(60)
      .describe('How soon again after calls that failed or could not be made.'),
    retries: z
      .int()
      .min(0)
      .max(100)
      .default(5)
      .describe('How many times in a row so soon. After that it is an alarm, and they wait for their hour.'),
    maxSilentHours: z
      .number()
      .positive()
      .max(168)
      .default(4)
      .describe('How long the last set that passed holds: without another, recording is disarmed.'),
    state: path
      .default('var/canaries.json')
      .describe('Which facilities’ recording is disarmed, over restarts.'),
    facilities: z
      .record(name, facilityCanaries)
      .refine((facilities) => Object.keys(facilities).length > 0, 'names no facility')
      .describe('Test calls by facility.'),
  })
  .describe('Test calls that prove that private calls leave nothing and monitored ones are recorded.');
