import { accountOf, callIdOf, codeWord, configured, countOf, fieldsOf, masked } from './guard.js';
import type { NodeRow } from './read-node.js';
import { Listed, type Listing, type Place, Tally } from './tally.js';

/** One use of a supervisor's power. `carriedOut` is false where the row came too late, and nothing was done. */
export interface Use extends Place {
  readonly use: string;
  readonly by: string;
  readonly why: string;
  readonly callId: string | null;
  readonly facility: string | null;
  /** `end` with a block of the number; a suspension or a lockdown: on or off. */
  readonly detail: string | null;
  readonly carriedOut: boolean;
}

/** A lockdown from the order that began it to the one that ended it; null where it still stood. */
export interface Lockdown extends Place {
  readonly place: string;
  readonly by: string;
  readonly why: string;
  readonly to: string | null;
  readonly endedBy: string | null;
}

interface LockdownOrder extends Place {
  readonly place: string;
  readonly state: 'on' | 'off';
  readonly by: string;
  readonly why: string;
}

export interface OrdersJson {
  readonly uses: Readonly<Record<string, number>>;
  readonly byAccount: Readonly<Record<string, number>>;
  readonly listed: Listing<Use>;
  readonly lockdowns: Listing<Lockdown>;
  readonly claims: Readonly<Record<string, number>>;
  readonly answers: Readonly<Record<string, number>>;
  readonly reviewed: number;
}

const MAX_LOCKDOWN_ORDERS = 20_000;

/** A place under lockdown: everywhere, a facility, a unit of it, a phone. */
const placeOf = (place: unknown): { readonly text: string; readonly facility: string | null } => {
  const { level, facility, unit, phone } = fieldsOf(place);
  if (level === 'global') return { text: 'all facilities', facility: null };
  const parts = [facility, unit, phone].flatMap((part) =>
    part === undefined ? [] : [configured(part) ?? '[…]'],
  );
  return { text: parts.join(' / '), facility: configured(facility) };
};

/** What people ordered or said by key, of all controllers. */
export class OrderTotals {
  readonly uses = new Tally();
  readonly byAccount = new Tally(200);
  readonly listed = new Listed<Use>(1000);
  readonly claims = new Tally();
  readonly answers = new Tally();
  readonly lockdownOrders: LockdownOrder[] = [];
  moreLockdownOrders = 0;
  reviewed = 0;

  lockdown(order: LockdownOrder): void {
    if (this.lockdownOrders.length >= MAX_LOCKDOWN_ORDERS) this.moreLockdownOrders += 1;
    else this.lockdownOrders.push(order);
  }

  /** An order may be given at one controller and taken back at another, so they are paired at the very end. */
  json(from: string, to: string): OrdersJson {
    const { uses, byAccount, listed, claims, answers, reviewed } = this;
    return {
      uses: uses.json(),
      byAccount: byAccount.json(),
      listed: listed.json(),
      lockdowns: this.#paired(from, to),
      claims: claims.json(),
      answers: answers.json(),
      reviewed,
    };
  }

  #paired(from: string, to: string): Listing<Lockdown> {
    const found = new Listed<Lockdown>(500);
    const standing = new Map<string, LockdownOrder>();
    const close = (on: LockdownOrder, off: LockdownOrder | null): void => {
      const end = off?.at ?? null;
      if (on.at >= to || (end !== null && end <= from)) return;
      const { at, node, seq, place, by, why } = on;
      found.add({ at, node, seq, place, by, why, to: end, endedBy: off?.by ?? null });
    };
    const inOrder = [...this.lockdownOrders].sort(
      (a, b) => compare(a.at, b.at) || compare(a.node, b.node) || a.seq - b.seq,
    );
    for (const order of inOrder) {
      const before = standing.get(order.place);
      if (order.state === 'on') {
        if (before === undefined) standing.set(order.place, order);
      } else if (before !== undefined) {
        standing.delete(order.place);
        close(before, order);
      }
    }
    for (const order of standing.values()) close(order, null);
    const { rows, more } = found.json();
    return { rows, more: more + this.moreLockdownOrders };
  }
}

const compare = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);

export interface OrdersSetting {
  readonly phaseOf: (at: string) => 'before' | 'in' | 'after';
  /** The facility and the caller of a call under way. */
  readonly callOf: (callId: unknown) => { readonly facility: string; readonly caller: string | null } | null;
  readonly facility: string | null;
  /** False where what operators wrote is to be left out altogether. */
  readonly words: boolean;
}

/** One controller's orders, row by row. */
export class Orders {
  readonly #totals: OrderTotals;
  readonly #setting: OrdersSetting;

  constructor(totals: OrderTotals, setting: OrdersSetting) {
    this.#totals = totals;
    this.#setting = setting;
  }

  take(row: NodeRow): void {
    const phase = this.#setting.phaseOf(row.at);
    if (row.kind === 'supervision') {
      if (phase === 'in' || (phase === 'before' && row.body.use === 'lockdown'))
        this.#supervision(row, phase);
      return;
    }
    if (phase !== 'in' || !this.#inScope(row)) return;
    // A key was pressed whether its row came in time or not; a claim is only taken back by a row that did.
    if (row.kind === 'claim' && !(row.abandoned && row.body.outcome === 'withdrawn')) {
      this.#totals.claims.add(codeWord(row.body.outcome));
    } else if (row.kind === 'answer') this.#totals.answers.add(codeWord(row.body.answer));
  }

  #inScope(row: NodeRow): boolean {
    const { facility, callOf } = this.#setting;
    return facility === null || callOf(row.body.callId)?.facility === facility;
  }

  #supervision(row: NodeRow, phase: 'before' | 'in'): void {
    const { body, at, node, seq } = row;
    const { facility: scope, callOf, words } = this.#setting;
    const call = callOf(body.callId);
    const place = body.use === 'lockdown' ? placeOf(body.place) : null;
    const facility = call?.facility ?? place?.facility ?? null;
    // What is of no facility in particular may be of this one.
    if (scope !== null && facility !== null && facility !== scope) return;
    const by = accountOf(body.by);
    const callers = [call?.caller ?? null, typeof body.caller === 'string' ? body.caller : null];
    const why = words ? masked(body.why, callers) : 'withheld';
    if (place !== null && !row.abandoned && (body.state === 'on' || body.state === 'off')) {
      this.#totals.lockdown({ at, node, seq, place: place.text, state: body.state, by, why });
    }
    if (phase === 'before') return;
    const use = codeWord(body.use);
    this.#totals.uses.add(use);
    this.#totals.byAccount.add(by);
    if (use === 'review' && !row.abandoned) {
      this.#totals.reviewed += Array.isArray(body.cleared) ? countOf(body.cleared.length) : 0;
    }
    const detail = place === null ? detailOf(body) : `${place.text}: ${codeWord(body.state)}`;
    const callId = callIdOf(body.callId);
    this.#totals.listed.add({
      at,
      node,
      seq,
      use,
      by,
      why,
      callId,
      facility,
      detail,
      carriedOut: !row.abandoned,
    });
  }
}

const detailOf = (body: NodeRow['body']): string | null => {
  if (body.block === true) return 'number blocked';
  return body.state === 'on' || body.state === 'off' ? body.state : null;
};
