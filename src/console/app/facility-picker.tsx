import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { useApi } from '../api/use-api.js';
import { OneValue, Select } from '../ui/field.js';

/** `GET /v1/facilities`. */
export interface Facility {
  readonly id: string;
  readonly name: string;
}

export const useFacilities = (): readonly Facility[] =>
  useApi<{ readonly rows: readonly Facility[] }>('/v1/facilities').data?.rows ?? [];

export const nameOf = ({ id, name }: Facility): string => (name === id ? id : `${name} (${id})`);

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
  // Who acts for one facility has nothing to pick.
  if (facilities.length === 1 && first !== undefined && value === first.id)
    return <OneValue label={label} text={nameOf(first)} />;
  return (
    <Select
      label={label}
      value={value}
      onPick={onPick}
      options={
        facilities.length === 0
          ? [{ value, text: value === '' ? '…' : value }]
          : facilities.map((one) => ({ value: one.id, text: nameOf(one) }))
      }
    />
  );
};
