import { listCases } from './list-cases.js';
import type { Named } from './named.js';

/** The tests that need no call. */
export const fastCases: readonly Named[] = [...listCases];
