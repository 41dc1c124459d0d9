import type { ComponentChildren, JSX } from 'preact';
import type { ApiProblem } from '../api/client.js';
import { problemText } from '../api/problem-words.js';
import { useCell } from '../app/cell.js';
import { language } from '../app/settings.js';
import { useWords } from '../app/words.js';
import { Button } from './button.js';
import { Icon } from './icon.js';
import type { Tone } from './tone.js';
import { uiWords } from './words.js';

interface NoticeProps {
  readonly tone?: Tone;
  readonly title?: ComponentChildren;
  readonly children?: ComponentChildren;
  /** Read out at once: for what came of something that was just done. */
  readonly loud?: boolean;
}

/** Something to be known on the page, where it belongs. */
export const Notice = ({ tone = 'note', title, children, loud = false }: NoticeProps): JSX.Element => {
  const words = useWords(uiWords);
  return (
    <div class={`notice tone-${tone}`} role={loud ? (tone === 'bad' ? 'alert' : 'status') : undefined}>
      <Icon name={tone === 'plain' ? 'note' : tone} />
      <div>
        <span class="heard-only">{words.notice[tone]}: </span>
        {title !== undefined && <strong class="notice-title">{title}</strong>}
        {children !== undefined && <div class="notice-body">{children}</div>}
      </div>
    </div>
  );
};

/** Why something was refused: in people's words, with the code for those who look it up. Null shows nothing. */
export const ProblemNotice = ({
  problem,
  onAgain,
}: {
  readonly problem: ApiProblem | null;
  readonly onAgain?: () => void;
}): JSX.Element | null => {
  const words = useWords(uiWords);
  const now = useCell(language);
  if (problem === null) return null;
  return (
    <Notice tone="bad" title={problemText(problem, now)} loud>
      {problem.detail !== null && <p>{problem.detail}</p>}
      {problem.retryAfter !== null && <p>{words.retryAfter(problem.retryAfter)}</p>}
      <p class="notice-code">
        {words.code('')}
        <code>{problem.code}</code>
      </p>
      {onAgain !== undefined && (
        <Button small onPress={onAgain}>
          {words.again}
        </Button>
      )}
    </Notice>
  );
};

/** Something is on its way. */
export const Busy = ({ what }: { readonly what?: string }): JSX.Element => {
  const words = useWords(uiWords);
  return (
    <div class="busy" role="status">
      <span class="spinner" aria-hidden="true" />
      <span>{what ?? words.busy}</span>
    </div>
  );
};

/** There is nothing, and that is fine; or what to do about it. */
export const Empty = ({ children }: { readonly children?: ComponentChildren }): JSX.Element => {
  const words = useWords(uiWords);
  return <div class="empty">{children ?? words.nothing}</div>;
};
