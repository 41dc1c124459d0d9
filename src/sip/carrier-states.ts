import type { Emit } from '../call/ports.js';
import type { TrunkId } from '../core/leg.js';
import type { Drachtio } from './drachtio.js';
import { type CarrierTrunk, hostportOf, proxyOf, type TrunkTable } from './trunk.js';

/** Which carrier trunks answer: learned by OPTIONS and by INVITEs nobody answered. */
export class CarrierStates {
  readonly #table: TrunkTable;
  readonly #emit: Emit;
  readonly #down = new Set<TrunkId>();
  readonly #timers: NodeJS.Timeout[] = [];

  constructor(table: TrunkTable, emit: Emit) {
    this.#table = table;
    this.#emit = emit;
  }

  /** Sends OPTIONS to each trunk at its interval (RFC 3261 section 11); two in a row without answer mean down. */
  start(drachtio: Drachtio): void {
    for (const carrier of this.#table.carriers) {
      if (carrier.keepaliveSeconds <= 0) continue;
      let missed = 0;
      const uri = `sip:${hostportOf(carrier)}`;
      const probe = async (): Promise<void> => {
        const deadline = Math.min(carrier.keepaliveSeconds * 1000, 4000);
        const status = await drachtio.ping(uri, proxyOf(carrier), deadline);
        // Any answer shows the trunk is alive, except those that say it takes no calls.
        if (status !== 0 && status !== 408 && status !== 503) {
          missed = 0;
          this.#set(carrier, true, 'options');
        } else if (++missed >= 2) {
          this.#set(carrier, false, status === 0 ? 'no-answer' : `sip-${status}`);
        }
      };
      this.#timers.push(setInterval(() => void probe(), carrier.keepaliveSeconds * 1000));
    }
  }

  stop(): void {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
  }

  failed(carrier: CarrierTrunk, why: string): void {
    // Without OPTIONS nothing would ever find the trunk up again.
    if (carrier.keepaliveSeconds > 0) this.#set(carrier, false, why);
  }

  /**
   * Of the named trunks, those that may take a call to this number, in their order, those that are down last: a wrong
   * guess costs a delay, never a call. A number that is some carrier's alone goes to no other, whoever dials it.
   */
  inOrder(names: readonly TrunkId[], number: string): readonly CarrierTrunk[] {
    const isReserved = this.#table.carriers.some(({ only }) => only?.includes(number) === true);
    const known = names
      .flatMap((name) => this.#table.carrier(name) ?? [])
      .filter(({ only }) => (only === undefined ? !isReserved : only.includes(number)));
    return [
      ...known.filter((one) => !this.#down.has(one.name)),
      ...known.filter((one) => this.#down.has(one.name)),
    ];
  }

  view(): readonly { readonly trunk: string; readonly up: boolean }[] {
    return this.#table.carriers.map((carrier) => ({
      trunk: carrier.name,
      up: !this.#down.has(carrier.name),
    }));
  }

  #set(carrier: CarrierTrunk, up: boolean, why: string): void {
    if (up === !this.#down.has(carrier.name)) return;
    if (up) this.#down.delete(carrier.name);
    else this.#down.add(carrier.name);
    this.#emit({ event: 'trunk-state', trunk: carrier.name, state: up ? 'up' : 'down', why });
  }
}
