import type { Edit } from './guards.js';

/** Hooks of node:module: a module of the product is loaded as if its guard had been taken out of the source. */

type Load = (
  url: string,
  context: unknown,
  next: (url: string, context: unknown) => Promise<{ source: unknown }>,
) => Promise<{ source: unknown }>;

let edits: readonly Edit[] = [];
export const initialize = (given: readonly Edit[]): void => {
  edits = given;
};

export const load: Load = async (url, context, next) => {
  const loaded = await next(url, context);
  const mine = edits.filter(({ file }) => url.endsWith(`/dist/${file}`));
  if (mine.length === 0) return loaded;
  let source = String(loaded.source);
  // A function, so that nothing in the text is taken for a pattern.
  for (const { find, replace } of mine) source = source.replace(find, () => replace);
  // Whoever runs the test asks afterwards whether the module was loaded at all.
  const told = `\n;(globalThis.patchedModules ??= new Set()).add(${JSON.stringify(mine[0]?.file)});\n`;
  return { ...loaded, source: source + told };
};
