import { Component, type ComponentType, type JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { PageEntry, PageProps } from '../pages.js';
import { Button } from '../ui/button.js';
import { Busy, Notice } from '../ui/notice.js';
import { PageFrame } from '../ui/page.js';
import { useCell } from './cell.js';
import { language } from './settings.js';
import { shellWords } from './shell-words.js';
import { useWords } from './words.js';

const loaded = new Map<string, ComponentType<PageProps>>();

/** A page, fetched when it is gone to first. */
export const PageLoader = ({
  entry,
  rest,
  query,
}: { readonly entry: PageEntry } & PageProps): JSX.Element => {
  const of = useCell(language);
  const words = useWords(shellWords);
  const [, again] = useState(0);
  const [failed, setFailed] = useState(false);
  const Page = loaded.get(entry.path);
  useEffect(() => {
    let left = false;
    if (!loaded.has(entry.path))
      entry.load().then(
        (module) => {
          loaded.set(entry.path, module.default);
          if (!left) again((turn) => turn + 1);
        },
        () => {
          if (!left) setFailed(true);
        },
      );
    return () => {
      left = true;
    };
  }, [entry]);
  useEffect(() => {
    // Who came here by a link hears the page's name next; who opened the console begins at its top.
    if (Page === undefined || document.activeElement === document.body) return;
    const heading = document.querySelector<HTMLElement>('main h1');
    heading?.focus({ preventScroll: true });
  }, [Page]);
  if (failed)
    return (
      <PageFrame title={entry.title[of]}>
        <Notice tone="bad" title={words.stale} loud>
          <Button onPress={() => location.reload()}>{words.reload}</Button>
        </Notice>
      </PageFrame>
    );
  if (Page === undefined) return <Busy />;
  return (
    <Fence title={entry.title[of]} words={words}>
      <Page rest={rest} query={query} />
    </Fence>
  );
};

interface FenceProps {
  readonly title: string;
  readonly words: { readonly failed: string; readonly failedText: string; readonly reload: string };
  readonly children: JSX.Element;
}

/** A fault of one page is told in its place, and the rest of the console stands. */
class Fence extends Component<FenceProps, { failed: boolean }> {
  override state = { failed: false };

  override componentDidCatch(error: unknown): void {
    // For whoever looks into it, and for tests, which take no error on a page.
    console.error(error);
    this.setState({ failed: true });
  }

  override render({ title, words, children }: FenceProps): JSX.Element {
    if (!this.state.failed) return children;
    return (
      <PageFrame title={title}>
        <Notice tone="bad" title={words.failed} loud>
          <p>{words.failedText}</p>
          <Button onPress={() => location.reload()}>{words.reload}</Button>
        </Notice>
      </PageFrame>
    );
  }
}
