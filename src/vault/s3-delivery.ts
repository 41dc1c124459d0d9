import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { digestOf } from '../durable/bytes.js';
import { VaultError } from './errors.js';
import type { Bucket, DonePart, Part } from './s3-bucket.js';
import type { Outbox } from './s3-outbox.js';

/** `conflict`: the service holds another object under a name. */
export type Delivered = 'delivered' | 'conflict';

export interface DeliveryOptions {
  readonly bucket: Bucket;
  readonly outbox: Outbox;
  /** What comes before a name in the bucket. */
  readonly prefix: string;
  /** Objects larger than this go in parts of this size. At least 5 MiB, which services demand. */
  readonly partBytes: number;
}

/** A service takes 10,000 parts of one object. */
const MAX_PARTS = 9000;
/** Deliveries at a time: each holds one part in memory. */
const AT_A_TIME = 2;

const digest64 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('base64');

/** Fills the buffer from a place in a file. */
const readPart = async (file: FileHandle, at: number, length: number): Promise<Part> => {
  const bytes = Buffer.allocUnsafe(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, at + done);
    if (bytesRead === 0) throw new VaultError('recording-changed', 'a staged file became shorter');
    done += bytesRead;
  }
  return { bytes, sha256: digest64(bytes) };
};

/**
 * Takes what waits in the outbox to the bucket: files first, the manifest last, none over another. Each object is
 * looked at when it is there before the copy on this host is removed. Rejects with VaultError where it has to be
 * tried again; whatever was delivered by then is found again, for it is the same.
 */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #running = new Map<string, Promise<Delivered>>();
  readonly #waiting: (() => void)[] = [];
  #slots = AT_A_TIME;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** Delivers what is ready of a stem; joins a delivery of it that is under way. */
  deliver(stem: string): Promise<Delivered> {
    const running = this.#running.get(stem);
    if (running !== undefined) return running;
    const started = this.#deliver(stem).finally(() => this.#running.delete(stem));
    this.#running.set(stem, started);
    return started;
  }

  async #deliver(stem: string): Promise<Delivered> {
    const { outbox } = this.#options;
    await this.#slot();
    try {
      const names = await outbox.group(stem);
      for (const name of names) if ((await this.#object(name)) === 'conflict') return 'conflict';
      await outbox.done(names);
      return 'delivered';
    } finally {
      this.#slots += 1;
      this.#waiting.shift()?.();
    }
  }

  async #slot(): Promise<void> {
    while (this.#slots === 0) await new Promise<void>((go) => this.#waiting.push(go));
    this.#slots -= 1;
  }

  async #object(name: string): Promise<Delivered> {
    const opened = await this.#options.outbox.open(name);
    // Another process delivered it.
    if (opened === null) return 'delivered';
    const { file, size } = opened;
    const key = this.#options.prefix + name;
    try {
      const sha256 = await digestOf(file);
      if (size <= this.#options.partBytes)
        await this.#options.bucket.put(key, await readPart(file, 0, size), sha256);
      else await this.#inParts(key, file, size, sha256);
      // Also where the name was taken: by an earlier try of ours whose answer was lost, or by another's object.
      const there = await this.#options.bucket.describe(key);
      if (there === null) throw new VaultError('store-unreachable', 'an object that was stored is not there');
      return there.bytes === size && there.sha256 === sha256 ? 'delivered' : 'conflict';
    } finally {
      await file.close();
    }
  }

  async #inParts(key: string, file: FileHandle, size: number, sha256: string): Promise<void> {
    const { bucket, partBytes } = this.#options;
    // What is there already needs no parts.
    if ((await bucket.describe(key)) !== null) return;
    // Of a run that was interrupted: they would be paid for, and never be an object.
    for (const left of await bucket.uploads(key)) await bucket.abort(key, left);
    const step = Math.max(partBytes, Math.ceil(size / MAX_PARTS));
    const upload = await bucket.begin(key, sha256);
    try {
      const parts: DonePart[] = [];
      for (let at = 0; at < size; at += step) {
        const part = await readPart(file, at, Math.min(step, size - at));
        parts.push(await bucket.sendPart(key, upload, parts.length + 1, part));
      }
      // `gone` also where the first answer was lost: whoever asked looks at what is there.
      if ((await bucket.complete(key, upload, parts)) === 'taken') await bucket.abort(key, upload);
    } catch (error) {
      await bucket.abort(key, upload);
      throw error;
    }
  }

  /**
   * Sees whether the service keeps what is there when it is asked to. The same small object is put, and put again: one
   * that takes it twice would replace a recording. With `parts`, the same of an object made of parts. Rejects
   * with VaultError: `store-unsafe`, or what is in the way.
   */
  async probe(parts: boolean): Promise<void> {
    const { bucket, prefix } = this.#options;
    const bytes = Buffer.from('Sallyport asks whether this object would be replaced.\n');
    const part: Part = { bytes, sha256: digest64(bytes) };
    const hex = createHash('sha256').update(bytes).digest('hex');
    const key = prefix + PROBE;
    const unsafe = (): VaultError => new VaultError('store-unsafe');
    if ((await bucket.put(key, part, hex)) === 'stored' && (await bucket.put(key, part, hex)) === 'stored')
      throw unsafe();
    if ((await bucket.describe(key))?.sha256 !== hex)
      throw new VaultError('store-refused', 'the service does not keep what is said of an object');
    if (!parts) return;
    const upload = await bucket.begin(key, hex);
    try {
      const done = await bucket.sendPart(key, upload, 1, part);
      if ((await bucket.complete(key, upload, [done])) !== 'taken') throw unsafe();
    } finally {
      await bucket.abort(key, upload);
    }
  }
}

/** A folder of ours in the bucket that is no folder of the vault. */
export const PROBE_FOLDER = '.sallyport';
const PROBE = `${PROBE_FOLDER}/never-replaced`;
