import { execFileSync } from 'node:child_process';
import { createCipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { armored, unarmored } from '../../src/vault/age-armor.js';
import { makeHeader, readHeader } from '../../src/vault/age-header.js';
import { makeIdentity, parseIdentity, parseRecipient } from '../../src/vault/age-keys.js';
import { CHUNK, openBytes, openSealed, type Piece, Sealer, sealBytes } from '../../src/vault/age-stream.js';
import { decodeBech32, encodeBech32 } from '../../src/vault/bech32.js';
import { SealedWriter } from '../../src/vault/sealed-writer.js';

/** Our own age against Debian's `age` and `age-keygen`, in both directions. */

const dir = mkdtempSync(join(tmpdir(), 'sallyport-age-'));
t.teardown(() => rmSync(dir, { recursive: true, force: true }));
const at = (name: string): string => join(dir, name);

const one = makeIdentity();
const two = makeIdentity();
const other = makeIdentity();
writeFileSync(at('one.key'), `# a key\n${one.text}\n`, { mode: 0o600 });
writeFileSync(at('two.key'), `${two.text}\n`, { mode: 0o600 });
const recipients = [one.identity.recipient, two.identity.recipient];

const age = (...args: string[]): Buffer =>
  execFileSync('age', args, { stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 2 ** 22 });
const byAge = (sealed: Buffer, key = 'one.key'): Buffer => {
  writeFileSync(at('in.age'), sealed);
  return age('-d', '-i', at(key), at('in.age'));
};

/** Bytes that repeat nowhere near a chunk's length, so that a chunk in another's place shows. */
const bytesOf = (length: number): Buffer => {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 7 + (i >> 8) * 13 + (i >> 16) * 101) & 0xff;
  return bytes;
};

const sizes = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 1, 5 * CHUNK + 77];

t.test('keys are those of age-keygen', async (t) => {
  execFileSync('age-keygen', ['-o', at('theirs.key')], { stdio: 'ignore' });
  const text = readFileSync(at('theirs.key'), 'utf8');
  const secret = /^AGE-SECRET-KEY-1.*$/m.exec(text)?.[0] ?? '';
  const identity = parseIdentity(secret);
  t.equal(identity.recipient.text, /# public key: (\S+)/.exec(text)?.[1]);
  t.equal(
    execFileSync('age-keygen', ['-y', at('one.key')], { encoding: 'utf8' }).trim(),
    one.identity.recipient.text,
  );
  t.same(parseRecipient(identity.recipient.text).point, identity.recipient.point);
});

t.test('a mistyped key is none', async (t) => {
  const { text } = one.identity.recipient;
  for (let i = 0; i < text.length; i++) {
    const wrong = `${text.slice(0, i)}${text[i] === 'q' ? 'p' : 'q'}${text.slice(i + 1)}`;
    t.throws(() => parseRecipient(wrong), { code: 'key-malformed' });
  }
  const low = encodeBech32('age', Buffer.alloc(32));
  const bad = ['', 'age1', text.toUpperCase(), `${text} `, `a${text}`, text.slice(0, -1), low];
  for (const wrong of [...bad, encodeBech32('age', Buffer.alloc(31, 1)), one.text]) {
    t.throws(() => parseRecipient(wrong), { name: 'VaultError', code: 'key-malformed' }, wrong.slice(0, 8));
  }
  for (const wrong of [one.text.toLowerCase(), text, '', 'AGE-SECRET-KEY-1']) {
    t.throws(() => parseIdentity(wrong), { code: 'key-malformed' });
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) =>
      decodeBech32('age', encodeBech32('age', bytes))?.equals(Buffer.from(bytes)),
    ),
  );
});

t.test('age reads what we write, for every recipient', async (t) => {
  for (const size of sizes) {
    const plain = bytesOf(size);
    const sealed = sealBytes(plain, recipients);
    t.ok(byAge(sealed).equals(plain), `${size} bytes`);
    t.ok(byAge(sealed, 'two.key').equals(plain), `${size} bytes, the second recipient`);
    t.ok(byAge(Buffer.from(armored(sealed))).equals(plain), `${size} bytes, armored`);
    t.notOk(size > 64 && sealed.includes(plain.subarray(0, 64)));
  }
});

t.test('we read what age writes', async (t) => {
  const to = recipients.flatMap(({ text }) => ['-r', text]);
  for (const size of sizes) {
    const plain = bytesOf(size);
    writeFileSync(at('plain'), plain);
    age(...to, '-o', at('theirs.age'), at('plain'));
    const theirs = readFileSync(at('theirs.age'));
    t.ok((await openBytes(theirs, [two.identity])).equals(plain), `${size} bytes`);
    await t.rejects(openBytes(theirs, [other.identity]), { code: 'identity-unfit' });
    age('-a', ...to, '-o', at('armored.age'), at('plain'));
    const text = readFileSync(at('armored.age'), 'utf8');
    t.ok((await openBytes(unarmored(text), [one.identity])).equals(plain));
    t.throws(() => unarmored(text.replace('\n', '\n ')), { code: 'age-malformed' });
  }
});

t.test('however the bytes come: sizes around the bounds of a chunk, a head that is known last', async (t) => {
  const near = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: -20, max: 20 }));
  await fc.assert(
    fc.asyncProperty(
      near.map(([chunks, more]) => Math.max(0, chunks * CHUNK + more)),
      fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 6 }),
      fc.constantFrom(0, 44, CHUNK),
      async (size, cuts, headBytes) => {
        const head = Buffer.alloc(headBytes, 0xee);
        const body = bytesOf(size);
        const sealer = new Sealer(recipients, headBytes);
        const pieces: Piece[] = [];
        for (let from = 0, i = 0; from < size; i++) {
          const count = cuts[i % cuts.length] ?? 1;
          pieces.push(...sealer.push(body.subarray(from, from + count)));
          from += count;
        }
        pieces.push(...sealer.finish(head));
        const length = Math.max(...pieces.map((piece) => piece.at + piece.length));
        const sealed = Buffer.alloc(length);
        let written = 0;
        for (const piece of pieces) written += Buffer.concat(piece.bytes).copy(sealed, piece.at);
        const source = async function* () {
          for (let from = 0, i = 0; from < length; i++) {
            const count = cuts[i % cuts.length] ?? 1;
            yield sealed.subarray(from, from + count);
            from += count;
          }
        };
        const parts: Buffer[] = [];
        for await (const part of openSealed(source(), [one.identity])) parts.push(part);
        return written === length && Buffer.concat(parts).equals(Buffer.concat([head, body]));
      },
    ),
    { numRuns: 60 },
  );
  const sealer = new Sealer(recipients, 44);
  t.throws(() => sealer.finish(Buffer.alloc(43)), RangeError);
  t.throws(() => new Sealer([]), { code: 'no-recording-key' });
});

/** Takes what is written, wherever it belongs; a place is only ever written to once. */
const takerOf = () => {
  let file = Buffer.alloc(0);
  let bytesIn = 0;
  let writes = 0;
  return {
    writeAt: async (bytes: Buffer | readonly Buffer[], at: number): Promise<void> => {
      const whole = bytes instanceof Uint8Array ? bytes : Buffer.concat(bytes);
      if (at + whole.length > file.length)
        file = Buffer.concat([file, Buffer.alloc(at + whole.length - file.length)]);
      whole.copy(file, at);
      bytesIn += whole.length;
      writes++;
    },
    taken: () => ({ file, whole: bytesIn === file.length, writes }),
  };
};

t.test('written in few pieces: any size and head, and a digest that is that of the file', async (t) => {
  let digests = 0;
  let long = 0;
  const most = bytesOf(34 * CHUNK + 20);
  await fc.assert(
    fc.asyncProperty(
      fc.tuple(fc.integer({ min: 0, max: 34 }), fc.integer({ min: -20, max: 20 })),
      fc.array(fc.integer({ min: 9_000, max: 300_000 }), { minLength: 1, maxLength: 6 }),
      fc.constantFrom(0, 44, CHUNK),
      async ([chunks, more], cuts, headBytes) => {
        const body = most.subarray(0, Math.max(0, chunks * CHUNK + more));
        const head = Buffer.alloc(headBytes, 0xee);
        const taker = takerOf();
        const writer = new SealedWriter(taker, recipients, headBytes);
        for (let from = 0, i = 0; from < body.length; i++) {
          const part = Buffer.from(body.subarray(from, from + (cuts[i % cuts.length] ?? 1)));
          await writer.write(part);
          from += part.length;
          // It is ours again.
          part.fill(0xdd);
        }
        const digest = await writer.end(head);
        const { file, whole, writes } = taker.taken();
        if (digest !== null) digests++;
        else long++;
        const right = digest === null || digest === createHash('sha256').update(file).digest('hex');
        const opened = await openBytes(file, [two.identity]);
        const few = writes <= 3 + body.length / 2 ** 20;
        return whole && right && few && opened.equals(Buffer.concat([head, body]));
      },
    ),
    { numRuns: 40 },
  );
  t.ok(digests > 0 && long > 0, 'files of both kinds were written');
  const short = new SealedWriter(takerOf(), recipients, 44);
  await short.write(bytesOf(300_000));
  t.match(await short.end(Buffer.alloc(44)), /^[0-9a-f]{64}$/, 'a short file is not read again');
});

t.test('an ended file takes nothing more: what it was made with is another’s', async (t) => {
  const sealer = new Sealer(recipients);
  sealer.push(bytesOf(10));
  sealer.finish();
  t.throws(() => sealer.push(bytesOf(10)), RangeError);
  t.throws(() => sealer.push(bytesOf(3 * CHUNK)), RangeError);
  t.throws(() => sealer.finish(), RangeError);
  sealer.forget();
  // Files that are made at the same time have nothing of each other, though pages go from one to the next.
  const many = Array.from({ length: 8 }, (_, i) => ({
    i,
    sealer: new Sealer(recipients, 44),
    pieces: [] as Piece[],
  }));
  for (let round = 0; round < 5; round++) {
    for (const one of many) one.pieces.push(...one.sealer.push(Buffer.alloc(30_000, 0x10 * round + one.i)));
    const gone = new Sealer(recipients, 44);
    gone.push(Buffer.alloc(100_000, 0xff));
    gone.forget();
    gone.forget();
  }
  for (const { i, sealer: each, pieces } of many) {
    pieces.push(...each.finish(Buffer.alloc(44, i)));
    pieces.sort((left, right) => left.at - right.at);
    const opened = await openBytes(Buffer.concat(pieces.flatMap(({ bytes }) => bytes)), [one.identity]);
    const rounds = [0, 1, 2, 3, 4].map((round) => Buffer.alloc(30_000, 0x10 * round + i));
    t.ok(opened.equals(Buffer.concat([Buffer.alloc(44, i), ...rounds])), `file ${i}`);
  }
});

t.test('what is no age file', async (t) => {
  const sealed = sealBytes(bytesOf(10), recipients);
  const text = sealed.toString('latin1');
  const cases: readonly (readonly [string, string])[] = [
    ['', 'age-malformed'],
    ['RIFF', 'age-malformed'],
    [text.replace('v1', 'v2'), 'age-malformed'],
    [text.replace('-> X25519 ', '-> X25519  '), 'age-malformed'],
    [text.replace('-> X25519 ', '-> X25519 a '), 'age-malformed'],
    [
      text.replace(/-> X25519 \S+/, `-> X25519 ${Buffer.alloc(32).toString('base64').slice(0, 43)}`),
      'age-malformed',
    ],
    [text.replace(/(-> X25519 \S+\n)\S+\n/, '$1\n'), 'age-malformed'],
    [text.replace(/(-> X25519 \S+\n\S+)\n/, '$1=\n'), 'age-malformed'],
    [text.replace(/\n--- \S+/, '\n--- AAAA'), 'age-malformed'],
    [text.replace(/(-> .*\n.*\n)+/, '-> ' + 'x'.repeat(70_000)), 'age-malformed'],
    [text.replace(/^(.*\n)(-> .*\n.*\n)/, `$1${'$2'.repeat(65)}`), 'age-malformed'],
    // Another stanza may stand there (age.md, "Recipient stanza"), only the MAC must know it.
    [text.replace('\n->', '\n-> grease a b\nAAAA\n->'), 'age-header-changed'],
    [text.replace(/(-> X25519 \S+\n\S+\n)(?=---)/, ''), 'age-header-changed'],
    [text.slice(0, text.indexOf('---') + 48), 'age-cut'],
  ];
  for (const [wrong, code] of cases) {
    await t.rejects(
      openBytes(Buffer.from(wrong, 'latin1'), [one.identity]),
      { name: 'VaultError', code },
      `${code} ${wrong.slice(0, 60)}`,
    );
  }
});

t.test('a last chunk is never empty where there is another, though its tag is right', async (t) => {
  const sealedAs = (parts: readonly (readonly [Buffer, number])[]): Buffer => {
    const { bytes, fileKey } = makeHeader(recipients);
    const salt = randomBytes(16);
    const key = Buffer.from(hkdfSync('sha256', fileKey, salt, 'payload', 32));
    const chunks = parts.map(([plain, last], i) => {
      const nonce = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, i, last]);
      const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
      return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    });
    return Buffer.concat([bytes, salt, ...chunks]);
  };
  const full = bytesOf(CHUNK);
  const good = sealedAs([
    [full, 0],
    [full, 1],
  ]);
  t.ok(byAge(good).equals(await openBytes(good, [one.identity])), 'made by hand, and read by both');
  const empty = sealedAs([
    [full, 0],
    [Buffer.alloc(0), 1],
  ]);
  await t.rejects(openBytes(empty, [one.identity]), { code: 'age-changed' });
  t.throws(() => byAge(empty), 'age refuses it too');
  const early = sealedAs([
    [full, 1],
    [full, 1],
  ]);
  await t.rejects(openBytes(early, [one.identity]), { code: 'age-changed' });
});

t.test('one changed byte anywhere, any cut, any chunk in another’s place is found', async (t) => {
  const plain = bytesOf(3 * CHUNK + 500);
  const sealed = sealBytes(plain, [one.identity.recipient]);
  const { length } = readHeader(sealed);
  const begin = length + 16;
  const isFound = (bytes: Buffer): Promise<boolean> =>
    openBytes(bytes, [one.identity]).then(
      () => false,
      (error: unknown) => (error as { code?: string }).code !== undefined,
    );
  const small = sealBytes(bytesOf(100), [one.identity.recipient]);
  const missed: string[] = [];
  for (let i = 0; i < small.length; i++) {
    for (const bit of [1, 0x80]) {
      const flipped = Buffer.from(small);
      flipped[i] = (flipped[i] ?? 0) ^ bit;
      if (!(await isFound(flipped))) missed.push(`byte ${i}`);
    }
    if (!(await isFound(small.subarray(0, i)))) missed.push(`cut at ${i}`);
  }
  t.same(missed, [], 'a small file, byte by byte');
  await fc.assert(
    fc.asyncProperty(fc.nat(sealed.length - 1), fc.integer({ min: 1, max: 255 }), async (i, change) => {
      const flipped = Buffer.from(sealed);
      flipped[i] = (flipped[i] ?? 0) ^ change;
      return (await isFound(flipped)) && (await isFound(sealed.subarray(0, i)));
    }),
    { numRuns: 100 },
  );
  const step = CHUNK + 16;
  const chunk = (i: number): Buffer => sealed.subarray(begin + i * step, begin + (i + 1) * step);
  const head = sealed.subarray(0, begin);
  const orders = [
    [1, 0, 2, 3],
    [0, 2, 1, 3],
    [0, 1, 2],
    [0, 1, 3],
    [0, 1, 1, 2, 3],
    [0, 1, 2, 3, 3],
    [3],
    [],
  ];
  for (const order of orders) {
    const moved = Buffer.concat([head, ...order.map(chunk)]);
    await t.rejects(openBytes(moved, [one.identity]), { code: /^age-(changed|cut)$/ }, order.join());
  }
  await t.rejects(openBytes(Buffer.concat([head, chunk(0), chunk(1)]), [one.identity]), { code: 'age-cut' });
  await t.rejects(openBytes(Buffer.concat([sealed, Buffer.alloc(1)]), [one.identity]), {
    code: 'age-changed',
  });
  // Of another file with the same recipient.
  const foreign = sealBytes(plain, [one.identity.recipient]);
  foreign.copy(sealed, begin + step, begin + step, begin + 2 * step);
  await t.rejects(openBytes(sealed, [one.identity]), { code: 'age-changed' });
});

t.end();
