// Loads the test files again and again in one process: what belongs to them takes the query of the file that imports it,
// so each load is another module. Libraries are loaded once. `tap` is the short one beside this file.
let dist = '';
let tap = '';

export const initialize = (data) => {
  ({ dist, tap } = data);
};

export const resolve = async (specifier, context, next) => {
  const parent = context.parentURL === undefined ? null : new URL(context.parentURL);
  const ours = parent?.href.startsWith(dist) && parent.search !== '';
  if (ours && specifier === 'tap') return { url: tap + parent.search, shortCircuit: true };
  const resolved = await next(specifier, context);
  if (!ours || !resolved.url.startsWith(dist) || resolved.url.includes('?')) return resolved;
  return { ...resolved, url: resolved.url + parent.search };
};
