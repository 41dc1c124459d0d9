import { randomBytes } from 'node:crypto';
import type { Head, Heartbeat, Manifest } from './manifest.js';
import { type PublisherKey, signText } from './signed.js';

/** A signed heartbeat for the publication the head points at. `at` is wall time in ms. */
export const signHeartbeat = (
  key: PublisherKey,
  head: Head,
  at: number,
  { keeps }: Pick<Manifest, 'keeps'> = {},
): string =>
  signText(
    key,
    'heartbeat',
    JSON.stringify({
      format: 1,
      epoch: head.epoch,
      manifest: head.manifest,
      at,
      nonce: randomBytes(12).toString('base64url'),
      ...(keeps === undefined ? {} : { keeps }),
    } satisfies Heartbeat),
  );
