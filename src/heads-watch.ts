import type { Emit } from './call/ports.js';
import type { JournalEvent } from './journal/options.js';

/** After so many times `everySeconds` without a head, or without a copy of it, somebody must look. */
const TIMES = 3;

/**
 * What becomes of the journal's events about its heads. Rows go on being written, so a head that is late is a fault
 * and no reason to refuse a call; but what is after the last head can be rewritten, so one that stays late is an alarm.
 * The first failure comes when a head was due: the one before it is `everySeconds` old by then.
 */
export const watchHeads = (everySeconds: number, emit: Emit): ((event: JournalEvent) => void) => {
  const late = new Map<'signing' | 'shipping', NodeJS.Timeout>();
  const alarms = { signing: 'heads-unsigned', shipping: 'heads-unshipped' } as const;
  const waitMs = (TIMES - 1) * everySeconds * 1000;
  const failing = (part: 'signing' | 'shipping', code: string): void => {
    emit({ event: 'fault', where: part === 'signing' ? 'journal-heads' : 'journal-ship', code });
    emit({ event: 'journal-heads', part, state: 'unhealthy', code });
    const alarm = (): void => emit({ event: 'alarm', alarm: alarms[part], callId: null, detail: code });
    clearTimeout(late.get(part));
    // Copies that are not the beginning of what is here: this journal was put back, and no time makes it better.
    if (code === 'diverged') alarm();
    else late.set(part, setTimeout(alarm, waitMs).unref());
  };
  const well = (part: 'signing' | 'shipping', code: string | null): void => {
    clearTimeout(late.get(part));
    emit({ event: 'journal-heads', part, state: 'healthy', code });
  };
  return (event) => {
    switch (event.type) {
      case 'heads-unhealthy':
        failing('signing', event.reason);
        return;
      case 'ship-behind':
        failing('shipping', event.reason);
        return;
      case 'heads-recovered':
        well('signing', event.reason);
        return;
      case 'ship-recovered':
        well('shipping', event.reason);
        return;
      case 'closed':
        for (const timer of late.values()) clearTimeout(timer);
        return;
      default:
        return;
    }
  };
};
