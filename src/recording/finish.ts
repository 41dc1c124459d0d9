import { constants } from 'node:fs';
import { chmod, type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { FinishedRecording, JsonObject, MediaTotals } from '../call/ports.js';
import type { Monitored } from '../core/decision.js';
import type { CallId, WallMs } from '../core/leg.js';
import { type Conversion, convert, type TypedText } from './convert.js';
import { digestOf, makeFolders, putInPlace, writeDurably } from './durable.js';
import { nodeIsDone, removeFromSpool, stemOf } from './node-files.js';
import type { ProvedFile } from './proof.js';
import type { Sides } from './sorter.js';

/** A recording whose call has ended, or has become private. */
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
  /** RTP packets of both parties the node had counted before it recorded; null where that is not known. */
  readonly countedBefore: number | null;
  /** Why what was recorded goes to the sealed ones (I5); null for an ordinary recording. */
  readonly sealed: string | null;
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

/** Folder of the sealed recordings within that of the ordinary ones, filed by day as they are. */
export const SEALED = 'sealed';

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

/**
 * RTP packets the node counted and the pcap does not hold: all of them, and those that are not early. Where the call
 * was up before it was recorded, both parties' packets may come between our question and the recording's start.
 */
const missingOf = (
  made: Conversion,
  { totals, countedBefore }: EndedRecording,
): { all: number; unexplained: number } | null => {
  if (totals === null || countedBefore === null) return null;
  const caller = Math.max(0, totals.packets.caller - made.rtp.caller);
  const called = Math.max(0, totals.packets.called - made.rtp.called);
  if (countedBefore === 0) {
    return { all: caller + called, unexplained: caller + Math.max(0, called - EARLY_PACKETS) };
  }
  const all = Math.max(0, caller + called - countedBefore);
  return { all, unexplained: Math.max(0, all - 2 * EARLY_PACKETS) };
};

const textCountsOf = ({ other, ...counts }: TypedText['caller']): JsonObject => ({
  ...counts,
  otherPayloadTypes: other,
});

/** Why a transcript may not hold all that was typed, apart from what the network lost. */
const textErrors = ({ caller, called }: TypedText): string[] => {
  const either = (count: (side: TypedText['caller']) => number): boolean => count(caller) + count(called) > 0;
  return [
    ...(either(({ malformed }) => malformed) ? ['text-malformed'] : []),
    ...(either(({ notUtf8 }) => notUtf8) ? ['text-not-utf8'] : []),
    ...(either(({ other }) => Object.keys(other).length) ? ['text-other-payload'] : []),
    ...(either(({ dropped }) => dropped) ? ['text-too-long'] : []),
  ];
};

/** The member of the evidence that speaks of the transcript; `sha256` of its file. */
const textEvidence = (file: string, sha256: string, text: TypedText): JsonObject => ({
  file,
  sha256,
  characters: { caller: text.caller.characters, called: text.called.characters },
  caller: textCountsOf(text.caller),
  called: textCountsOf(text.called),
  errors: textErrors(text),
});

/** Packets of text that could be read: a call may be typed alone. */
const typedPackets = (text: TypedText | null): number =>
  text === null ? 0 : text.caller.packets + text.called.packets;

const evidenceOf = (ended: EndedRecording, made: Conversion, nodeDone: boolean): JsonObject => ({
  node: ended.node,
  seconds: made.seconds,
  caller: countsOf(made.caller),
  called: countsOf(made.called),
  strangersPackets: made.strangers,
  missingPackets: missingOf(made, ended)?.all ?? null,
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

/** Puts the transcript beside the WAV, before the WAV: where one is, the other is. */
const storeText = async (ended: EndedRecording, text: TypedText, wav: string): Promise<JsonObject> => {
  const path = wav.replace(/\.wav$/, '.txt');
  await writeDurably(path, text.transcript, modeOf(ended));
  return textEvidence(`${ended.callId}.txt`, await digestOf(path), text);
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
  const text = made.text === null ? {} : { text: await storeText(ended, made.text, path) };
  const at = new Date(bounds.now()).toISOString();
  const wav = {
    file: `${ended.callId}.wav`,
    sha256,
    channels: { left: 'caller', right: 'called' },
    rate: 8000,
  };
  const content: JsonObject = {
    format: 'sallyport-recording-1',
    callId: ended.callId,
    createdAt: at,
    decision: ended.decision,
    complete:
      made.damage === null &&
      (missingOf(made, ended)?.unexplained ?? 0) === 0 &&
      (made.text === null || textErrors(made.text).length === 0),
    ...(ended.sealed === null ? {} : { sealed: { why: ended.sealed, at } }),
    wav,
    ...text,
    ...evidence,
  };
  await putInPlace(temporary, path);
  await writeDurably(manifest, `${JSON.stringify(content, null, 2)}\n`, modeOf(ended));
  return { file: path, manifest, evidence: { ...evidence, wav, ...text } };
};

/** Nobody has a reason to change a sealed recording. */
const modeOf = ({ sealed }: EndedRecording): number => (sealed === null ? 0o600 : 0o400);

/** The folder a recording goes to, made if it is not there. */
const placeFor = async (ended: EndedRecording, recordingsDir: string): Promise<string> => {
  const day = new Date(ended.receivedAt).toISOString().slice(0, 10).split('-');
  if (ended.sealed === null) return makeFolders(recordingsDir, day);
  const dir = await makeFolders(recordingsDir, [SEALED, ...day]);
  // The folder may be older than we are, and of anybody's making.
  await chmod(join(recordingsDir, SEALED), 0o700);
  return dir;
};

/** Makes a file under a temporary name; what stays of it on an error is removed. */
const makeFile = async <Made>(
  temporary: string,
  mode: number,
  write: (file: FileHandle) => Promise<Made>,
): Promise<Made> => {
  try {
    const file = await open(temporary, 'w', 0o600);
    try {
      const made = await write(file);
      await file.chmod(mode);
      await file.sync();
      return made;
    } finally {
      await file.close();
    }
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
};

const COPY_BYTES = 65_536;

/** Sound of a sealed call that nobody could decode: it may not stay in the spool, and is not ours to destroy. */
const keepPcap = async (ended: EndedRecording, pcap: FileHandle, dir: string): Promise<void> => {
  const temporary = join(dir, `.${ended.callId}.pcap.part`);
  const buffer = Buffer.allocUnsafe(COPY_BYTES);
  await makeFile(temporary, modeOf(ended), async (copy) => {
    for (let at = 0; ; ) {
      const { bytesRead } = await pcap.read(buffer, 0, COPY_BYTES, at);
      if (bytesRead === 0) return;
      await copy.writeFile(buffer.subarray(0, bytesRead));
      at += bytesRead;
    }
  });
  await putInPlace(temporary, join(dir, `${ended.callId}.pcap`));
};

/** Removes the node's files of a recording that is durable, and says so where that did not work. */
const tidied = async (
  ended: EndedRecording,
  recording: FinishedRecording,
  nodeDone: boolean,
): Promise<FinishedRecording> => {
  // What could not be removed is no reason to call the recording missing.
  const removed =
    nodeDone &&
    (await removeFromSpool(ended.spool, ended.callId).then(
      () => true,
      () => false,
    ));
  return removed ? recording : { ...recording, evidence: { ...recording.evidence, leftInSpool: true } };
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
  const nodeDone = await nodeIsDone(
    stemOf(file.path),
    file.path,
    spool,
    ended.nodePid,
    file.fd,
    bounds.settleMs,
  );
  const pcap = await openPcap(ended);
  if (typeof pcap === 'string')
    return { state: 'missing', code: pcap, evidence: { node: ended.node, nodeDone } };
  const dir = await placeFor(ended, recordingsDir);
  const temporary = join(dir, `.${callId}.wav.part`);
  let made: Conversion;
  try {
    made = await makeFile(temporary, modeOf(ended), (wav) =>
      convert(pcap, wav, ended.sides, bounds.maxSeconds),
    );
    if (made.caller.packets + made.called.packets + typedPackets(made.text) === 0) {
      const evidence = evidenceOf(ended, made, nodeDone);
      const nothing = made.pcapBytes <= 24 && made.damage === null;
      if (ended.sealed === null || nothing) {
        await unlink(temporary);
        // Sound nobody could decode stays in the spool for someone to look at; a pcap without any is of no use.
        if (nothing && nodeDone) await removeFromSpool(spool, callId);
        return { state: 'missing', code: 'no-audio', evidence };
      }
      await keepPcap(ended, pcap, dir);
    }
  } finally {
    await pcap.close();
  }
  const path = join(dir, `${callId}.wav`);
  const evidence = evidenceOf(ended, made, nodeDone);
  const recording = await store(ended, made, temporary, path, evidence, bounds);
  const missingPackets = missingOf(made, ended)?.unexplained ?? 0;
  return { state: 'finished', recording: await tidied(ended, recording, nodeDone), missingPackets };
};
