import type { CallState } from '../core/call.js';
import type { Key } from '../core/key.js';
import type { CallRun } from './call-run.js';
import type { Party } from './ports.js';

/** How a key came: in the audio path, as the node hears it (RFC 4733 or a tone, never both), or as SIP INFO of the leg. */
export type Way = 'audio' | 'info';

/** Keys as the node hears them, and as the legs send them in INFO: both are keys. */
export const listen = (run: CallRun): void => {
  run.voice?.onKey((party, key) => run.pressed(party, key, 'audio'));
  run.caller.onKey((key) => run.pressed('caller', key, 'info'));
  run.called?.onKey((key) => run.pressed('called', key, 'info'));
};

/**
 * Who is asked for a key in a phase: what anybody else presses, or presses unasked, is looked at by nobody, and
 * nobody's sound is listened to.
 */
export const askedIn = (phase: CallState['phase']): Party | null => {
  switch (phase) {
    case 'identifying':
    case 'choosing':
    case 'offering':
      return 'caller';
    case 'asking':
      return 'called';
    default:
      return null;
  }
};

/** Has the node listen for tones of who is asked now, as the party's trunk sends its keys. */
export const ask = (run: CallRun): void => {
  const party = askedIn(run.state.phase);
  if (party === null) {
    run.voice?.ask(null);
    return;
  }
  const by = party === 'caller' ? run.keys.caller : run.keys.called(run.record.trunk ?? '');
  run.voice?.ask({ party, by });
};

/** Nobody looks at what is pressed while the two talk. */
export const stopListening = (run: CallRun): void => {
  run.voice?.onKey(null);
  run.caller.onKey(null);
  run.called?.onKey(null);
};

/** The same press comes both ways within this time, in ms: the node tells a key at its end, INFO may at its beginning. */
const apartMs = 1000;
/** Presses remembered of one call; more than a person can press in that time. */
const maxRemembered = 32;

interface Press {
  readonly party: Party;
  readonly key: Key;
  readonly way: Way;
  readonly at: number;
}

/**
 * Telephones that send each key both ways press it once: a PIN of twice its digits is a wrong one, and locks. Each
 * press of one way is met by at most one of the other, so that a digit keyed in twice stays two.
 */
export class TwoWays {
  #unmet: Press[] = [];

  /** `at` in ms, monotonic. True where this press was heard the other way already. */
  heardAlready(party: Party, key: Key, way: Way, at: number): boolean {
    this.#unmet = this.#unmet.filter((press) => at - press.at <= apartMs).slice(-maxRemembered);
    const met = this.#unmet.findIndex(
      (press) => press.party === party && press.key === key && press.way !== way,
    );
    if (met < 0) {
      this.#unmet.push({ party, key, way, at });
      return false;
    }
    this.#unmet.splice(met, 1);
    return true;
  }
}
