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

  // Looked at again after the calls, and signed.
  const after = Date.now();
  await site.until('both nodes were looked at after the calls', () =>
    site.sallyport.media.attestations().every(({ at }) => at > after),
  );
  await site.rows();
  await site.sallyport.journal.signHead();

  const { directory, heads } = site.config.journal;
  const out = mkdtempSync(join(site.dir, 'evidence-'));
  const bundles = new Map<string, string>();
  for (const [index, name] of ['monitored', 'private', 'refused'].entries()) {
    const path = join(out, `${name}.json`);
    const args = ['evidence', ids[index] ?? '', '--journal', directory, '--out', path];
    const made = await new Terminal([...args, '--vcon', join(out, `${name}.vcon.json`)]).done;
    t.match(made, { code: 0, err: new RegExp(`evidence of ${ids[index]}, ${name}`) }, `${name}: made`);
    t.match((await new Terminal(args).done).err, /\[out-exists\]/);
    bundles.set(name, path);
  }

  const { dir, main } = verifierAlone(site);
  const key = join(dir, 'head.pub.pem');
  cpSync(publicFileOf(heads?.keyFile ?? ''), key);
  const bundle = (name: string): string => {
    const path = join(dir, `${name}.json`);
    cpSync(bundles.get(name) ?? '', path);
    return path;
  };
  for (const name of bundles.keys()) {
    const ran = alone(main, [bundle(name), '--public-key', key], dir);
    console.error(ran.out);
    t.match(ran, { code: 0, err: '', out: /\nPROVED: / }, name);
  }
  console.error(readFileSync(bundle('private')).length, cdr.spool);
});
