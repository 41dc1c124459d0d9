import type { Party } from '../call/ports.js';

interface Line {
  readonly atMs: number;
  readonly order: number;
  readonly party: Party;
  text: string;
  lastMs: number;
}

/** Who types nothing for so long has finished a turn. */
const TURN_MS = 5_000;
const MAX_LINE = 2_000;

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
const newLine = /\r\n|[\n\r\u000b\u000c\u0085\u2028\u2029]/u;

/**
 * Characters that show nothing, or change how others are shown, each in a form that can be read: nobody can type
 * what looks like another's line, and what was erased stays.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
const unseen = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

const shown = (character: string): string => {
  if (character === '\b') return '\u232b';
  return `<${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}>`;
};

const clock = (ms: number): string => {
  const whole = Math.max(0, Math.round(ms));
  const two = (value: number): string => String(value).padStart(2, '0');
  const rest = String(whole % 1000).padStart(3, '0');
  return `${two(Math.floor(whole / 60_000))}:${two(Math.floor(whole / 1000) % 60)}.${rest}`;
};

/**
 * What both parties typed, one line a turn: `[mm:ss.mmm] caller: …`, by the time its first character came. A turn ends
 * with a new line, after a pause, or where it grows too long.
 */
export class Transcript {
  readonly #lines: Line[] = [];
  readonly #open: { caller: Line | null; called: Line | null } = { caller: null, called: null };

  type(party: Party, atMs: number, characters: string): void {
    const parts = characters.split(newLine);
    for (const [index, part] of parts.entries()) {
      if (index > 0) this.#open[party] = null;
      if (part !== '') this.#add(party, atMs, part.replace(unseen, shown));
    }
  }

  get text(): string {
    const lines = this.#lines.toSorted((left, right) => left.atMs - right.atMs || left.order - right.order);
    return lines.map(({ atMs, party, text }) => `[${clock(atMs)}] ${party}: ${text}\n`).join('');
  }

  #add(party: Party, atMs: number, text: string): void {
    const open = this.#open[party];
    if (open !== null && atMs - open.lastMs < TURN_MS && open.text.length + text.length <= MAX_LINE) {
      open.text += text;
      open.lastMs = atMs;
      return;
    }
    const line = { atMs, order: this.#lines.length, party, text, lastMs: atMs };
    this.#lines.push(line);
    this.#open[party] = line;
  }
}
