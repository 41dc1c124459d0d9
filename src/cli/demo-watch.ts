import { existsSync, type FSWatcher, readdirSync, watch } from 'node:fs';
import { join } from 'node:path';

/**
 * Watches folders with the kernel's own file events, never by asking the product: what it names was really there,
 * and what it does not name was not.
 */
export class FileWatch {
  readonly #dirs: readonly string[];
  readonly #watchers: FSWatcher[] = [];
  readonly #seen = new Set<string>();

  constructor(dirs: readonly string[]) {
    this.#dirs = dirs;
    for (const dir of dirs) {
      if (!existsSync(dir)) continue;
      const watcher = watch(dir, { recursive: true }, (_kind, name) => {
        if (name !== null) this.#seen.add(join(dir, name.toString()));
      });
      watcher.on('error', () => undefined);
      this.#watchers.push(watcher);
    }
  }

  /** Files whose name holds this text: those the kernel told of since the start, and those that lie there now. */
  named(text: string): readonly string[] {
    const files = new Set([...this.#seen].filter((file) => file.includes(text)));
    for (const dir of this.#dirs) {
      if (!existsSync(dir)) continue;
      for (const name of readdirSync(dir, { recursive: true })) {
        if (String(name).includes(text)) files.add(join(dir, String(name)));
      }
    }
    return [...files].sort();
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close();
  }
}
