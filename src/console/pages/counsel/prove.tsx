import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { useDoing } from '../../api/use-api.js';
import { useCell } from '../../app/cell.js';
import { tell } from '../../app/notices.js';
import { language as pageLanguage } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { Select, TextField } from '../../ui/field.js';
import { Busy, Notice, ProblemNotice } from '../../ui/notice.js';
import type { OwnNumber } from './data.js';
import { words as all } from './words.js';

/** Calls a number, takes the code that was told, and says what came of it. */
export const Prove = ({
  own,
  onChange,
}: {
  readonly own: OwnNumber;
  readonly onChange: () => Promise<unknown>;
}): JSX.Element => {
  const words = useWords(all);
  const spoken = useCell(pageLanguage);
  const [language, setLanguage] = useState<'en' | 'es'>(spoken);
  const { code } = own;
  const call = useDoing(async () => {
    await api.post(`/v1/counsel/numbers/${own.id}/call`, { language });
    await onChange();
  });
  const failed = code?.stands === true && code.call === 'over' && !code.answered;
  return (
    <div class="counsel-prove">
      <p>{words.proveText}</p>
      <div class="form-row">
        <Select
          label={words.language}
          value={language}
          options={[
            { value: 'en', text: words.english },
            { value: 'es', text: words.spanish },
          ]}
          onPick={setLanguage}
        />
        <Button
          kind={code?.stands === true ? 'plain' : 'main'}
          busy={call.busy}
          onPress={() => void call.run()}
        >
          {code?.stands === true
            ? words.callAgain
            : own.state === 'unproved'
              ? words.callNow
              : words.proveAgain}
        </Button>
      </div>
      <ProblemNotice problem={call.problem} />
      {code?.stands === true &&
        (code.call === 'under-way' ? (
          <Busy what={words.calling} />
        ) : (
          <Notice tone={failed ? 'warn' : 'note'} loud>
            {failed ? words.callFailed : words.callOver}
          </Notice>
        ))}
      {code?.stands === true && <EnterCode own={own} triesLeft={code.triesLeft} onChange={onChange} />}
    </div>
  );
};

const EnterCode = ({
  own,
  triesLeft,
  onChange,
}: {
  readonly own: OwnNumber;
  readonly triesLeft: number;
  readonly onChange: () => Promise<unknown>;
}): JSX.Element => {
  const words = useWords(all);
  const [code, setCode] = useState('');
  const [tried, setTried] = useState(false);
  const digits = code.replace(/\D/g, '');
  const enter = useDoing(async () => {
    try {
      await api.post(`/v1/counsel/numbers/${own.id}/code`, { code: digits });
      tell('good', words.proved);
    } finally {
      await onChange();
    }
  });
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    setTried(true);
    if (digits.length === 6) void enter.run();
  };
  return (
    <form class="form-row counsel-code" onSubmit={submit} noValidate>
      <TextField
        label={words.code}
        hint={words.codeHint(triesLeft)}
        value={code}
        onText={setCode}
        inputMode="numeric"
        autocomplete="one-time-code"
        spellcheck={false}
        maxLength={12}
        mono
        error={tried && digits.length !== 6 ? words.codeShape : null}
      />
      <Button kind="main" type="submit" busy={enter.busy}>
        {words.enter}
      </Button>
      <ProblemNotice problem={enter.problem} />
    </form>
  );
};
