import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type LoggedMessage, parseMessageLog } from './message-log.js';

export interface SippOptions {
  readonly name: string;
  /** Folder for its files. */
  readonly dir: string;
  /** The scenario in sipp's XML, placeholders already filled in. */
  readonly xml: string;
  readonly host: string;
  readonly port: number;
  readonly transport: 'udp' | 'tcp';
  /** Where a caller sends to; a called party has none. */
  readonly to?: { readonly host: string; readonly port: number };
  /** Seconds after which sipp gives up by itself. */
  readonly seconds?: number;
}

/** A sipp process that plays one call of one scenario. */
export class Sipp {
  readonly #child: ChildProcess;
  readonly #options: SippOptions;
  readonly exited: Promise<number>;
  #output = '';
  #code: number | null = null;

  constructor(options: SippOptions) {
    this.#options = options;
    writeFileSync(this.#file('.xml'), options.xml);
    this.#child = spawn('sipp', this.#args(), { cwd: options.dir, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString('latin1')).slice(-4000);
      });
    }
    this.exited = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code) => {
        this.#code = code ?? -1;
        resolve(this.#code);
      });
    });
    this.exited.catch(() => undefined);
  }

  #file(ending: string): string {
    return join(this.#options.dir, this.#options.name + ending);
  }

  #args(): string[] {
    const { host, port, transport, to, seconds = 12 } = this.#options;
    return [
      ...[
        '-sf',
        this.#file('.xml'),
        '-i',
        host,
        '-p',
        String(port),
        '-mi',
        host,
        '-m',
        '1',
        '-nostdin',
        '-nd',
      ],
      ...[
        '-t',
        transport === 'udp' ? 'u1' : 't1',
        '-skip_rlimit',
        '-trace_msg',
        '-message_file',
        this.#file('.log'),
      ],
      ...['-trace_err', '-error_file', this.#file('.err'), '-timeout', String(seconds), '-timeout_error'],
      ...(to === undefined ? [] : [`${to.host}:${to.port}`]),
    ];
  }

  /** Resolves when its socket is bound: the kernel's table says so. */
  async listening(): Promise<void> {
    const { host, port, transport, name } = this.#options;
    const address = [...host.split('.')].reverse().map((part) => Number(part).toString(16).padStart(2, '0'));
    const wanted = `${address.join('')}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
    const deadline = performance.now() + 10_000;
    while (!readFileSync(`/proc/net/${transport}`, 'latin1').includes(` ${wanted} `)) {
      if (this.#code !== null) throw new Error(`sipp ${name} ended: ${this.trouble()}`);
      if (performance.now() > deadline) throw new Error(`sipp ${name} does not listen`);
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
  }

  /** Ends it, if it has not ended by itself. */
  async stop(): Promise<void> {
    if (this.#code === null) this.#child.kill('SIGKILL');
    await this.exited.catch(() => undefined);
  }

  messages(): readonly LoggedMessage[] {
    const file = this.#file('.log');
    return existsSync(file) ? parseMessageLog(readFileSync(file, 'latin1')) : [];
  }

  /** What sipp itself says of a failure. */
  trouble(): string {
    const errors = this.#file('.err');
    return existsSync(errors) ? readFileSync(errors, 'latin1').slice(0, 3000) : this.#output.slice(-1500);
  }
}
