import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { useDoing } from '../../api/use-api.js';
import { FacilityPicker } from '../../app/facility-picker.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { TextField } from '../../ui/field.js';
import { ProblemNotice } from '../../ui/notice.js';
import { PageFrame, Panel } from '../../ui/page.js';
import { Answer, DecisionRows, type Explained, ListsSaid } from './answer.js';
import './page.css';
import { words as all } from './words.js';

/** From one row to the next, so that the eye can follow. */
const STEP_MS = 140;

/** How many rows of the table are lit: all at once for those who want no motion. */
const useLit = (answer: Explained | null): number => {
  const [lit, setLit] = useState(0);
  useEffect(() => {
    if (answer === null) return setLit(0);
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    setLit(still ? answer.row : 1);
    if (still) return;
    const timer = setInterval(() => setLit((row) => Math.min(row + 1, answer.row)), STEP_MS);
    return () => clearInterval(timer);
  }, [answer]);
  return lit;
};

const WhyPage = (): JSX.Element => {
  const words = useWords(all);
  const [number, setNumber] = useState('');
  const [caller, setCaller] = useState('');
  const [facility, setFacility] = useState('');
  const [tried, setTried] = useState(false);
  const [answer, setAnswer] = useState<Explained | null>(null);
  const shown = useRef<HTMLDivElement>(null);
  const lit = useLit(answer);
  const over = answer !== null && lit >= answer.row;
  const ask = useDoing(async () => {
    setAnswer(null);
    setAnswer(
      await api.post<Explained>('/v1/explain', { number: number.trim(), caller: caller.trim(), facility }),
    );
  });
  useEffect(() => {
    // On a narrow screen the answer is below the form.
    const top = shown.current?.getBoundingClientRect().top ?? 0;
    if (answer !== null && top > innerHeight) shown.current?.scrollIntoView({ block: 'start' });
  }, [answer]);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    setTried(true);
    if (number.trim() !== '' && caller.trim() !== '' && facility !== '') void ask.run();
  };
  const missing = (value: string): string | null => (tried && value.trim() === '' ? words.missing : null);
  return (
    <PageFrame title={words.title} lead={words.lead}>
      <form class="panel" onSubmit={submit} noValidate>
        <div class="form-row why-form">
          <TextField
            label={words.number}
            hint={words.numberHint}
            value={number}
            onText={setNumber}
            inputMode="tel"
            autocomplete="off"
            spellcheck={false}
            maxLength={80}
            mono
            error={missing(number)}
          />
          <TextField
            label={words.caller}
            hint={words.callerHint}
            value={caller}
            onText={setCaller}
            autocomplete="off"
            spellcheck={false}
            maxLength={64}
            mono
            error={missing(caller)}
          />
          <FacilityPicker label={words.facility} value={facility} onPick={setFacility} />
          <Button kind="main" type="submit" icon="search" busy={ask.busy}>
            {words.ask}
          </Button>
        </div>
        <p class="soft small">{words.writtenDown}</p>
      </form>
      <ProblemNotice problem={ask.problem} />
      <p class="heard-only" role="status">
        {over ? words.explained(`${answer.verdict}. ${words.would[answer.verdict]}`) : ''}
      </p>
      {answer !== null && (
        <div class="why-answer" ref={shown}>
          <Panel title={words.table}>
            <DecisionRows answer={answer} lit={lit} />
          </Panel>
          <div class={`stack why-side${over ? '' : ' why-waits'}`}>
            <Panel title={words.decision}>
              <Answer answer={answer} />
            </Panel>
            <Panel title={words.lists}>
              <ListsSaid answer={answer} />
            </Panel>
          </div>
        </div>
      )}
    </PageFrame>
  );
};

export default WhyPage;
