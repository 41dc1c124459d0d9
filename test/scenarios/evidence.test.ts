import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { publicFileOf } from '../../src/cli/journal-heads.js';
import { fromRoot } from '../../src/root.js';
import { Terminal } from '../cli/terminal.js';
import { bothHear, converse, hangUp } from '../site/conversation.js';
import { openSite, type Site } from '../site/site.js';

t.setTimeout(240_000);

const monitored = '2125550142';
const privileged = '12125550111';
const unlisted = '2125550199';

/** The verifier alone, in a folder where nothing else is: no package, no configuration, no journal. */
const verifierAlone = (site: Site): { readonly dir: string; readonly main: string } => {
  const dir = mkdtempSync(join(site.dir, 'elsewhere-'));
  const from = fromRoot('dist', 'src');
  mkdirSync(join(dir, 'journal'));
  for (const part of ['journal/verify.js', 'journal/verify', 'evidence/verify'])
    cpSync(join(from, part), join(dir, part), { recursive: true });
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
  return { dir, main: join(dir, 'evidence', 'verify', 'main.js') };
};

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

const alone = (main: string, args: readonly string[], cwd: string): Ran => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    cwd,
    env: {},
    encoding: 'utf8',
  });
  return { code: status, out: stdout, err: stderr };
};

t.test('three calls, their evidence, and a verifier that has it and a public key', async (t: Test) => {
  const site = await openSite(t);
  site.called.answerWith({ do: 'answer', ring: {}, afterMs: 50 });
  const recorded = await converse(site, monitored);
  await bothHear(t, recorded, 'a monitored call');
  const cdr = await hangUp(site, recorded);
  const secret = await converse(site, privileged);
  await bothHear(t, secret, 'a private call');
  await hangUp(site, secret);
  const refused = await site.call(unlisted);
  await refused.ended();
  await site.ended(3);
  const ids = site.callIds();
  t.equal(ids.length, 3);

  // Nothing of the last minute is signed yet, unless by chance: the command says so, beside the living controller.
  const { directory, heads } = site.config.journal;
  const early = await new Terminal(['evidence', ids[1] ?? '', '--journal', directory]).done;
  if (early.code !== 0) t.match(early.err, /\[evidence-not-yet-headed\]/);

  // Looked at again after the calls, and signed.
  const last = (await site.rows({ kinds: ['cdr'] })).at(-1)?.seq ?? 0;
  for (let looked = new Set<string>(); looked.size < 2; ) {
    const looks = (await site.rows({ kinds: ['attestation'] })).filter(({ seq }) => seq > last);
    looked = new Set(looks.map(({ body }) => body.node));
    if (looked.size < 2) await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await site.sallyport.journal.signHead();

  const out = mkdtempSync(join(site.dir, 'evidence-'));
  const names = ['monitored', 'private', 'refused'] as const;
  const { dir, main } = verifierAlone(site);
  const key = join(dir, 'head.pub.pem');
  cpSync(publicFileOf(heads?.keyFile ?? ''), key);
  for (const [index, name] of names.entries()) {
    const made = join(out, `${name}.json`);
    const args = ['evidence', ids[index] ?? '', '--journal', directory, '--out', made];
    const vcon = join(out, `${name}.vcon.json`);
    const run = await new Terminal([...args, '--vcon', vcon]).done;
    t.match(run, { code: 0, err: new RegExp(`evidence of ${ids[index]}, ${name}`) }, `${name}: made`);
    t.notMatch(readFileSync(vcon, 'utf8'), /"url"/, 'a vCon without media');

    const file = join(dir, `${name}.json`);
    cpSync(made, file);
    const verify = (...more: string[]) => alone(main, [file, '--public-key', key, ...more], dir);
    const ran = verify();
    t.match(ran, { code: 0, err: '', out: /\nPROVED: / }, `${name}: proved with the file and a public key`);
    t.match(
      ran.out,
      { monitored: /recording-named/, private: /nothing-on-disk/, refused: /nobody-dialled/ }[name],
    );
    // Also by the command, and with the encrypted files beside it.
    const typed = ['evidence', 'verify', file, '--public-key', key];
    const kept = ['--recording', site.config.recording.directory];
    t.match(
      await new Terminal([...typed, ...kept]).done,
      { code: 0, err: '' },
      `${name}: the files are those`,
    );

    const bytes = readFileSync(file);
    for (const part of [0.1, 0.3, 0.5, 0.7, 0.9]) {
      const forged = Buffer.from(bytes);
      const at = Math.floor(part * bytes.length);
      forged[at] = (forged[at] ?? 0) ^ 1;
      writeFileSync(file, forged);
      const refused = verify();
      t.equal(refused.code, 2, `${name} with byte ${at} changed: ${refused.err.trim()}`);
      t.equal(refused.out, '');
    }
  }
  t.match(cdr.replies, [{ node: 'recorded-1', recordings: 1, deleted: true, tags: ['called', 'caller'] }]);
  const wav = String(cdr.spool.file);
  writeFileSync(wav, readFileSync(wav).subarray(1));
  writeFileSync(join(dir, 'monitored.json'), readFileSync(join(out, 'monitored.json')));
  const kept = ['--recording', site.config.recording.directory];
  const cut = alone(main, [join(dir, 'monitored.json'), '--public-key', key, ...kept], dir);
  t.match(cut, { code: 1, err: /\[recording-differs\]/ }, 'an encrypted file that was changed');
});

t.test('a conversation held here: what was said and pressed, and the lobby’s node', async (t: Test) => {
  const site = await openSite(t, { conversation: 'here', prompts: 'short' });
  const refused = await site.call(unlisted);
  await refused.ended();
  await site.ended(1);
  const callId = site.callIds()[0] ?? '';
  const { rows, replies } = await site.cdr(callId);
  t.match(replies, [
    { node: 'private-1', pool: 'private', recordings: 0, commands: { 'play media': Number } },
  ]);
  t.same(Object.keys(rows.nodes), ['private-1'], 'the lobby’s attestation belongs to the call');
  const after = async (): Promise<boolean> => {
    const looks = await site.rows({ kinds: ['attestation'] });
    return looks.some(({ body }) => body.node === 'private-1' && body.at >= replies[0].leftAt);
  };
  while (!(await after())) await new Promise((resolve) => setTimeout(resolve, 100));
  await site.sallyport.journal.signHead();
  const { directory, heads } = site.config.journal;
  const file = join(site.dir, 'refused.json');
  const made = await new Terminal(['evidence', callId, '--journal', directory, '--out', file]).done;
  t.equal(made.code, 0, made.err);
  const key = publicFileOf(heads?.keyFile ?? '');
  const ran = await new Terminal(['evidence', 'verify', file, '--public-key', key]).done;
  t.match(ran, { code: 0, out: /caller heard .*\n[\s\S]*PROVED: a refused call/ });
});
