import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { HeadSettings } from '../../src/journal/heads/head-signer.js';
import { DirectoryTarget } from '../../src/journal/heads/ship-target.js';
import { generateSigningKey, type SigningKey, signingKey } from '../../src/journal/heads/signing-key.js';
import { type Journal, openJournal } from '../../src/journal/log.js';
import type { JournalEvent, JournalOptions } from '../../src/journal/options.js';
import type { PublicKey } from '../../src/journal/verify/ask.js';
import { atOnce } from '../../src/journal/verify/at-once.js';
import { publicKeyOf } from '../../src/journal/verify/signed.js';
import { newDirectory, options } from './fixture.js';

export interface KeyPair {
  readonly key: SigningKey;
  readonly known: PublicKey;
  readonly privatePem: string;
  readonly publicPem: string;
}

export function keyPair(): KeyPair {
  const { privatePem, publicPem } = generateSigningKey();
  const known = atOnce(publicKeyOf(publicPem));
  if (known === undefined) throw new Error('no public key');
  return { key: signingKey(privatePem), known, privatePem, publicPem };
}

/** A journal with heads, and a place to which they are shipped. */
export interface SignedPlace extends KeyPair {
  readonly root: string;
  readonly dir: string;
  readonly shipped: string;
  readonly events: JournalEvent[];
  open(more?: Partial<JournalOptions>, heads?: Partial<HeadSettings>): Promise<Journal>;
}

export async function signedPlace(t: Test, pair: KeyPair = keyPair()): Promise<SignedPlace> {
  const root = await newDirectory(t, 'memory');
  const [dir, shipped] = [join(root, 'journal'), join(root, 'shipped')];
  await mkdir(shipped);
  const events: JournalEvent[] = [];
  return {
    ...pair,
    root,
    dir,
    shipped,
    events,
    // Heads come when a test asks for them: nothing may depend on when a timer fires.
    open: (more = {}, heads = {}) =>
      openJournal(
        options(dir, {
          onEvent: (event) => events.push(event),
          heads: { key: pair.key, everySeconds: 3600, ship: new DirectoryTarget(shipped), ...heads },
          ...more,
        }),
      ),
  };
}

/** Appends rows in groups, with a head after each group. */
export async function fill(journal: Journal, groups: number, size: number, text = 'x'): Promise<void> {
  for (let group = 0; group < groups; group += 1) {
    await Promise.all(
      Array.from({ length: size }, (_, n) => journal.append('test', { group, n, text: text.repeat(n % 40) })),
    );
    await journal.signHead();
  }
}
