import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { lookWhoIsIn } from '../api/client.js';
import { type Session, sessionState, usedAt } from '../api/session.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { Notice } from '../ui/notice.js';
import { useCell } from './cell.js';
import { shellWords } from './shell-words.js';
import { useWords } from './words.js';

const WARN_SECONDS = 60;
const SOON_MINUTES = 10;

/** Says in time that the session ends, and takes it down when it has: what the page shows is not for who comes next. */
export const SessionEnd = ({ session }: { readonly session: Session }): JSX.Element => {
  const words = useWords(shellWords);
  const used = useCell(usedAt);
  const [now, setNow] = useState(() => ({ mono: performance.now(), wall: Date.now() }));
  useEffect(() => {
    const timer = setInterval(() => setNow({ mono: performance.now(), wall: Date.now() }), 1000);
    return () => clearInterval(timer);
  }, []);
  const idleLeft = Math.ceil(session.idleSeconds - Math.max(0, now.mono - used) / 1000);
  const minutesLeft = (new Date(session.expires).getTime() - now.wall) / 60_000;
  const over = idleLeft <= 0 || minutesLeft <= 0;
  useEffect(() => {
    if (over) sessionState.set({ state: 'nobody', ended: true });
  }, [over]);
  const stay = (): void => void lookWhoIsIn().catch(() => undefined);
  return (
    <>
      {minutesLeft > 0 && minutesLeft < SOON_MINUTES && (
        <Notice tone="warn" title={words.ending(Math.ceil(minutesLeft))} />
      )}
      <Dialog
        open={!over && idleLeft <= Math.min(WARN_SECONDS, session.idleSeconds / 2)}
        title={words.idle}
        onClose={stay}
        actions={
          <Button kind="main" onPress={stay} autoFocus>
            {words.stay}
          </Button>
        }
      >
        <p>{words.idleText(Math.max(0, idleLeft))}</p>
      </Dialog>
    </>
  );
};
