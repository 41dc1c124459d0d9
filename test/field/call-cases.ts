import type { Named } from './named.js';

/** The tests that carry calls over real SIP, media and disks. */
export const callCases: readonly Named[] = [];
