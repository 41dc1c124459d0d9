import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { JsonObject, TextStreams } from '../call/ports.js';
import { type CallId, parseCallId, parseFacilityId, type WallMs } from '../core/leg.js';
import type { EndedRecording } from './finish.js';
import type { Sides } from './sorter.js';
import type { SpoolOptions } from './spool.js';

/** What the journal kept of a recording that an earlier run of the controller could not finish. */
export interface LeftRecording {
  readonly callId: CallId;
  readonly node: string;
  readonly receivedAt: WallMs;
  /** The decision in short, for the manifest. */
  readonly decision: JsonObject;
  /** The proof as `arm` gave it. */
  readonly proof: JsonObject;
  /** Why the call became private, where it did: then what was recorded of it is sealed. */
  readonly sealed?: string;
}

/** A pcap in a spool that this run of the controller knows nothing of. */
export interface Leftover {
  readonly node: string;
  readonly callId: CallId;
}

const pcapName = /^(c[a-z2-7]{26})-[0-9a-f]{16}\.pcap$/;

/** What a proof keeps so that the recording can be finished without the call. */
export const sidesIn = (sides: Sides): JsonObject => ({
  ports: { ...sides.ports },
  sources: { caller: sides.sources.caller, called: sides.sources.called },
  ...(sides.text == null ? {} : { text: { ...sides.text } }),
});

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'string');

const isFormats = (value: unknown): value is TextStreams['formats']['caller'] =>
  isRecord(value) &&
  Object.entries(value).every(
    ([payload, codec]) => /^\d{1,3}$/.test(payload) && (codec === 't140' || codec === 'red'),
  );

const readText = (text: unknown): TextStreams | null => {
  if (!isRecord(text) || !isRecord(text.formats)) return null;
  const sides = readPair(text);
  const { caller, called } = text.formats;
  if (sides === null || !isFormats(caller) || !isFormats(called)) return null;
  return { ...sides, formats: { caller, called } };
};

const readSides = (proof: JsonObject): Sides | null => {
  const sides = readPair(proof);
  if (sides === null || proof.text === undefined) return sides;
  const text = readText(proof.text);
  return text === null ? null : { ...sides, text };
};

const readPair = ({
  ports,
  sources,
}: Readonly<Record<string, unknown>>): Pick<Sides, 'ports' | 'sources'> | null => {
  if (!isRecord(ports) || !isRecord(sources)) return null;
  const { caller, called } = ports;
  if (typeof caller !== 'number' || typeof called !== 'number') return null;
  if (!isTexts(sources.caller) || !isTexts(sources.called)) return null;
  return { ports: { caller, called }, sources: { caller: sources.caller, called: sources.called } };
};

/** The recording a proof speaks of, or null where it is not a proof of this call. */
export const endedFrom = (
  left: LeftRecording,
  spool: SpoolOptions,
  nodePid: number | null,
): EndedRecording | null => {
  const { file, dev, ino, facility: named } = left.proof;
  // Which facility's keys it is encrypted to; where nobody knows, to nobody's.
  const facility = typeof named === 'string' ? parseFacilityId(named) : null;
  const sides = readSides(left.proof);
  if (typeof file !== 'string' || pcapName.exec(file)?.[1] !== left.callId || sides === null) return null;
  if (facility === null || typeof dev !== 'number' || typeof ino !== 'number') return null;
  return {
    callId: left.callId,
    node: left.node,
    spool: spool.dir,
    nodePid,
    file: { path: join(spool.dir, 'pcaps', file), dev, ino, fd: null, evidence: left.proof },
    sides,
    facility,
    receivedAt: left.receivedAt,
    decision: left.decision,
    totals: null,
    countedBefore: null,
    sealed: left.sealed ?? null,
  };
};

/** Calls with a pcap in a spool. Throws where a spool cannot be read. */
export const callsIn = async (spools: readonly SpoolOptions[]): Promise<Leftover[]> => {
  const found: Leftover[] = [];
  for (const { node, dir } of spools) {
    for (const name of await readdir(join(dir, 'pcaps'))) {
      const callId = parseCallId(pcapName.exec(name)?.[1] ?? '');
      if (callId !== null) found.push({ node, callId });
    }
  }
  return found;
};
