import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { useApi } from '../api/use-api.js';
import { Select } from '../ui/field.js';

/** `GET /v1/facilities`. */
export interface Facility {
  readonly id: string;
  readonly name: string;
}

export const useFacilities = (): readonly Facility[] =>
  useApi<{ readonly rows: readonly Facility[] }>('/v1/facilities').data?.rows ?? [];

/** One of the facilities; the first of them until somebody picks. */
export const FacilityPicker = ({
  label,
  value,
  onPick,
}: {
  readonly label: string;
  readonly value: string;
  readonly onPick: (facility: string) => void;
}): JSX.Element => {
  const facilities = useFacilities();
  const [first] = facilities;
  useEffect(() => {
    if (value === '' && first !== undefined) onPick(first.id);
  }, [value, first, onPick]);
  return (
    <Select
      label={label}
      value={value}
      onPick={onPick}
      options={
        facilities.length === 0
          ? [{ value, text: value === '' ? '…' : value }]
          : facilities.map(({ id, name }) => ({ value: id, text: name === id ? id : `${name} (${id})` }))
      }
    />
  );
};
