import { constants, readFileSync } from 'node:fs';
import { open, readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { FinishedRecording, JsonObject, MediaTotals } from '../call/ports.js';
import type { Monitored } from '../core/decision.js';
import type { CallId, WallMs } from '../core/leg.js';
import { type Conversion, convert, type Sides } from './convert.js';
import { digestOf, makeFolders, putInPlace, writeDurably } from './durable.js';
import { holdsOpen, type ProvedFile } from './proof.js';
import { spoolFolders } from './spool.js';

/** A recording whose call has ended. */
export interface EndedRecording {
  readonly callId: CallId;
  readonly node: string;
  readonly spool: string;
  readonly nodePid: number | null;
  readonly file: ProvedFile;
  readonly sides: Sides;
  readonly receivedAt: WallMs;
  /** The decision in short, for the manifest. */
  readonly decision: JsonObject;
  readonly totals: MediaTotals | null;
}

export interface FinishBounds {
  /** How long the node may take to close its files. */
  readonly settleMs: number;
  readonly maxSeconds: number;
  readonly now: () => WallMs;
}

export type Finished =
  | { readonly state: 'finished'; readonly recording: FinishedRecording; readonly missingPackets: number }
  | { readonly state: 'missing'; readonly code: string; readonly evidence: JsonObject };

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A zombie holds nothing open any more: it only waits for its parent. */
const alive = (pid: number): boolean => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code !== 'ENOENT' && code !== 'ESRCH';
  }
};

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/**
 * Waits until the node is done with the files of a call: its metadata is moved to its last place after the pcap is
 * closed. A node that is gone is done too. False where the bound passed.
 */
export const nodeIsDone = async (
  stem: string,
  path: string,
  spool: string,
  pid: number | null,
  fd: number | null,
  withinMs: number,
): Promise<boolean> => {
  const metadata = join(spool, 'metadata', `rtpengine-meta-${stem}.txt`);
  const end = performance.now() + withinMs;
  for (;;) {
    if (pid !== null && !alive(pid)) return true;
    if ((await exists(metadata)) && holdsOpen(pid, path, fd) !== true) return true;
    // A node that was killed leaves no metadata, and the one that followed it does not know the file.
    if (performance.now() >= end) return holdsOpen(pid, path, fd) === false;
    await pause(10);
  }
};

/** Name of a pcap without its ending: what the node calls its metadata after, too. */
export const stemOf = (name: string): string => name.replace(/\.pcap$/, '');

/** Removes what the node left of a call. Only ever after the node is done with it: it crashed otherwise. */
export const removeFromSpool = async (spool: string, callId: CallId): Promise<number> => {
  let removed = 0;
  for (const folder of spoolFolders) {
    // A folder that is gone holds nothing; the recording that was just stored must not be called missing for it.
    const names = await readdir(join(spool, folder)).catch((error: NodeJS.ErrnoException): string[] => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    for (const name of names.filter((each) => each.includes(callId))) {
      await unlink(join(spool, folder, name));
      removed++;
    }
  }
  return removed;
};

const countsOf = (side: Conversion['caller']): JsonObject => ({
  packets: side.packets,
  lost: side.lost,
  duplicates: side.duplicates,
  dropped: side.dropped,
  restarts: side.restarts,
  codecs: side.codecs,
  otherPayloadTypes: side.other,
});

export const summaryOf = (decision: Monitored): JsonObject => ({
  verdict: decision.verdict,
  reasons: decision.reasons.map(({ code, detail }) => (detail === undefined ? { code } : { code, detail })),
  epoch: decision.epoch === null ? null : { id: decision.epoch.id, digest: decision.epoch.digest },
  policy: decision.policy,
});

/**
 * The called party may speak from its 200 on; the recording begins with the answer that follows, within a second at
 * most (`proveMs`): so many of its packets are early, were blocked, and were heard by nobody.
 */
const EARLY_PACKETS = 50;

/** RTP packets the node counted and the pcap does not hold: all of them, and those that are not early. */
const missingOf = (made: Conversion, totals: MediaTotals | null): { all: number; unexplained: number } => {
  if (totals === null) return { all: 0, unexplained: 0 };
  const caller = Math.max(0, totals.packets.caller - made.rtp.caller);
  const called = Math.max(0, totals.packets.called - made.rtp.called);
  return { all: caller + called, unexplained: caller + Math.max(0, called - EARLY_PACKETS) };
};

const evidenceOf = (ended: EndedRecording, made: Conversion, nodeDone: boolean): JsonObject => ({
  node: ended.node,
  seconds: made.seconds,
  caller: countsOf(made.caller),
  called: countsOf(made.called),
  strangersPackets: made.strangers,
  missingPackets: ended.totals === null ? null : missingOf(made, ended.totals).all,
  damage: made.damage,
  nodeDone,
  pcap: {
    file: ended.file.path.slice(ended.spool.length + 1),
    bytes: made.pcapBytes,
    sha256: made.pcapSha256,
  },
});

const openPcap = async (ended: EndedRecording): Promise<Awaited<ReturnType<typeof open>> | string> => {
  // Not through a link, whoever made it.
  const file = await open(ended.file.path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(
    (error: NodeJS.ErrnoException) => error.code ?? 'unknown',
  );
  if (typeof file === 'string') return file === 'ENOENT' ? 'file-vanished' : 'file-replaced';
  const found = await file.stat();
  if (found.isFile() && found.ino === ended.file.ino && found.dev === ended.file.dev) return file;
  await file.close();
  return 'file-replaced';
};

const store = async (
  ended: EndedRecording,
  made: Conversion,
  temporary: string,
  path: string,
  evidence: JsonObject,
  bounds: FinishBounds,
): Promise<FinishedRecording> => {
  const sha256 = await digestOf(temporary);
  const manifest = path.replace(/\.wav$/, '.json');
  const wav = {
    file: `${ended.callId}.wav`,
    sha256,
    channels: { left: 'caller', right: 'called' },
    rate: 8000,
  };
  const content: JsonObject = {
    format: 'sallyport-recording-1',
    callId: ended.callId,
    createdAt: new Date(bounds.now()).toISOString(),
    decision: ended.decision,
    complete: made.damage === null && missingOf(made, ended.totals).unexplained === 0,
    wav,
    ...evidence,
  };
  await putInPlace(temporary, path);
  await writeDurably(manifest, `${JSON.stringify(content, null, 2)}\n`);
  return { file: path, manifest, evidence: { ...evidence, wav } };
};

/**
 * Makes the WAV and its manifest of an ended call and then removes the node's files. Throws on errors of our own
 * disk; then everything stays in the spool.
 */
export const finishRecording = async (
  ended: EndedRecording,
  recordingsDir: string,
  bounds: FinishBounds,
): Promise<Finished> => {
  const { callId, spool, file } = ended;
  const stem = stemOf(file.path.slice(file.path.lastIndexOf('/') + 1));
  const nodeDone = await nodeIsDone(stem, file.path, spool, ended.nodePid, file.fd, bounds.settleMs);
  const pcap = await openPcap(ended);
  if (typeof pcap === 'string')
    return { state: 'missing', code: pcap, evidence: { node: ended.node, nodeDone } };
  const day = new Date(ended.receivedAt).toISOString().slice(0, 10).split('-');
  let made: Conversion;
  let evidence: JsonObject;
  const dir = await makeFolders(recordingsDir, day);
  const temporary = join(dir, `.${callId}.wav.part`);
  try {
    const wav = await open(temporary, 'w', 0o600);
    try {
      made = await convert(pcap, wav, ended.sides, bounds.maxSeconds);
      await wav.sync();
    } finally {
      await wav.close();
    }
    evidence = evidenceOf(ended, made, nodeDone);
    if (made.caller.packets + made.called.packets === 0) {
      await unlink(temporary);
      // Sound nobody could decode stays in the spool for someone to look at; a pcap without any is of no use.
      if (made.pcapBytes <= 24 && made.damage === null && nodeDone) await removeFromSpool(spool, callId);
      return { state: 'missing', code: 'no-audio', evidence };
    }
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  } finally {
    await pcap.close();
  }
  const path = join(dir, `${callId}.wav`);
  const recording = await store(ended, made, temporary, path, evidence, bounds);
  if (nodeDone) await removeFromSpool(spool, callId);
  return { state: 'finished', recording, missingPackets: missingOf(made, ended.totals).unexplained };
};
