import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { verifyJournal } from '../../src/journal/verify.js';
import type { AnswerPolicy } from '../../src/phones/answer-policy.js';
import { encodeG711 } from '../../src/phones/g711.js';
import { heardMs } from '../../src/phones/goertzel.js';
import { toneSamples } from '../../src/phones/tone.js';
import { readWav } from '../../src/phones/wav.js';
import { type ListWords, openSite, type Row, type Site } from '../site/site.js';
import { callHeader, Dice, Nodes, paired, redisClient, withPidFiles } from './kit.js';
import { Processes } from './processes.js';
import { ToneScan } from './tone-scan.js';

/** A minute and a half on a machine that has nothing else to do. */
const longest = 400_000;
t.setTimeout(longest);

/** How much there is of everything; each call is some hundred milliseconds to some seconds long. */
const calls = Number(process.env.SALLYPORT_LEAK_CALLS ?? 300);
const atOnce = 20;
const controllerKills = 6;
const nodeKills = 5;

const number = (last: number): string => `+1646555${String(last).padStart(4, '0')}`;
const privateNumbers = [110, 111, 112].map(number);
const monitoredNumbers = [120, 121, 122].map(number);
const refusedNumbers = [130, 131].map(number);
const turning = Array.from({ length: 8 }, (_, i) => number(140 + i));

const words = (privileged: readonly string[]): ListWords => ({
  allow: { '*': [...monitoredNumbers, ...turning] },
  privileged: Object.fromEntries([...privateNumbers, ...privileged].map((one) => [one, 'attorney' as const])),
});

type Kind = 'monitored' | 'private' | 'refused' | 'turning';

interface Placed {
  readonly as: string;
  readonly kind: Kind;
  /** The tone each party sends in this call and in no other. */
  readonly tones: { readonly caller: number; readonly called: number };
  readonly policy: AnswerPolicy;
  /** How long each heard the other, as the phones measured it. */
  heard: { caller: number; called: number };
}

/** One tone for each party of each call, in whole multiples of 5 Hz: callers below 1,800 Hz, called parties above. */
const tonesOf = (serial: number): Placed['tones'] => ({
  caller: 300 + 5 * (serial % 300),
  called: 1800 + 5 * (serial % 300),
});

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The calls of the test, the kills among them, and what the phones saw. */
class Run {
  readonly placed = new Map<string, Placed>();
  readonly killed: string[] = [];
  readonly #site: Site;
  readonly #nodes: Nodes;
  readonly #dice: Dice;
  readonly #processes: Processes;
  #controller: Awaited<ReturnType<Processes['start']>>;
  /** Resolved while there is a controller: nobody picks a phone up where there is no dial tone. */
  #up = Promise.resolve();
  #done = 0;
  readonly #waiting = new Set<() => void>();

  constructor(
    site: Site,
    nodes: Nodes,
    dice: Dice,
    processes: Processes,
    controller: Awaited<ReturnType<Processes['start']>>,
  ) {
    this.#site = site;
    this.#nodes = nodes;
    this.#dice = dice;
    this.#processes = processes;
    this.#controller = controller;
    site.called.answerWith(
      ({ request }) =>
        this.placed.get(request.headers.get(callHeader.toLowerCase()) ?? '')?.policy ?? { do: 'ring' },
    );
  }

  get controller() {
    return this.#controller;
  }

  async all(): Promise<void> {
    const share = (part: number, kind: Kind): Kind[] => Array<Kind>(Math.round(calls * part)).fill(kind);
    const jobs = this.#dice.shuffle([
      ...share(0.42, 'monitored'),
      ...share(0.34, 'private'),
      ...share(0.08, 'refused'),
      ...share(0.16, 'turning'),
    ]);
    let serial = 0;
    const worker = async (): Promise<void> => {
      for (let kind = jobs.pop(); kind !== undefined; kind = jobs.pop()) {
        await this.#place(kind, serial++);
        this.#done += 1;
        for (const look of [...this.#waiting]) look();
      }
    };
    const faults = this.#faults(jobs.length);
    await Promise.all(Array.from({ length: atOnce }, worker));
    this.#done = Number.POSITIVE_INFINITY;
    for (const look of [...this.#waiting]) look();
    await faults;
  }

  /** Waits until so many calls are over. */
  #after(count: number): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.#done < count) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  async #faults(jobs: number): Promise<void> {
    const faults = this.#dice.shuffle([
      ...Array<'controller'>(controllerKills).fill('controller'),
      ...Array<'node'>(nodeKills).fill('node'),
      ...Array<'turn'>(turning.length).fill('turn'),
    ]);
    const left = [...turning];
    for (const [i, fault] of faults.entries()) {
      await this.#after(Math.round((jobs * (i + 0.5)) / (faults.length + 1)));
      // Any moment of the calls that are up just then.
      await pause(this.#dice.between(0, 400));
      if (fault === 'controller') await this.killController();
      else if (fault === 'node') await this.#killNode();
      else {
        const turned = left.pop();
        if (turned !== undefined) {
          await this.#site.publish(words(turning.filter((one) => !left.includes(one))));
        }
      }
    }
  }

  async killController(): Promise<void> {
    this.killed.push('controller');
    this.#controller.child.kill('SIGKILL');
    let isUp = (): void => undefined;
    this.#up = new Promise((resolve) => {
      isUp = resolve;
    });
    await this.#controller.exited;
    this.#controller = await this.#processes.start();
    isUp();
  }

  async #killNode(): Promise<void> {
    const name = this.#dice.pick(this.#nodes.names);
    this.killed.push(name);
    await this.#nodes.get(name).kill();
    await pause(this.#dice.between(0, 1500));
    await this.#nodes.restart(name);
  }

  #numberFor(kind: Kind): string {
    switch (kind) {
      case 'monitored':
        return this.#dice.pick(monitoredNumbers);
      case 'private':
        return this.#dice.pick(privateNumbers);
      case 'refused':
        return this.#dice.pick(refusedNumbers);
      case 'turning':
        return this.#dice.pick(turning);
      default: {
        const never: never = kind;
        return never;
      }
    }
  }

  async #place(kind: Kind, serial: number): Promise<void> {
    const as = `${kind}-${serial}`;
    const tones = tonesOf(serial);
    const tone = tones.called;
    const rings = this.#dice.next() < 0.1;
    const policy: AnswerPolicy = rings
      ? { do: 'ring', tone }
      : { do: 'answer', tone, ring: {}, afterMs: this.#dice.between(5, 300) };
    const talkMs = this.#dice.between(400, 2500);
    const byCaller = this.#dice.next() < 0.5;
    const call: Placed = { as, kind, tones, policy, heard: { caller: 0, called: 0 } };
    this.placed.set(as, call);
    await this.#up;
    const out = await this.#site.call(this.#numberFor(kind), {
      as,
      tone: tones.caller,
      headers: { [callHeader]: as },
    });
    await out.answered({ deadlineMs: rings ? 1500 : 12_000 }).catch(() => undefined);
    const incoming = this.#site.called.incoming.find(
      (one) => one.invite.request.headers.get(callHeader.toLowerCase()) === as,
    );
    if (out.established && incoming !== undefined) {
      await Promise.race([
        pause(talkMs),
        out.ended({ deadlineMs: 20_000 }),
        incoming.ended({ deadlineMs: 20_000 }),
      ]);
      call.heard = {
        caller: heardMs(incoming.audio.samples(), tones.caller),
        called: heardMs(out.audio.samples(), tones.called),
      };
      const first = byCaller ? out : incoming;
      if (first.ending === undefined) await first.hangUp({ deadlineMs: 8000 }).catch(() => undefined);
    }
    // Whatever is still open on the phones' side: they give up, as people do.
    await Promise.all([out.giveUp(), incoming?.giveUp()]);
  }
}

const decisionsAndCdrs = (rows: readonly Row[]): { decided: Row[]; cdrs: Row[] } => {
  const abandoned = rows.filter(({ kind }) => kind === 'abandoned');
  const counts = ({ seq }: Row): boolean =>
    !abandoned.some(({ body }) => body.firstSeq <= seq && seq <= body.lastSeq);
  const own = rows.filter((row) => counts(row) && typeof row.body.callId === 'string');
  return {
    decided: own.filter(({ kind, body }) => kind === 'decision' && body.other === undefined && !body.again),
    cdrs: own.filter(({ kind }) => kind === 'cdr'),
  };
};

/** The scanner finds what is there, in every form and at any byte: else it would prove nothing. */
const provesItself = (t: Test, site: Site, scan: ToneScan): void => {
  const tone = tonesOf(1).caller;
  const samples = toneSamples(tone, 480);
  const pcmu = encodeG711('PCMU', samples);
  const file = join(site.dir, 'planted');
  const planted = (form: string, bytes: Buffer): void => {
    writeFileSync(file, Buffer.concat([Buffer.alloc(4_194_301, 7), bytes, Buffer.alloc(100, 9)]));
    const found = scan.folders([site.dir]).filter((one) => one.file === file);
    t.ok(
      found.some((one) => one.form === form && one.tone === tone),
      `the scan finds ${form} in a file`,
    );
  };
  planted('pcmu', Buffer.from(pcmu.subarray(0, 160)));
  const wav = Buffer.alloc(4 * 320 + 1);
  for (let i = 0; i < 320; i++) wav.writeInt16LE(readMu(pcmu, i), 4 * i + 1);
  planted('pcm16-stereo', wav);
  const mono = Buffer.alloc(2 * 320);
  for (let i = 0; i < 320; i++) mono.writeInt16LE(readMu(pcmu, i), 2 * i);
  planted('pcm16', mono);
  rmSync(file);
};

const readMu = (pcmu: Uint8Array, i: number): number => {
  const [sample = 0] = readWavByte(pcmu[i] ?? 0);
  return sample;
};
const readWavByte = (byte: number): Int16Array => {
  const inverted = ~byte & 0xff;
  const value = ((((inverted & 15) << 3) + 132) << ((inverted >> 4) & 7)) - 132;
  return Int16Array.of(inverted & 128 ? -value : value);
};

/** Each monitored call that was heard has its sound in the vault, in its own channels, or its CDR says that it has not. */
const judgeRecordings = (t: Test, site: Site, placed: Iterable<Placed>, cdrs: readonly Row[]): void => {
  const counts: Record<string, number> = {};
  const wrong: string[] = [];
  for (const { as, tones, heard } of placed) {
    const cdr = cdrs.find(({ body }) => body.caller === as)?.body;
    const both = heard.caller >= 300 && heard.called >= 300;
    if (cdr === undefined) {
      if (both) wrong.push(`${as} was heard and has no CDR`);
      continue;
    }
    const { spool, sealed, verdict, ending } = cdr;
    const found = sealed ?? spool;
    const state = `${verdict} ${found?.state} ${found?.code ?? ''}`.trim();
    if (both) counts[state] = (counts[state] ?? 0) + 1;
    // A call that never had a node was looked for nowhere.
    const hadMedia = spool !== null || cdr.connectedMs > 0;
    if (verdict === 'private' && hadMedia && spool?.state !== 'nothing-found')
      wrong.push(`${as}: ${JSON.stringify(spool)}`);
    if (typeof found?.file === 'string') {
      const folder = sealed === undefined ? 'recordings' : 'recordings/sealed';
      const path = found.file.startsWith('/') ? found.file : join(site.dir, folder, found.file);
      const { channels } = readWav(site.opened(path));
      const [left = new Int16Array(), right = new Int16Array()] = channels;
      const [mine, theirs] = [heardMs(left, tones.caller), heardMs(right, tones.called)];
      // A node that was killed takes its last 4 KiB with it, and the CDR says so.
      const isCut = ending === 'node-lost' || found.damage !== null || found.missingPackets > 0;
      // Heard was the whole call; recorded is what came before it became private, which may be next to nothing.
      const turnedAtOnce = sealed !== undefined && left.length < 8 * 300;
      if (both && !isCut && !turnedAtOnce && (mine < 100 || theirs < 100)) {
        wrong.push(
          `${as} (${ending}, ${state}, ${left.length / 8} ms): ${mine} and ${theirs} ms are in its recording, ${JSON.stringify(heard)} were heard`,
        );
      }
      if (heardMs(left, tones.called) + heardMs(right, tones.caller) > 0)
        wrong.push(`${as}: channels are mixed up`);
    } else if (both && verdict === 'monitored' && found?.state !== 'recording-missing') {
      wrong.push(`${as} (${ending}): no recording, and nothing says so: ${JSON.stringify(found)}`);
    }
  }
  t.comment(`calls that were heard, and what is left of them: ${JSON.stringify(counts)}`);
  t.same(wrong, [], 'each recording is there and right, or its CDR says that it is not');
  const kept = (counts['monitored recording-finished'] ?? 0) + (counts['monitored recording-sealed'] ?? 0);
  const monitored = Object.entries(counts).reduce(
    (sum, [of, n]) => sum + (of.startsWith('monitored') ? n : 0),
    0,
  );
  t.ok(monitored >= calls / 10, `${monitored} monitored calls were heard`);
  t.ok(kept >= 0.7 * monitored, `${kept} of them can be heard again`);
};

t.test(
  'nothing of a call lies in plain, wherever the controller and the nodes are killed',
  { timeout: longest },
  async (t) => {
    const dice = new Dice(t);
    const site = await openSite(t, {
      patience: 'usual',
      config: (config) =>
        paired({
          ...config,
          media: { ...config.media, attestSeconds: 1 },
          recording: { ...config.recording, growthSeconds: 1 },
          policy: { ...config.policy, onBecomingPrivate: 'move' },
        }),
      overlay: withPidFiles,
      lists: words([]),
      local: { nodes: { recorded: 2, private: 2 }, portCount: 512, heartbeatMs: 500 },
      controller: false,
      keepAudioMs: 4000,
      t1Ms: 200,
    });
    const nodes = new Nodes(t, site);
    const processes = new Processes(t, site);
    const spools = site.local.recorded.flatMap(({ spool }) => spool ?? []);
    const all = Array.from({ length: calls }, (_, i) => tonesOf(i));
    const scan = new ToneScan(all.flatMap(({ caller, called }) => [caller, called]));
    await t.test('the scan can find', async (t) => provesItself(t, site, scan));

    const run = new Run(site, nodes, dice, processes, await processes.start());
    const fdsBefore = Math.max(...nodes.all.map(({ pid }) => fdsOf(pid) ?? 0));
    let seenInSpool = 0;
    const looking = setInterval(() => {
      // What lies in the spools while calls are up is theirs, in plain: the patterns are those of the calls.
      try {
        seenInSpool += scan.folders(spools, 1).length;
      } catch {
        // A file that went while it was read.
      }
    }, 500);
    const began = performance.now();
    await run.all().finally(() => clearInterval(looking));
    // Once more, with nothing else under way: all that is left has been left by then.
    await run.killController();
    t.comment(
      `${calls} calls in ${Math.round(performance.now() - began)} ms; killed: ${run.killed.join(', ')}`,
    );
    const cdrsOfAll = async () => {
      const { decided, cdrs } = decisionsAndCdrs(await site.rows());
      const without = decided.filter(({ body }) => !cdrs.some((one) => one.body.callId === body.callId));
      return { decided, cdrs, without };
    };
    const end = performance.now() + 120_000;
    while ((await cdrsOfAll()).without.length > 0 && performance.now() < end) await pause(200);
    await nodes.untilEmpty();
    await untilClosed(t, nodes, fdsBefore);
    const redis = redisClient(site);
    const counted = performance.now() + 120_000;
    let places = await redis.keys('*use:places:*');
    // What Redis did not take in time is sent again every second; by a controller that was killed meanwhile it is not, and
    // ends with its lease.
    while (places.length > 0 && performance.now() < counted) {
      await pause(200);
      places = await redis.keys('*use:places:*');
    }
    await redis.quit();
    run.controller.child.kill('SIGTERM');
    t.same(await run.controller.exited, { code: 0, signal: null }, 'the last controller ends');
    t.same(run.controller.childrenLeft(), [], 'with all its children');

    const { decided, cdrs, without } = await cdrsOfAll();
    t.same(
      without.map(({ body }) => `${body.caller} ${body.callId}`),
      [],
      `each of ${decided.length} decisions has its CDR`,
    );
    const ids = cdrs.map(({ body }) => body.callId);
    t.same(
      ids.filter((id, i) => ids.indexOf(id) !== i),
      [],
      'and no call has two',
    );
    const crashed = cdrs.filter(({ body }) => body.ending === 'controller-crashed');
    t.comment(`${crashed.length} CDRs were written by a successor; told: ${JSON.stringify(toldOf(crashed))}`);
    t.ok(crashed.length > 0, 'calls were up when the controller was killed');
    t.same(places, [], 'no call is counted as under way');
    const journal = await verifyJournal(site.config.journal.directory);
    t.ok(journal.ok, `the journal verifies: ${JSON.stringify(journal.problems)}`);
    judgeRecordings(t, site, run.placed.values(), cdrs);
    t.ok(seenInSpool > 0, 'while calls were up, the scan saw them in the spools');

    await t.test('every byte that is left', async (t) => {
      scan.bytes = scan.files = 0;
      const found = scan.folders([site.dir, ...spools]);
      t.comment(`${scan.files} files of ${scan.bytes} bytes`);
      t.same(
        found.map(({ file, offset, form, tone }) => `${form} of ${tone} Hz at ${offset} in ${file}`),
        [],
        'no sound of any call lies anywhere in plain',
      );
      t.ok(scan.files > 50 && scan.bytes > 1_000_000, 'and there was something to look through');
      for (const spool of spools) {
        t.same(
          readdirSync(spool, { recursive: true }).filter((name) => /c[a-z2-7]{26}/.test(String(name))),
          [],
          'no spool has a file of a call',
        );
      }
    });
  },
);

/** File descriptors a process holds; null where this user may not look. */
const fdsOf = (pid: number): number | null => {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return null;
  }
};

/** A call's four ports are four descriptors of its node: those of all calls are closed again. */
const untilClosed = async (t: Test, nodes: Nodes, before: number): Promise<void> => {
  const end = performance.now() + 30_000;
  const held = () => nodes.all.map(({ pid }) => fdsOf(pid) ?? 0);
  while (Math.max(...held()) > before + 3 && performance.now() < end) await pause(100);
  t.ok(
    Math.max(...held()) <= before + 3,
    `the nodes hold ${held().join(', ')} descriptors, and held ${before}`,
  );
};

const toldOf = (crashed: readonly Row[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { body } of crashed) {
    const key = `${body.told?.caller}/${body.told?.called}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
};
