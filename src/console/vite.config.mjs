import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

// Everything ends as files of our own: nothing is inlined (the policy of content forbids it) and nothing is fetched
// from elsewhere. Names hold a digest of what is in them, so browsers may keep them for good.
export default defineConfig({
  root: here('.'),
  base: '/',
  publicDir: false,
  cacheDir: here('../../dist/.vite'),
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: here('../../dist/console'),
    emptyOutDir: true,
    assetsDir: 'assets',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: ['chrome123', 'firefox121', 'safari17.5'],
    sourcemap: false,
    reportCompressedSize: false,
  },
});
