import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { heardBy } from '../src/cli/call-flow.js';
import { phasesInOrder, walk } from '../src/cli/call-walk.js';
import { blocksIn, docBlocks } from '../src/cli/doc-blocks.js';
import { promptIds } from '../src/core/prompt.js';
import { fromRoot } from '../src/root.js';

const pages = readdirSync(fromRoot('docs')).filter((name) => name.endsWith('.md'));
const textOf = (name: string): string => readFileSync(fromRoot('docs', name), 'utf8');

t.test('the generated tables in docs/ are those of the code, both ways', async (t) => {
  const expected = docBlocks();
  const found = new Map<string, string>();
  for (const page of pages) {
    for (const block of blocksIn(textOf(page))) {
      t.notOk(found.has(block.name), `${block.name} stands in one page only`);
      found.set(block.name, page);
      t.equal(
        block.text,
        (expected[block.name] ?? '(no such block)').trim(),
        `${page}: ${block.name}; run npm run docs`,
      );
    }
  }
  for (const name of Object.keys(expected)) t.ok(found.has(name), `docs/ holds ${name}`);
});

t.test('every file named in the docs and the README exists', async (t) => {
  let seen = 0;
  for (const [page, text] of [
    ...pages.map((p) => [`docs/${p}`, textOf(p)]),
    ['README.md', readFileSync(fromRoot('README.md'), 'utf8')],
  ] as const) {
    for (const match of text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)) {
      seen += 1;
      const base = page.startsWith('docs/') ? 'docs' : '.';
      t.doesNotThrow(() => readFileSync(fromRoot(base, match[1] ?? '')), `${page} links to ${match[1]}`);
    }
  }
  t.ok(seen > 3, `${seen} links were checked`);
});

t.test('the walk through the call misses nothing', async (t) => {
  const arrows = [...walk('here'), ...walk('elsewhere')];
  const places = new Set(arrows.flatMap(({ from, to }) => [from, to]));
  t.same(
    phasesInOrder.filter((phase) => !places.has(phase)),
    [],
    'every phase is reached',
  );
  t.equal(places.size, phasesInOrder.length);
  for (const id of promptIds) t.not(heardBy(id), '', `${id} is heard by somebody`);
  t.ok(arrows.length > 300, `${arrows.length} arrows`);
});
