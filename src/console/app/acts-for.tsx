import type { JSX } from 'preact';
import type { Session } from '../api/session.js';
import { useApi } from '../api/use-api.js';
import { type Facility, nameOf } from './facility-picker.js';
import { shellWords } from './shell-words.js';
import { useWords } from './words.js';

/** Which facilities whoever is signed in acts for: in sight on every page, so that nobody takes one jail for another. */
export const ActsFor = ({ session }: { readonly session: Session }): JSX.Element | null => {
  const words = useWords(shellWords);
  const { facilities, roles } = session;
  const [one] = facilities === 'all' ? [] : facilities;
  const single = facilities !== 'all' && facilities.length === 1;
  // The name, where it is one; who may not see facilities sees its id.
  const seen = roles.some(({ role }) => role !== 'admin' && role !== 'attorney');
  const known = useApi<{ readonly rows: readonly Facility[] }>(single && seen ? '/v1/facilities' : null).data;
  if (roles.some(({ role }) => role === 'attorney')) return null;
  const found = known?.rows.find(({ id }) => id === one);
  const text =
    facilities === 'all'
      ? words.allFacilities
      : facilities.length === 0
        ? words.noFacility
        : single
          ? found === undefined
            ? (one ?? '')
            : nameOf(found)
          : words.facilities(facilities.length);
  return (
    <span
      class={`acts-for${facilities !== 'all' && facilities.length === 0 ? ' acts-for-none' : ''}`}
      title={facilities === 'all' ? words.actsFor : `${words.actsFor}: ${facilities.join(', ')}`}
    >
      <span class="heard-only">{words.actsFor}: </span>
      <span>{text}</span>
    </span>
  );
};
