import { constants } from 'node:fs';
import type { FinishedRecording, JsonObject, MediaTotals } from '../call/ports.js';
import type { Monitored } from '../core/decision.js';
import type { CallId, FacilityId, WallMs } from '../core/leg.js';
import { disk, type OpenFile } from '../durable/disk.js';
import { type Conversion, convert, type TypedText } from './convert.js';
import { removeFromSpool } from './node-files.js';
import type { ProvedFile } from './proof.js';
import type { Sides } from './sorter.js';
import type { DraftFile, Kept, RecordingVault, VaultDraft } from './vault-port.js';
import { WAV_HEADER } from './wav.js';

/** A recording whose call has ended, or has become private. */
export interface EndedRecording {
  readonly callId: CallId;
  readonly node: string;
  readonly spool: string;
  readonly nodePid: number | null;
  readonly file: ProvedFile;
  readonly sides: Sides;
  readonly facility: FacilityId;
  readonly receivedAt: WallMs;
  /** The decision in short, for the manifest. */
  readonly decision: JsonObject;
  readonly totals: MediaTotals | null;
  /** RTP packets of both parties the node had counted before it recorded; null where that is not known. */
  readonly countedBefore: number | null;
  /** Why what was recorded goes to the sealed ones (I5); null for an ordinary recording. */
  readonly sealed: string | null;
  /** As in VaultEntry. */
  readonly canary?: boolean;
}

export interface FinishBounds {
  /** Whether the node was seen to be done with its files; where not, they stay in the spool. */
  readonly nodeDone: boolean;
  readonly maxSeconds: number;
  readonly now: () => WallMs;
}

export type Finished =
  | { readonly state: 'finished'; readonly recording: FinishedRecording; readonly missingPackets: number }
  | { readonly state: 'missing'; readonly code: string; readonly evidence: JsonObject };

/** A pcap that is its header alone. */
const EMPTY_PCAP = 24;

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

/** The member of the evidence that speaks of the transcript. */
const textEvidence = (text: TypedText): JsonObject => ({
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
  },
  ...(made.text === null ? {} : { text: textEvidence(made.text) }),
});

const openPcap = async (ended: EndedRecording): Promise<OpenFile | string> => {
  // Not through a link, whoever made it.
  const file = await disk
    .open(ended.file.path, constants.O_RDONLY | constants.O_NOFOLLOW)
    .catch((error: NodeJS.ErrnoException) => error.code ?? 'unknown');
  if (typeof file === 'string') return file === 'ENOENT' ? 'file-vanished' : 'file-replaced';
  const found = await file.stat();
  if (found.isFile() && found.ino === ended.file.ino && found.dev === ended.file.dev) return file;
  await file.close();
  return 'file-replaced';
};

const isComplete = (ended: EndedRecording, made: Conversion): boolean =>
  made.damage === null &&
  (missingOf(made, ended)?.unexplained ?? 0) === 0 &&
  (made.text === null || textErrors(made.text).length === 0);

/** What of the decision may stand open; all of it, with the reasons' details, is among what is encrypted. */
const openDecision = ({ decision: { verdict, epoch, policy } }: EndedRecording): JsonObject => ({
  ...(verdict === undefined ? {} : { verdict }),
  ...(epoch === undefined ? {} : { epoch }),
  ...(policy === undefined ? {} : { policy }),
});

const commit = (
  ended: EndedRecording,
  made: Conversion,
  evidence: JsonObject,
  draft: VaultDraft,
  now: WallMs,
) =>
  draft.commit(
    {
      decision: openDecision(ended),
      complete: isComplete(ended, made),
      wav: { channels: { left: 'caller', right: 'called' }, rate: 8000 },
      ...evidence,
    },
    // A digest of plain bytes confirms a guess at them, so none stands open.
    { decision: ended.decision, pcapSha256: made.pcapSha256 },
    now,
  );

/** What the journal keeps of the files, so that nobody can put others in their place. */
const filesEvidence = ({ files, keys, manifestSha256 }: Kept): JsonObject => ({
  files: files.map((file) => ({ ...file })),
  keys,
  manifestSha256,
});

const COPY_BYTES = 65_536;

/** Sound that nobody could decode: it may not stay in the spool, and is not ours to destroy. */
const keepPcap = async (pcap: OpenFile, copy: DraftFile): Promise<void> => {
  const buffer = Buffer.allocUnsafe(COPY_BYTES);
  for (let at = 0; ; ) {
    const { bytesRead } = await pcap.read(buffer, 0, COPY_BYTES, at);
    if (bytesRead === 0) break;
    await copy.write(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  await copy.end();
};

/** Removes the node's files of a recording that is durable, and says how many, or that it did not work. */
const tidied = async (ended: EndedRecording, nodeDone: boolean): Promise<JsonObject> => {
  if (!nodeDone) return { leftInSpool: true };
  // What could not be removed is no reason to call the recording missing.
  return removeFromSpool(ended.spool, ended.callId).then(
    (removedFromSpool) => ({ removedFromSpool }),
    () => ({ leftInSpool: true }),
  );
};

const recordingOf = async (
  ended: EndedRecording,
  kept: Kept,
  evidence: JsonObject,
  nodeDone: boolean,
): Promise<FinishedRecording> => ({
  file: kept.file,
  manifest: kept.manifest,
  evidence: { ...evidence, ...filesEvidence(kept), ...(await tidied(ended, nodeDone)) },
});

/** Makes the encrypted files out of an open pcap. */
const finishFrom = async (
  ended: EndedRecording,
  pcap: OpenFile,
  draft: VaultDraft,
  nodeDone: boolean,
  bounds: FinishBounds,
): Promise<Finished> => {
  const wav = await draft.file('wav', WAV_HEADER);
  const made = await convert(pcap, wav, ended.sides, bounds.maxSeconds);
  const evidence = evidenceOf(ended, made, nodeDone);
  const silent = made.caller.packets + made.called.packets + typedPackets(made.text) === 0;
  if (silent && made.pcapBytes <= EMPTY_PCAP && made.damage === null) {
    await draft.discard();
    return {
      state: 'missing',
      code: 'no-audio',
      evidence: { ...evidence, ...(await tidied(ended, nodeDone)) },
    };
  }
  if (silent) await keepPcap(pcap, await draft.file('pcap'));
  if (made.text !== null) {
    const transcript = await draft.file('txt');
    await transcript.write(Buffer.from(made.text.transcript));
    await transcript.end();
  }
  const kept = await commit(ended, made, evidence, draft, bounds.now());
  const recording = await recordingOf(ended, kept, evidence, nodeDone);
  // Nobody can play it. What there is of it is in the vault, for someone to look at.
  if (silent && ended.sealed === null) {
    return { state: 'missing', code: 'no-audio', evidence: { ...recording.evidence, file: recording.file } };
  }
  return { state: 'finished', recording, missingPackets: missingOf(made, ended)?.unexplained ?? 0 };
};

/**
 * Encrypts the WAV and the transcript of an ended call into the vault and then removes the node's files: what is plain
 * is in the spool and in memory, and nowhere else. Throws on errors of the vault; then everything stays in the spool.
 */
export const finishRecording = async (
  ended: EndedRecording,
  vault: RecordingVault,
  bounds: FinishBounds,
): Promise<Finished> => {
  const { node } = ended;
  const { nodeDone } = bounds;
  // A run that ended between the manifest and the removal: nothing is made twice.
  const kept = await vault.kept(ended);
  if (kept !== null) {
    const recording = await recordingOf(ended, kept, { node, nodeDone, keptBefore: true }, nodeDone);
    return { state: 'finished', recording, missingPackets: 0 };
  }
  const pcap = await openPcap(ended);
  if (typeof pcap === 'string') return { state: 'missing', code: pcap, evidence: { node, nodeDone } };
  try {
    const draft = await vault.begin(ended);
    try {
      return await finishFrom(ended, pcap, draft, nodeDone, bounds);
    } catch (error) {
      await draft.discard();
      throw error;
    }
  } finally {
    await pcap.close();
  }
};
