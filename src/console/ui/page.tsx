import type { ComponentChildren, JSX } from 'preact';
import { useId } from 'preact/hooks';

/** The frame of a page: its one heading, what it is for, and what can be done on it. */
export const PageFrame = ({
  title,
  lead,
  actions,
  children,
}: {
  readonly title: string;
  readonly lead?: ComponentChildren;
  readonly actions?: ComponentChildren;
  readonly children: ComponentChildren;
}): JSX.Element => (
  <div class="page">
    <header class="page-head">
      <div>
        <h1 tabIndex={-1}>{title}</h1>
        {lead !== undefined && <p class="lead">{lead}</p>}
      </div>
      {actions !== undefined && <div class="actions">{actions}</div>}
    </header>
    {children}
  </div>
);

/** One matter of a page, with a heading of its own. */
export const Panel = ({
  title,
  aside,
  children,
  plain = false,
}: {
  readonly title: string;
  /** Beside the heading: a count, a button. */
  readonly aside?: ComponentChildren;
  readonly children: ComponentChildren;
  /** Without a frame. */
  readonly plain?: boolean;
}): JSX.Element => {
  const id = useId();
  return (
    <section class={plain ? 'panel panel-plain' : 'panel'} aria-labelledby={id}>
      <header class="panel-head">
        <h2 id={id}>{title}</h2>
        {aside !== undefined && <div class="actions">{aside}</div>}
      </header>
      {children}
    </section>
  );
};
