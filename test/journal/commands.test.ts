import { execFileSync } from 'node:child_process';
import { cp, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { journalVerify, journalVerifyProof } from '../../src/cli/journal.js';
import {
  type CountersignFlags,
  journalCountersign,
  journalHandover,
  journalHeads,
  journalKeygen,
  journalProve,
  publicFileOf,
} from '../../src/cli/journal-heads.js';
import { readHandover, readSigningKey } from '../../src/journal/heads/signing-key.js';
import { openProver } from '../../src/journal/prove.js';
import { verifyProgram } from '../../src/journal/verify/program.js';
import { fromRoot } from '../../src/root.js';
import { inProcess, type Run } from '../cli/terminal.js';
import { fill, signedPlace } from './signed.js';

t.test('from a key to a verified proof, as people do it', async (t) => {
  const place = await signedPlace(t);
  const at = (name: string): string => join(place.root, name);
  const [first, second, defender] = [at('keys/first.pem'), at('keys/second.pem'), at('defender.pem')];
  for (const file of [first, second, defender]) {
    const made = await inProcess((terminal) => journalKeygen(file, terminal));
    t.match(made, { code: 0, out: /key id {7}[0-9a-f]{16}/ });
    t.equal((await stat(file)).mode & 0o777, 0o600);
  }
  t.match(await inProcess((terminal) => journalKeygen(first, terminal)), { code: 1, err: /\[key-exists\]/ });
  const journal = await place.open({}, { key: await readSigningKey(first) });
  await fill(journal, 2, 5);
  await journal.close();

  const list = (json: boolean): Promise<Run> =>
    inProcess((terminal) => journalHeads(place.dir, { last: 2, export: undefined, json }, terminal));
  t.match(await list(false), { code: 0, out: /^number +signed +rows +root/ });
  t.equal((await list(true)).out.split('\n').length - 1, 2);
  t.match(
    await inProcess((terminal) =>
      journalHeads(place.root, { last: 2, export: undefined, json: false }, terminal),
    ),
    { code: 1, err: /\[heads-missing\]/ },
  );

  // A second party countersigns, the journal goes on with its next key, and it countersigns again.
  const signatures = join(place.dir, 'countersigned', 'defender.jsonl');
  const head = at('head');
  const countersign = (more: Partial<CountersignFlags> = {}): Promise<Run> =>
    inProcess(async (terminal) => {
      await journalHeads(place.dir, { last: 1, export: head, json: false }, terminal);
      const flags = { head, key: defender, journalKey: undefined, proof: undefined, journal: undefined };
      await journalCountersign({ ...flags, state: undefined, out: signatures, ...more }, terminal);
    });
  t.match(await countersign(), { code: 2, err: /\[head-key-unknown\]/ }, 'it must know whose journal it is');
  t.match(await countersign({ journalKey: publicFileOf(first) }), { code: 0 });
  t.match(await inProcess((terminal) => journalHandover(first, second, terminal)), { code: 0 });
  t.match(await inProcess((terminal) => journalHandover(first, second, terminal)), { code: 1 });
  t.match(await inProcess((terminal) => journalHandover(at('none.pem'), second, terminal)), {
    code: 2,
    err: /\[head-key-unusable\]/,
  });
  const handover = await readHandover(second);
  if (handover === undefined) throw new Error('no handover');
  const again = await place.open({}, { key: await readSigningKey(second), handover });
  await fill(again, 3, 5);
  await again.close();
  t.match(await countersign(), { code: 2, err: /\[proof-missing\]/ });
  const { size } = JSON.parse(await readFile(`${defender}.state.json`, 'utf8')) as { size: number };
  const proof = at('growth.json');
  const grown = await inProcess((terminal) =>
    journalProve(place.dir, { seq: undefined, size: undefined, from: String(size), to: undefined }, terminal),
  );
  await writeFile(proof, grown.out);
  t.match(await countersign({ proof }), { code: 0 });
  t.match(await countersign({ journal: place.dir }), { code: 0 }, 'the same head again');
  await writeFile(at('state'), '{}');
  t.match(await countersign({ state: at('state') }), { code: 2, err: /\[state-invalid\]/ });
  t.match(await countersign({ journalKey: publicFileOf(first) }), { code: 2, err: /another key/ });

  const flags = {
    key: [publicFileOf(first)],
    shipped: place.shipped,
    countersigner: [publicFileOf(defender)],
  };
  const verified = await inProcess((terminal) => journalVerify(place.dir, flags, true, terminal));
  t.equal(verified.code, 0, verified.err);
  t.match(JSON.parse(verified.out), { ok: true, problems: [], countersigned: 3, heads: { unsignedRows: 0 } });
  t.match(await inProcess((terminal) => journalVerify(place.dir, { key: [first] }, false, terminal)), {
    code: 2,
    err: /no Ed25519 public key/,
  });

  const one = await inProcess((terminal) =>
    journalProve(
      place.dir,
      { seq: '7', size: String(sizeIn(verified.out)), from: undefined, to: undefined },
      terminal,
    ),
  );
  const file = at('proof.json');
  await writeFile(file, one.out);
  for (const key of [first, second]) {
    const proved = await inProcess(async (terminal) =>
      journalVerifyProof(file, [publicFileOf(key)], false, terminal),
    );
    t.match(proved, { code: 0, out: /^proved: row 7 of journal [0-9a-f]{16} of controller-1/ });
  }
  const stranger = await inProcess(async (terminal) =>
    journalVerifyProof(file, [publicFileOf(defender)], false, terminal),
  );
  t.match(stranger, { code: 2, out: /NOT PROVED/ });
  for (const options of [
    { seq: '7', size: undefined, from: '1', to: undefined },
    { seq: undefined, size: undefined, from: undefined, to: undefined },
    { seq: 'x', size: undefined, from: undefined, to: undefined },
    { seq: '999', size: undefined, from: undefined, to: undefined },
  ]) {
    t.match(await inProcess((terminal) => journalProve(place.dir, options, terminal)), { code: 2 });
  }

  // The verifier alone, as an auditor has it: a folder with nothing but its own files.
  const alone = at('alone');
  await mkdir(join(alone, 'journal'), { recursive: true });
  await cp(fromRoot('dist', 'src', 'journal', 'verify'), join(alone, 'journal', 'verify'), {
    recursive: true,
  });
  await cp(fromRoot('dist', 'src', 'journal', 'verify.js'), join(alone, 'journal', 'verify.js'));
  await writeFile(join(alone, 'package.json'), '{"type":"module"}');
  const program = join(alone, 'journal', 'verify', 'main.js');
  const args = ['--key', publicFileOf(first), '--shipped', place.shipped, place.dir];
  const said = execFileSync(process.execPath, [program, ...args], { encoding: 'utf8' });
  t.match(said, /^verified {2}every row is where it was written$/m);

  const run = async (...words: string[]): Promise<Run> => {
    const out: string[] = [];
    const err: string[] = [];
    const code = await verifyProgram(words, {
      out: (text) => void out.push(text),
      err: (text) => void err.push(text),
    });
    return { code, out: out.join('\n'), err: err.join('\n') };
  };
  t.match(await run('--proof', file, '--key', publicFileOf(second), '--json'), { code: 0, out: /"ok":true/ });
  t.match(await run('--proof', file), { code: 2, out: /NOT PROVED/ });
  t.match(await run('--proof', at('none'), '--key', publicFileOf(second)), { code: 2 });
  t.match(await run(), { code: 2, err: /journal-verify \[options\] DIR/ });
  t.match(await run('--what', place.dir), { code: 2 });
  t.match(await run('--head', 'x', place.dir), { code: 2, err: /SEQ:HASH/ });
  t.match(await run(place.root), { code: 2 }, 'no journal');
  t.match(await run('--key', publicFileOf(defender), place.dir), { code: 2, out: /head-key-unknown/ });
  const prover = await openProver(place.dir);
  t.equal(prover.size, sizeIn(verified.out));
});

const sizeIn = (json: string): number => (JSON.parse(json) as { heads: { size: number } }).heads.size;
