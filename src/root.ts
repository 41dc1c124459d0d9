import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The project's root folder: the nearest folder above this file that holds package.json.
 * Compiled code lives deeper than its source, so files that are not compiled (Lua, example
 * configuration, prompts) are always found from here and never relative to a module.
 */
export const projectRoot: string = (() => {
  let dir = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(dir, 'package.json'))) {
    const parent = dirname(dir);
    if (parent === dir) throw new Error('sallyport: no package.json above ' + import.meta.url);
    dir = parent;
  }
  return dir;
})();

/** An absolute path from path parts relative to the project's root. */
export const fromRoot = (...parts: string[]): string => join(projectRoot, ...parts);
