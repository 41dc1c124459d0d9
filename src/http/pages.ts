import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** A file of the console, as it was built. */
export interface PageFile {
  readonly type: string;
  readonly bytes: Buffer;
  /** The same, compressed; null where that is not worth it. */
  readonly packed: Buffer | null;
  /** Its name holds a digest of it: it may be kept for good. */
  readonly lasting: boolean;
}

/** The file for an address; null where there is none. */
export type PageFiles = (url: string) => PageFile | null;

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
  '.png': 'image/png',
  '.wasm': 'application/wasm',
};
const packable: ReadonlySet<string> = new Set(['.html', '.js', '.css', '.svg']);
const MOST_FILES = 500;
const MOST_BYTES = 32 * 1024 * 1024;

/**
 * Reads the console's files into memory: what is not among them is not given out, whatever an address says, and no
 * address ever names a file of the disk. Null where the console was not built. Throws where it is larger than it can be.
 */
export const readPages = (dir: string): PageFiles | null => {
  if (!existsSync(join(dir, 'index.html'))) return null;
  const files = new Map<string, PageFile>();
  let total = 0;
  const add = (path: string, lasting: boolean): void => {
    const type = types[extname(path)];
    if (type === undefined) return;
    const bytes = readFileSync(join(dir, path));
    total += bytes.length;
    if (total > MOST_BYTES || files.size >= MOST_FILES)
      throw new Error(`console-too-large: more than ${MOST_FILES} files or ${MOST_BYTES} bytes in ${dir}`);
    const packed = packable.has(extname(path)) ? gzipSync(bytes, { level: 9 }) : null;
    files.set(`/${path}`, {
      ...{ type, bytes, lasting },
      packed: packed !== null && packed.length < bytes.length ? packed : null,
    });
  };
  add('index.html', false);
  const assets = existsSync(join(dir, 'assets')) ? readdirSync(join(dir, 'assets')) : [];
  for (const name of assets) add(`assets/${name}`, true);
  const index = files.get('/index.html') ?? null;
  return (url) => {
    const [path = '/'] = url.split(/[?#]/, 1);
    // What the API does not know is told as a problem, and never shown as a page.
    if (path === '/v1' || path.startsWith('/v1/')) return null;
    const file = files.get(path);
    if (file !== undefined) return file;
    // Pages have addresses of their own, and the console finds its way by itself; whatever has a dot in its last part is a file.
    const last = path.slice(path.lastIndexOf('/') + 1);
    return path.startsWith('/assets/') || last.includes('.') ? null : index;
  };
};
