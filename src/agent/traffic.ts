import type { TransportName } from './transport.js';

/** Methods that are counted by name. Any other is `other`: what a stranger may write must not make the counts grow. */
const methods = [
  ...['INVITE', 'ACK', 'CANCEL', 'BYE', 'OPTIONS', 'REGISTER', 'PRACK'],
  ...['UPDATE', 'INFO', 'SUBSCRIBE', 'NOTIFY', 'REFER', 'MESSAGE', 'PUBLISH'],
];
const kinds = [...methods, 'other', '1xx', '2xx', '3xx', '4xx', '5xx', '6xx'];
const other = methods.length;
const firstClass = other + 1;
const classes = 6;
const keepAlive = -1;
const transports: readonly TransportName[] = ['udp', 'tcp', 'tls'];
const directions = ['in', 'out'] as const;

interface Start {
  readonly word: string;
  /** Undefined for a response: its class follows the word. */
  readonly kind: number | undefined;
}

const startOf = (a: number, b: number, c: number): number => (a << 16) | (b << 8) | c;

/** Methods by their first three letters, which are enough to find the one that it can be. */
const starts: ReadonlyMap<number, Start> = new Map(
  [
    { word: 'SIP/2.0 ', kind: undefined },
    ...methods.map((method, kind): Start => ({ word: `${method} `, kind })),
  ].map((start) => {
    const { word } = start;
    return [startOf(word.charCodeAt(0), word.charCodeAt(1), word.charCodeAt(2)), start] as const;
  }),
);

const codeAt = (data: Buffer | string, at: number): number =>
  typeof data === 'string' ? data.charCodeAt(at) : (data[at] ?? 0);

/** What a message is, by its first few bytes: it costs some ten comparisons, and nothing is kept of it. */
const kindOf = (data: Buffer | string): number => {
  const first = codeAt(data, 0);
  // Line ends, and nothing at all, keep a connection or a NAT binding alive.
  if (!(first > 32)) return keepAlive;
  const start = starts.get(startOf(first, codeAt(data, 1), codeAt(data, 2)));
  if (start === undefined) return other;
  const { word, kind } = start;
  for (let i = 3; i < word.length; i++) if (codeAt(data, i) !== word.charCodeAt(i)) return other;
  if (kind !== undefined) return kind;
  const statusClass = codeAt(data, word.length) - 49;
  return statusClass >= 0 && statusClass < classes ? firstClass + statusClass : other;
};

/** Messages of one kind that came, or were sent, over one transport so far. */
export interface MessageCount {
  readonly transport: TransportName;
  readonly direction: (typeof directions)[number];
  /** A method, `other`, or the class of a response. */
  readonly kind: string;
  readonly count: number;
}

/** Counts messages by transport, direction and kind: a number each, read when somebody asks. */
export class Traffic {
  readonly #counts = new Float64Array(transports.length * directions.length * kinds.length);

  came(transport: TransportName, data: Buffer | string): void {
    this.#count(transport, 0, data);
  }

  went(transport: TransportName, data: Buffer): void {
    this.#count(transport, 1, data);
  }

  #count(transport: TransportName, direction: 0 | 1, data: Buffer | string): void {
    const kind = kindOf(data);
    if (kind === keepAlive) return;
    const row = (transport === 'udp' ? 0 : transport === 'tcp' ? 1 : 2) * directions.length + direction;
    const at = row * kinds.length + kind;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  /** Those of which there was one at least. */
  read(): readonly MessageCount[] {
    return transports.flatMap((transport, t) =>
      directions.flatMap((direction, d) =>
        kinds.flatMap((kind, k): MessageCount[] => {
          const count = this.#counts[(t * directions.length + d) * kinds.length + k] ?? 0;
          return count === 0 ? [] : [{ transport, direction, kind, count }];
        }),
      ),
    );
  }
}
