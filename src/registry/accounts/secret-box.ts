import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { type Database, told } from '../database.js';
import { RegistryError } from '../errors.js';
import { noteAccount } from './note.js';

const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const MOST_KEYS = 8;

interface BoxKey {
  readonly id: string;
  readonly bytes: Buffer;
}

const lineShape = /^sallyport-secrets-1 ([a-z0-9]{8}) ([A-Za-z0-9_-]{43})$/;
const sealedShape = /^s1:([a-z0-9]{8}):([A-Za-z0-9_-]{38,200000})$/;

/** A new key as a line of a key file. */
export const newSecretsKey = (): string => {
  const id = randomBytes(4).toString('hex');
  return `sallyport-secrets-1 ${id} ${randomBytes(KEY_BYTES).toString('base64url')}`;
};

/**
 * Secrets that have to be read again lie sealed in the database (AES-256-GCM): whoever has the database, or a copy of it,
 * has no seed of a second factor and no secret of a webhook. What a secret is for is bound to it, so that none can be put
 * in the place of another. The key lies in a file beside the program, never in the database.
 */
export class SecretBox {
  readonly #keys: readonly BoxKey[];

  private constructor(keys: readonly BoxKey[]) {
    this.#keys = keys;
  }

  /** Without a key: for sites for trying things out, and never where something is sealed. */
  static readonly open = new SecretBox([]);

  /**
   * Of a key file's text: a line for each key, the first seals and all of them open. Throws RegistryError
   * `secrets-key-unfit`; nothing of the text is repeated.
   */
  static of(text: string): SecretBox {
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    const keys = lines.map((line): BoxKey => {
      const [, id = '', bytes = ''] = lineShape.exec(line.trim()) ?? [];
      if (id === '') throw new RegistryError('secrets-key-unfit');
      return { id, bytes: Buffer.from(bytes, 'base64url') };
    });
    const odd = keys.some(({ bytes }) => bytes.length !== KEY_BYTES);
    if (
      odd ||
      keys.length === 0 ||
      keys.length > MOST_KEYS ||
      new Set(keys.map(({ id }) => id)).size < keys.length
    )
      throw new RegistryError('secrets-key-unfit');
    return new SecretBox(keys);
  }

  /** The key that seals; null where there is none. */
  get keyId(): string | null {
    return this.#keys[0]?.id ?? null;
  }

  /** `purpose`: what it is for and whose it is. */
  seal(text: string, purpose: string): string {
    const [key] = this.#keys;
    if (key === undefined) return text;
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv('aes-256-gcm', key.bytes, iv);
    cipher.setAAD(Buffer.from(purpose));
    const sealed = Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return `s1:${key.id}:${sealed.toString('base64url')}`;
  }

  /** Throws RegistryError `secret-unopened` where its key is not there, or it is another's or was tampered with. */
  unseal(stored: string, purpose: string): string {
    // From before there was a key; it is sealed as soon as there is one.
    if (!stored.startsWith('s1:')) return stored;
    const [, id, text = ''] = sealedShape.exec(stored) ?? [];
    const key = this.#keys.find((one) => one.id === id);
    if (key === undefined) throw new RegistryError('secret-unopened');
    const bytes = Buffer.from(text, 'base64url');
    try {
      const decipher = createDecipheriv('aes-256-gcm', key.bytes, bytes.subarray(0, IV_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(Buffer.from(purpose));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      const opened = [decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()];
      return Buffer.concat(opened).toString('utf8');
    } catch {
      throw new RegistryError('secret-unopened');
    }
  }

  /** Whether it is sealed under the key that seals now. */
  isCurrent(stored: string): boolean {
    return this.keyId === null || stored.startsWith(`s1:${this.keyId}:`);
  }
}

export const totpPurpose = (account: string): string => `totp ${account}`;
export const webhookPurpose = (id: string): string => `webhook ${id}`;

/**
 * Seals everything anew that is not sealed under the first key, all of it or nothing: after a key was made, and after it
 * was exchanged. Resolves with how many there were. Rejects with RegistryError.
 */
export const resealAll = async (db: Database, box: SecretBox, by: string): Promise<number> => {
  if (box.keyId === null) return 0;
  try {
    return await db.transaction().execute(async (trx) => {
      let count = 0;
      const accounts = await trx
        .selectFrom('account')
        .select(['name', 'totp_secret'])
        .where('totp_secret', 'is not', null)
        .forUpdate()
        .execute();
      for (const { name, totp_secret: stored } of accounts) {
        if (stored === null || box.isCurrent(stored)) continue;
        const purpose = totpPurpose(name);
        const sealed = box.seal(box.unseal(stored, purpose), purpose);
        await trx.updateTable('account').set({ totp_secret: sealed }).where('name', '=', name).execute();
        count += 1;
      }
      const hooks = await sql<{
        id: string;
        secret: string;
      }>`select id, secret from webhook for update`.execute(trx);
      for (const { id, secret: stored } of hooks.rows) {
        if (box.isCurrent(stored)) continue;
        const purpose = webhookPurpose(id);
        const sealed = box.seal(box.unseal(stored, purpose), purpose);
        await sql`update webhook set secret = ${sealed} where id = ${id}::uuid`.execute(trx);
        count += 1;
      }
      if (count > 0)
        await noteAccount(trx, 'account-changed', { account: 'all', what: 'secrets-sealed', by });
      return count;
    });
  } catch (error) {
    throw told(error);
  }
};
