import type { ComponentType, JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { useApi } from '../../api/use-api.js';
import { Link } from '../../app/place.js';
import { useWords } from '../../app/words.js';
import { Busy } from '../../ui/notice.js';
import type { Portal } from './data.js';
import { joinWords } from './words.js';

/** On the page where people sign in: the way for those who have no account and may make one. */
export const CounselDoor = (): JSX.Element | null => {
  const words = useWords(joinWords);
  const portal = useApi<Portal>('/v1/counsel').data;
  if (portal === null || portal.registration !== 'open') return null;
  return (
    <p class="sign-in-about">
      <Link to="/join">{words.door}</Link>
    </p>
  );
};

/** The page behind it, fetched when somebody comes. */
export const CounselJoin = (): JSX.Element => {
  const [page, setPage] = useState<{ readonly Page: ComponentType } | null>(null);
  useEffect(() => {
    let left = false;
    void import('./join.js').then((module) => {
      if (!left) setPage({ Page: module.default });
    });
    return () => {
      left = true;
    };
  }, []);
  if (page === null)
    return (
      <div class="centre">
        <Busy />
      </div>
    );
  return <page.Page />;
};
