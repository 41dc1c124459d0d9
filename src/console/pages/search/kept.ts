import { sessionNow } from '../../api/session.js';
import { type Cell, cell } from '../../app/cell.js';
import type { FlagName } from './shapes.js';

/** The search form as it stands: texts as they were typed. */
export interface Form {
  readonly caller: string;
  readonly booking: string;
  readonly number: string;
  readonly since: string;
  readonly until: string;
  readonly facility: string;
  readonly unit: string;
  readonly phone: string;
  readonly leastMinutes: string;
  readonly mostMinutes: string;
  readonly flag: FlagName | '';
  readonly leastThreeWay: string;
  readonly notes: string;
  readonly sort: 'newest' | 'oldest' | 'longest' | 'three-way';
}

export const emptyForm: Form = {
  ...{ caller: '', booking: '', number: '', since: '', until: '', facility: '', unit: '', phone: '' },
  ...{ leastMinutes: '', mostMinutes: '', flag: '', leastThreeWay: '', notes: '', sort: 'newest' },
};

/** Texts of a form are texts, whatever was kept. */
const asForm = (value: unknown): Form | null => {
  if (typeof value !== 'object' || value === null) return null;
  const given = Object.entries(emptyForm).map(([key, empty]) => {
    const kept = (value as Readonly<Record<string, unknown>>)[key];
    return [key, typeof kept === 'string' && kept.length <= 200 ? kept : empty];
  });
  return Object.fromEntries(given) as Form;
};

/**
 * What is remembered for whoever is signed in, in this tab alone and until it is closed: the form, the reason, the calls
 * picked for an export. Somebody else who signs in begins anew.
 */
const keep = <T>(name: string, first: T, read: (value: unknown) => T | null) => {
  const key = (): string => `sallyport-search-${name}-${sessionNow()?.account ?? ''}`;
  const cells = new Map<string, Cell<T>>();
  return (): Cell<T> => {
    const at = key();
    const known = cells.get(at);
    if (known !== undefined) return known;
    let kept: T | null = null;
    try {
      kept = read(JSON.parse(sessionStorage.getItem(at) ?? 'null'));
    } catch {
      // What cannot be read was not kept.
    }
    const own = cell<T>(kept ?? first);
    own.watch(() => {
      try {
        sessionStorage.setItem(at, JSON.stringify(own.get()));
      } catch {
        // A browser that keeps nothing still shows it.
      }
    });
    cells.set(at, own);
    return own;
  };
};

export const keptForm = keep('form', emptyForm, asForm);
export const keptWhy = keep('why', '', (value) =>
  typeof value === 'string' && value.length <= 200 ? value : null,
);
export const keptPicked = keep<readonly string[]>('picked', [], (value) =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string').slice(0, 500) : null,
);

/** What the links view begins from. It stands in no address: proxies write addresses down. */
export interface LinkStart {
  readonly kind: 'caller' | 'number';
  readonly value: string;
}
export const linkStart = cell<LinkStart | null>(null);
