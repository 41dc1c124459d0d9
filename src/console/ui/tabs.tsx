import type { ComponentChildren, JSX } from 'preact';
import { useId, useRef } from 'preact/hooks';

interface TabsProps<T extends string> {
  readonly label: string;
  readonly tabs: readonly { readonly key: T; readonly text: ComponentChildren }[];
  readonly at: T;
  readonly onPick: (key: T) => void;
  /** The panel of the tab that is picked. */
  readonly children: ComponentChildren;
}

/** Views of one thing, of which one is seen. Arrow keys lead from one to the next. */
export const Tabs = <T extends string>({ label, tabs, at, onPick, children }: TabsProps<T>): JSX.Element => {
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const step = (event: KeyboardEvent): void => {
    const here = tabs.findIndex(({ key }) => key === at);
    const to =
      event.key === 'ArrowRight'
        ? (here + 1) % tabs.length
        : event.key === 'ArrowLeft'
          ? (here - 1 + tabs.length) % tabs.length
          : event.key === 'Home'
            ? 0
            : event.key === 'End'
              ? tabs.length - 1
              : null;
    const tab = to === null ? undefined : tabs[to];
    if (to === null || tab === undefined) return;
    event.preventDefault();
    onPick(tab.key);
    const button = list.current?.children[to];
    if (button instanceof HTMLElement) button.focus();
  };
  return (
    <div class="tabs">
      <div class="tab-list" role="tablist" aria-label={label} ref={list} onKeyDown={step}>
        {tabs.map(({ key, text }) => (
          <button
            key={key}
            type="button"
            role="tab"
            id={`${id}-tab-${key}`}
            class="tab"
            aria-selected={key === at}
            aria-controls={`${id}-panel`}
            tabIndex={key === at ? 0 : -1}
            onClick={() => onPick(key)}
          >
            {text}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-tab-${at}`} class="tab-panel">
        {children}
      </div>
    </div>
  );
};
