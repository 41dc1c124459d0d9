import { createHash } from 'node:crypto';
import type { Recipient } from './age-keys.js';
import { type Piece, Sealer } from './age-stream.js';
import type { Staged } from './store.js';

/** Encrypted bytes that are held until they are written: half a minute of a call. */
const HELD_BYTES = 2 ** 20;

/**
 * Encrypts one file into an object in the making, in few large writes: one for each chunk costs about as much as the
 * chunk's cipher. A short file is one write, and its digest is known without reading it again.
 */
export class SealedWriter {
  readonly #out: Pick<Staged, 'writeAt'>;
  readonly #sealer: Sealer;
  #held: Piece[] = [];
  #heldBytes = 0;
  #written = false;

  constructor(out: Pick<Staged, 'writeAt'>, recipients: readonly Recipient[], headBytes = 0) {
    this.#out = out;
    this.#sealer = new Sealer(recipients, headBytes);
  }

  /** Plain bytes in order; they are the caller's again when it settles. Rejects as `writeAt` does. */
  async write(bytes: Buffer): Promise<void> {
    this.#hold(this.#sealer.push(bytes));
    if (this.#heldBytes >= HELD_BYTES) await this.#flush();
  }

  /**
   * Writes the rest. `head` as for the Sealer. Gives the sha256 (hex) of the encrypted file, or null where part of it was
   * written before its first bytes were known.
   */
  async end(head?: Buffer): Promise<string | null> {
    this.#hold(this.#sealer.finish(head));
    const known = this.#written ? null : createHash('sha256');
    await this.#flush((bytes) => known?.update(bytes));
    return known?.digest('hex') ?? null;
  }

  forget(): void {
    this.#sealer.forget();
    this.#held = [];
  }

  #hold(pieces: readonly Piece[]): void {
    for (const piece of pieces) {
      this.#held.push(piece);
      this.#heldBytes += piece.length;
    }
  }

  async #flush(pass: (bytes: Buffer) => void = () => undefined): Promise<void> {
    const held = this.#held.sort((left, right) => left.at - right.at);
    this.#held = [];
    this.#heldBytes = 0;
    this.#written = true;
    let run: Buffer[] = [];
    let at = held[0]?.at ?? 0;
    let end = at;
    for (const piece of held) {
      if (piece.at !== end) {
        await this.#out.writeAt(run, at);
        run = [];
        at = piece.at;
      }
      for (const bytes of piece.bytes) {
        pass(bytes);
        run.push(bytes);
      }
      end = piece.at + piece.length;
    }
    await this.#out.writeAt(run, at);
  }
}
