import type { ComponentChildren, JSX } from 'preact';
import { useId } from 'preact/hooks';
import { Icon } from './icon.js';

/** What a control takes so that its label, hint and error are its own. */
export interface ControlIds {
  readonly id: string;
  readonly 'aria-describedby': string | undefined;
  readonly 'aria-invalid': 'true' | undefined;
}

interface FieldProps {
  readonly label: string;
  /** Stands under the label, always. */
  readonly hint?: ComponentChildren;
  readonly error?: string | null | undefined;
  /** The label is for screen readers alone: for a search box whose button says it. */
  readonly hideLabel?: boolean;
  readonly children: (ids: ControlIds) => ComponentChildren;
}

/** A control with its label, its hint and what is wrong with it. */
export const Field = ({ label, hint, error, hideLabel = false, children }: FieldProps): JSX.Element => {
  const id = useId();
  const hinted = hint !== undefined && hint !== null && hint !== '';
  const wrong = error !== undefined && error !== null && error !== '';
  const described = [hinted ? `${id}-hint` : '', wrong ? `${id}-error` : ''].filter((one) => one !== '');
  return (
    <div class={`field${wrong ? ' field-wrong' : ''}`}>
      <label class={hideLabel ? 'heard-only' : 'field-label'} for={id}>
        {label}
      </label>
      {hinted && (
        <div class="field-hint" id={`${id}-hint`}>
          {hint}
        </div>
      )}
      {children({
        id,
        'aria-describedby': described.length === 0 ? undefined : described.join(' '),
        'aria-invalid': wrong ? 'true' : undefined,
      })}
      {wrong && (
        <div class="field-error" id={`${id}-error`}>
          <Icon name="bad" /> {error}
        </div>
      )}
    </div>
  );
};

/** Attributes of an input that mean what they mean in HTML. */
interface Kept {
  readonly type?:
    | 'text'
    | 'password'
    | 'search'
    | 'date'
    | 'datetime-local'
    | 'time'
    | 'number'
    | 'tel'
    | 'email'
    | 'url';
  readonly name?: string;
  readonly autocomplete?: string;
  readonly inputMode?: 'text' | 'numeric' | 'tel' | 'decimal' | 'search';
  readonly maxLength?: number;
  readonly placeholder?: string;
  readonly required?: boolean;
  readonly spellcheck?: boolean;
  readonly min?: string | number;
  readonly max?: string | number;
  readonly step?: string | number;
  readonly autofocus?: boolean;
  readonly readOnly?: boolean;
}

export interface TextFieldProps extends Omit<FieldProps, 'children'>, Kept {
  readonly value: string;
  readonly onText: (text: string) => void;
  /** Set in digits of one width: numbers, codes, digests. */
  readonly mono?: boolean;
}

export const TextField = ({
  label,
  hint,
  error,
  hideLabel,
  value,
  onText,
  mono = false,
  ...more
}: TextFieldProps): JSX.Element => (
  <Field label={label} hint={hint} error={error} {...(hideLabel === undefined ? {} : { hideLabel })}>
    {(ids) => (
      <input
        {...({ type: 'text', ...more } as { type: 'text' })}
        {...ids}
        class={`control${mono ? ' mono' : ''}`}
        value={value}
        onInput={(event) => onText(event.currentTarget.value)}
      />
    )}
  </Field>
);

export interface TextAreaProps extends Omit<FieldProps, 'children'> {
  readonly value: string;
  readonly onText: (text: string) => void;
  readonly rows?: number;
  readonly maxLength?: number;
  readonly required?: boolean;
  readonly mono?: boolean;
}

export const TextArea = ({
  label,
  hint,
  error,
  hideLabel,
  value,
  onText,
  rows = 3,
  mono = false,
  ...more
}: TextAreaProps): JSX.Element => (
  <Field label={label} hint={hint} error={error} {...(hideLabel === undefined ? {} : { hideLabel })}>
    {(ids) => (
      <textarea
        {...more}
        {...ids}
        rows={rows}
        class={`control${mono ? ' mono' : ''}`}
        value={value}
        onInput={(event) => onText(event.currentTarget.value)}
      />
    )}
  </Field>
);

export interface SelectProps<T extends string> extends Omit<FieldProps, 'children'> {
  readonly value: T;
  readonly options: readonly { readonly value: T; readonly text: string }[];
  readonly onPick: (value: T) => void;
}

/** One of a few. */
export const Select = <T extends string>({
  label,
  hint,
  error,
  hideLabel,
  value,
  options,
  onPick,
}: SelectProps<T>): JSX.Element => (
  <Field label={label} hint={hint} error={error} {...(hideLabel === undefined ? {} : { hideLabel })}>
    {(ids) => (
      <div class="select">
        <select
          {...ids}
          class="control"
          value={value}
          onChange={(event) => {
            const picked = options.find((one) => one.value === event.currentTarget.value);
            if (picked !== undefined) onPick(picked.value);
          }}
        >
          {options.map((one) => (
            <option key={one.value} value={one.value}>
              {one.text}
            </option>
          ))}
        </select>
        <Icon name="chevron" />
      </div>
    )}
  </Field>
);

export interface CheckProps {
  readonly label: ComponentChildren;
  readonly checked: boolean;
  readonly onCheck: (checked: boolean) => void;
  readonly hint?: string;
}

/** A box to tick. */
export const Check = ({ label, checked, onCheck, hint }: CheckProps): JSX.Element => {
  const id = useId();
  return (
    <div class="check">
      <input
        id={id}
        type="checkbox"
        checked={checked}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
        onChange={(event) => onCheck(event.currentTarget.checked)}
      />
      <label for={id}>{label}</label>
      {hint !== undefined && (
        <div class="field-hint" id={`${id}-hint`}>
          {hint}
        </div>
      )}
    </div>
  );
};

/** In the place of a control: there is one value, and nothing to choose. */
export const OneValue = ({ label, text }: { readonly label: string; readonly text: string }): JSX.Element => (
  <div class="field">
    <span class="field-label">{label}</span>
    <span class="field-one">{text}</span>
  </div>
);
