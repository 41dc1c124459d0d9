/** What a command writes to. Tests give their own. */
export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** True where a person reads stderr: progress is then drawn, else left out. */
  readonly live: boolean;
}

export const processTerminal: Terminal = {
  out: (text) => void process.stdout.write(`${text}\n`),
  err: (text) => void process.stderr.write(`${text}\n`),
  live: process.stderr.isTTY === true,
};

/** An error a person at the terminal is meant to read: a stable code and a sentence, no stack. */
export class CommandError extends Error {
  readonly code: string;
  readonly exitCode: number;
  constructor(code: string, message: string, exitCode = 1) {
    super(message);
    this.name = 'CommandError';
    this.code = code;
    this.exitCode = exitCode;
  }
}

/** Aligned columns, the way `column -t` does it. */
export const columns = (rows: readonly (readonly string[])[]): string => {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
};

/** One line on stderr that is drawn over, at most ten times a second; nothing where nobody watches. */
export const progress = (
  terminal: Terminal,
  label: string,
): { at(done: number, of: number | null): void; end(): void } => {
  let last = 0;
  return {
    at: (done, of) => {
      const now = performance.now();
      if (!terminal.live || now - last < 100) return;
      last = now;
      const share = of === null || of === 0 ? '' : ` ${Math.min(100, Math.floor((done / of) * 100))} %`;
      process.stderr.write(`\r${label}: ${done.toLocaleString('en')}${share}\u001b[K`);
    },
    end: () => {
      if (terminal.live && last > 0) process.stderr.write('\r\u001b[K');
    },
  };
};
