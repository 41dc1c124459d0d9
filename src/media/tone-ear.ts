import { isIPv6 } from 'node:net';
import { type Between, MediaError, type Party, type Sdp } from '../call/ports.js';
import type { CallId } from '../core/leg.js';
import { nobody } from './commands.js';
import type { MediaNode } from './node.js';
import { nobodyFor } from './sdp-in.js';

/** What the ear needs of its call. Each is done in the turn of whoever asks the ear for something. */
export interface ToneDoors {
  /** Throws MediaError where this description of the node's names another port than the party was told. */
  checkPort(of: Party, nodeSdp: string): void;
  /** Tells the node once more what the two parties said to each other: they are joined again, and blocked. */
  rejoin(): Promise<void>;
}

/**
 * Listens for keys in the sound of one party. The node does that only in sound it passes on, and not in what it blocks
 * or silences (measured), but before a call is open nothing may pass between the two. So the party is joined with
 * nobody for as long as it is asked: a stand-in without an address, to which the node sends no packet. Both parties
 * hear what they are played all the while, on the same ports (measured).
 *
 * Before the block of the whole call is lifted, the node is asked who hears the party: it must be nobody alone. And
 * nothing is told to the node about the two of them before `leave` has blocked the call again.
 */
export class ToneEar {
  readonly #home: MediaNode;
  readonly #callId: CallId;
  readonly #between: Between;
  readonly #doors: ToneDoors;
  /** Who is, or may be, joined with nobody. */
  #party: Party | null = null;
  #used = false;

  constructor(home: MediaNode, callId: CallId, between: Between, doors: ToneDoors) {
    this.#home = home;
    this.#callId = callId;
    this.#between = between;
    this.#doors = doors;
  }

  /** Nobody's tag is in the call: the node keeps it until the call's end. */
  get used(): boolean {
    return this.#used;
  }

  /** `said` is the party's own description. Rejects with MediaError; then nobody is listened to. */
  async listen(party: Party, said: Sdp): Promise<void> {
    if (this.#party === party) return;
    await this.leave();
    // From here on the party may be alone: whatever fails is undone by `leave`, here or later.
    this.#party = party;
    this.#used = true;
    try {
      await this.#listen(party, said);
    } catch (error) {
      await this.leave().catch(() => undefined);
      throw error;
    }
  }

  async #listen(party: Party, said: Sdp): Promise<void> {
    const family = isIPv6(this.#home.mediaAddress) ? 6 : 4;
    const nowhere = nobodyFor(said, family);
    const sdp = await this.#home.joinNobody(this.#callId, party, said, nowhere, this.#between);
    this.#doors.checkPort(party, sdp);
    const { hearers } = await this.#home.query(this.#callId);
    const [only, ...more] = hearers[party];
    if (only !== nobody || more.length > 0) throw new MediaError('node-error', 'heard-by-somebody');
    await this.#home.hearTones(this.#callId, party);
  }

  /** Blocks the call and joins the parties again. Does nothing where nobody is listened to. */
  async leave(): Promise<void> {
    if (this.#party === null) return;
    await this.#home.unhearTones(this.#callId, this.#party);
    await this.#doors.rejoin();
    this.#party = null;
  }
}
