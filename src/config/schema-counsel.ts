import { z } from 'zod';
import { address, name, port } from './shapes.js';

/** The counsel portal: attorneys who prove a number to be theirs by a code that a call tells. */

const calls = z
  .strictObject({
    trunk: name.describe(
      'The facility’s trunk they are like: its carriers, and the number the called party sees.',
    ),
    address: address.describe(
      'Address of this host they are made from. A packet from there and `port` is such a call, so no trunk may have it.',
    ),
    port: port.describe('UDP port of the phone they are made from.'),
    sip: z
      .strictObject({
        address: address.describe('Address.'),
        port: port.default(5060).describe('UDP port.'),
      })
      .optional()
      .describe('Where they are sent; without it, the first of `sip.listen` that is UDP.'),
    atOnce: z.int().min(1).max(32).default(4).describe('Most of them at once.'),
    perHour: z.int().min(1).max(10_000).default(60).describe('Most of them in an hour, of all accounts.'),
    perNumberHour: z.int().min(1).max(20).default(3).describe('Most of them to one number in an hour.'),
    perNumberDay: z.int().min(1).max(100).default(6).describe('Most of them to one number in a day.'),
    perAccountDay: z.int().min(1).max(1000).default(12).describe('Most of them for one account in a day.'),
  })
  .describe('Calls that tell whoever answers a number a code.');

export const counsel = z
  .strictObject({
    calls: calls.optional().describe('Without it no number can be proved.'),
    registration: z
      .enum(['open', 'invited'])
      .default('invited')
      .describe('Who may make an account: anybody, or whoever a registrar sent a link.'),
    signUpsPerHour: z
      .int()
      .min(1)
      .max(1000)
      .default(5)
      .describe('Most accounts made from one address in an hour; ten times as many from all.'),
    numbersEach: z.int().min(1).max(1000).default(10).describe('Most numbers of one account.'),
    proofDays: z
      .number()
      .min(1)
      .max(3650)
      .default(180)
      .describe(
        'How long a proof holds. After that nothing of the number is shown until it is proved again.',
      ),
    warnDays: z
      .number()
      .min(0)
      .max(365)
      .default(14)
      .describe('How long before its end a proof is warned of.'),
  })
  .describe('The counsel portal.');
