import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { useActsForAll } from '../../api/session.js';
import { useApi, useDoing } from '../../api/use-api.js';
import { FacilityPicker } from '../../app/facility-picker.js';
import { type LockdownShown, placeText } from '../../app/health.js';
import { tell } from '../../app/notices.js';
import { shellWords } from '../../app/shell-words.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { Confirm } from '../../ui/confirm.js';
import { Dialog } from '../../ui/dialog.js';
import { Select, TextField } from '../../ui/field.js';
import { ProblemNotice } from '../../ui/notice.js';
import { Panel } from '../../ui/page.js';
import { uiWords } from '../../ui/words.js';
import { words as all } from './words.js';

type Place = LockdownShown['place'];
type Level = Place['level'];
const levels: readonly Level[] = ['phone', 'unit', 'facility', 'global'];

/** What the first step gave: nothing has happened yet. */
interface Asked {
  readonly confirm: string;
  readonly seconds: number;
  readonly place: string;
  readonly state: 'on' | 'off';
}

const useOrder = (onDone: () => void) => {
  const words = useWords(all);
  const [asked, setAsked] = useState<Asked | null>(null);
  const first = useDoing(async (place: Place, text: string, state: 'on' | 'off', why: string) => {
    const answer = await api.post<{ readonly confirm: string; readonly seconds: number }>('/v1/lockdown', {
      ...{ place, state, why },
    });
    setAsked({ ...answer, place: text, state });
  });
  const second = useDoing(async (order: Asked) => {
    await api.post('/v1/lockdown/confirm', { confirm: order.confirm });
    setAsked(null);
    tell('good', order.state === 'on' ? words.doneOn(order.place) : words.doneOff(order.place));
    onDone();
  });
  const close = (): void => {
    setAsked(null);
    second.clear();
  };
  return { first, second, asked, close };
};

/** The second step of both orders. */
const SecondStep = ({ order }: { readonly order: ReturnType<typeof useOrder> }): JSX.Element | null => {
  const words = useWords(all);
  const { asked, second, close } = order;
  if (asked === null) return null;
  const on = asked.state === 'on';
  return (
    <Confirm
      open
      title={on ? words.confirmOn : words.confirmOff}
      tick={on ? words.tickOn : words.tickOff}
      word={on ? words.wordOn : words.wordOff}
      danger={on}
      seconds={asked.seconds}
      busy={second.busy}
      problem={second.problem}
      onConfirm={() => void second.run(asked)}
      onClose={close}
    >
      <p class="lockdown-what">{words.what[asked.state](asked.place)}</p>
    </Confirm>
  );
};

interface Named {
  readonly id: string;
  readonly name: string;
}
const named = ({ id, name }: Named) => ({ value: id, text: name === id ? id : `${name} (${id})` });

/** Units or phones of a facility, for a picker; asked for only where they are needed. */
const usePlaces = (facility: string, what: 'units' | 'phones', wanted: boolean): readonly Named[] =>
  useApi<{ readonly rows: readonly Named[] }>(
    wanted && facility !== '' ? `/v1/facilities/${encodeURIComponent(facility)}/${what}` : null,
  ).data?.rows ?? [];

/** The place that is picked; null while it is not whole. */
const placeOf = (level: Level, facility: string, unit: string, phone: string): Place | null => {
  switch (level) {
    case 'global':
      return { level };
    case 'facility':
      return facility === '' ? null : { level, facility };
    case 'unit':
      return facility === '' || unit === '' ? null : { level, facility, unit };
    case 'phone':
      return facility === '' || phone === '' ? null : { level, facility, phone };
    default: {
      const never: never = level;
      return never;
    }
  }
};

export const LockForm = ({ onDone }: { readonly onDone: () => void }): JSX.Element => {
  const words = useWords(all);
  const places = useWords(shellWords);
  const everywhere = useActsForAll();
  const [level, setLevel] = useState<Level>('unit');
  const [facility, setFacility] = useState('');
  const [picked, setPicked] = useState({ units: '', phones: '' });
  const [why, setWhy] = useState('');
  const [tried, setTried] = useState(false);
  const units = usePlaces(facility, 'units', level === 'unit');
  const phones = usePlaces(facility, 'phones', level === 'phone');
  const chosen = (all_: readonly Named[], id: string): string =>
    all_.some((one) => one.id === id) ? id : (all_[0]?.id ?? '');
  const unit = chosen(units, picked.units);
  const phone = chosen(phones, picked.phones);
  const order = useOrder(() => {
    setWhy('');
    setTried(false);
    onDone();
  });
  const place = placeOf(level, facility, unit, phone);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    setTried(true);
    if (place === null || why.trim() === '') return;
    void order.first.run(place, placeText({ place, since: '' }, places), 'on', why.trim());
  };
  return (
    <Panel title={words.begin}>
      <form class="form" onSubmit={submit} noValidate>
        <ProblemNotice problem={order.first.problem} />
        <div class="form-row lockdown-place">
          <Select
            label={words.level}
            value={level}
            onPick={setLevel}
            options={levels
              .filter((one) => everywhere || one !== 'global')
              .map((one) => ({ value: one, text: words.levels[one] }))}
          />
          {level !== 'global' && (
            <FacilityPicker label={words.facility} value={facility} onPick={setFacility} />
          )}
          {level === 'unit' && (
            <Select
              label={words.unit}
              value={unit}
              onPick={(id) => setPicked({ ...picked, units: id })}
              options={units.length === 0 ? [{ value: '', text: '–' }] : units.map(named)}
              error={tried && unit === '' ? words.missing : null}
            />
          )}
          {level === 'phone' && (
            <Select
              label={words.phone}
              value={phone}
              onPick={(id) => setPicked({ ...picked, phones: id })}
              options={phones.length === 0 ? [{ value: '', text: '–' }] : phones.map(named)}
              error={tried && phone === '' ? words.missing : null}
            />
          )}
        </div>
        <TextField
          label={words.why}
          hint={words.whyHint}
          value={why}
          onText={setWhy}
          maxLength={200}
          required
          error={tried && why.trim() === '' ? words.missing : null}
        />
        <Button type="submit" icon="lock" busy={order.first.busy}>
          {words.next}
        </Button>
        <p class="soft small">{words.nextHint}</p>
      </form>
      <SecondStep order={order} />
    </Panel>
  );
};

export const LiftDialog = ({
  place,
  text,
  onDone,
  onClose,
}: {
  readonly place: Place;
  readonly text: string;
  readonly onDone: () => void;
  readonly onClose: () => void;
}): JSX.Element => {
  const words = useWords(all);
  const ui = useWords(uiWords);
  const [why, setWhy] = useState('');
  const [tried, setTried] = useState(false);
  const order = useOrder(onDone);
  const go = (): void => {
    setTried(true);
    if (why.trim() !== '') void order.first.run(place, text, 'off', why.trim());
  };
  if (order.asked !== null) return <SecondStep order={{ ...order, close: onClose }} />;
  return (
    <Dialog
      open
      title={words.liftTitle}
      onClose={onClose}
      actions={
        <>
          <Button onPress={onClose}>{ui.cancel}</Button>
          <Button kind="main" busy={order.first.busy} onPress={go}>
            {words.next}
          </Button>
        </>
      }
    >
      <p>{words.what.off(text)}</p>
      <TextField
        label={words.why}
        hint={words.whyHint}
        value={why}
        onText={setWhy}
        maxLength={200}
        required
        error={tried && why.trim() === '' ? words.missing : null}
      />
      <ProblemNotice problem={order.first.problem} />
    </Dialog>
  );
};
