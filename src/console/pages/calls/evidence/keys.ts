import { inTime } from '../../../../journal/verify/in-time.js';
import { publicKeyOf } from '../../../../journal/verify/signed.js';
import { cell } from '../../../app/cell.js';

/** A public key that somebody gave this browser, and by what name. */
export interface KnownKey {
  readonly name: string;
  /** SPKI DER in base64. */
  readonly text: string;
  readonly id: string;
  /** `journal`: it signs a journal's heads. `second`: a second party's, who must have countersigned. */
  readonly use: 'journal' | 'second';
  readonly since: string;
  /** Kept in this browser; else until the page is left. */
  readonly kept: boolean;
}

const STORE = 'sallyport.evidence-keys';
const MOST_KEYS = 50;

const isKnownKey = (value: unknown): value is KnownKey => {
  if (typeof value !== 'object' || value === null) return false;
  const { name, text, id, use, since } = value as Readonly<Record<string, unknown>>;
  const texts = [name, text, id, since].every((one) => typeof one === 'string' && one.length < 500);
  return texts && (use === 'journal' || use === 'second');
};

/** What was kept; whatever cannot be read is nothing. */
const kept = (): readonly KnownKey[] => {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(STORE) ?? '[]');
    return Array.isArray(value)
      ? value
          .filter(isKnownKey)
          .slice(0, MOST_KEYS)
          .map((one) => ({ ...one, kept: true }))
      : [];
  } catch {
    return [];
  }
};

export const knownKeys = cell<readonly KnownKey[]>(kept());

const hold = (keys: readonly KnownKey[]): void => {
  knownKeys.set(keys);
  try {
    localStorage.setItem(STORE, JSON.stringify(keys.filter((one) => one.kept)));
  } catch {
    // A browser that keeps nothing has them until the page is left.
  }
};

export type KeyProblem = 'key-malformed' | 'key-private' | 'too-many-keys';

/** Takes a key from PEM, or from its base64. Gives what is wrong with it; null where it was taken. */
export const addKey = async (
  pem: string,
  { name, use, kept: keep }: Pick<KnownKey, 'name' | 'use' | 'kept'>,
): Promise<KeyProblem | null> => {
  // A private key has no business in a browser, and whoever pastes one should hear it.
  if (pem.includes('PRIVATE KEY')) return 'key-private';
  const key = await inTime(publicKeyOf(pem.trim()));
  if (key === undefined) return 'key-malformed';
  const others = knownKeys.get().filter((one) => one.text !== key.text || one.use !== use);
  if (others.length >= MOST_KEYS) return 'too-many-keys';
  const since = new Date().toISOString();
  hold([...others, { ...key, name: name.trim() === '' ? key.id : name.trim(), use, since, kept: keep }]);
  return null;
};

export const dropKey = (gone: KnownKey): void => hold(knownKeys.get().filter((one) => one !== gone));
