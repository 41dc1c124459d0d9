import type { JSX } from 'preact';
import { Button } from '../ui/button.js';
import { Notice } from '../ui/notice.js';
import { uiWords } from '../ui/words.js';
import { useCell } from './cell.js';
import { dismiss, told } from './notices.js';
import { shellWords } from './shell-words.js';
import { useWords } from './words.js';

/** The corner where things are told. It is there from the beginning: a region that comes with its words is not read out. */
export const Notices = (): JSX.Element => {
  const words = useWords(shellWords);
  const ui = useWords(uiWords);
  const all = useCell(told);
  return (
    <section class="notices" aria-label={words.notices} aria-live="polite">
      {all.map(({ id, tone, text }) => (
        <div key={id} class="notices-one">
          <Notice tone={tone} title={text} />
          <Button kind="quiet" small icon="close" label={ui.dismiss} onPress={() => dismiss(id)}>
            <span class="heard-only">{ui.dismiss}</span>
          </Button>
        </div>
      ))}
    </section>
  );
};
