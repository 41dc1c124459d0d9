import { lstatSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CallId, FacilityId, WallMs } from '../../src/core/leg.js';
import type { EndedRecording } from '../../src/recording/finish.js';

/** A recording as a node leaves it in its spool, its metadata in its last place: two parties, nothing of them sealed. */
export const leftByNode = (
  spool: string,
  callId: CallId,
  pcap: Buffer,
  more: { readonly receivedAt: WallMs; readonly node?: string; readonly sealed?: string | null },
): EndedRecording => {
  const stem = `${callId}-0123456789abcdef`;
  const path = join(spool, 'pcaps', `${stem}.pcap`);
  writeFileSync(path, pcap);
  writeFileSync(join(spool, 'metadata', `rtpengine-meta-${stem}.txt`), '');
  const { dev, ino } = lstatSync(path);
  return {
    callId,
    node: 'recorded-1',
    spool,
    nodePid: null,
    file: { path, dev, ino, fd: null, evidence: {} },
    sides: {
      ports: { caller: 30_000, called: 30_002 },
      sources: { caller: ['192.0.2.1 5000'], called: ['192.0.2.2 6000'] },
    },
    facility: 'north' as FacilityId,
    decision: { verdict: 'monitored' },
    totals: null,
    countedBefore: 0,
    sealed: null,
    ...more,
  };
};
