import { type JournalDisk, type JournalFile, nodeDisk, type OpenHow } from '../../src/journal/disk.js';

export function systemError(code: string): Error {
  return Object.assign(new Error(code), { code });
}

type Call = 'open' | 'write' | 'datasync' | 'truncate' | 'remove' | 'syncDirectory';

/** The real disk with a switch before each call: `before` may throw, wait, or return how many bytes a write may take. */
export class FaultyDisk implements JournalDisk {
  readonly counts: Record<Call, number> = {
    open: 0,
    write: 0,
    datasync: 0,
    truncate: 0,
    remove: 0,
    syncDirectory: 0,
  };
  /** For a write: a number caps how many bytes are taken. */
  before: (call: Call, path: string) => number | undefined | Promise<void> = () => undefined;

  async #pass(call: Call, path: string): Promise<number | undefined> {
    this.counts[call] += 1;
    const answer = await this.before(call, path);
    return typeof answer === 'number' ? answer : undefined;
  }

  async open(path: string, how: OpenHow): Promise<JournalFile> {
    await this.#pass('open', path);
    const file = await nodeDisk.open(path, how);
    return {
      write: async (bytes, offset, length, position) => {
        const cap = (await this.#pass('write', path)) ?? length;
        return file.write(bytes, offset, Math.min(cap, length), position);
      },
      read: (into, offset, length, position) => file.read(into, offset, length, position),
      datasync: async () => {
        await this.#pass('datasync', path);
        await file.datasync();
      },
      truncate: async (length) => {
        await this.#pass('truncate', path);
        await file.truncate(length);
      },
      size: () => file.size(),
      close: () => file.close(),
    };
  }

  list(directory: string): Promise<string[]> {
    return nodeDisk.list(directory);
  }

  async remove(path: string): Promise<void> {
    await this.#pass('remove', path);
    await nodeDisk.remove(path);
  }

  makeDirectory(directory: string): Promise<void> {
    return nodeDisk.makeDirectory(directory);
  }

  async syncDirectory(directory: string): Promise<void> {
    await this.#pass('syncDirectory', directory);
    await nodeDisk.syncDirectory(directory);
  }
}

/** A disk whose datasync waits for `release()`, from the moment `hold()` was called. */
export class HeldDisk extends FaultyDisk {
  #gate: Promise<void> | undefined;
  #open: () => void = () => {};
  #reached: () => void = () => {};
  /** Resolves when a datasync has come to the gate. */
  reached: Promise<void> = Promise.resolve();

  hold(): void {
    this.#gate = new Promise((resolve) => {
      this.#open = resolve;
    });
    this.reached = new Promise((resolve) => {
      this.#reached = resolve;
    });
    this.before = (call) => {
      if (call !== 'datasync' || this.#gate === undefined) return undefined;
      this.#reached();
      return this.#gate;
    };
  }

  release(): void {
    this.#gate = undefined;
    this.#open();
  }
}
