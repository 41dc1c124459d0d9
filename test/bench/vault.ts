/**
 * Encryption and decryption in MiB a second beside Debian's `age`, in one run: `node dist/test/bench/vault.js`. Rounds
 * are interleaved, so that what else the machine does hits both alike; compare the ratios. `age` has a process to
 * start, about 5 ms, and we have one thread.
 */
import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bytesOf } from '../../src/durable/bytes.js';
import { fromRoot } from '../../src/root.js';
import { openSealed } from '../../src/vault/age-stream.js';
import { readIdentityFile, writeIdentityFile } from '../../src/vault/key-files.js';
import { SealedWriter } from '../../src/vault/sealed-writer.js';
import type { Staged } from '../../src/vault/store.js';
import type { PartFigure } from './parts.js';
import { quantile } from './rung.js';

const MIB = 2 ** 20;
const SIZE_MIB = 64;
const ROUNDS = 7;

const PLAIN = 'plain';
const works = ['we encrypt', 'age encrypts', 'we decrypt', 'age decrypts'] as const;
type Work = (typeof works)[number];

interface Bench {
  readonly rates: ReadonlyMap<Work, readonly number[]>;
}

/** A file to a file, as the recorder does it, but without a sync: `age` does none either. */
const measure = async (dir: string): Promise<Bench> => {
  const at = (name: string): string => join(dir, name);
  const recipient = await writeIdentityFile(at('key'), []);
  const identities = await readIdentityFile(at('key'));
  writeFileSync(at(PLAIN), randomFillSync(Buffer.alloc(SIZE_MIB * MIB)));
  const between = async (
    from: string,
    to: string,
    pass: (source: AsyncIterable<Buffer>, put: Put) => Promise<void>,
  ) => {
    const [input, output] = [await open(at(from)), await open(at(to), 'w')];
    try {
      await pass(
        bytesOf(input),
        async (bytes, position) =>
          void (await output.writev(bytes instanceof Uint8Array ? [bytes] : [...bytes], position)),
      );
    } finally {
      await Promise.all([input.close(), output.close()]);
    }
  };
  const age = async (...args: string[]): Promise<void> => void execFileSync('age', args);
  const run: Readonly<Record<Work, () => Promise<void>>> = {
    'we encrypt': () =>
      between(PLAIN, 'ours', async (source, put) => {
        const writer = new SealedWriter({ writeAt: put }, [recipient]);
        for await (const bytes of source) await writer.write(bytes);
        await writer.end();
      }),
    'age encrypts': () => age('-r', recipient.text, '-o', at('theirs'), at(PLAIN)),
    'we decrypt': () =>
      between('theirs', 'opened', async (source, put) => {
        const held: Buffer[] = [];
        let [length, written] = [0, 0];
        for await (const bytes of openSealed(source, identities)) {
          held.push(bytes);
          length += bytes.length;
          if (length - written < MIB) continue;
          await put(held.splice(0), written);
          written = length;
        }
        await put(held, written);
      }),
    'age decrypts': () => age('-d', '-i', at('key'), '-o', at('opened'), at('ours')),
  };
  const rates = new Map<Work, number[]>(works.map((work) => [work, []]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const work of works) {
      const began = performance.now();
      await run[work]();
      // The first round warms up.
      if (round > 0) rates.get(work)?.push((SIZE_MIB * 1000) / (performance.now() - began));
    }
  }
  return { rates };
};
type Put = Staged['writeAt'];

const sorted = (rates: readonly number[] = []): number[] => [...rates].sort((a, b) => a - b);

export const vaultParts = async (): Promise<PartFigure[]> => {
  mkdirSync(fromRoot('var'), { recursive: true });
  const dir = mkdtempSync(fromRoot('var', 'bench-vault-'));
  try {
    const { rates } = await measure(dir);
    return works.map((work) => ({
      name: `${SIZE_MIB} MiB, ${work}: MiB a second`,
      p50Us: null,
      p99Us: null,
      perSecond: Math.round(quantile(sorted(rates.get(work)), 0.5)),
    }));
  } finally {
    rmSync(dir, { recursive: true });
  }
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const parts = await vaultParts();
  for (const { name, perSecond } of parts) process.stdout.write(`${name} ${perSecond}\n`);
  const rate = (i: number): number => parts[i]?.perSecond ?? Number.NaN;
  const ratios = [rate(0) / rate(1), rate(2) / rate(3)].map((ratio) => ratio.toFixed(2));
  process.stdout.write(`ratio to age: encrypting ${ratios[0]}, decrypting ${ratios[1]}\n`);
}
