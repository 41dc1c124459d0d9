import { type FSWatcher, watch } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** The shape of a call's id, as it stands in every name of a file of the call. */
const callIdShape = /c[a-z2-7]{26}/;
/** Names seen and not looked at yet: beyond that, what comes is found by reading the folders. */
const maxNames = 100_000;

export interface SeenFile {
  readonly path: string;
  readonly callId: string | null;
}

/**
 * Sees files come into folders by the kernel's own events (inotify), and by reading the folders: what it names was really
 * there, however shortly.
 */
export class FileWatch {
  readonly #roots: readonly string[];
  readonly #watchers = new Map<string, FSWatcher>();
  #names = new Set<string>();

  constructor(roots: readonly string[]) {
    this.#roots = roots;
  }

  /** Watches every folder there is by now; folders that are made later are watched from the next time on. */
  async follow(): Promise<void> {
    for (const root of this.#roots) {
      for (const folder of await foldersIn(root)) this.#watch(folder);
    }
  }

  /** What has come since the last time. */
  take(): readonly SeenFile[] {
    const names = [...this.#names];
    this.#names = new Set();
    return names.map(seenFile);
  }

  /** All files that lie there now. */
  async present(): Promise<readonly SeenFile[]> {
    return (await Promise.all(this.#roots.map(filesUnder))).flat().map(seenFile);
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #watch(folder: string): void {
    if (this.#watchers.has(folder)) return;
    try {
      const watcher = watch(folder, (_kind, name) => {
        if (name !== null && this.#names.size < maxNames) this.#names.add(join(folder, name.toString()));
      });
      watcher.on('error', () => this.#watchers.delete(folder));
      this.#watchers.set(folder, watcher);
    } catch {
      // It was removed meanwhile; if it comes back it is watched the next time.
    }
  }
}

const seenFile = (path: string): SeenFile => ({ path, callId: callIdShape.exec(path)?.[0] ?? null });

const foldersIn = async (root: string): Promise<string[]> => {
  const entries = await readdir(root, { withFileTypes: true }).catch(() => null);
  if (entries === null) return [];
  const inner = entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => foldersIn(join(root, entry.name)));
  return [root, ...(await Promise.all(inner)).flat()];
};

export const filesUnder = async (root: string): Promise<string[]> => {
  const entries = await readdir(root, { withFileTypes: true }).catch(() => []);
  const found = await Promise.all(
    entries.map((entry) => {
      const path = join(root, entry.name);
      return entry.isDirectory() ? filesUnder(path) : Promise.resolve([path]);
    }),
  );
  return found.flat();
};

const pcapMagic = new Set([0xa1b2c3d4, 0xd4c3b2a1, 0xa1b23c4d, 0x4d3cb2a1, 0x0a0d0d0a]);

/** Which plain sound a file holds by its first bytes: a WAV, a packet capture, a Sun or Ogg file; null where none. */
export const plainSound = (head: Buffer): string | null => {
  if (head.length < 4) return null;
  const text = head.toString('latin1', 0, 4);
  if (text === 'RIFF') return 'WAV';
  if (text === 'OggS') return 'Ogg';
  if (text === '.snd') return 'AU';
  return pcapMagic.has(head.readUInt32BE(0)) ? 'packet capture' : null;
};

export const plainSoundIn = async (path: string): Promise<string | null> => {
  const file = await open(path, 'r').catch(() => null);
  if (file === null) return null;
  try {
    const head = Buffer.alloc(16);
    const { bytesRead } = await file.read(head, 0, 16, 0);
    return plainSound(head.subarray(0, bytesRead));
  } catch {
    return null;
  } finally {
    await file.close();
  }
};
