import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The independent oracle of what was ever written: inotifywait from Debian's inotify-tools, a process of its own that
 * reports the kernel's file events. It shares no code with the product.
 */
export class SpoolWatch {
  readonly #dirs: readonly string[];
  readonly #child: ChildProcess;
  readonly #seen: string[] = [];
  #rest = '';

  private constructor(dirs: readonly string[], child: ChildProcess) {
    this.#dirs = dirs;
    this.#child = child;
    child.stdout?.setEncoding('utf8');
    child.stdout?.on('data', (chunk: string) => {
      const lines = (this.#rest + chunk).split('\n');
      this.#rest = lines.pop() ?? '';
      this.#seen.push(...lines);
    });
  }

  /** Resolves when inotifywait says that its watches are set. */
  static open(dirs: readonly string[]): Promise<SpoolWatch> {
    const child = spawn(
      'inotifywait',
      ['-m', '-r', '-e', 'create,modify,moved_to,close_write', '--format', '%w%f', ...dirs],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    return new Promise((resolve, reject) => {
      let said = '';
      child.once('error', reject);
      child.once('exit', () => reject(new Error(`inotifywait ended: ${said}`)));
      child.stderr?.setEncoding('utf8');
      child.stderr?.on('data', (chunk: string) => {
        said += chunk;
        if (said.includes('Watches established')) resolve(new SpoolWatch(dirs, child));
      });
    });
  }

  /** Every path the kernel reported since the start, and every one that lies there now. */
  files(): readonly string[] {
    const now = this.#dirs.flatMap((dir) =>
      existsSync(dir) ? readdirSync(dir, { recursive: true }).map((name) => join(dir, String(name))) : [],
    );
    return [...new Set([...this.#seen, ...now])];
  }

  named(text: string): readonly string[] {
    return this.files().filter((file) => file.includes(text));
  }

  close(): void {
    this.#child.removeAllListeners('exit');
    this.#child.kill('SIGTERM');
  }
}
