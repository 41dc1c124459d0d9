import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { type OwnNumber, wasRecorded } from '../counsel-desk.js';
import type { Parts } from '../parts.js';
import { hashPassword, MAX_PASSWORD, passwordProblem, TooBusy } from '../password.js';
import { PartError } from '../ports.js';
import { Problem } from '../problems.js';
import { ok, person, type Route, route } from '../route.js';
import { base32, digestOf, newRecoveryCodes, recoveryDigest } from '../secrets.js';
import { callId, iso, uuid, words, writtenNumber } from '../shapes.js';
import { verdictText } from '../shown-call.js';
import { networkOf } from '../sign-in.js';
import { newTotpSecret, otpauthUri } from '../totp.js';

const claimClass = z.enum(['attorney', 'public-defender']);
const language = z.enum(['en', 'es']);

const ownNumber = z.strictObject({
  id: z.string(),
  number: z.string(),
  class: claimClass,
  state: z
    .enum(['unproved', 'proved', 'lapsed', 'contested', 'yielded'])
    .describe(
      'lapsed: the proof is over; contested: another account proved it too; yielded: it was decided to be theirs.',
    ),
  addedAt: z.iso.datetime(),
  provedAt: z.iso.datetime().nullable(),
  provedUntil: z.iso.datetime().nullable(),
  endsSoon: z.boolean(),
  protection: z
    .strictObject({
      answer: z.enum(['protected', 'pending', 'not-protected']),
      since: z.iso.datetime().nullable(),
      until: z.iso.datetime().nullable(),
    })
    .nullable()
    .describe('In every facility. Null where the number is not proved, or not any more.'),
  proposal: z.enum(['proposed', 'waiting', 'applied', 'rejected', 'withdrawn']).nullable(),
  code: z
    .strictObject({
      askedAt: z.iso.datetime(),
      expires: z.iso.datetime(),
      triesLeft: z.int(),
      stands: z.boolean().describe('It can still be entered.'),
      call: z.enum(['under-way', 'over']),
      answered: z.boolean(),
    })
    .nullable(),
  recorded: z
    .strictObject({ calls: z.int(), last: z.iso.datetime().nullable() })
    .nullable()
    .describe('Calls that were recorded although the number was protected. Anything but none is an alarm.'),
});

const shownNumber = (own: OwnNumber): z.infer<typeof ownNumber> => ({
  id: own.claim.id,
  number: own.claim.number,
  class: own.claim.class,
  state: own.state,
  addedAt: own.claim.addedAt.toISOString(),
  provedAt: iso(own.claim.provedAt),
  provedUntil: iso(own.provedUntil),
  endsSoon: own.endsSoon,
  protection:
    own.protection === null
      ? null
      : {
          answer: own.protection.answer,
          since: iso(own.protection.since),
          until: iso(own.protection.until),
        },
  proposal: own.proposal,
  code:
    own.code === null
      ? null
      : { ...own.code, askedAt: own.code.askedAt.toISOString(), expires: own.code.expires.toISOString() },
  recorded: own.recorded,
});

const ownCall = z.strictObject({
  callId: z.string(),
  at: z.iso.datetime(),
  facility: z.string(),
  verdict: z.string(),
  verdictText: z.string(),
  connectedMs: z.int(),
  recorded: z.boolean(),
  evidence: z.boolean().describe('There is a bundle to download: it was connected, or could have been.'),
});

/** A name to sign in with that nobody else has and nobody can guess: whether somebody has an account is not told. */
const accountOf = (name: string): string => {
  const plain = name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40);
  return `${plain === '' ? 'counsel' : plain}-${base32(randomBytes(4)).toLowerCase().slice(0, 6)}`;
};

const hashed = (password: string): Promise<string> =>
  hashPassword(password).catch((error: unknown) => {
    if (error instanceof TooBusy) throw new Problem('busy', null, 2);
    throw error;
  });

const signUp = (parts: Parts): Route =>
  route('POST /v1/counsel/accounts', {
    about:
      'Make an account for an attorney. It may do nothing until it proves a number. The second factor and recovery codes are shown this once.',
    tag: 'counsel',
    body: z.strictObject({
      name: words(100),
      jurisdiction: words(60),
      barNumber: words(40),
      password: z.string().min(1).max(MAX_PASSWORD),
      invitation: z
        .string()
        .regex(/^[A-Za-z0-9_-]{43}$/)
        .nullable()
        .default(null),
    }),
    answers: {
      201: {
        json: z.strictObject({
          account: z.string().describe('The name to sign in with.'),
          secret: z.string(),
          uri: z.string().describe('For an authenticator.'),
          recovery: z.array(z.string()).describe('Each is good once in the place of a code.'),
        }),
      },
    },
    problems: ['not-configured', 'invitation-needed', 'busy'],
    run: async ({ body, request }) => {
      const { registration, signUpsPerHour } = parts.counselDesk.settings;
      if (registration === 'invited' && body.invitation === null) throw new Problem('invitation-needed');
      const account = accountOf(body.name);
      const unfit = passwordProblem(body.password, account);
      if (unfit !== null) throw new Problem('request-malformed', `password: ${unfit}`);
      const secret = newTotpSecret();
      const recovery = newRecoveryCodes();
      const made = await parts.counsel.signUp({
        ...{ account, name: body.name, jurisdiction: body.jurisdiction, barNumber: body.barNumber },
        madeFrom: digestOf(`counsel-from:${networkOf(request.ip)}`),
        invite: body.invitation === null ? null : digestOf(`invite:${body.invitation}`),
        mostAnHour: signUpsPerHour,
        secrets: {
          password: await hashed(body.password),
          totpSecret: secret,
          recovery: recovery.map(recoveryDigest),
        },
      });
      if (made === 'too-many') throw new Problem('too-many-requests', null, 3600);
      if (made === 'no-invite') throw new Problem('invitation-needed');
      return { status: 201, body: { account, secret, uri: otpauthUri(account, secret), recovery } };
    },
  });

const numberParams = z.strictObject({ number: uuid });

const proofRoutes = ({ counsel, counselDesk: desk, search, journal }: Parts): readonly Route[] => [
  route('POST /v1/counsel/numbers', {
    about: 'Name a number that is to be proved. Nothing is said about it until it is.',
    tag: 'counsel',
    body: z.strictObject({ number: writtenNumber, class: claimClass.default('attorney') }),
    answers: { 200: { json: ownNumber } },
    problems: ['number-malformed', 'not-configured', 'conflict'],
    run: async (asked) => {
      const { name } = person(asked);
      const number = search.canonical(asked.body.number);
      const claim = await counsel.add(name, number, asked.body.class, desk.settings.numbersEach);
      if (claim === null) throw new Problem('conflict', 'there are as many numbers as an account may have');
      return ok(shownNumber(await desk.number(claim)));
    },
  }),
  route('DELETE /v1/counsel/numbers/:number', {
    about: 'Take back a number that was never proved.',
    tag: 'counsel',
    params: numberParams,
    answers: { 204: 'nothing' },
    problems: ['unknown'],
    run: async (asked) => {
      if (!(await counsel.drop(person(asked).name, asked.params.number))) throw new Problem('unknown');
      return { status: 204 };
    },
  }),
  route('POST /v1/counsel/numbers/:number/call', {
    about:
      'Have the number called now and be told a code. The call is not recorded. Whether it can be reached is not said.',
    tag: 'counsel',
    params: numberParams,
    body: z.strictObject({ language: language.default('en') }),
    answers: { 202: { json: ownNumber } },
    problems: [
      ...(['unknown', 'not-configured', 'conflict', 'busy', 'controller-unreachable'] as const),
      ...(['controller-uncertain', 'controller-refused', 'part-unavailable'] as const),
    ],
    run: async (asked) => {
      const { name } = person(asked);
      const claim = await desk.claim(name, asked.params.number);
      await desk.call(claim, asked.body.language);
      return { status: 202, body: shownNumber(await desk.number(claim)) };
    },
  }),
  route('POST /v1/counsel/numbers/:number/code', {
    about: 'Enter the code that the call told. The number is proved with it, and proposed for protection.',
    tag: 'counsel',
    params: numberParams,
    body: z.strictObject({ code: z.string().regex(/^[0-9]{6}$/) }),
    answers: { 200: { json: ownNumber } },
    problems: ['unknown', 'code-wrong', 'code-over', 'conflict', 'busy', 'not-configured', 'op-refused'],
    run: async (asked) => {
      const claim = await desk.claim(person(asked).name, asked.params.number);
      const proved = await desk.enter(claim, asked.body.code);
      await journal.append('http-privileged-read', {
        ...{ by: claim.account, facility: null, class: 'own', entries: 1 },
      });
      return ok(shownNumber(await desk.number(proved)));
    },
  }),
];

const readRoutes = ({ counsel, counselDesk: desk, journal, journals }: Parts): readonly Route[] => [
  route('GET /v1/counsel/me', {
    about: 'Who one is here, and what one is to know.',
    tag: 'counsel',
    answers: {
      200: {
        json: z.strictObject({
          account: z.string(),
          name: z.string(),
          jurisdiction: z.string(),
          barNumber: z.string(),
          notices: z.array(z.strictObject({ number: z.string(), kind: z.string(), at: z.iso.datetime() })),
        }),
      },
    },
    problems: ['unknown'],
    run: async (asked) => {
      const { name: account } = person(asked);
      const { name, jurisdiction, barNumber } = await desk.attorney(account);
      const notices = await counsel.notices(account);
      return ok({
        ...{ account, name, jurisdiction, barNumber },
        notices: notices.map(({ claim, kind, at }) => ({ number: claim, kind, at: at.toISOString() })),
      });
    },
  }),
  route('GET /v1/counsel/numbers', {
    about: 'One’s own numbers: proved or not, protected since when, what waits.',
    tag: 'counsel',
    answers: { 200: { json: z.strictObject({ rows: z.array(ownNumber) }) } },
    problems: ['not-configured', 'part-unavailable', 'op-refused'],
    run: async (asked) => {
      const { name } = person(asked);
      const rows = await desk.numbers(name);
      const entries = rows.filter(({ protection }) => protection !== null).length;
      if (entries > 0)
        await journal.append('http-privileged-read', { by: name, facility: null, class: 'own', entries });
      return ok({ rows: rows.map(shownNumber) });
    },
  }),
  route('GET /v1/counsel/numbers/:number/calls', {
    about:
      'How calls to one’s own number were decided, since it was proved. Not who called. The newest first, at most 200.',
    tag: 'counsel',
    params: numberParams,
    answers: { 200: { json: z.strictObject({ rows: z.array(ownCall) }) } },
    problems: ['unknown', 'proof-needed', 'not-configured', 'part-unavailable'],
    run: async (asked) => {
      const { name } = person(asked);
      const claim = await desk.claim(name, asked.params.number);
      const calls = await desk.calls(claim);
      await journal.append('http-privileged-read', {
        ...{ by: name, facility: null, class: 'own-calls', entries: calls.length },
      });
      return ok({
        rows: calls.map((call) => ({
          callId: call.callId,
          at: call.arrivedAt ?? call.endedAt,
          facility: call.facility,
          verdict: call.verdict,
          verdictText: verdictText(call.verdict),
          connectedMs: call.connectedMs,
          recorded: wasRecorded(call),
          evidence: call.verdict === 'private' || call.verdict === 'monitored',
        })),
      });
    },
  }),
  route('GET /v1/counsel/numbers/:number/calls/:call/evidence', {
    about:
      'The evidence of one call to one’s own number: of a private one a proof that nothing of it is anywhere (docs/evidence.md).',
    tag: 'counsel',
    params: z.strictObject({ number: uuid, call: callId }),
    answers: { 200: { bytes: ['application/vnd.sallyport.evidence+json'] } },
    problems: ['unknown', 'proof-needed', 'evidence-refused', 'not-configured', 'part-unavailable'],
    run: async (asked) => {
      const { name } = person(asked);
      const { number, call: id } = asked.params;
      const claim = await desk.claim(name, number);
      const call = (await desk.calls(claim)).find((one) => one.callId === id);
      if (call === undefined) throw new Problem('unknown');
      // Who tried to call in vain is told in such a bundle, and was never connected to whoever asks.
      if (call.verdict !== 'private' && call.verdict !== 'monitored')
        throw new Problem('evidence-refused', 'nobody was connected');
      const bytes = await journals.evidence(id).catch((error: unknown) => {
        if (!(error instanceof PartError)) throw error;
        if (error.code === 'call-unknown') throw new Problem('unknown');
        throw new Problem('evidence-refused', error.code);
      });
      await journal.append('http-evidence-read', { by: name, callId: id });
      return {
        status: 200,
        body: bytes,
        headers: {
          'content-type': 'application/vnd.sallyport.evidence+json',
          'content-disposition': `attachment; filename="${id}.evidence.json"`,
        },
      };
    },
  }),
];

/** What attorneys do for themselves. Nothing here takes a name of anybody: who asks is who it is about. */
export const counselRoutes = (parts: Parts): readonly Route[] => [
  route('GET /v1/counsel', {
    about: 'Whether attorneys may register here, and what a proof is good for.',
    tag: 'counsel',
    answers: {
      200: {
        json: z.strictObject({
          registration: z.enum(['open', 'invited', 'closed']),
          calls: z.boolean().describe('Numbers can be proved by a call.'),
          proofDays: z.number().nullable(),
        }),
      },
    },
    run: async () => {
      const { settings } = parts;
      const { counsel } = settings;
      return ok({
        registration: counsel === null ? 'closed' : counsel.registration,
        calls: counsel?.calls !== null && counsel !== null,
        proofDays: counsel?.proofDays ?? null,
      });
    },
  }),
  signUp(parts),
  ...readRoutes(parts),
  ...proofRoutes(parts),
];
