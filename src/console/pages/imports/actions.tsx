import type { ComponentChildren, JSX } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../../api/client.js';
import { useMay, useSession } from '../../api/session.js';
import { useDoing } from '../../api/use-api.js';
import { tell } from '../../app/notices.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import { Confirm } from '../../ui/confirm.js';
import { TextField } from '../../ui/field.js';
import { ProblemNotice } from '../../ui/notice.js';
import { Panel } from '../../ui/page.js';
import { type ImportShown, isUnderWay } from './types.js';
import { words as all } from './words.js';

type Act = 'apply' | 'protect' | 'approve' | 'reject' | 'undo';

interface Step {
  readonly title: string;
  readonly text: ComponentChildren;
  readonly tick: string;
  readonly word: string;
  readonly danger: boolean;
  /** Whether it is done with a reason in words. */
  readonly reasoned: boolean;
  readonly path: string;
  readonly body: object;
}

/** What can be done with an import where it is, by whoever looks at it. */
export const Actions = ({
  of,
  onDone,
}: {
  readonly of: ImportShown;
  readonly onDone: () => void;
}): JSX.Element | null => {
  const words = useWords(all);
  const me = useSession().account;
  const [asked, setAsked] = useState<Act | null>(null);
  const [why, setWhy] = useState('');
  const [tried, setTried] = useState(false);
  const may = {
    apply: useMay('POST /v1/imports/:import/apply'),
    approve: useMay('POST /v1/imports/:import/approve'),
    reject: useMay('POST /v1/imports/:import/reject'),
    undo: useMay('POST /v1/imports/:import/undo'),
  };
  const open = of.changes.done.proposed + of.changes.undone.proposed;
  const waiting = of.changes.done.waiting + of.changes.undone.waiting;
  const steps: Readonly<Record<Act, Step>> = {
    apply: {
      ...{ title: words.applyTitle, text: words.applyText, tick: words.applyTick, word: words.apply },
      ...{ danger: false, reasoned: true, path: 'apply', body: {} },
    },
    protect: {
      ...{
        title: words.applyProtecting,
        text: words.applyText,
        tick: words.applyTick,
        word: words.applyProtecting,
      },
      ...{ danger: false, reasoned: true, path: 'apply', body: { part: 'protecting' } },
    },
    approve: {
      ...{
        title: words.approve,
        text: words.approveText(open),
        tick: words.approveTick,
        word: words.approve,
      },
      ...{ danger: false, reasoned: false, path: 'approve', body: {} },
    },
    reject: {
      ...{ title: words.reject, text: words.rejectText, tick: words.rejectTick, word: words.reject },
      ...{ danger: true, reasoned: true, path: 'reject', body: {} },
    },
    undo: {
      ...{ title: words.undoTitle, text: words.undoText, tick: words.undoTick, word: words.undo },
      ...{ danger: true, reasoned: true, path: 'undo', body: {} },
    },
  };
  const step = asked === null ? null : steps[asked];
  const doing = useDoing(async (one: Step) => {
    setTried(true);
    if (one.reasoned && why.trim() === '') return;
    const body = one.reasoned ? { ...one.body, why: why.trim() } : one.body;
    await api.post(`/v1/imports/${of.id}/${one.path}`, body, { ifMatch: `"${of.version}"` });
    close();
    tell('good', words.done);
    onDone();
  });
  const plainly = useDoing(async (path: 'compare' | 'abandon') => {
    await api.post(`/v1/imports/${of.id}/${path}`);
    onDone();
  });
  const close = (): void => {
    setAsked(null);
    setWhy('');
    setTried(false);
    doing.clear();
  };
  if (isUnderWay(of)) return null;
  const { guard } = of;
  const held = guard?.tripped === true && guard.acknowledgedBy.length < guard.needed;
  const looked = of.state === 'compared' && (of.counts?.steps ?? 0) > 0;
  const some = of.changes.done.applied + of.changes.done.proposed + of.changes.done.waiting > 0;
  const adds = (of.counts?.lists.privileged?.added ?? 0) > 0;
  const left = ['receiving', 'staging', 'faulty', 'staged', 'compared'].includes(of.state) && !some;
  const mine = of.appliedBy === me && (of.undoneBy ?? me) === me;
  const buttons = [
    may.apply && looked && !held && (
      <Button key="apply" kind="main" onPress={() => setAsked('apply')}>
        {words.apply}
      </Button>
    ),
    may.apply && looked && held && adds && !some && (
      <Button key="protect" kind="main" onPress={() => setAsked('protect')}>
        {words.applyProtecting}
      </Button>
    ),
    may.approve && open > 0 && !mine && (
      <Button key="approve" kind="main" onPress={() => setAsked('approve')}>
        {words.approve}
      </Button>
    ),
    may.reject && open + waiting > 0 && !mine && (
      <Button key="reject" onPress={() => setAsked('reject')}>
        {words.reject}
      </Button>
    ),
    may.apply && of.state === 'compared' && (
      <Button key="compare" busy={plainly.busy} onPress={() => void plainly.run('compare')}>
        {words.compareAgain}
      </Button>
    ),
    may.undo && some && of.state === 'applied' && (
      <Button key="undo" onPress={() => setAsked('undo')}>
        {words.undo}
      </Button>
    ),
    may.apply && left && (
      <Button key="abandon" kind="quiet" busy={plainly.busy} onPress={() => void plainly.run('abandon')}>
        {words.abandon}
      </Button>
    ),
  ].filter((one) => one !== false);
  if (buttons.length === 0) return null;
  return (
    <Panel title={words.next}>
      <ProblemNotice problem={plainly.problem} />
      <div class="actions">{buttons}</div>
      {step !== null && (
        <Confirm
          open
          title={step.title}
          tick={step.tick}
          word={step.word}
          danger={step.danger}
          busy={doing.busy}
          problem={doing.problem}
          onConfirm={() => void doing.run(step)}
          onClose={close}
        >
          <p>{step.text}</p>
          {step.reasoned && (
            <TextField
              label={words.applyReason}
              hint={words.applyReasonHint}
              value={why}
              onText={setWhy}
              maxLength={400}
              error={tried && why.trim() === '' ? words.missing : null}
              autocomplete="off"
            />
          )}
        </Confirm>
      )}
    </Panel>
  );
};
