/**
 * The four state machines of RFC 3261 figures 5 to 8, with the changes of RFC 6026 (Accepted, timers L and M), written
 * down as tables from the figures, not from the code. Times are absolute milliseconds of a virtual clock; what a model
 * does is a list of words, so that it can be held against what the real thing did.
 */
export interface Times {
  readonly t1: number;
  readonly t2: number;
  readonly t4: number;
}

export type Input =
  /** A response from the network to a client transaction, or from its user to a server transaction. */
  | { readonly what: 'response'; readonly status: number }
  /** The request again, from the network (server). */
  | { readonly what: 'request' }
  | { readonly what: 'ack' }
  | { readonly what: 'transport-error' };

type Firing = 'retransmit' | 'end';

type State = 'calling' | 'trying' | 'proceeding' | 'completed' | 'confirmed' | 'accepted' | 'terminated';

/** One row: in this state, on this, these words and that state. Rows are tried in order. */
interface Row {
  readonly in: readonly State[];
  readonly on: (input: Input | Firing) => boolean;
  readonly does: (model: Machine, input: Input | Firing) => readonly string[];
  readonly to?: State;
}

const response =
  (low: number, high: number) =>
  (input: Input | Firing): boolean =>
    typeof input === 'object' && input.what === 'response' && input.status >= low && input.status <= high;
const event =
  (what: Input['what']) =>
  (input: Input | Firing): boolean =>
    typeof input === 'object' && input.what === what;
const firing =
  (what: Firing) =>
  (input: Input | Firing): boolean =>
    input === what;
const statusOf = (input: Input | Firing): number =>
  typeof input === 'object' && input.what === 'response' ? input.status : 0;
const up = (_model: Machine, input: Input | Firing): readonly string[] => [`up ${statusOf(input)}`];

export class Machine {
  readonly words: string[] = [];
  readonly reliable: boolean;
  readonly times: Times;
  state: State;
  now = 0;
  /** The retransmission that runs, and its interval; the end of the state. */
  retransmitAt = Number.POSITIVE_INFINITY;
  interval = 0;
  endAt = Number.POSITIVE_INFINITY;
  last = '';
  readonly #rows: readonly Row[];
  readonly #entered: (model: Machine) => void;

  constructor(kind: keyof typeof tables, times: Times, reliable: boolean) {
    this.times = times;
    this.reliable = reliable;
    const { begins, rows, entered } = tables[kind];
    this.#rows = rows;
    this.#entered = entered;
    this.state = begins;
    if (kind.startsWith('client')) this.words.push('0 send request');
    this.#entered(this);
  }

  input(input: Input | Firing): void {
    const row = this.#rows.find((one) => one.in.includes(this.state) && one.on(input));
    if (row === undefined) return;
    for (const word of row.does(this, input)) this.words.push(`${this.now} ${word}`);
    if (row.to === undefined || row.to === this.state) return;
    this.state = row.to;
    this.#entered(this);
    if (row.to === 'terminated') {
      this.retransmitAt = Number.POSITIVE_INFINITY;
      this.endAt = Number.POSITIVE_INFINITY;
      this.words.push(`${this.now} ended`);
    }
  }

  /** Time passes; timers fire in their order, the end before a retransmission of the same moment. */
  advance(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const next = Math.min(this.retransmitAt, this.endAt);
      if (next > until) break;
      this.now = next;
      if (this.endAt === next) {
        this.endAt = Number.POSITIVE_INFINITY;
        this.input('end');
      } else this.input('retransmit');
    }
    this.now = until;
  }

  repeatAfter(ms: number): void {
    this.interval = ms;
    this.retransmitAt = this.now + ms;
  }

  endAfter(ms: number): void {
    this.endAt = this.now + ms;
    if (ms === 0) {
      this.endAt = Number.POSITIVE_INFINITY;
      this.input('end');
    }
  }

  quiet(): void {
    this.retransmitAt = Number.POSITIVE_INFINITY;
  }
}

const failed = (why: string) => () => [`failed ${why}`];

/** Figure 5 with RFC 6026 section 8.4. */
const clientInvite: readonly Row[] = [
  {
    in: ['calling'],
    on: firing('retransmit'),
    does: (m) => {
      m.repeatAfter(2 * m.interval); // Timer A doubles without a bound.
      return ['send request'];
    },
  },
  { in: ['calling'], on: firing('end'), does: failed('timeout'), to: 'terminated' }, // Timer B
  { in: ['calling', 'proceeding'], on: response(100, 199), does: up, to: 'proceeding' },
  { in: ['calling', 'proceeding'], on: response(200, 299), does: up, to: 'accepted' },
  {
    in: ['calling', 'proceeding'],
    on: response(300, 699),
    does: (m, i) => ['send ack', ...up(m, i)],
    to: 'completed',
  },
  { in: ['completed'], on: response(300, 699), does: () => ['send ack'] },
  { in: ['accepted'], on: response(200, 299), does: up },
  { in: ['calling'], on: event('transport-error'), does: failed('transport'), to: 'terminated' },
  { in: ['completed', 'accepted'], on: firing('end'), does: () => [], to: 'terminated' }, // Timers D and M
];

/** Figure 6. */
const clientOther: readonly Row[] = [
  {
    in: ['trying', 'proceeding'],
    on: firing('retransmit'),
    does: (m) => {
      // Timer E: T1, then doubling up to T2; T2 alone once a provisional response came.
      m.repeatAfter(m.state === 'proceeding' ? m.times.t2 : Math.min(2 * m.interval, m.times.t2));
      return ['send request'];
    },
  },
  { in: ['trying', 'proceeding'], on: firing('end'), does: failed('timeout'), to: 'terminated' }, // Timer F
  { in: ['trying', 'proceeding'], on: response(100, 199), does: up, to: 'proceeding' },
  { in: ['trying', 'proceeding'], on: response(200, 699), does: up, to: 'completed' },
  { in: ['trying', 'proceeding'], on: event('transport-error'), does: failed('transport'), to: 'terminated' },
  { in: ['completed'], on: firing('end'), does: () => [], to: 'terminated' }, // Timer K
];

const answer = (m: Machine, i: Input | Firing): readonly string[] => {
  m.last = `send ${statusOf(i)}`;
  return [m.last];
};
const again = (m: Machine): readonly string[] => (m.last === '' ? [] : [m.last]);

/** Figure 7 with RFC 6026 section 8.5: the 2xx is repeated by the user of the transaction, not by it. */
const serverInvite: readonly Row[] = [
  { in: ['proceeding'], on: event('request'), does: again },
  { in: ['proceeding'], on: response(100, 199), does: answer },
  { in: ['proceeding'], on: response(200, 299), does: answer, to: 'accepted' },
  { in: ['proceeding'], on: response(300, 699), does: answer, to: 'completed' },
  { in: ['completed'], on: event('request'), does: again },
  {
    in: ['completed'],
    on: firing('retransmit'),
    does: (m) => {
      m.repeatAfter(Math.min(2 * m.interval, m.times.t2)); // Timer G
      return again(m);
    },
  },
  { in: ['completed'], on: event('ack'), does: () => [], to: 'confirmed' },
  { in: ['completed', 'confirmed', 'accepted'], on: firing('end'), does: () => [], to: 'terminated' }, // H, I, L
];

/** Figure 8. */
const serverOther: readonly Row[] = [
  { in: ['trying', 'proceeding'], on: response(100, 199), does: answer, to: 'proceeding' },
  { in: ['trying', 'proceeding'], on: response(200, 699), does: answer, to: 'completed' },
  { in: ['proceeding', 'completed'], on: event('request'), does: again },
  { in: ['completed'], on: firing('end'), does: () => [], to: 'terminated' }, // Timer J
];

/** What entering a state starts, as table 4 of RFC 3261 has the timers. */
export const tables: Readonly<
  Record<
    'client-invite' | 'client-other' | 'server-invite' | 'server-other',
    { readonly begins: State; readonly rows: readonly Row[]; readonly entered: (m: Machine) => void }
  >
> = {
  'client-invite': {
    begins: 'calling',
    rows: clientInvite,
    entered: (m) => {
      const { t1 } = m.times;
      m.quiet();
      m.endAt = Number.POSITIVE_INFINITY;
      if (m.state === 'calling') {
        if (!m.reliable) m.repeatAfter(t1);
        m.endAt = m.now + 64 * t1;
      } else if (m.state === 'completed') m.endAfter(m.reliable ? 0 : 64 * t1);
      else if (m.state === 'accepted') m.endAfter(64 * t1);
    },
  },
  'client-other': {
    begins: 'trying',
    rows: clientOther,
    entered: (m) => {
      const { t1, t4 } = m.times;
      if (m.state === 'trying') {
        if (!m.reliable) m.repeatAfter(t1);
        m.endAt = m.now + 64 * t1;
      } else if (m.state === 'completed') {
        m.quiet();
        m.endAfter(m.reliable ? 0 : t4);
      }
    },
  },
  'server-invite': {
    begins: 'proceeding',
    rows: serverInvite,
    entered: (m) => {
      const { t1, t4 } = m.times;
      m.quiet();
      if (m.state === 'completed') {
        if (!m.reliable) m.repeatAfter(t1);
        m.endAfter(64 * t1);
      } else if (m.state === 'confirmed') m.endAfter(m.reliable ? 0 : t4);
      else if (m.state === 'accepted') m.endAfter(64 * t1);
    },
  },
  'server-other': {
    begins: 'trying',
    rows: serverOther,
    entered: (m) => {
      if (m.state === 'completed') m.endAfter(m.reliable ? 0 : 64 * m.times.t1);
    },
  },
};
