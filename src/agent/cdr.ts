import type { AppServer } from './app-server.js';
import type { Timers } from './clock.js';
import type { Dialog } from './dialog.js';
import { newId } from './random.js';
import { stamp } from './wire.js';

type Source = 'network' | 'application';

/** How a call, or the attempt of one, came to its end (facts page, section 8). */
type Stop = 'call-rejected' | 'call-canceled' | 'normal-release' | 'system-initiated-termination';

/**
 * The records of calls as drachtio-server gives them: one of each leg's attempt, begin and end, each to one of the
 * applications that asked for its kind, in turn. Nobody asked: nothing is done.
 */
export class CallRecords {
  readonly #apps: AppServer;
  readonly #timers: Timers;
  /** Dialogs whose end was told: BYEs can cross. */
  readonly #over = new WeakSet<Dialog>();

  constructor(apps: AppServer, timers: Timers) {
    this.#apps = apps;
    this.#timers = timers;
  }

  /** An INVITE outside of any dialog. */
  attempt(source: Source, text: () => string): void {
    this.#tell('cdr:attempt', source, '', text);
  }

  /** The 2xx that answered it. */
  start(source: Source, role: 'uac' | 'uas', text: () => string): void {
    this.#tell('cdr:start', source, `|${role}`, text);
  }

  /** The final response that ended an attempt. */
  ended(source: Source, why: Stop, text: () => string): void {
    this.#tell('cdr:stop', source, `|${why}`, text);
  }

  /** The BYE that ended a call; of two that cross, the first. */
  released(dialog: Dialog, source: Source, why: Stop, text: () => string): void {
    if (dialog.kind !== 'invite' || !dialog.confirmed || this.#over.has(dialog)) return;
    this.#over.add(dialog);
    this.ended(source, why, text);
  }

  #tell(verb: string, source: Source, extra: string, text: () => string): void {
    const app = this.#apps.next(verb);
    if (app === undefined) return;
    app.send(`${newId()}|${verb}|${source}|${stamp(this.#timers.clock.date())}${extra}\r\n${text()}`);
  }
}
