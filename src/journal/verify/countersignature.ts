import type { Check } from './ask.js';
import { HEX_HASH, NAME, TIME } from './canonical.js';
import { isSignedBy, publicKeyOf, readSignedLine } from './signed.js';

/** What a second party signed: it saw this head, and it was consistent with all it had seen before. */
export interface CountersignedHead {
  readonly at: string;
  readonly journal: string;
  readonly number: number;
  readonly size: number;
  readonly root: string;
  /** SHA-256 of the head's line. */
  readonly head: string;
}

type Body = CountersignedHead & { readonly node: string; readonly public: string };

/** A countersignature that its own key made; undefined where it is none. Whose key it is, is another question. */
export function* readCountersignature(line: string): Check<(Body & { readonly key: string }) | undefined> {
  const read = yield* readSignedLine(line);
  if (read === undefined || !isBody(read.body)) return undefined;
  const key = yield* publicKeyOf(read.body.public);
  if (key === undefined || key.id !== read.key) return undefined;
  if (!(yield* isSignedBy(key, 'countersignature', read.bodyText, read.signature))) return undefined;
  return { ...read.body, key: key.id };
}

function isBody(body: object): body is Body {
  const { at, format, head, journal, node, number, root, size, ...rest } = body as Readonly<
    Record<string, unknown>
  >;
  const is = (value: unknown, form: RegExp): boolean => typeof value === 'string' && form.test(value);
  return (
    is(at, TIME) &&
    format === 1 &&
    [head, journal, root].every((value) => is(value, HEX_HASH)) &&
    is(node, NAME) &&
    [number, size].every((value) => Number.isSafeInteger(value)) &&
    Object.keys(rest).join() === 'public' &&
    typeof rest.public === 'string'
  );
}
