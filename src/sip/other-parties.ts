import type { Emit, OtherParty } from '../call/ports.js';
import type { Dialled } from '../core/number.js';
import { numberKeyText } from '../core/number.js';

/** Other parties reported one by one in a call; what is said beyond them is reported once, as nobody we can read. */
export const maxOtherParties = 8;

type Listener = (party: OtherParty) => void;

/**
 * What one side of a call said about other parties: each distinct one once, kept until somebody listens, and bounded.
 */
export class OtherParties {
  readonly #emit: Emit;
  readonly #seen = new Set<string>();
  readonly #kept: OtherParty[] = [];
  #listener: Listener | null;
  #over = false;

  constructor(emit: Emit, listener: Listener | null = null) {
    this.#emit = emit;
    this.#listener = listener;
  }

  report(parties: readonly OtherParty[]): void {
    for (const party of parties) this.#report(party);
  }

  /** One listener; the parties reported before it are told to it at once. */
  onOther(listener: Listener): void {
    this.#listener = listener;
    for (const party of this.#kept.splice(0)) this.#tell(listener, party);
  }

  #report(party: OtherParty): void {
    const name = `${party.how} ${nameOf(party.target)}`;
    if (this.#seen.has(name)) return;
    if (this.#over) return;
    if (this.#seen.size >= maxOtherParties) {
      this.#over = true;
      this.#emit({ event: 'fault', where: 'other-parties', code: 'too-many-other-parties' });
    }
    this.#seen.add(name);
    // Over the bound it must not be the one harmless number among many that hides the next.
    const told: OtherParty = this.#over ? { how: party.how, target: null } : party;
    if (this.#listener === null) this.#kept.push(told);
    else this.#tell(this.#listener, told);
  }

  /** A listener that throws must not take the message with it that it was told about. */
  #tell(listener: Listener, party: OtherParty): void {
    try {
      listener(party);
    } catch {
      this.#emit({ event: 'fault', where: 'other-parties', code: party.how });
    }
  }
}

const nameOf = (target: Dialled | null): string => {
  switch (target?.kind) {
    case 'number':
    case 'hotline':
      return numberKeyText(target.key);
    case 'emergency':
    case 'service':
      return `${target.kind} ${target.code}`;
    case 'unparseable':
    case undefined:
      return '';
    default: {
      const never: never = target;
      return never;
    }
  }
};
