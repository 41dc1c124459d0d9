import { createHash, type KeyObject, sign, verify } from 'node:crypto';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { placeFile } from '../durable/files.js';
import { canonicalJson } from '../journal/canonical.js';
import { StatementError } from './errors.js';
import type { Statement } from './model.js';
import { statementPdf } from './pdf/render.js';
import { MAX_STATEMENT_BYTES, statementText } from './statement.js';

export const STATEMENT_FILE = 'statement.json';
export const SIGNATURE_FILE = 'statement.json.sig';
export const PDF_FILE = 'statement.pdf';

export interface Written {
  /** SHA-256, hex, of each file's bytes. */
  readonly digests: Readonly<Record<string, string>>;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/**
 * Writes the statement, its signature (64 bytes, Ed25519 over the bytes of `statement.json`, so that any tool can
 * check it) and the PDF, which is made from the JSON alone. Never over another statement: throws `out-exists`, or
 * `out-unwritable`.
 */
export const writeStatement = async (dir: string, statement: Statement, key: KeyObject): Promise<Written> => {
  const json = Buffer.from(statementText(statement), 'utf8');
  const files: readonly (readonly [string, Buffer])[] = [
    [PDF_FILE, await statementPdf(statement, sha256(json))],
    [SIGNATURE_FILE, sign(null, json, key)],
    // Last: where there is a statement, all of it is there.
    [STATEMENT_FILE, json],
  ];
  await checkFree(dir);
  try {
    await mkdir(dir, { recursive: true });
    for (const [name, bytes] of files) await placeFile(join(dir, name), [bytes], { mode: 0o644 });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new StatementError('out-unwritable', `${dir} cannot be written (${code})`);
  }
  return { digests: Object.fromEntries(files.map(([name, bytes]) => [name, sha256(bytes)])) };
};

/** Throws `out-exists` where any of the files is there. */
export const checkFree = async (dir: string): Promise<void> => {
  for (const name of [STATEMENT_FILE, SIGNATURE_FILE, PDF_FILE]) {
    const there = await stat(join(dir, name)).then(
      () => true,
      () => false,
    );
    if (there) throw new StatementError('out-exists', `${join(dir, name)} is there already`);
  }
};

export interface Checked {
  readonly statement: Statement;
  readonly text: string;
  readonly digests: Readonly<Record<string, string>>;
  /** `other-version`: this program draws the PDF another way than the one that made it. */
  readonly pdf: 'same' | 'other-version' | 'absent';
}

const read = async (dir: string, name: string): Promise<Buffer | null> => {
  const path = join(dir, name);
  try {
    const { size } = await stat(path);
    if (size > MAX_STATEMENT_BYTES) throw new StatementError('statement-malformed', `${path} is too large`);
    return await readFile(path);
  } catch (error) {
    if (error instanceof StatementError) throw error;
    return null;
  }
};

const needed = async (dir: string, name: string): Promise<Buffer> => {
  const bytes = await read(dir, name);
  if (bytes === null) throw new StatementError('statement-missing', `${join(dir, name)} cannot be read`);
  return bytes;
};

/**
 * Checks a statement offline: the signature, the form, and that the PDF is the one this JSON leads to. The signature is
 * checked before a byte of the JSON is read for what it says. Throws `statement-missing`, `statement-forged`,
 * `statement-malformed` or `pdf-differs`.
 */
export const checkStatement = async (dir: string, key: KeyObject, version: string): Promise<Checked> => {
  const json = await needed(dir, STATEMENT_FILE);
  const signature = await needed(dir, SIGNATURE_FILE);
  if (!verify(null, json, key, signature)) {
    throw new StatementError('statement-forged', 'the signature is not of this statement.json by this key');
  }
  const statement = parsed(json);
  const digest = sha256(json);
  const pdf = await read(dir, PDF_FILE);
  const text = json.toString('utf8');
  if (pdf === null) return { statement, text, digests: { [STATEMENT_FILE]: digest }, pdf: 'absent' };
  const digests = { [STATEMENT_FILE]: digest, [PDF_FILE]: sha256(pdf) };
  if (statement.version !== version) return { statement, text, digests, pdf: 'other-version' };
  if (!pdf.equals(await drawn(statement, digest))) {
    throw new StatementError('pdf-differs', 'statement.pdf is not the one this statement.json leads to');
  }
  return { statement, text, digests, pdf: 'same' };
};

const drawn = async (statement: Statement, digest: string): Promise<Buffer> => {
  try {
    return await statementPdf(statement, digest);
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) throw malformed();
    throw error;
  }
};

const malformed = (): StatementError =>
  new StatementError('statement-malformed', 'statement.json is signed and is no statement of format 1');

const parsed = (json: Buffer): Statement => {
  let value: unknown;
  const text = json.toString('utf8');
  try {
    value = JSON.parse(text);
    if (`${canonicalJson(value, { maxBytes: MAX_STATEMENT_BYTES })}\n` !== text) throw malformed();
  } catch {
    throw malformed();
  }
  const { format, product, version, period } = value as Partial<Statement>;
  const times = [period?.from, period?.to].every(
    (one) => typeof one === 'string' && !Number.isNaN(Date.parse(one)),
  );
  if (format !== 1 || product !== 'sallyport' || typeof version !== 'string' || !times) throw malformed();
  // Whoever holds the key made it with this product; what has another shape all the same fails in drawing it.
  return value as Statement;
};
