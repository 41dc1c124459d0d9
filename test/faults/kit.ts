import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import dgram from 'node:dgram';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { Test } from 'tap';
import type { Config } from '../../src/config/schema.js';
import { type BencodeDict, decode, encode, isDict, isList } from '../../src/media/bencode.js';
import type { IncomingCall } from '../../src/phones/incoming-call.js';
import type { OutgoingCall } from '../../src/phones/outgoing-call.js';
import { Dice as SeededDice } from '../../src/soak/dice.js';
import { type RunningRedis, startRedis } from '../../src/stack/redis.js';
import { type RunningRtpengine, startRtpengine } from '../../src/stack/rtpengine.js';
import type { Row, Site } from '../site/site.js';

/** Choices whose seed is shown, so that they can be made again: SALLYPORT_SEED=<number> repeats a run's choices. */
export class Dice extends SeededDice {
  constructor(t: Test, seed = Number(process.env.SALLYPORT_SEED ?? randomInt(2 ** 31))) {
    super(seed);
    t.comment(`seed ${seed} (SALLYPORT_SEED=${seed} repeats it)`);
  }
}

/** Passed from the caller's leg to the called party's, so that a test finds the two halves of one call. */
export const callHeader = 'X-Test-Call';

/** A configuration in which the two halves of a call can be told to belong together. */
export const paired = (config: Config): Config => ({
  ...config,
  trunks: {
    ...config.trunks,
    carriers: config.trunks.carriers.map((one) => ({ ...one, copyHeaders: [callHeader] })),
  },
});

/** Both halves of a connected call. */
export interface Up {
  /** The caller's identity: unique among the calls of a test, so it finds the call's rows. */
  readonly as: string;
  readonly out: OutgoingCall;
  readonly in: IncomingCall;
}

/** The tones of a call: what the caller sends and what the called party sends. */
export const tones = { caller: 440, called: 1000 } as const;

export const incomingOf = async (site: Site, as: string): Promise<IncomingCall> => {
  const find = () => {
    for (const phone of site.carriers) {
      const found = phone.incoming.find(
        (call) => call.invite.request.headers.get(callHeader.toLowerCase()) === as,
      );
      if (found !== undefined) return found;
    }
    return undefined;
  };
  await site.until(`the called party has the call of ${as}`, () => find() !== undefined);
  return find() as IncomingCall;
};

/** Dials, without waiting for anything. */
export const dial = (site: Site, number: string, as: string): Promise<OutgoingCall> =>
  site.call(number, { as, headers: { [callHeader]: as } });

export const hearBoth = async (call: Up, deadlineMs = 60_000): Promise<void> => {
  await Promise.all([
    call.out.audio.untilHears(tones.called, { deadlineMs }),
    call.in.audio.untilHears(tones.caller, { deadlineMs }),
  ]);
};

/** Waits for the 200. A call that fails instead is shown with its CDR and what was said about it. */
export const answered = async (
  site: Site,
  out: OutgoingCall,
  as: string,
  deadlineMs = 30_000,
): Promise<void> => {
  try {
    await out.answered({ deadlineMs });
  } catch (error) {
    if (out.final === undefined) throw error;
    const cdr = await cdrOf(site, as);
    const events = site.events.filter((event) => 'callId' in event && event.callId === cdr.callId);
    throw new Error(`${as}: ${out.final.status}\n${JSON.stringify(cdr)}\n${JSON.stringify(events)}`);
  }
};

/** Places a call and waits until each side hears the other's tone. */
export const connect = async (site: Site, number: string, as: string): Promise<Up> => {
  const out = await dial(site, number, as);
  await answered(site, out, as);
  const call = { as, out, in: await incomingOf(site, as) };
  await hearBoth(call);
  return call;
};

/** The rows of the one call this caller made. */
export const rowsOf = async (site: Site, as: string, kind: 'decision' | 'cdr'): Promise<readonly Row[]> =>
  (await site.rows({ kinds: [kind] })).filter((row) => row.body.caller === as);

/** The one CDR of this caller's only call, waited for. */
export const cdrOf = async (site: Site, as: string): Promise<Row['body']> => {
  for (;;) {
    const ended = site.endedCalls;
    const rows = await rowsOf(site, as, 'cdr');
    if (rows.length > 1) throw new Error(`${rows.length} CDRs of ${as}`);
    if (rows[0] !== undefined) return rows[0].body;
    await site.until(
      `the call of ${as} has ended`,
      () => site.endedCalls > ended,
      () => JSON.stringify(site.sallyport.controller.calls()),
    );
  }
};

/** The controller's id of the call this caller is in. */
export const callIdOf = async (site: Site, as: string): Promise<string> => {
  const [row, second] = await rowsOf(site, as, 'decision');
  if (row === undefined || second !== undefined) throw new Error(`not one decision of ${as}`);
  return row.body.callId;
};

export interface Refusal {
  readonly status: number;
  readonly ending: string;
  readonly retryAfter: string | undefined;
  readonly verdict: string;
}

/** Places a call that must be refused, and gives what the caller was told and what the CDR says. */
export const refusedCall = async (site: Site, number: string, as: string): Promise<Refusal> => {
  const out = await dial(site, number, as);
  const final = await out.failed({ deadlineMs: 30_000 });
  const cdr = await cdrOf(site, as);
  return {
    status: final.status,
    retryAfter: final.headers.get('retry-after'),
    ending: cdr.ending,
    verdict: cdr.verdict,
  };
};

/** Hangs up from the caller's side and gives the CDR. */
export const finish = async (site: Site, call: Up): Promise<Row['body']> => {
  await call.out.hangUp();
  await call.in.ended();
  return cdrOf(site, call.as);
};

/** Both phones were told with a BYE, and so is what it says why. */
export const bothTold = async (call: Up, deadlineMs = 60_000): Promise<readonly [string, string]> => {
  const [out, incoming] = await Promise.all([call.out.ended({ deadlineMs }), call.in.ended({ deadlineMs })]);
  return [
    `${out.by} ${out.how} ${out.reason ?? ''}`,
    `${incoming.by} ${incoming.how} ${incoming.reason ?? ''}`,
  ];
};

// ---- Redis

/** A client of the site's Redis, as an intruder or an operator would use it. */
export const redisClient = (site: Site): Redis =>
  new Redis({ host: site.local.redis.host, port: site.local.redis.port, db: 0, maxRetriesPerRequest: 1 });

/** Starts an empty Redis where the site's Redis was. */
export const restartRedis = async (t: Test, site: Site): Promise<RunningRedis> => {
  const { dir, port } = site.local.redis;
  const redis = await startRedis({ dir, port });
  t.teardown(() => redis.stop());
  return redis;
};

// ---- media nodes

/** Lets nodes be restarted: the controller finds a node's process by its pid file, as under a supervisor. */
export const withPidFiles = (config: Config, dir: string): Config => ({
  ...config,
  media: {
    ...config.media,
    nodes: config.media.nodes.map(({ pid, ...node }) => {
      const pidFile = join(dir, `${node.name}.pid`);
      writeFileSync(pidFile, `${pid}\n`);
      return { ...node, pidFile };
    }),
  },
});

/** The media nodes of a site opened with `withPidFiles`, each in its place also after a restart. */
export class Nodes {
  readonly #t: Test;
  readonly #site: Site;
  readonly #now = new Map<string, RunningRtpengine>();

  constructor(t: Test, site: Site) {
    this.#t = t;
    this.#site = site;
    for (const kind of ['recorded', 'private'] as const) {
      for (const [i, node] of site.local[kind].entries()) this.#now.set(`${kind}-${i + 1}`, node);
    }
  }

  get(name: string): RunningRtpengine {
    const node = this.#now.get(name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }

  get all(): readonly RunningRtpengine[] {
    return [...this.#now.values()];
  }

  get names(): readonly string[] {
    return [...this.#now.keys()];
  }

  /** Name of the node that has a call, asked of the nodes themselves. */
  async of(callId: string): Promise<string> {
    for (const [name, node] of this.#now) {
      const calls = await callsOn(node).catch((): readonly string[] => []);
      if (calls.includes(callId)) return name;
    }
    throw new Error(`no node has the call ${callId}`);
  }

  /** Waits until no node has any call. */
  async untilEmpty(names: readonly string[] = this.names, deadlineMs = 60_000): Promise<void> {
    const end = performance.now() + deadlineMs;
    for (const name of names) {
      for (;;) {
        const calls = await callsOn(this.get(name)).catch((error: unknown) => [String(error)]);
        if (calls.length === 0) break;
        if (performance.now() > end) throw new Error(`${name} still has ${calls.join(', ')}`);
      }
    }
  }

  /** Waits until the controller holds the node for usable, or not. */
  async until(name: string, usable: boolean, deadlineMs = 60_000): Promise<void> {
    const look = () => this.#site.sallyport.media.status().nodes.find((one) => one.name === name);
    await this.#site.until(
      `${name} is ${usable ? 'usable' : 'out of use'}`,
      () => {
        const seen = look();
        return seen !== undefined && (seen.up && seen.attested) === usable;
      },
      () => JSON.stringify(look()),
      deadlineMs,
    );
  }

  /** Starts a node anew where it was, as a supervisor would. */
  async restart(name: string): Promise<void> {
    const was = this.get(name);
    await was.kill();
    const node = await startRtpengine({
      kind: was.kind,
      dir: join(this.#site.dir, 'restarted'),
      name,
      ngPort: was.ng.port,
      cliPort: was.cli.port,
      portMin: was.ports.min,
      portMax: was.ports.max,
      ...(was.spool === undefined ? {} : { spool: was.spool }),
    });
    this.#t.teardown(() => node.stop());
    this.#now.set(name, node);
    writeFileSync(join(this.#site.dir, `${name}.pid`), `${node.pid}\n`);
  }
}

/** Sends one NG command as anybody on this host could, past the controller. */
export const rawNg = (
  at: { readonly host: string; readonly port: number },
  message: BencodeDict,
  deadlineMs = 10_000,
): Promise<BencodeDict> =>
  new Promise((resolve, reject) => {
    const socket = dgram.createSocket('udp4');
    const timer = setTimeout(
      () => done(() => reject(new Error(`no reply to ${message.command}`))),
      deadlineMs,
    );
    const done = (settle: () => void): void => {
      clearTimeout(timer);
      socket.close();
      settle();
    };
    socket.once('error', (error) => done(() => reject(error)));
    socket.once('message', (bytes) =>
      done(() => {
        const reply = decode(bytes.subarray(bytes.indexOf(0x20) + 1));
        resolve(isDict(reply) ? reply : {});
      }),
    );
    const cookie = `test${process.pid}${randomInt(2 ** 40)}`;
    socket.connect(at.port, at.host, () =>
      socket.send(Buffer.concat([Buffer.from(`${cookie} `), encode(message)])),
    );
  });

/** The call-ids a node has, as it says itself. */
export const callsOn = async (node: RunningRtpengine): Promise<readonly string[]> => {
  const { calls } = await rawNg(node.ng, { command: 'list', limit: '1000' });
  return isList(calls) ? calls.map(String) : [];
};

// ---- disks

/**
 * A small disk of its own, in memory; null where this process may not mount one. It lies under the system's temporary
 * folder, which the servers' users can reach.
 */
export const smallDisk = (t: Test, kilobytes: number): string | null => {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-disk-'));
  chmodSync(dir, 0o755);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kilobytes}k,mode=0755`, 'tmpfs', dir], {
      stdio: 'pipe',
    });
  } catch {
    rmSync(dir, { recursive: true, force: true });
    return null;
  }
  t.teardown(() => {
    execFileSync('umount', ['-l', dir], { stdio: 'pipe' });
    rmSync(dir, { recursive: true, force: true });
  });
  return dir;
};

/** Fills the disk a folder lies on to the last byte; gives what empties it again. */
export const fillDisk = (dir: string): (() => void) => {
  const file = join(dir, 'filler');
  for (const block of [65_536, 512]) {
    try {
      for (;;) writeFileSync(file, Buffer.alloc(block, 1), { flag: 'a' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
  return () => rmSync(file, { force: true });
};
