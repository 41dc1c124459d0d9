import type { Effect } from '../core/call.js';
import type { CallRun } from './call-run.js';
import { codeOf, withDeadline } from './deadline.js';
import type { AlarmCode } from './events.js';
import { type JsonObject, type LedgerNote, MediaError } from './ports.js';

/** Runs one step under its bound and notes when it was done, for the CDR's delays. */
export const timed = async <T>(
  run: CallRun,
  effect: Effect['type'],
  ms: number,
  promise: Promise<T>,
  late?: (value: T) => void,
): Promise<T> => {
  const value = await withDeadline(effect, ms, promise, late);
  run.record.times[effect] = run.elapsed();
  return value;
};

export const failed = (run: CallRun, effect: Effect['type'], error: unknown): string => {
  const code = codeOf(error);
  if (code === 'node-timeout') run.parts.stoodStill(run.callId);
  const detail = error instanceof MediaError ? { detail: error.detail } : {};
  run.parts.emit({ event: 'call-effect-failed', callId: run.callId, effect, code, ...detail });
  return code;
};

/** Where a killed controller's successor finds it. */
export const noteDown = (run: CallRun, what: LedgerNote, fact: JsonObject): void =>
  run.parts.ledger.note(run.callId, what, fact);

export const alarm = (run: CallRun, alarm: AlarmCode, detail: string): void =>
  run.parts.emit({ event: 'alarm', alarm, callId: run.callId, detail });

/** Closing never fails: what could not be told is noted, and the ending goes on. */
export const closing = async (
  run: CallRun,
  effect: Effect['type'],
  work: () => Promise<void>,
): Promise<void> => {
  try {
    await withDeadline(effect, run.parts.bounds.closeMs, work());
  } catch (error) {
    failed(run, effect, error);
  }
};
