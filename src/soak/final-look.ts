import { verifyJournal } from '../journal/verify.js';
import type { RunningRtpengine } from '../stack/rtpengine.js';
import { filesUnder, plainSoundIn } from './file-watch.js';
import { JournalTail, type TailRow } from './journal-tail.js';
import { sessionsOn } from './node-look.js';
import { bytesWritten, lookAtProc, type ProcLook } from './proc.js';
import { askRedis, keyFamilies } from './redis-look.js';
import { lookAtProcesses } from './sample.js';
import { judgeSlope, type Point, type Slope, type SlopeVerdict, slopeOf, warmedUp } from './slope.js';
import type { SoakRun } from './soak.js';

export interface Growth {
  readonly process: string;
  readonly slope: Slope | null;
  readonly verdict: SlopeVerdict;
}

/** What was there when all calls were over, beside what was there before the first. */
export interface FinalLook {
  readonly processes: Readonly<Record<string, ProcLook>>;
  readonly keysAfter: ReadonlyMap<string, number>;
  readonly sessions: Readonly<Record<string, number | null>>;
  readonly journal: { readonly ok: boolean; readonly rows: number; readonly why: string };
  readonly growth: readonly Growth[];
  readonly filesLooked: number;
  /** Files in a spool of which a CDR says that they are left there, for custody. */
  readonly leftForCustody: number;
}

/**
 * Growth that counts as one, in bytes an hour; and how long it must have been observed to be judged. What the controller
 * holds in its heap, and what is resident beside its heap, can be told far more exactly than all that is resident: the
 * rest of that is the heap's garbage and free room.
 */
export const growthLimit = {
  held: 1 << 20,
  outside: 1 << 20,
  controller: 16 << 20,
  other: 32 << 20,
} as const;
/** The controller's memory without its garbage, as a line of its own. */
export const heldName = 'controller, held';
/** Its memory without its main thread's heap. */
export const outsideName = 'controller, beside its heap';
export const leastHours = 0.5;
/**
 * What has run seldom is compiled late: at 5 calls a second what is held rose for 25 minutes and stood still then, and at
 * 30 what is resident beside the heap for 23 (docs/soak.md, "Measured").
 */
const warmUpCalls = 7500;
const leastWarmUpHours = 25 / 60;
/** Hours until the memory of a process that begins now says how it will go on. */
export const warmUpHours = (callsPerSecond: number): number =>
  Math.max(leastWarmUpHours, warmUpCalls / callsPerSecond / 3600);
/** A process may end with so many more file descriptors than it began with: what is opened once and kept. */
const fdSlack = 12;

const callIdIn = (path: string): string | null => /c[a-z2-7]{26}/.exec(path)?.[0] ?? null;

/** All the journal says of a call, for who has to find out why. */
const rowsOf = async (run: SoakRun, callId: string | null): Promise<string> => {
  if (callId === null) return '';
  const rows: string[] = [];
  await new JournalTail(run.stage.config.journal.directory).read(({ at, kind, body }) => {
    if (body.callId === callId) rows.push(`${at} ${kind} ${JSON.stringify(body)}`);
  });
  return rows.join('\n');
};

const until = async (ms: number, holds: () => Promise<boolean>): Promise<boolean> => {
  for (const end = performance.now() + ms; ; ) {
    if (await holds()) return true;
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
};

const redisIsEmpty = async (run: SoakRun): Promise<void> => {
  const { stage } = run;
  const pattern = `${stage.config.lists.keyPrefix}use:places:*`;
  run.tally.check('redis-left');
  let left: readonly string[] = [];
  const look = async (): Promise<boolean> => {
    const keys: string[] = [];
    let cursor = '0';
    do {
      const reply = await askRedis(stage.redis, ['SCAN', cursor, 'MATCH', pattern, 'COUNT', '1000']);
      const [next, some] = reply as unknown as [string, string[]];
      keys.push(...some);
      cursor = next;
    } while (cursor !== '0');
    left = keys;
    return keys.length === 0;
  };
  const empty = await until(run.options.bounds.lease, look).catch((error: unknown) => {
    left = [String(error)];
    return false;
  });
  if (!empty)
    run.breaks(
      { code: 'redis-left', text: `${left.length} places are still counted` },
      null,
      left.slice(0, 20).join('\n'),
    );
};

const nodesAreEmpty = async (run: SoakRun): Promise<Record<string, number | null>> => {
  const sessions: Record<string, number | null> = {};
  const look = async (name: string, node: RunningRtpengine): Promise<void> => {
    run.tally.check('node-left');
    const empty = await until(run.options.bounds.settle, async () => {
      sessions[name] = await sessionsOn(node.cli);
      return sessions[name] === 0;
    });
    if (!empty)
      run.breaks(
        { code: 'node-left', text: `${name} has ${sessions[name] ?? 'an unknown number of'} sessions` },
        null,
        '',
      );
    if (node.kind !== 'private') return;
    run.tally.check('private-node-wrote');
    const written = bytesWritten(node.pid);
    if (written !== null && written > 0)
      run.breaks({ code: 'private-node-wrote', text: `${name} wrote ${written} bytes` }, null, '');
  };
  await Promise.all([...run.stage.nodes].map(([name, node]) => look(name, node)));
  return sessions;
};

const fdsAreGivenBack = async (run: SoakRun): Promise<void> => {
  for (const [name, pid] of run.stage.pids) {
    const before = run.baseline[name];
    if (before === undefined) continue;
    run.tally.check('fds-left');
    let now: ProcLook | null = null;
    const given = await until(run.options.bounds.settle, async () => {
      now = lookAtProc(pid);
      return now === null || now.fds <= before.fds + fdSlack;
    });
    const last = now as ProcLook | null;
    if (given && last !== null) continue;
    const text =
      last === null
        ? `${name} is gone`
        : `${name} has ${last.fds} file descriptors (${last.sockets} sockets), ${before.fds} (${before.sockets}) before the first call`;
    run.breaks({ code: last === null ? 'process-died' : 'fds-left', text }, null, '');
  }
};

/** Nothing of a call may be left in a spool, and nothing anywhere may be plain sound. */
const disksAreClean = async (run: SoakRun): Promise<Pick<FinalLook, 'filesLooked' | 'leftForCustody'>> => {
  const { stage } = run;
  let inSpools: string[] = [];
  let leftForCustody = 0;
  const empty = await until(run.options.bounds.settle, async () => {
    const all = (await Promise.all(stage.spools.map(filesUnder))).flat();
    inSpools = all.filter((path) => !run.isLeftInSpool(callIdIn(path) ?? ''));
    leftForCustody = all.length - inSpools.length;
    return inSpools.length === 0;
  });
  run.tally.check('stray-file');
  if (!empty)
    for (const path of inSpools.slice(0, 20)) {
      const plain = await plainSoundIn(path);
      run.breaks(
        {
          code: plain === null ? 'stray-file' : 'plain-audio',
          text: `${path} is left in a spool${plain === null ? '' : ` (${plain})`}`,
        },
        callIdIn(path),
        await rowsOf(run, callIdIn(path)),
      );
    }
  run.lookAtFiles(await run.watch.present());
  for (const { path, callId } of run.unplacedFiles.slice(0, 20))
    run.breaks({ code: 'stray-file', text: `${path} belongs to no call that was ever decided` }, callId, '');
  const files = await filesUnder(stage.dir);
  run.tally.check('plain-audio', files.length);
  for (const path of files) {
    const plain = await plainSoundIn(path);
    if (plain !== null)
      run.breaks(
        { code: 'plain-audio', text: `${path} is a ${plain}, and not encrypted` },
        callIdIn(path),
        '',
      );
  }
  return { filesLooked: files.length + inSpools.length + leftForCustody, leftForCustody };
};

const journalVerifies = async (run: SoakRun): Promise<FinalLook['journal']> => {
  const { directory } = run.stage.config.journal;
  run.tally.check('journal-unsound');
  const found = await verifyJournal(directory).catch((error: unknown) => String(error));
  const sound = typeof found !== 'string' && found.ok;
  const why = sound ? '' : typeof found === 'string' ? found : JSON.stringify(found.problems.slice(0, 10));
  if (!sound) run.breaks({ code: 'journal-unsound', text: why }, null, '');
  return { ok: sound, rows: typeof found === 'string' ? 0 : found.rows, why };
};

/** How many calls a row says were turned away at the door. */
export const shedIn = ({ kind, body }: Pick<TailRow, 'kind' | 'body'>): number => {
  if (kind !== 'shed') return 0;
  const counts = Array.isArray(body.calls) ? body.calls.map((one: { count?: unknown }) => one.count) : [];
  return [...counts, body.more].reduce((sum: number, one) => sum + (typeof one === 'number' ? one : 0), 0);
};

/** No caller is turned away without being counted. What a controller that is killed had counted for a second is lost. */
const shedAreCounted = async (run: SoakRun): Promise<void> => {
  let counted = 0;
  await new JournalTail(run.stage.config.journal.directory).read((row) => {
    counted += shedIn(row);
  });
  run.tally.check('cdr-count', run.tally.shed);
  const forgot = run.faults.some(({ plan }) => plan.name === 'controller-killed');
  if (counted < run.tally.shed && !forgot)
    run.breaks(
      {
        code: 'cdr-count',
        text: `${run.tally.shed} calls were turned away without a CDR, the journal counts ${counted}`,
      },
      null,
      '',
    );
};

const limitOf = (process: string): number => {
  if (process === heldName) return growthLimit.held;
  if (process === outsideName) return growthLimit.outside;
  return process === 'controller' ? growthLimit.controller : growthLimit.other;
};

/** Growth of each process's memory after its warm-up; a process that was restarted is several runs of it. */
export const growthOf = (run: Pick<SoakRun, 'samples' | 'options'>): readonly Growth[] => {
  const warmUp = warmUpHours(run.options.rate);
  const runs = new Map<string, Map<number, Point[]>>();
  const pointsOf = (name: string, pid: number): Point[] => {
    const ofProcess = runs.get(name) ?? new Map<number, Point[]>();
    runs.set(name, ofProcess);
    const points = ofProcess.get(pid) ?? [];
    ofProcess.set(pid, points);
    return points;
  };
  for (const { atMs, processes, liveHeapBytes, outsideHeapBytes } of run.samples.all) {
    const x = atMs / 3_600_000;
    for (const [name, { pid, rssBytes }] of Object.entries(processes))
      pointsOf(name, pid).push({ x, y: rssBytes });
    const pid = processes.controller?.pid;
    if (pid === undefined) continue;
    if (outsideHeapBytes !== null) pointsOf(outsideName, pid).push({ x, y: outsideHeapBytes });
    if (liveHeapBytes === null) continue;
    const held = pointsOf(heldName, pid);
    // The same figure again is no new measurement: nothing was collected since.
    if (held.at(-1)?.y !== liveHeapBytes) held.push({ x, y: liveHeapBytes });
  }
  return [...runs].map(([process, byPid]) => {
    const slope = slopeOf([...byPid.values()].map((points) => warmedUp(points, warmUp)));
    return { process, slope, verdict: judgeSlope(slope, limitOf(process), leastHours) };
  });
};

const memoryIsSteady = (run: SoakRun): readonly Growth[] => {
  const growth = growthOf(run);
  for (const { process, slope, verdict } of growth) {
    if (verdict === 'too-short' || slope === null) continue;
    run.tally.check('memory-grows');
    if (verdict === 'growing')
      run.breaks(
        {
          code: 'memory-grows',
          text: `${process} grows by ${(slope.perHour / 2 ** 20).toFixed(1)} MiB an hour, and by ${(slope.low / 2 ** 20).toFixed(1)} at the least (95 %)`,
        },
        null,
        '',
      );
  }
  return growth;
};

/** Everything that can only be seen once all calls are over. The controller is stopped before the journal is verified. */
export const lookAtTheEnd = async (run: SoakRun): Promise<FinalLook> => {
  const { stage } = run;
  await run.look(true);
  run.tally.check('dialogs-differ');
  if (run.phones.live > 0)
    run.breaks(
      { code: 'dialogs-differ', text: `${run.phones.live} dialogs are still open at the phones` },
      null,
      '',
    );
  await redisIsEmpty(run);
  const sessions = await nodesAreEmpty(run);
  await fdsAreGivenBack(run);
  const processes = lookAtProcesses(stage);
  const keysAfter = await keyFamilies(stage.redis, stage.config.lists.keyPrefix).catch(() => new Map());
  const growth = memoryIsSteady(run);
  const disks = await disksAreClean(run);
  stage.killed.add(stage.controller.pid);
  await stage.controller.stop();
  const journal = await journalVerifies(run);
  await shedAreCounted(run);
  return { processes, keysAfter, sessions, journal, growth, ...disks };
};
