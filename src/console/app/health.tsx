import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { may, type Session } from '../api/session.js';
import { useApi } from '../api/use-api.js';
import { Icon } from '../ui/icon.js';
import { cell } from './cell.js';
import { Link } from './place.js';
import { shellWords } from './shell-words.js';
import { useWords } from './words.js';

/** `GET /v1/status`. */
export interface Status {
  readonly ready: boolean;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly why: string }[];
}

/** `GET /v1/lockdown`: where phones are locked now. */
export interface Lockdowns {
  readonly rows: readonly LockdownShown[];
}
export interface LockdownShown {
  readonly place:
    | { readonly level: 'global' }
    | { readonly level: 'facility'; readonly facility: string }
    | { readonly level: 'unit'; readonly facility: string; readonly unit: string }
    | { readonly level: 'phone'; readonly facility: string; readonly phone: string };
  readonly since: string;
}

const HEALTH_MS = 5_000;

/** Raised after an order was given here, so that the banner looks at once. */
export const lookAgain = cell(0);

type Words = (typeof shellWords)['en'];

export const placeText = ({ place }: LockdownShown, words: Words): string => {
  switch (place.level) {
    case 'global':
      return words.lockdownOf.global;
    case 'facility':
      return words.lockdownOf.facility(place.facility);
    case 'unit':
      return words.lockdownOf.unit(place.facility, place.unit);
    case 'phone':
      return words.lockdownOf.phone(place.facility, place.phone);
    default: {
      const never: never = place;
      return never;
    }
  }
};

/** Stands on every page while phones are locked. */
export const LockdownBanner = ({ session }: { readonly session: Session }): JSX.Element | null => {
  const words = useWords(shellWords);
  const path = may(session, 'GET /v1/lockdown') ? '/v1/lockdown' : null;
  const { data, again } = useApi<Lockdowns>(path, { everyMs: HEALTH_MS });
  useEffect(() => lookAgain.watch(() => void again()), [again]);
  if (data === null || data.rows.length === 0) return null;
  const places = data.rows.map((one) => placeText(one, words));
  const inside = (
    <>
      <Icon name="lock" />
      <span>
        <strong>{words.lockdown}:</strong> {places.slice(0, 4).join('; ')}
        {places.length > 4 ? ` … (+${places.length - 4})` : ''}
      </span>
    </>
  );
  return (
    <section class="lockdown-banner" role="status" aria-label={words.lockdown}>
      {may(session, 'GET /v1/orders') ? <Link to="/lockdown">{inside}</Link> : <p>{inside}</p>}
    </section>
  );
};

const partName = (name: string, words: Words): string => {
  const last = name.split('.').at(-1) ?? name;
  const known: Readonly<Record<string, string>> = words.parts;
  return Object.hasOwn(known, last) ? (known[last] ?? last) : last.replaceAll('-', ' ');
};

/** The strip at the foot: whether every part works, and which do not. */
export const Health = ({ session }: { readonly session: Session }): JSX.Element => {
  const words = useWords(shellWords);
  const path = may(session, 'GET /v1/status') ? '/v1/status' : null;
  const { data, problem } = useApi<Status>(path, { everyMs: HEALTH_MS });
  if (path === null) return <footer class="health" />;
  const bad = data?.checks.filter(({ ok }) => !ok) ?? [];
  const tone = problem !== null || data === null ? 'note' : bad.length === 0 ? 'good' : 'bad';
  return (
    <footer class={`health health-${tone}`}>
      <span class="health-sum" role="status">
        <span class="heard-only">{words.health}: </span>
        <Icon name={tone} />
        {problem !== null || data === null
          ? words.unknown
          : bad.length === 0
            ? words.allWell
            : words.notWell(bad.length)}
      </span>
      {problem === null && bad.length > 0 && (
        <ul>
          {bad.slice(0, 6).map(({ name, why }) => (
            <li key={name}>
              <strong>{partName(name, words)}</strong> {why}
            </li>
          ))}
        </ul>
      )}
    </footer>
  );
};
