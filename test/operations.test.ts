import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Config } from '../src/config/schema.js';
import { heardMs } from '../src/phones/goertzel.js';
import { readWav } from '../src/phones/wav.js';
import { fromRoot } from '../src/root.js';
import { connect, finish, paired, redisClient } from './faults/kit.js';
import { openedByAge } from './site/opened.js';
import { openSite } from './site/site.js';

t.setTimeout(400_000);

const page = readFileSync(fromRoot('docs', 'operations.md'), 'utf8');

/** The commands of the page that carry this name, as they stand there. */
const block = (name: string): string => {
  const found = new RegExp(`<!-- tested: ${name} -->\n\`\`\`sh\n([\\s\\S]*?)\`\`\``).exec(page)?.[1];
  if (found === undefined) throw new Error(`docs/operations.md has no tested block ${name}`);
  return found;
};

interface Said {
  readonly code: number | null;
  readonly out: string;
}

/** Runs a block with its absolute folders below `root`, and with this build as `sallyport`. Stops at the first failure. */
const run = (root: string, name: string): Promise<Said> => {
  const text = block(name).replace(/(^|[\s=>"])\/(etc|var|srv|media)\//gm, `$1${root}/$2/`);
  const main = fromRoot('dist', 'src', 'cli', 'main.js');
  const script = `set -eu\nsallyport() { "${process.execPath}" "${main}" "$@"; }\n${text}`;
  const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'pipe'], cwd: root });
  let out = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (said: string) => {
      out += said;
    });
  }
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, out })));
};

/** JSON is YAML; a port of a listener that the kernel chose is no port for a person's file. */
const writeConfig = (file: string, config: Config): void => {
  const listen = config.sip.listen.map((one) => ({ ...one, port: 5060 }));
  const told = { ...config, sip: { ...config.sip, listen }, log: { level: 'info' } };
  writeFileSync(file, JSON.stringify(told));
};

t.test('what docs/operations.md says is what happens', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'sallyport-operations-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  chmodSync(root, 0o755);
  for (const folder of ['etc/sallyport', 'var/lib', 'srv/backup', 'media/keys']) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  const etc = (name: string): string => join(root, 'etc', 'sallyport', name);
  const key = (name: string): string => join(root, 'media', 'keys', name);

  await t.test('key ceremony', async (t) => {
    const made = await run(root, 'keys');
    t.equal(made.code, 0, made.out);
    for (const secret of [
      key('north.identity.txt'),
      key('escrow.identity.txt'),
      key('publisher.pem'),
      etc('heads.pem'),
    ]) {
      t.equal(
        statSync(secret).mode & 0o077,
        0,
        `${secret.slice(root.length)} is readable by its owner alone`,
      );
    }
    t.notMatch(made.out, /AGE-SECRET|PRIVATE/, 'no private half is shown');
    const again = await run(root, 'keys');
    t.not(again.code, 0, 'a second ceremony overwrites nothing');
  });

  const live = join(root, 'var', 'lib', 'sallyport');
  mkdirSync(live);
  const site = await openSite(t, {
    config: paired,
    overlay: (config) => ({
      ...config,
      lists: { ...config.lists, publisherKeys: [...config.lists.publisherKeys, key('publisher.pub.pem')] },
      recording: {
        ...config.recording,
        directory: join(live, 'recordings'),
        vault: {
          ...config.recording.vault,
          keys: {
            north: { role: 'facility', recipientFile: etc('north.recipient.txt') },
            escrow: { role: 'escrow', recipientFile: etc('escrow.recipient.txt') },
          },
          facilities: { north: ['north', 'escrow'] },
          sealed: ['escrow'],
          readings: join(live, 'readings'),
        },
      },
      journal: {
        ...config.journal,
        directory: join(live, 'journal'),
        heads: { keyFile: etc('heads.pem'), everySeconds: 1 },
      },
    }),
  });
  site.called.answerWith({ do: 'answer', ring: {}, afterMs: 20 });
  writeConfig(etc('sallyport.yaml'), site.config);
  const talk = async (number: string, as: string): Promise<string> => {
    return String((await finish(site, await connect(site, number, as))).callId);
  };
  const monitored = '+12125550142';
  const recorded = await talk(monitored, '4711');

  await t.test('upgrade: the past is tried under what is to come', async (t) => {
    writeConfig(etc('next.yaml'), site.config);
    const same = await run(root, 'upgrade');
    t.equal(same.code, 0, same.out);
    t.match(same.out, /decisions +1: 1 made again.*1 came out the same/);
  });

  /** One command of the operator's, with the site's configuration. */
  const sallyport = (config: string, ...args: string[]): string =>
    execFileSync(process.execPath, [fromRoot('dist', 'src', 'cli', 'main.js'), ...args, '-c', config], {
      encoding: 'utf8',
    });

  await t.test('backup of a living site', async (t) => {
    sallyport(
      etc('sallyport.yaml'),
      'holds',
      'add',
      '--call',
      recorded,
      '--why',
      'case 4711',
      '--by',
      'clerk',
    );
    const made = await run(root, 'backup');
    t.equal(made.code, 0, made.out);
    const copied = execFileSync('find', [join(root, 'srv', 'backup'), '-type', 'f'], { encoding: 'utf8' });
    t.match(copied, /\.age\n/, 'the recording is in it');
    t.notMatch(copied, /heads\.pem\n|identity|\.ledger|pcap/, 'and no private key, no ledger, no spool');
  });

  await t.test('restore on a machine that has nothing', async (t) => {
    await site.stop();
    const redis = redisClient(site);
    await redis.flushall();
    await redis.quit();
    const other = mkdtempSync(join(tmpdir(), 'sallyport-restored-'));
    t.teardown(() => rmSync(other, { recursive: true, force: true }));
    execFileSync('cp', ['-a', ...['etc', 'srv', 'media'].map((name) => join(root, name)), other]);
    const moved = JSON.parse(readFileSync(etc('sallyport.yaml'), 'utf8').replaceAll(root, other)) as Config;
    writeFileSync(join(other, 'etc', 'sallyport', 'sallyport.yaml'), JSON.stringify(moved));
    mkdirSync(join(other, 'var', 'lib'), { recursive: true });
    const restored = await run(other, 'restore');
    t.equal(restored.code, 0, restored.out);
    t.match(restored.out, new RegExp(recorded.slice(0, 8)), 'the recording is listed');
    const held = sallyport(
      join(other, 'etc', 'sallyport', 'sallyport.yaml'),
      'holds',
      'list',
      '--by',
      'clerk',
    );
    t.match(held, /case 4711/, 'and is held as it was');
    const found = execFileSync('find', [moved.recording.directory, '-name', '*.wav.age'], {
      encoding: 'utf8',
    }).trim();
    const [left, right] = readWav(
      openedByAge(found, join(other, 'media', 'keys', 'north.identity.txt')),
    ).channels;
    t.ok(
      left !== undefined && right !== undefined && heardMs(left, 440) >= 200 && heardMs(right, 1000) >= 200,
      'and can be heard',
    );
  });
});
