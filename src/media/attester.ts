import type { WallMs } from '../core/leg.js';
import {
  type AttestationFailure,
  judge,
  type NodeAttestation,
  type NodeLook,
  uptimeOf,
} from './attestation.js';
import type { BencodeDict } from './bencode.js';
import { askCli, parseParams } from './cli.js';
import type { ForeignCommands } from './foreign-commands.js';
import type { MediaNodeOptions, NodeCircumstances } from './node-options.js';
import { holdsUdpPort, lookAtProcess, pidFromFile, startTimeOf } from './node-process.js';

export interface AttesterDoors {
  readonly statistics: () => Promise<BencodeDict>;
  /** Knows which of the commands a node counts were ours. */
  readonly foreign: ForeignCommands;
  /** The node is another process than before: its calls are gone. */
  readonly restarted: (why: string) => void;
  readonly lost: (why: string) => void;
  readonly up: () => boolean;
}

/** A node that could not be looked at this often in a row has lost its attestation, calls in progress included. */
const BLIND_LIMIT = 2;

/** A look that saw nothing is done once more so soon: a machine that stood still for a moment must not cost calls. */
const SOON_MS = 250;

/** Looks at a node that becomes another each time; the next one comes by the timer. */
const MAX_LOOKS = 3;

/**
 * Keeps the attestation of one node: looks at start and every few seconds, and tells of each change. Between a
 * failed look and the next good one the node is not used.
 */
export class Attester {
  readonly #options: MediaNodeOptions;
  readonly #circumstances: NodeCircumstances;
  readonly #doors: AttesterDoors;
  #latest: NodeAttestation | null = null;
  #attested = false;
  #blind = 0;
  #poisoned = false;
  #uptime: number | null = null;
  #identity: { readonly pid: number; readonly startTime: number; readonly holdsPort: boolean | null } | null =
    null;
  #timer: NodeJS.Timeout | null = null;
  #soon: NodeJS.Timeout | null = null;
  #looking: Promise<void> | null = null;
  #closed = false;
  #told = '';
  /** A call has left the node since the last look began. */
  #left = false;
  /** Rises when the node turns out to be down or another process: what was seen before says nothing about it. */
  #incarnation = 0;

  constructor(options: MediaNodeOptions, circumstances: NodeCircumstances, doors: AttesterDoors) {
    this.#options = options;
    this.#circumstances = circumstances;
    this.#doors = doors;
  }

  get attested(): boolean {
    return this.#attested;
  }

  /** The latest value, or null before the first look. */
  get latest(): NodeAttestation | null {
    return this.#latest;
  }

  get pid(): number | null {
    const { pid, pidFile } = this.#options;
    return pid ?? (pidFile === undefined ? null : pidFromFile(pidFile));
  }

  /** A node that is down is looked at when it comes up. */
  async start(): Promise<void> {
    if (this.#doors.up()) await this.look();
    if (this.#closed) return;
    const again = (): void => {
      if (this.#doors.up()) void this.look();
    };
    this.#timer = setInterval(again, this.#circumstances.timing.attestMs);
    this.#timer.unref();
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    if (this.#soon !== null) clearTimeout(this.#soon);
  }

  /** The node is down: whatever comes up next must be looked at before it is used. */
  forget(): void {
    this.#incarnation++;
    this.#attested = false;
    this.#told = '';
    this.#uptime = null;
    this.#doors.foreign.forget();
  }

  /**
   * A call has ended on the node: the next look is told even where nothing has changed. What a call's evidence says of
   * its node it says of a time between two looks.
   */
  callLeft(): void {
    this.#left = true;
  }

  /** Never to be attested again by this process: it did what its kind cannot do. */
  poison(): void {
    this.#poisoned = true;
    this.#attested = false;
    void this.look();
  }

  /** Cheap: only compares the start time of the process with the one looked at last. */
  checkRestart(): void {
    const known = this.#identity;
    const pid = this.pid;
    if (known === null || pid === null) return;
    const startTime = startTimeOf(pid);
    if (pid === known.pid && startTime === known.startTime) return;
    this.#identity = null;
    this.#restarted();
    void this.look();
  }

  /** Looks once; calls while a look is under way share it. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#lookUntilSteady().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  /** A look during which the node became another is worth nothing, and is done again. */
  async #lookUntilSteady(): Promise<void> {
    for (let tried = 0; tried < MAX_LOOKS; tried++) {
      const incarnation = this.#incarnation;
      const conclude = await this.#lookOnce();
      if (this.#closed || !this.#doors.up()) return;
      if (incarnation === this.#incarnation) {
        conclude();
        return;
      }
    }
  }

  /** Looks, and gives what is to be done where the look is worth something. */
  async #lookOnce(): Promise<() => void> {
    const { cli } = this.#options;
    const { foreign } = this.#doors;
    const before = foreign.begin();
    const at = this.#circumstances.clock.wall();
    const left = this.#left;
    this.#left = false;
    const [params, { statistics, compared }] = await Promise.all([
      cli === undefined ? undefined : askCli(cli, 'params current'),
      this.#doors.statistics().then(
        // Compared as soon as it comes: what is sent later is not in it.
        (statistics) => ({ statistics, compared: foreign.compare(statistics, before) }),
        () => ({ statistics: null, compared: null }),
      ),
    ]);
    this.#checkUptime(statistics);
    const process = this.#lookAtProcess();
    const look: NodeLook = {
      params: typeof params === 'string' ? parseParams(params) : params,
      process,
      holdsNgPort: this.#identity?.holdsPort ?? null,
    };
    const { pool, ng, spool } = this.#options;
    const expected = {
      pool,
      ngPort: ng.port,
      spool: spool === undefined ? null : spool,
      foreign: compared,
    };
    return () => {
      // Each look counts from the one before: a foreign command costs the node's calls once, not for ever.
      if (compared !== null) foreign.take(compared);
      this.#conclude(judge(look, expected, this.#poisoned), at, left);
    };
  }

  #lookAtProcess(): NodeLook['process'] {
    const { pid: fixed, pidFile } = this.#options;
    if (fixed === undefined && pidFile === undefined) return undefined;
    const pid = this.pid;
    if (pid === null) return 'gone';
    const process = lookAtProcess(pid);
    if (typeof process === 'string') return process;
    const known = this.#identity;
    if (known?.pid !== pid || known.startTime !== process.startTime) {
      // Which process holds the port cannot change while it lives, so it is looked up once.
      const holdsPort = holdsUdpPort(pid, this.#options.ng.port);
      this.#identity = { pid, startTime: process.startTime, holdsPort };
      if (known !== null) this.#restarted();
    }
    return process;
  }

  #checkUptime(statistics: BencodeDict | null): void {
    const uptime = uptimeOf(statistics);
    const before = this.#uptime;
    if (uptime !== null) this.#uptime = uptime;
    if (uptime === null || before === null || uptime >= before) return;
    // A node whose process we see is judged by its start time: uptime follows the wall clock, which may be set back.
    if (this.#identity === null) this.#restarted();
  }

  #restarted(): void {
    this.forget();
    this.#doors.restarted('node-restarted');
  }

  /** The look that comes soon after one that saw nothing is not counted: two of them are one moment. */
  #noteBlind(unseen: boolean): void {
    const wasSoon = this.#soon !== null;
    if (this.#soon !== null) clearTimeout(this.#soon);
    this.#soon = null;
    if (!unseen) {
      this.#blind = 0;
      return;
    }
    if (wasSoon) return;
    this.#blind += 1;
    this.#soon = setTimeout(() => void this.look(), SOON_MS);
    this.#soon.unref();
  }

  #conclude(
    judged: Pick<NodeAttestation, 'verdict' | 'failures' | 'notSeen' | 'seen'>,
    at: WallMs,
    left: boolean,
  ): void {
    const { name, pool } = this.#options;
    const { emit, onAttestation } = this.#circumstances;
    const value: NodeAttestation = { node: name, pool, at, ...judged };
    this.#latest = value;
    this.#attested = judged.verdict === 'attested';
    this.#noteBlind(judged.verdict === 'unseen');
    const told = JSON.stringify([judged.verdict, judged.failures, judged.notSeen, judged.seen]);
    const changed = told !== this.#told;
    this.#told = told;
    if (changed || left) onAttestation(value);
    if (judged.verdict === 'attested') {
      if (changed) emit({ event: 'node-attested', node: name, pool });
      return;
    }
    const why: AttestationFailure | 'unseen' = judged.failures[0] ?? 'unseen';
    const failed = judged.verdict === 'failed';
    if ((failed && changed) || this.#blind === BLIND_LIMIT) {
      emit({ event: 'alarm', alarm: 'attestation-failed', callId: null, detail: `${name}: ${why}` });
    }
    if (failed || this.#blind >= BLIND_LIMIT) this.#doors.lost(`attestation-${why}`);
  }
}
