import { z } from 'zod';

/** Every refusal of the API: its status and its meaning in words. docs/api.md holds the same table. */
export const problems = {
  'request-malformed': [400, 'A part of the request is missing or malformed.'],
  'cursor-malformed': [400, 'The cursor is not one that this list gave.'],
  'sign-in-needed': [401, 'Sign in first: there is no session or key, or it is over.'],
  'credentials-wrong': [401, 'The name, password, code or link is wrong, or the account is disabled.'],
  'second-factor-needed': [401, 'The code of the second factor is needed besides.'],
  'provider-refused': [
    401,
    'The identity provider does not vouch for this person, or the answer is not its own.',
  ],
  'not-allowed': [403, 'This account’s roles, or this key’s scopes, do not allow it.'],
  'reading-needed': [403, 'Say first why the recording is read: files are given out to a reading.'],
  'forgery-suspected': [403, 'The request lacks the session’s token, or comes from another site.'],
  'invitation-needed': [403, 'An account is made with an invitation here, and this is none that is good.'],
  'own-change': [403, 'Nobody approves a change of their own.'],
  'not-the-maker': [403, 'Only who proposed a change takes it back.'],
  'route-unknown': [404, 'There is nothing here.'],
  unknown: [404, 'There is no such thing.'],
  'range-unfit': [416, 'The range does not lie within the file.'],
  conflict: [409, 'It stands against what is there.'],
  'approved-already': [409, 'This person has approved this change before; it counts once.'],
  'change-over': [409, 'The change was applied, rejected or withdrawn already.'],
  'entry-moved': [
    409,
    'The entry was changed since this change was proposed: look at it and propose it anew.',
  ],
  'request-under-way': [
    409,
    'The same request is still under way: ask again in a moment, with the same key.',
  ],
  'not-configured': [409, 'The configuration does not provide for this.'],
  'confirmation-unknown': [409, 'The confirmation is not known, was used, or is too old: ask again.'],
  'controller-refused': [409, 'The controller refuses the order; the detail says why.'],
  'statement-refused': [409, 'The statement cannot be made; the detail says why.'],
  'evidence-refused': [409, 'The evidence cannot be made; the detail says why.'],
  'code-over': [
    409,
    'There is no code to enter: it was used, replaced, tried too often, or is too old. Ask for a new call.',
  ],
  'proof-needed': [409, 'The number is not proved, not any more, or somebody else proved it too.'],
  'version-moved': [412, 'It has changed since it was looked at: look again.'],
  'too-large': [413, 'The request is larger than is taken.'],
  'type-unknown': [415, 'The body is not of a type that is taken: send JSON.'],
  'search-too-broad': [422, 'The search would take too long: narrow it, by time above all.'],
  'number-not-watchable': [
    422,
    'As the lists stand no monitored call can be connected with this number: there is nothing to watch.',
  ],
  'export-refused': [409, 'The export cannot be given out; the detail says why.'],
  'op-refused': [422, 'The change cannot be made so; the detail says which step and why.'],
  'number-malformed': [422, 'The number cannot be read without guessing.'],
  'code-wrong': [422, 'This is not the code that was told.'],
  'address-refused': [422, 'The address is not one that the configuration allows.'],
  'request-reused': [422, 'The key of this request was used before, for another request: take a new one.'],
  'version-missing': [428, 'Say with If-Match which version was looked at.'],
  'too-many-tries': [429, 'Too many wrong tries: wait as long as Retry-After says.'],
  'too-many-requests': [429, 'Too many requests: wait as long as Retry-After says.'],
  'too-many-watchers': [503, 'As many follow the calls as may.'],
  busy: [503, 'Too much is under way: try again soon.'],
  'registry-unreachable': [503, 'The database does not answer; nothing was changed.'],
  'journal-unavailable': [503, 'It could not be written down who asked, so it is not done.'],
  'controller-unreachable': [503, 'The controller does not answer.'],
  'controller-uncertain': [
    503,
    'The controller did not say in time whether it was done: look before trying again.',
  ],
  'part-unavailable': [503, 'A part that this needs does not answer.'],
  failed: [500, 'A fault of ours. It was written down.'],
} as const satisfies Readonly<Record<string, readonly [number, string]>>;
export type ProblemCode = keyof typeof problems;

/** A refusal, or a fault: thrown by routes, told as RFC 9457 problem details. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly status: number;
  /** Never holds a number that was asked about. */
  readonly detail: string | null;
  readonly retryAfter: number | null;
  constructor(code: ProblemCode, detail: string | null = null, retryAfter: number | null = null) {
    super(detail === null ? code : `${code}: ${detail}`);
    this.name = 'Problem';
    this.code = code;
    this.status = problems[code][0];
    this.detail = detail;
    this.retryAfter = retryAfter;
  }
}

export const problemSchema = z
  .strictObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.enum(Object.keys(problems) as [ProblemCode, ...ProblemCode[]]),
    detail: z.string().nullable(),
  })
  .describe('RFC 9457 problem details. `code` is stable; `title` is what it means.');

export const problemBody = ({ code, status, detail }: Problem): z.infer<typeof problemSchema> => ({
  type: `urn:sallyport:problem:${code}`,
  title: problems[code][1],
  status,
  code,
  detail,
});

/** Codes of the registry that are a route's own answer; the others of them are told as `op-refused` with their words. */
const asTheyAre: ReadonlySet<string> = new Set([
  'registry-unreachable',
  'number-malformed',
  'own-change',
  'not-the-maker',
  'approved-already',
  'change-over',
  'entry-moved',
  'request-reused',
  'request-under-way',
  'too-many-requests',
  'search-too-broad',
  'number-not-watchable',
]);
const unknowns: ReadonlySet<string> = new Set([
  'change-unknown',
  'account-unknown',
  'key-unknown',
  'webhook-unknown',
  'import-unknown',
  'call-unknown',
  'note-unknown',
  'hot-unknown',
  'profile-unknown',
]);
/** What stands against what an import is, or where it is. */
const conflicts: ReadonlySet<string> = new Set([
  'import-step',
  'import-busy',
  'import-faulty',
  'import-unacknowledged',
  'part-misplaced',
  'file-differs',
  'file-missing',
]);

/** What the registry refuses, as the API tells it. */
export const registryProblem = (error: {
  readonly code: string;
  readonly at: number | null;
  readonly message: string;
}): Problem => {
  const words = error.message.replace(/^[a-z-]+: /, '');
  const detail = error.at === null ? words : `step ${error.at + 1}: ${error.code}: ${words}`;
  if (asTheyAre.has(error.code))
    return new Problem(error.code as ProblemCode, detail, error.code === 'registry-unreachable' ? 2 : null);
  if (unknowns.has(error.code)) return new Problem('unknown', words);
  if (conflicts.has(error.code)) return new Problem('conflict', `${error.code}: ${words}`);
  if (error.code === 'import-moved') return new Problem('version-moved', words);
  if (error.code === 'file-too-large') return new Problem('too-large', words);
  if (error.code === 'registry-newer') return new Problem('registry-unreachable', words);
  return new Problem('op-refused', error.at === null ? `${error.code}: ${words}` : detail);
};
