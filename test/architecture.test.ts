import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import t from 'tap';
import { fromRoot } from '../src/root.js';

interface Import {
  readonly file: string;
  readonly from: string;
  /** A path under src/ for our own files, else the package. */
  readonly target: string;
  readonly own: boolean;
}

const sources = (readdirSync(fromRoot('src'), { recursive: true }) as string[]).filter((name) =>
  /\.tsx?$/.test(name),
);
const sourceNames = new Set(sources);
const imports: readonly Import[] = sources.flatMap((file) => {
  const text = readFileSync(fromRoot('src', file), 'utf8');
  return [
    ...text.matchAll(
      /^(?:import|export)\s[^'"]*?from\s+['"]([^'"]+)['"]|^import\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm,
    ),
  ].map((match) => {
    const from = match[1] ?? match[2] ?? match[3] ?? '';
    const own = from.startsWith('.');
    const path = own ? normalize(join(dirname(file), from)).replace(/\.js$/, '.ts') : from;
    // What the console draws is compiled from .tsx.
    const target = own && sourceNames.has(`${path}x`) ? `${path}x` : path;
    return { file, from, target, own };
  });
});
const houseOf = (file: string): string => (file.includes('/') ? (file.split('/')[0] ?? '') : file);

/** What each house may import of ours: the arrows of the design, section 7. */
const mayImport: Readonly<Record<string, (target: string) => boolean>> = {
  // Below all adapters: files that are whole and durable, and nothing of ours.
  durable: (target) => target.startsWith('durable/'),
  core: (target) => target.startsWith('core/'),
  call: (target) => /^(core|call)\//.test(target),
  agent: (target) => target.startsWith('agent/'),
  phones: (target) => target.startsWith('phones/'),
  sip: (target) => /^(core|sip)\//.test(target) || /^call\/(ports|talk|events)\.ts$/.test(target),
  media: (target) =>
    /^(core|media)\//.test(target) ||
    /^call\/(ports|talk|events)\.ts$/.test(target) ||
    ['durable/in-time.ts', 'root.ts'].includes(target),
  recording: (target) =>
    /^(core|durable|recording)\//.test(target) ||
    /^call\/(ports|talk|events)\.ts$/.test(target) ||
    target === 'root.ts',
  lists: (target) =>
    /^(core|durable|lists)\//.test(target) ||
    /^call\/(ports|talk|events)\.ts$/.test(target) ||
    target === 'root.ts',
  prompts: (target) =>
    /^(core|prompts)\//.test(target) || /^call\/(talk|ports)\.ts$/.test(target) || target === 'root.ts',
  journal: (target) => /^(durable|journal)\//.test(target),
  review: (target) => /^(core|review)\//.test(target),
  statement: (target) => /^(core|durable|journal|statement)\//.test(target) || target === 'call/events.ts',
  evidence: (target) => /^(evidence|journal)\//.test(target),
  recovery: (target) => /^(core|recovery)\//.test(target) || /^call\/(ports|talk|events)\.ts$/.test(target),
  // Runs in browsers too: nothing of Node.js, and nothing of ours.
  playback: (target) => target.startsWith('playback/'),
  stack: (target) => target.startsWith('stack/') || target === 'root.ts',
  // An import is held against the numbers that are privileged already, by the same measure as calls are.
  registry: (target) => /^(core|registry)\//.test(target) || target === 'review/near-index.ts',
  vault: (target) =>
    /^(core|durable|vault)\//.test(target) || ['call/ports.ts', 'recording/vault-port.ts'].includes(target),
  custody: (target) => /^(core|custody|durable|journal|lists|vault)\//.test(target),
  config: (target) =>
    /^(core|config)\//.test(target) || ['http/roles.ts', 'vault/age-keys.ts'].includes(target),
  // Test calls are made with the phones, and read back what the vault keeps: as an outsider with a key would.
  canary: (target) =>
    /^(canary|core|phones)\//.test(target) ||
    /^call\/(ports|talk|events)\.ts$/.test(target) ||
    /^vault\/(age-keys|age-stream|manifest|store)\.ts$/.test(target),
  // Calls of our own that tell a code are made with the phones too.
  'code-call': (target) => /^(code-call|core|phones)\//.test(target) || target === 'call/events.ts',
  // It starts a whole site as the command line does, and looks at it as a stranger: of the product's own judgement it
  // uses the journal's verifier, and to open recordings the key.
  soak: (target) =>
    /^(core|phones|soak|stack)\//.test(target) ||
    [
      'config/schema.ts',
      'journal/verify.ts',
      'lists/entries.ts',
      'lists/heartbeat.ts',
      'local.ts',
      'root.ts',
      'vault/age-stream.ts',
      'vault/key-files.ts',
    ].includes(target),
  // The other parts are played to it by ports; whoever wires it fills them.
  http: (target) =>
    /^(core|http|registry)\//.test(target) ||
    /^call\/(controller|events|talk)\.ts$/.test(target) ||
    target === 'api/control.ts',
  // It runs in browsers: of the rest it has the table of who may do what, what verifies evidence, what opens recordings,
  // and types that no byte of is left of.
  console: (target) =>
    /^(console|core|playback)\//.test(target) ||
    /^(evidence|journal)\/verify\//.test(target) ||
    ['http/access.ts', 'http/problems.ts', 'http/roles.ts', 'call/events.ts'].includes(target),
  api: (target) => /^(api|core)\//.test(target) || /^call\/(events|controller|talk)\.ts$/.test(target),
};
/** The one house that may touch each library. */
const owners: Readonly<Record<string, RegExp>> = {
  'drachtio-srf': /^sip\/drachtio\.ts$/,
  'sdp-transform': /^media\//,
  ioredis: /^lists\//,
  pino: /^log\.ts$/,
  'prom-client': /^api\/metrics\.ts$/,
  'libphonenumber-js/max': /^core\/number/,
  yaml: /^(config|lists|registry\/import)\//,
  zod: /^(config|http|lists|registry)\//,
  fastify: /^(http\/|cli\/serve\.ts$)/,
  '@fastify/cookie': /^http\/server\.ts$/,
  '@fastify/helmet': /^http\/server\.ts$/,
  '@fastify/rate-limit': /^http\/server\.ts$/,
  '@fastify/swagger': /^http\/server\.ts$/,
  'fastify-type-provider-zod': /^http\/server\.ts$/,
  'openid-client': /^http\/oidc\.ts$/,
  pg: /^registry\/database\.ts$/,
  kysely: /^registry\//,
  'csv-parse/sync': /^lists\//,
  'csv-parse': /^(lists|registry\/import)\//,
  '@aws-sdk/client-s3': /^vault\/s3-bucket\.ts$/,
  'age-encryption': /^playback\/open\.ts$/,
  commander: /^cli\//,
  preact: /^console\//,
  'preact/hooks': /^console\//,
  uplot: /^console\/ui\/plot\.tsx$/,
  'uplot/dist/uPlot.min.css': /^console\/ui\/plot\.tsx$/,
  pdfkit: /^statement\/pdf\/sheet\.ts$/,
};

t.test('the arrows point down only', async (t) => {
  t.ok(sources.length > 60, `${sources.length} files were seen`);
  t.ok(imports.length > 200, `${imports.length} imports were seen`);
  const wrong = imports.filter((one) => {
    if (!one.own) return false;
    const rule = mayImport[houseOf(one.file)];
    return rule !== undefined && !rule(one.target);
  });
  t.same(
    wrong.map((one) => `${one.file} imports ${one.target}`),
    [],
  );
  for (const house of Object.keys(mayImport))
    t.ok(
      sources.some((file) => file.startsWith(`${house}/`)),
      `there is a house ${house}`,
    );
});

t.test('the journal’s verifier and its writer share no code', async (t) => {
  const isVerifier = (file: string): boolean => /^journal\/verify(\.ts$|\/)/.test(file);
  const files = sources.filter(isVerifier);
  t.ok(files.length > 10, `${files.length} files of the verifier were seen`);
  const inHouse = imports.filter(({ file }) => file.startsWith('journal/'));
  const own = inHouse.filter(({ own }) => own);
  t.ok(own.filter(({ file }) => isVerifier(file)).length > 10);
  t.same(
    own
      .filter(({ file, target }) => isVerifier(file) !== isVerifier(target))
      .map((one) => `${one.file} imports ${one.target}`),
    [],
  );
  t.same(
    inHouse
      .filter(({ own, from }) => !own && !from.startsWith('node:'))
      .map((one) => `${one.file} imports ${one.from}`),
    [],
    'nor does either need a package',
  );
});

t.test('the verifier of evidence needs the journal’s verifier, and nothing else', async (t) => {
  const inHouse = imports.filter(({ file }) => file.startsWith('evidence/verify/'));
  t.ok(inHouse.length > 20, `${inHouse.length} imports were seen`);
  t.same(
    inHouse
      .filter(({ own, from, target }) =>
        own ? !/^(evidence|journal)\/verify[/.]/.test(target) : !from.startsWith('node:'),
      )
      .map((one) => `${one.file} imports ${one.target}`),
    [],
  );
});

t.test('of other houses the console has types, and one table', async (t) => {
  const atRunTime = sources
    .filter((file) => file.startsWith('console/'))
    .flatMap((file) =>
      [
        ...readFileSync(fromRoot('src', file), 'utf8').matchAll(
          /^import (?!type\b)[^'"]*?from\s+['"]((?:\.\.\/)+(?:core|http|call)\/[^'"]+)['"]/gm,
        ),
      ].map((match) => `${file} ${match[1] ?? ''}`),
    );
  t.same(atRunTime.sort(), [
    'console/api/session.ts ../../http/access.js',
    'console/pages/calls/filters.tsx ../../../core/ending.js',
    'console/pages/calls/filters.tsx ../../../core/lists.js',
  ]);
});

t.test('nothing that the console takes along needs Node.js', async (t) => {
  const taken = (file: string): readonly string[] =>
    [
      ...readFileSync(fromRoot('src', file), 'utf8').matchAll(
        /^(?:import|export) (?!type\b)[^'"]*?from\s+['"]([^'"]+)['"]|\bnew URL\(\s*'([^']+)'/gm,
      ),
    ].map((match) => match[1] ?? match[2] ?? '');
  const seen = new Set<string>();
  const wrong: string[] = [];
  const follow = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const from of taken(file)) {
      const target = normalize(join(dirname(file), from));
      const found = [target, target.replace(/\.js$/, '.ts'), target.replace(/\.js$/, '.tsx')];
      if (from.startsWith('node:')) wrong.push(`${file} imports ${from}`);
      else if (from.startsWith('.')) {
        const own = found.find((one) => sources.includes(one));
        if (own !== undefined) follow(own);
      }
    }
  };
  for (const file of sources.filter((one) => one.startsWith('console/'))) follow(file);
  for (const file of ['evidence/verify/check.ts', 'journal/verify/in-time.ts', 'playback/open.ts'])
    t.ok(seen.has(file), `${file} is taken along`);
  t.notOk(seen.has('journal/verify/at-once.ts'));
  t.same(wrong, []);
});

t.test('core touches nothing of the world', async (t) => {
  const wrong = imports.filter(
    (one) => one.file.startsWith('core/') && !one.own && !/^libphonenumber-js/.test(one.from),
  );
  t.same(wrong, []);
  const impure = sources
    .filter((file) => file.startsWith('core/'))
    .filter((file) =>
      /\b(Date\.now|Math\.random|process\.|setTimeout|console\.\w+\(|await )/.test(
        readFileSync(fromRoot('src', file), 'utf8'),
      ),
    );
  t.same(impure, []);
});

t.test('each library has one owner, and none is unknown', async (t) => {
  for (const one of imports.filter((i) => !i.own && !i.from.startsWith('node:'))) {
    const owner = owners[one.from];
    t.ok(owner?.test(one.file), `${one.file} imports ${one.from}`);
  }
});

t.test('a decision is made in one place', async (t) => {
  const makers = sources.filter((file) => /\basDecided\b/.test(readFileSync(fromRoot('src', file), 'utf8')));
  t.same(makers.sort(), ['core/decide.ts', 'core/decision.ts']);
});

t.test('only config and the command line read the environment', async (t) => {
  const readers = sources.filter((file) =>
    /\bprocess\.env\b/.test(readFileSync(fromRoot('src', file), 'utf8')),
  );
  t.same(
    readers.filter((file) => !/^(config|cli|stack)\//.test(file)),
    [],
  );
});

t.test('the words of the house', async (t) => {
  const never = /\b(whitelist|blacklist|inmate)/i;
  for (const file of sources) t.notMatch(readFileSync(fromRoot('src', file), 'utf8'), never, file);
});
