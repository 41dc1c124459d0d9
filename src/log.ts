import { type DestinationStream, pino } from 'pino';
import type { AppEvent } from './call/events.js';

/** The least severe level at which each kind of event is written. */
const levels: Readonly<Record<AppEvent['event'], 'debug' | 'info' | 'warn' | 'error'>> = {
  'call-arrived': 'info',
  'call-decided': 'info',
  'call-phase': 'debug',
  'call-ended': 'info',
  'call-stray-event': 'debug',
  'call-effect-failed': 'warn',
  'call-rejected': 'info',
  shed: 'warn',
  'other-party': 'warn',
  'three-way-suspected': 'info',
  supervision: 'warn',
  alarm: 'error',
  'lists-armed': 'info',
  'lists-disarmed': 'error',
  'list-lookup': 'debug',
  'snapshot-saved': 'info',
  'redis-state': 'warn',
  'node-state': 'warn',
  'node-attested': 'debug',
  'ng-command': 'debug',
  'recording-armed': 'debug',
  'recording-finished': 'info',
  'recordings-staged': 'debug',
  'store-state': 'warn',
  'journal-heads': 'warn',
  'journal-state': 'warn',
  'journal-append': 'debug',
  'agent-state': 'warn',
  'trunk-state': 'warn',
  'sip-refused': 'info',
  'retention-state': 'warn',
  canary: 'info',
  'recording-state': 'warn',
  'controller-started': 'info',
  'controller-ready': 'info',
  'controller-stopping': 'info',
  fault: 'error',
};

/** A part that came back is news; only one that went is a warning. */
const levelOf = (event: AppEvent): 'debug' | 'info' | 'warn' | 'error' => {
  const back =
    'state' in event &&
    (event.state === 'up' ||
      event.state === 'healthy' ||
      event.state === 'kept-up' ||
      event.state === 'armed');
  return back ? 'info' : levels[event.event];
};

/** Characters gathered before they are written, and how long a line waits for others. */
const GATHERED = 8192;
const GATHERED_MS = 50;

let shared: DestinationStream | null = null;

/**
 * Standard output, many lines a write: a call has some lines, and a write each is a system call on its way. What is
 * gathered is written when the process exits; one that is killed takes its last lines with it, which are no evidence.
 */
const gathered = (): DestinationStream => {
  if (shared !== null) return shared;
  // Gathered here and not by the destination, whose flush ends with an fsync: where the log is a file, every call would
  // wait for that disk twenty times a second.
  const out = pino.destination({ fd: 1, sync: true });
  let lines = '';
  let waiting = false;
  const flush = (): void => {
    waiting = false;
    const text = lines;
    lines = '';
    if (text === '') return;
    try {
      out.write(text);
    } catch {
      // Nobody reads it, or the disk is full: a log holds nothing up.
    }
  };
  process.once('exit', flush);
  shared = {
    write: (line) => {
      lines += line;
      if (lines.length >= GATHERED) flush();
      if (waiting) return;
      waiting = true;
      setTimeout(flush, GATHERED_MS).unref();
    },
  };
  return shared;
};

/**
 * The log: one line of JSON an event, on the given stream. Only typed events are written, and none of them has a
 * field for a number, a PIN or a message; redaction by pattern is no substitute (facts: libraries, pino).
 */
export const createLog = (
  level: 'debug' | 'info' | 'warn' | 'error' | 'silent',
  stream?: DestinationStream,
  node?: string,
): ((event: AppEvent) => void) => {
  const options = {
    level,
    // Lines of several controllers come together where they share a machine.
    base: node === undefined ? null : { node },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const log = pino(options, stream ?? gathered());
  return (event) => log[levelOf(event)](event);
};
