import type { JsonObject } from '../call/ports.js';
import type { CallId, FacilityId, WallMs } from '../core/leg.js';

/**
 * The role a vault fills for the recorder: it takes a recording's bytes as they are made, encrypts them, and keeps
 * them. There is no way to read anything back but what stands open in a manifest.
 */
export interface RecordingVault {
  /** Ids of the keys recordings of this facility are encrypted to; null where there is none. */
  keysOf(facility: FacilityId): readonly string[] | null;
  /** A stable code where nothing can be kept now, or null. Settles soon, never rejects. */
  judge(): Promise<string | null>;
  /** What is there already of a finished recording: of a run that ended before it could tidy up. */
  kept(entry: VaultEntry): Promise<Kept | null>;
  /** Rejects with a RecordingError. */
  begin(entry: VaultEntry): Promise<VaultDraft>;
  /** Names of this call's files in the days around now. */
  filesOf(callId: CallId, now: WallMs): Promise<{ readonly ordinary: string[]; readonly sealed: string[] }>;
}

export interface VaultEntry {
  readonly callId: CallId;
  readonly facility: FacilityId;
  readonly receivedAt: WallMs;
  /** Why it goes to the sealed ones, encrypted to escrow keys alone; null for an ordinary recording. */
  readonly sealed: string | null;
  /** A test call's: the controller must be able to hear its recording. Never of a call between people. */
  readonly canary?: boolean;
}

/** The files of one recording in the making. */
export interface VaultDraft {
  /** Adds an encrypted file. Its first `headBytes` are given last. */
  file(kind: 'wav' | 'txt' | 'pcap', headBytes?: number): Promise<DraftFile>;
  /**
   * Puts all of it in place, the manifest last. What is `open` anybody may read who may read the folder; what is
   * `closed` stands encrypted in the manifest.
   */
  commit(open: JsonObject, closed: JsonObject, now: WallMs): Promise<Kept>;
  /** Leaves nothing of it. Never rejects. */
  discard(): Promise<void>;
}

export interface DraftFile {
  /** Bytes in order. */
  write(bytes: Buffer): Promise<void>;
  /** Ends the file; `head` are its first bytes, as many as were announced. */
  end(head?: Buffer): Promise<void>;
}

export interface Kept {
  /** Where the first file is, and the manifest. */
  readonly file: string;
  readonly manifest: string;
  readonly manifestSha256: string;
  readonly keys: readonly string[];
  /** Of each file as it is stored, encrypted. */
  readonly files: readonly { readonly name: string; readonly bytes: number; readonly sha256: string }[];
}
