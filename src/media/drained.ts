import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Emit } from '../call/ports.js';

const FORMAT = 'sallyport-drained-nodes-1';
const MAX_BYTES = 64 * 1024;
/** How soon a controller follows what another one on this host was told. */
const LOOK_MS = 1000;

const isName = (value: unknown): value is string =>
  typeof value === 'string' && /^[a-z0-9][a-z0-9-]{0,47}$/.test(value);

/**
 * Which nodes take no new calls, by order. Kept in a file, so that a controller that is started anew in the midst of
 * maintenance does not fill the node again, and so that the controllers of one host agree. A file that cannot be read
 * drains nothing: that a node is to be emptied protects nobody, and a controller without nodes takes no call at all.
 */
export class DrainedNodes {
  readonly #path: string | null;
  readonly #emit: Emit;
  #names: ReadonlySet<string> = new Set();
  #readAt = '';
  #timer: NodeJS.Timeout | null = null;

  constructor(path: string | null, emit: Emit) {
    this.#path = path;
    this.#emit = emit;
  }

  start(): void {
    this.#look();
    if (this.#path === null) return;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** Durable before it takes effect: throws where the file cannot be written, and then nothing has changed. */
  set(name: string, drained: boolean): void {
    this.#look();
    const names = new Set(this.#names);
    if (drained) names.add(name);
    else names.delete(name);
    if (this.#path !== null) this.#write(this.#path, names);
    this.#names = names;
  }

  #write(path: string, names: ReadonlySet<string>): void {
    mkdirSync(dirname(path), { recursive: true });
    const beside = `${path}.${process.pid}.tmp`;
    const text = JSON.stringify({ format: FORMAT, nodes: [...names].sort() });
    // A few names, once in a while: the event loop waits for the disk no longer than for a file it reads.
    writeFileSync(beside, `${text}\n`, { mode: 0o600, flush: true });
    renameSync(beside, path);
    this.#readAt = this.#stamp(path);
  }

  #stamp(path: string): string {
    try {
      const { mtimeMs, ino, size } = statSync(path);
      return `${ino} ${mtimeMs} ${size}`;
    } catch {
      return '';
    }
  }

  #look(): void {
    if (this.#path === null) return;
    const stamp = this.#stamp(this.#path);
    if (stamp === this.#readAt) return;
    this.#readAt = stamp;
    if (stamp === '') {
      this.#names = new Set();
      return;
    }
    try {
      const text = readFileSync(this.#path, 'utf8');
      const kept: unknown = text.length > MAX_BYTES ? null : JSON.parse(text);
      const { format, nodes } = (kept ?? {}) as { format?: unknown; nodes?: unknown };
      if (format !== FORMAT || !Array.isArray(nodes) || !nodes.every(isName)) throw new Error('malformed');
      this.#names = new Set(nodes);
    } catch {
      this.#emit({ event: 'fault', where: 'drained-nodes', code: 'state-unreadable' });
    }
  }
}
