import { existsSync, readFileSync } from 'node:fs';
import { appendFile, mkdir, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { replaceFile } from '../durable/files.js';
import { nodeDisk } from '../journal/disk.js';
import { JournalError } from '../journal/errors.js';
import { headLineAt, readHeadLines } from '../journal/heads/head-lines.js';
import {
  generateSigningKey,
  handOver,
  handoverPath,
  readSigningKey,
  signingKey,
} from '../journal/heads/signing-key.js';
import { openProver } from '../journal/prove.js';
import { atOnce } from '../journal/verify/at-once.js';
import { countersign, countersigningKey, type Memory, readMemory } from '../journal/verify/countersign.js';
import { readPublicKey } from '../journal/verify/program.js';
import { publicKeyOf } from '../journal/verify/signed.js';
import { CommandError, columns, type Terminal } from './output.js';

/** The public half lies beside the private one. */
export const publicFileOf = (file: string): string => file.replace(/(\.pem)?$/, '.pub.pem');

/** `journal keygen`: the key pair that signs heads, or that of a second party. */
export const journalKeygen = async (file: string, terminal: Terminal): Promise<void> => {
  const publicFile = publicFileOf(file);
  if (existsSync(file) || existsSync(publicFile))
    throw new CommandError('key-exists', `${file} or ${publicFile} is there already and is not overwritten`);
  const { privatePem, publicPem } = generateSigningKey();
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, privatePem, { mode: 0o600, flag: 'wx' });
  await writeFile(publicFile, publicPem, { flag: 'wx' });
  terminal.out(
    [
      `private key  ${file}  (journal.heads.keyFile; readable by its owner alone)`,
      `public key   ${publicFile}  (give it to everybody who may verify, before it is needed)`,
      `key id       ${signingKey(privatePem).id}`,
    ].join('\n'),
  );
};

/** `journal handover`: the old key says which key follows it. The controller takes it when it starts with the new one. */
export const journalHandover = async (
  oldFile: string,
  newFile: string,
  terminal: Terminal,
): Promise<void> => {
  const [from, next] = [await keyFrom(oldFile), await keyFrom(newFile)];
  const path = handoverPath(newFile);
  if (existsSync(path)) throw new CommandError('handover-exists', `${path} is there already`);
  const text = JSON.stringify(handOver(from, next, new Date().toISOString()));
  await writeFile(path, `${text}\n`, { flag: 'wx' });
  terminal.out(
    `handover     ${path}  (${from.id} to ${next.id}; set journal.heads.keyFile to ${newFile} and restart)`,
  );
};

const keyFrom = async (file: string) => {
  try {
    return await readSigningKey(file);
  } catch (error) {
    throw explained(error);
  }
};

const explained = (error: unknown): unknown =>
  error instanceof JournalError ? new CommandError(error.code, error.message, 2) : error;

/** `journal heads`: lists the last heads, or exports what a second party needs to countersign the last one. */
export const journalHeads = async (
  dir: string,
  options: { readonly last: number; readonly export: string | undefined; readonly json: boolean },
  terminal: Terminal,
): Promise<void> => {
  const { heads, keys } = await readHeadLines(nodeDisk, dir).catch((error: unknown) => {
    throw explained(error);
  });
  if (heads.length === 0) throw new CommandError('heads-missing', `no head was signed in ${dir}`);
  if (options.export !== undefined) {
    const last = heads.at(-1);
    const lines = [...keys, ...(last === undefined ? [] : [await headLineAt(nodeDisk, dir, last)])];
    await writeFile(options.export, `${lines.join('\n')}\n`);
    terminal.err(`${options.export}: ${keys.length} key line(s) and the head over ${last?.size} rows`);
    return;
  }
  const rows: string[][] = [['number', 'signed', 'rows', 'root', 'last row', 'key']];
  for (const place of heads.slice(-options.last)) {
    const line = await headLineAt(nodeDisk, dir, place);
    if (options.json) terminal.out(line);
    else {
      const { body, key } = JSON.parse(line) as { body: Record<string, unknown>; key: string };
      const short = (value: unknown): string => `${String(value).slice(0, 16)}…`;
      rows.push([
        String(body.number),
        String(body.at),
        String(body.size),
        short(body.root),
        short(body.rowHash),
        key,
      ]);
    }
  }
  if (!options.json) terminal.out(columns(rows));
};

export interface ProveOptions {
  readonly seq: string | undefined;
  readonly size: string | undefined;
  readonly from: string | undefined;
  readonly to: string | undefined;
}

/** `journal prove`: a proof as JSON, of one row or of the growth from one tree to another. */
export const journalProve = async (dir: string, options: ProveOptions, terminal: Terminal): Promise<void> => {
  const count = (text: string): number => {
    const number = Number(text);
    if (!Number.isSafeInteger(number) || number < 0)
      throw new CommandError('count-invalid', `${text} is not a number of rows`, 2);
    return number;
  };
  const { seq, size, from, to } = options;
  if ((seq === undefined) === (from === undefined))
    throw new CommandError('usage', 'give --seq for a row, or --from for the growth of the tree', 2);
  try {
    const prover = await openProver(dir);
    const proof =
      seq !== undefined
        ? await prover.inclusion(count(seq), size === undefined ? undefined : count(size))
        : await prover.consistency(count(from ?? '0'), to === undefined ? prover.size : count(to));
    terminal.out(JSON.stringify(proof));
  } catch (error) {
    throw explained(error);
  }
};

export interface CountersignFlags {
  readonly head: string;
  readonly key: string;
  readonly journalKey: string | undefined;
  readonly proof: string | undefined;
  readonly journal: string | undefined;
  readonly state: string | undefined;
  readonly out: string | undefined;
}

/**
 * `journal countersign`: the second party signs the last head of a file, if it is consistent with the last one it
 * signed. It remembers that one beside its key, or in `--state`.
 */
export const journalCountersign = async (flags: CountersignFlags, terminal: Terminal): Promise<void> => {
  const privateKey = await secondPartyKey(flags.key);
  const lines = textOf(flags.head)
    .split('\n')
    .filter((line) => line !== '');
  const relevant = lines.filter((line, i) => i === lines.length - 1 || line.includes('"kind":"key"'));
  const state = flags.state ?? `${flags.key}.state.json`;
  const memory = existsSync(state) ? readMemory(textOf(state)) : undefined;
  if (memory === undefined && existsSync(state))
    throw new CommandError('state-invalid', `${state} does not say what was countersigned before`, 2);
  const trusted = flags.journalKey === undefined ? undefined : readPublicKeyFile(flags.journalKey);
  const known = memory === undefined ? undefined : atOnce(publicKeyOf(memory.key));
  if (trusted !== undefined && known !== undefined && trusted.text !== known.text)
    throw new CommandError('head-key-unknown', `${state} knows another key of this journal`, 2);
  const result = countersign({
    lines: relevant,
    privateKey,
    at: new Date().toISOString(),
    memory,
    trusted,
    proof: await proofFor(flags, memory, lines.at(-1) ?? ''),
  });
  if (!result.ok) throw new CommandError(result.code, `not countersigned: ${result.why}`, 2);
  // Remembered before it is handed out: what was signed once must never be forgotten.
  await replaceFile(state, [`${JSON.stringify(result.memory)}\n`]);
  if (flags.out === undefined) terminal.out(result.line);
  else {
    await mkdir(dirname(flags.out), { recursive: true });
    await appendFile(flags.out, `${result.line}\n`);
    terminal.err(`${flags.out}: head ${result.head.number} over ${result.head.size} rows is countersigned`);
  }
};

const proofFor = async (
  flags: CountersignFlags,
  memory: Memory | undefined,
  line: string,
): Promise<unknown> => {
  if (memory === undefined) return undefined;
  if (flags.proof !== undefined) return JSON.parse(textOf(flags.proof)) as unknown;
  if (flags.journal === undefined) return undefined;
  const size = /"size":(\d{1,16})\}/.exec(line)?.[1];
  if (size === undefined || Number(size) < memory.size) return undefined;
  try {
    return await (await openProver(flags.journal)).consistency(memory.size, Number(size));
  } catch (error) {
    throw explained(error);
  }
};

const secondPartyKey = async (file: string) => {
  try {
    if (((await stat(file)).mode & 0o077) !== 0)
      throw new CommandError('head-key-unusable', `${file} may be used by others; chmod 600 it`, 2);
    return countersigningKey(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError('head-key-unusable', `${file} holds no Ed25519 private key that can be read`, 2);
  }
};

const readPublicKeyFile = (file: string) => {
  try {
    return readPublicKey(file);
  } catch (error) {
    throw new CommandError('head-key-unusable', error instanceof Error ? error.message : String(error), 2);
  }
};

const textOf = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw new CommandError('file-unreadable', `${file} cannot be read`, 2);
  }
};
