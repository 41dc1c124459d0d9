import { type Check, fromBase64, type PublicKey } from './ask.js';
import { canonicalText, HEX_HASH, NAME, TIME, ZEROS } from './canonical.js';
import type { ProblemCode } from './report.js';
import { isSignedBy, publicKeyOf, readSignedLine, type SignedLine } from './signed.js';

/** A head whose line is what it should be: what it says still has to be compared with rows. */
export interface HeadClaim {
  readonly at: string;
  readonly every: number;
  readonly journal: string;
  readonly node: string;
  readonly number: number;
  readonly size: number;
  readonly root: string;
  readonly rowHash: string;
  /** SHA-256 of the line, hex. */
  readonly digest: string;
}

type Complain = (code: ProblemCode, message: string) => void;

/**
 * Follows the lines of the heads one by one: their numbers, how each is chained to the one before, which key signs, and
 * which key that one handed over to. A line that fails is told and passed over; a key that nobody
 * handed over to is never taken.
 */
export class Succession {
  readonly #trusted: readonly PublicKey[];
  readonly #keys: PublicKey[] = [];
  #trustedSeen = false;
  #number = 0;
  #digest = ZEROS;
  #size = 0;
  #at = '';

  /** `trusted`: the keys the reader knows from elsewhere; at least one of them must be among those that sign. */
  constructor(trusted: readonly PublicKey[]) {
    this.#trusted = trusted;
  }

  /** Ids of the keys so far, in order. */
  get keys(): readonly string[] {
    return this.#keys.map((key) => key.id);
  }

  /** The key that signs now. */
  get current(): PublicKey | undefined {
    return this.#keys.at(-1);
  }

  get trustedSeen(): boolean {
    return this.#trustedSeen;
  }

  /**
   * The next line, without its newline. Gives the head it is, if it is one and it holds. `gaps`: the lines are only
   * some of the file's, as in a proof: neither numbers nor the chain can be followed.
   */
  *take(line: string, complain: Complain, gaps = false): Check<HeadClaim | undefined> {
    const read = yield* readSignedLine(line);
    if (read === undefined) {
      complain('head-unreadable', 'the line is not a head in canonical form');
      return undefined;
    }
    const { body, digest } = read;
    if (!isCommon(body)) {
      complain('head-unreadable', 'the line does not have the members of a head');
      return undefined;
    }
    if (!gaps && (body.previous !== this.#digest || body.number !== this.#number + 1)) {
      complain('head-chain-broken', 'the line does not follow from the one before');
    }
    this.#digest = digest;
    this.#number = body.number;
    if (!gaps && body.at < this.#at)
      complain('head-time-went-back', 'the time is before that of the line before');
    this.#at = body.at;
    if (body.kind === 'key') {
      yield* this.#takeKey(read, body, complain);
      return undefined;
    }
    return yield* this.#takeHead(read, body, complain);
  }

  *#takeKey({ bodyText, key, signature }: SignedLine, body: Common, complain: Complain): Check<void> {
    const next = isKeyBody(body) ? yield* publicKeyOf(body.public) : undefined;
    if (next === undefined || !isKeyBody(body)) {
      complain('head-unreadable', 'the line does not bring in an Ed25519 key');
      return;
    }
    if (key !== next.id || !(yield* isSignedBy(next, 'key', bodyText, signature))) {
      complain('head-signature', 'the key does not sign for itself');
      return;
    }
    const { current } = this;
    const { handover } = body;
    const handed =
      current === undefined || handover === null
        ? current === undefined && handover === null
        : yield* isSignedBy(
            current,
            'handover',
            canonicalText({ at: handover.at, from: current.text, public: body.public }),
            fromBase64(handover.signature) ?? new Uint8Array(0),
          );
    if (!handed) {
      complain('handover-invalid', 'the key before did not hand over to this one');
      return;
    }
    this.#keys.push(next);
    this.#trustedSeen ||= this.#trusted.some((one) => one.text === next.text);
  }

  *#takeHead(
    { bodyText, key, signature, digest }: SignedLine,
    body: Common,
    complain: Complain,
  ): Check<HeadClaim | undefined> {
    if (!isHeadBody(body)) {
      complain('head-unreadable', 'the line does not have the members of a head');
      return undefined;
    }
    const { current } = this;
    if (current === undefined || key !== current.id) {
      complain('head-key-unknown', `the head names key ${key}, whose turn it is not`);
      return undefined;
    }
    if (!(yield* isSignedBy(current, 'head', bodyText, signature))) {
      complain('head-signature', 'the head does not bear the signature of its key');
      return undefined;
    }
    if (body.size <= this.#size) complain('head-order', 'the tree does not grow from head to head');
    this.#size = Math.max(this.#size, body.size);
    const { at, every, journal, node, number, size, root, rowHash } = body;
    return { at, every, journal, node, number, size, root, rowHash, digest };
  }
}

/**
 * Follows some of a journal's lines: `key` lines in order, and a head at the end. Gives that head, or what is wrong with the
 * first line that does not hold.
 */
export function* followLines(
  lines: readonly string[],
  succession: Succession,
): Check<{ readonly head: HeadClaim } | { readonly fault: string }> {
  const faults: string[] = [];
  let head: HeadClaim | undefined;
  for (const line of lines) {
    head = yield* succession.take(line, (code, message) => faults.push(`${code}: ${message}`), true);
    if (faults[0] !== undefined) return { fault: faults[0] };
  }
  return head === undefined ? { fault: 'head-unreadable: the last line is no head' } : { head };
}

interface Common {
  readonly at: string;
  readonly kind: unknown;
  readonly journal: string;
  readonly node: string;
  readonly number: number;
  readonly previous: string;
}

interface KeyBody extends Common {
  readonly public: string;
  readonly handover: null | { readonly at: string; readonly signature: string };
}

interface HeadBody extends Common {
  readonly every: number;
  readonly size: number;
  readonly root: string;
  readonly rowHash: string;
}

const isText = (value: unknown, form: RegExp): value is string =>
  typeof value === 'string' && form.test(value);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 1;

type Unknowns = Readonly<Record<string, unknown>>;

function isCommon(body: Unknowns): body is Unknowns & Common {
  return (
    isText(body.at, TIME) &&
    body.format === 1 &&
    isText(body.journal, HEX_HASH) &&
    isText(body.node, NAME) &&
    isCount(body.number) &&
    isText(body.previous, HEX_HASH)
  );
}

function isKeyBody(body: object): body is KeyBody {
  const { public: next, handover } = body as Unknowns;
  if (Object.keys(body).length !== 9 || typeof next !== 'string') return false;
  if (handover === null) return true;
  if (typeof handover !== 'object' || handover === undefined) return false;
  const { at, signature } = handover as Unknowns;
  return Object.keys(handover).length === 2 && isText(at, TIME) && typeof signature === 'string';
}

function isHeadBody(body: object): body is HeadBody {
  const { kind, every, size, root, rowHash } = body as Unknowns;
  return (
    Object.keys(body).length === 11 &&
    kind === 'head' &&
    typeof every === 'number' &&
    isCount(size) &&
    isText(root, HEX_HASH) &&
    isText(rowHash, HEX_HASH)
  );
}
