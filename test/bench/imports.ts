import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readFileSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sql } from 'kysely';
import { NORTH_AMERICAN_PLAN } from '../../src/core/number.js';
import { migrate, openDatabase } from '../../src/registry/database.js';
import { Imports } from '../../src/registry/import/imports.js';
import { parseProfile } from '../../src/registry/import/profile.js';
import { Registry } from '../../src/registry/registry.js';
import { fromRoot } from '../../src/root.js';
import { startPostgres } from '../../src/stack/postgres.js';

/**
 * Measures an import at size on a real PostgreSQL: a file of allowed numbers, twenty for each caller, each row as wide as is
 * asked. Each step is a process of its own, and staging is killed (SIGKILL) in the middle and gone on with. By hand:
 *
 *     node dist/test/bench/imports.js [rows = 100000] [bytes a row = 40] [steps = stage,compare,apply,approve,again]
 *
 * The highest resident memory of each process (VmHWM) is read when it ends: it must not grow with the file.
 */
const [rows = 100_000, width = 40] = process.argv.slice(2, 4).map(Number);
const steps = (process.argv[4] ?? 'stage,compare,apply,approve,again').split(',');
const each = 20;

const peak = (pid: number | 'self'): number =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
const show = (what: string, value: string): void => console.log(`${what.padEnd(34)} ${value}`);
const profile = parseProfile(readFileSync(fromRoot('config', 'imports', 'jail-allowed.yaml'), 'utf8'));

const openAll = (port: number, user: string) => {
  const db = openDatabase({ host: '127.0.0.1', port, user, database: 'postgres', onLost: () => undefined });
  const registry = new Registry({ db, plan: NORTH_AMERICAN_PLAN, caution: { removalDelayMs: 0 } });
  const limits = { percent: 100, entries: 100_000_000 };
  return { db, registry, imports: new Imports({ db, registry, plan: () => NORTH_AMERICAN_PLAN, limits }) };
};

/** One step, in a process of its own; each line it says is how far it is. */
const work = async (step: string, port: number, user: string, id: string, path: string): Promise<void> => {
  const { createReadStream } = await import('node:fs');
  const { db, imports } = openAll(port, user);
  const progress = (done: number): void => void process.stdout.write(`${done}\n`);
  switch (step) {
    case 'stage':
      await imports.stage(id, { open: () => createReadStream(path) }, progress);
      break;
    case 'compare':
      await imports.compare(id, progress);
      break;
    case 'apply':
      await imports.apply(id, { by: 'ann', why: 'the feed', digest: null, part: 'all' }, progress);
      break;
    case 'approve':
      await imports.say(id, { by: 'ben', says: 'approve', why: 'seen' }, progress);
      break;
    default:
      throw new Error(`no such step: ${step}`);
  }
  await db.destroy();
  process.stdout.write(`peak ${peak('self').toFixed(0)}\n`);
};

const generate = async (path: string): Promise<void> => {
  const out = createWriteStream(path, { highWaterMark: 1_048_576 });
  out.write('Permanent ID,Phone,Remark,Remark 2,Remark 3\n');
  for (let at = 0; at < rows; at += 1) {
    const row = `P-${Math.floor(at / each)},+1212${2_000_000 + ((at * 7919) % 7_900_000)},`;
    // Columns that the profile does not know are read past; no field is longer than a field may be.
    const rest = Math.max(0, width - row.length - 3);
    const part = (nth: number): string => 'x'.repeat(Math.min(490, Math.max(0, rest - nth * 490)));
    if (!out.write(`${row}${part(0)},${part(1)},${part(2)}\n`)) await once(out, 'drain');
  }
  out.end();
  await once(out, 'close');
};

interface Ran {
  readonly ms: number;
  readonly peakMb: number;
  readonly told: number;
  readonly killed: boolean;
}
const bench = async (): Promise<void> => {
  const dir = await mkdtemp(join(tmpdir(), 'sallyport-bench-imports-'));
  const server = await startPostgres({
    dir: join(dir, 'postgres'),
    settings: ['shared_buffers=512MB', 'max_wal_size=4GB'],
  });
  const { db, imports } = openAll(server.port, server.user);
  const path = join(dir, 'allowed.csv');
  /** Runs a step; with `killAt` it is killed once it has said that it is that far. */
  const run = async (step: string, id: string, killAt = Number.POSITIVE_INFINITY): Promise<Ran> => {
    const began = performance.now();
    const args = [fileURLToPath(import.meta.url), 'step', step, String(server.port), server.user, id, path];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let peakMb = 0;
    let told = 0;
    let killed = false;
    let tail = '';
    child.stdout.on('data', (bytes: Buffer) => {
      const lines = (tail + bytes.toString('utf8')).split('\n');
      tail = lines.pop() ?? '';
      for (const line of lines) {
        if (line.startsWith('peak ')) peakMb = Number(line.slice(5));
        else told += 1;
        if (Number(line) < killAt || killed || child.pid === undefined) continue;
        killed = true;
        peakMb = peak(child.pid);
        child.kill('SIGKILL');
      }
    });
    const [code] = await once(child, 'close');
    if (code !== 0 && !killed) throw new Error(`${step} ended with ${code}`);
    return { ms: performance.now() - began, peakMb, told, killed };
  };
  const showRun = (what: string, { ms, peakMb, told }: Ran): void =>
    show(what, `${(ms / 1000).toFixed(1)} s, ${peakMb.toFixed(0)} MB, said ${told} times how far it was`);
  const begin = async (source: string): Promise<string> =>
    (
      await imports.begin({
        ...{ by: 'ann', source, profile, plan: 'default', fileName: 'allowed.csv', sha256: null },
      })
    ).id;
  try {
    await migrate(db);
    await sql`insert into facility values ('north', 'North', 'America/New_York')`.execute(db);
    const callers = Math.ceil(rows / each);
    await sql`insert into caller select 'P-' || g from generate_series(0, ${callers}::int) g`.execute(db);
    await sql`insert into booking (caller, booking, facility)
      select 'P-' || g, 'B-' || g, 'north' from generate_series(0, ${callers}::int) g`.execute(db);
    await generate(path);
    const { size } = await stat(path);
    show('file', `${rows} rows, ${(size / 1_048_576).toFixed(0)} MB`);
    const id = await begin('jail');
    for (const step of steps) {
      if (step === 'stage') {
        const first = await run('stage', id, size / 2);
        showRun('stage, killed in the middle', first);
        const { read } = await imports.standing(id);
        show('', `${read.rows} rows were kept`);
        showRun('stage, gone on with', await run('stage', id));
        const { state, read: all } = await imports.standing(id);
        show('', `${state}, ${all.rows} rows`);
      } else if (step === 'again') {
        const again = await begin('jail');
        showRun('the same file again: stage', await run('stage', again));
        showRun('the same file again: compare', await run('compare', again));
        show('', JSON.stringify((await imports.view(again)).counts?.lists));
      } else showRun(step, await run(step, id));
      if (step === 'compare') show('', JSON.stringify((await imports.view(id)).counts?.lists));
    }
    const { rows: found } = await sql<{ n: string; bytes: string }>`select count(*) as n,
      pg_database_size('postgres') as bytes from allowed`.execute(db);
    show(
      'allowed numbers in the end',
      `${found[0]?.n}, database ${Math.round(Number(found[0]?.bytes) / 1_048_576)} MB`,
    );
  } finally {
    await db.destroy();
    await server.stop();
    await rm(dir, { recursive: true, force: true });
  }
};

if (process.argv[2] === 'step') {
  const [step = '', port = '', user = '', id = '', path = ''] = process.argv.slice(3);
  await work(step, Number(port), user, id, path);
} else await bench();
