import type { JSX } from 'preact';
import { useWords } from '../../app/words.js';
import type { LinkView } from './shapes.js';
import { words } from './words.js';

const MOST = 10;
const WIDTH = 520;
const ROW = 34;
const X = { from: 12, middle: 190, far: 372 } as const;
const BOX = 136;

/** A name as far as it fits its box. */
const short = (text: string): string => (text.length > 16 ? `${text.slice(0, 15)}…` : text);

interface Node {
  readonly name: string;
  readonly y: number;
}

/** Names one below the other, in the middle of the height. */
const column = (names: readonly string[], height: number): readonly Node[] =>
  names.map((name, at) => ({ name, y: height / 2 + (at - (names.length - 1) / 2) * ROW }));

const Box = ({
  node,
  x,
  kind,
}: {
  readonly node: Node;
  readonly x: number;
  readonly kind: string;
}): JSX.Element => (
  <g class={`search-node search-node-${kind}`}>
    <rect x={x} y={node.y - 12} width={BOX} height={24} rx={kind === 'caller' ? 12 : 4} />
    <text x={x + BOX / 2} y={node.y + 4} text-anchor="middle">
      {short(node.name)}
    </text>
  </g>
);

/**
 * The strongest links as a drawing: round boxes are callers, square ones numbers, thick lines many calls. It holds nothing
 * that the tables do not, and is one picture to whoever cannot see it.
 */
export const LinkGraph = ({ view }: { readonly view: LinkView }): JSX.Element => {
  const w = useWords(words);
  const { kind, value } = view.of;
  const other = kind === 'caller' ? 'number' : 'caller';
  const links = view.links.slice(0, MOST);
  const middle = links.map((link) => link[other]);
  const further = view.further.filter((link) => middle.includes(link[other]));
  const far = [...new Set(further.map((link) => link[kind]))].slice(0, MOST);
  const lines = further.filter((link) => far.includes(link[kind]));
  const height = Math.max(middle.length, far.length, 1) * ROW + 12;
  const from = { name: value, y: height / 2 };
  const [inMiddle, atFar] = [column(middle, height), column(far, height)];
  const most = Math.max(...links.map((link) => link.calls), ...lines.map((link) => link.calls), 1);
  const thick = (calls: number): number => 1 + (5 * calls) / most;
  const yOf = (nodes: readonly Node[], name: string): number =>
    nodes.find((one) => one.name === name)?.y ?? 0;
  const curve = (x1: number, y1: number, x2: number, y2: number): string =>
    `M${x1} ${y1}C${(x1 + x2) / 2} ${y1} ${(x1 + x2) / 2} ${y2} ${x2} ${y2}`;
  return (
    <figure class="search-graph">
      <svg
        viewBox={`0 0 ${WIDTH} ${height}`}
        role="img"
        aria-label={w.link.graphText(value, String(links.length), String(far.length))}
      >
        {links.map((link) => (
          <path
            key={link[other]}
            class="search-line"
            stroke-width={thick(link.calls)}
            d={curve(X.from + BOX, from.y, X.middle, yOf(inMiddle, link[other]))}
          />
        ))}
        {lines.map((link) => (
          <path
            key={`${link.caller} ${link.number}`}
            class="search-line search-line-far"
            stroke-width={thick(link.calls)}
            d={curve(X.middle + BOX, yOf(inMiddle, link[other]), X.far, yOf(atFar, link[kind]))}
          />
        ))}
        <Box node={from} x={X.from} kind={kind} />
        {inMiddle.map((node) => (
          <Box key={node.name} node={node} x={X.middle} kind={other} />
        ))}
        {atFar.map((node) => (
          <Box key={node.name} node={node} x={X.far} kind={kind} />
        ))}
      </svg>
    </figure>
  );
};
