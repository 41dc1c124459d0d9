import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { canonicalJson, type JsonObject } from '../../src/journal/canonical.js';
import { digestOf, headEntry, keyEntry, NO_ENTRY } from '../../src/journal/heads/entry.js';
import { handOver } from '../../src/journal/heads/signing-key.js';
import { composeRow } from '../../src/journal/row.js';
import { Frontier, hexOf, leafOf } from '../../src/journal/tree/merkle.js';
import { type Verification, verifyJournal } from '../../src/journal/verify.js';
import { randomFrom } from './fixture.js';
import { fill, keyPair, type SignedPlace, signedPlace } from './signed.js';

const SEGMENT_ROWS = 6;
const attacker = keyPair();

type Random = (below: number) => number;
interface Row {
  at: string;
  batch: number;
  body: JsonObject;
  kind: string;
  mono: number;
}

/** Where a tamper works: a copy of the journal; `shipped` is out of the reach of whoever tampers. */
interface Scene {
  readonly dir: string;
  readonly place: SignedPlace;
  readonly random: Random;
  /** Lines of each segment, each file of heads. */
  readonly segments: string[][];
  readonly heads: string[];
  /** An earlier copy of everything, heads included. */
  readonly earlier: string;
  /** The same journal up to there, which then went on otherwise, signed with the true key. */
  readonly fork: string;
}

const linesOf = async (path: string): Promise<string[]> =>
  (await readFile(path, 'utf8')).split('\n').slice(0, -1);
const nameOf = (index: number): string => `${String(index + 1).padStart(8, '0')}.jsonl`;

async function store({ dir, segments, heads }: Scene): Promise<void> {
  for (const name of await readdir(dir)) if (name.endsWith('.jsonl')) await rm(join(dir, name));
  for (const [i, lines] of segments.entries()) {
    await writeFile(join(dir, nameOf(i)), lines.map((line) => `${line}\n`).join(''));
  }
  await writeFile(join(dir, 'heads', nameOf(0)), heads.map((line) => `${line}\n`).join(''));
}

/** A row that is not the last one of the journal nor a segment's first, so that what breaks is what is meant. */
function pick({ segments, random }: Scene): { segment: number; line: number } {
  const segment = random(segments.length);
  return { segment, line: 1 + random((segments[segment]?.length ?? 2) - 1) };
}

const edited = (line: string, random: Random): string => {
  const at = line.indexOf('"body":') + 8 + random(20);
  const other = String.fromCharCode(97 + random(26));
  return line[at] === other ? edited(line, random) : line.slice(0, at) + other + line.slice(at + 1);
};

/** The journal anew from its rows on, every hash right again: what somebody does who can write all files. */
function rehashed(
  segments: readonly (readonly string[])[],
  change: (row: Row, seq: number) => Row | undefined,
) {
  let seq = 0;
  let prev = '0'.repeat(64);
  const frontier = new Frontier();
  const states = new Map<number, { root: string; rowHash: string }>();
  let journal = '';
  const written = segments.map((lines, segment) =>
    lines.flatMap((line) => {
      const old = JSON.parse(line) as Row & { node: string; seq: number };
      const row = change(old, old.seq);
      if (row === undefined) return [];
      seq += 1;
      const own = row.kind === 'segment' ? { ...row.body, previous: prev, segment: segment + 1 } : row.body;
      const { line: text, hash } = composeRow({
        ...row,
        batch: Math.min(row.batch, seq),
        node: old.node,
        body: canonicalJson(own),
        prev,
        seq,
      });
      prev = hash;
      if (seq === 1) journal = hash;
      frontier.push(leafOf(Buffer.from(text.slice(0, -1))));
      states.set(seq, { root: hexOf(frontier.root()), rowHash: hash });
      return [text.slice(0, -1)];
    }),
  );
  return { segments: written, states, journal, size: seq };
}

/** New heads over rewritten rows, signed with the attacker's own key. */
function forgedHeads(scene: Scene, made: ReturnType<typeof rehashed>, first: string): string[] {
  const { node } = JSON.parse(scene.segments[0]?.[0] ?? '{}') as { node: string };
  const lines = first === '' ? [] : [first];
  let after = first === '' ? NO_ENTRY : { number: 1, digest: digestOf(first) };
  let last = -1;
  for (const line of scene.heads) {
    const { body } = JSON.parse(line) as { body: { kind: string; at: string; size: number } };
    const { at } = body;
    const common = { at, node, after };
    const size = Math.min(body.size ?? 0, made.size);
    // Two heads of one size would give them away.
    const state = size === last ? undefined : made.states.get(size);
    last = size;
    const entry =
      body.kind === 'key'
        ? first === ''
          ? keyEntry(made.journal, undefined, common, attacker.key)
          : undefined
        : state === undefined
          ? undefined
          : headEntry({ journal: made.journal, size, ...state }, 3600, common, attacker.key);
    if (entry === undefined) continue;
    lines.push(entry.line.slice(0, -1));
    after = entry;
  }
  return lines;
}

/**
 * Each is something that somebody could do who can write every file of the journal, but not the copies elsewhere, and has not the key.
 * `alone`: the journal alone and the public key show it.
 */
const tampers: Record<string, { alone: boolean; tamper: (scene: Scene) => void | Promise<void> }> = {
  'edit a row': {
    alone: true,
    tamper: (scene) => {
      const { segment, line } = pick(scene);
      const lines = scene.segments[segment] ?? [];
      lines[line] = edited(lines[line] ?? '', scene.random);
    },
  },
  'edit a row and its hash': {
    alone: true,
    tamper: (scene) => {
      const { segment, line } = pick(scene);
      const lines = scene.segments[segment] ?? [];
      const row = JSON.parse(lines[line] ?? '') as Row & { node: string; prev: string; seq: number };
      const body = canonicalJson({ ...row.body, group: 1000 + scene.random(1000) });
      lines[line] = composeRow({ ...row, body }).line.slice(0, -1);
    },
  },
  'cut rows off the end': {
    alone: true,
    tamper: (scene) => {
      let cut = 1 + scene.random(30);
      while (cut > 0) {
        const last = scene.segments.at(-1);
        if (last === undefined) break;
        const gone = last.splice(-cut).length;
        cut -= gone;
        if (last.length === 0) scene.segments.pop();
      }
    },
  },
  'reorder two rows': {
    alone: true,
    tamper: (scene) => {
      const lines = scene.segments[scene.random(scene.segments.length - 1)] ?? [];
      const a = 1 + scene.random(lines.length - 1);
      const b = 1 + ((a + scene.random(lines.length - 2)) % (lines.length - 1));
      [lines[a], lines[b]] = [lines[b] ?? '', lines[a] ?? ''];
    },
  },
  'drop a row': {
    alone: true,
    tamper: (scene) => {
      const { segment, line } = pick(scene);
      scene.segments[segment]?.splice(line, 1);
    },
  },
  'repeat a row': {
    alone: true,
    tamper: (scene) => {
      const { segment, line } = pick(scene);
      const lines = scene.segments[segment] ?? [];
      lines.splice(line, 0, lines[line] ?? '');
    },
  },
  'swap two segments': {
    alone: true,
    tamper: ({ segments, random }) => {
      const a = random(segments.length);
      const b = (a + 1 + random(segments.length - 1)) % segments.length;
      [segments[a], segments[b]] = [segments[b] ?? [], segments[a] ?? []];
    },
  },
  'drop a segment': {
    alone: true,
    tamper: ({ segments, random }) => void segments.splice(random(segments.length), 1),
  },
  'edit a row and hash everything after it anew': {
    alone: true,
    tamper: (scene) => {
      const seq = 3 + scene.random(60);
      const made = rehashed(scene.segments, (row, at) =>
        at === seq && row.kind === 'test' ? { ...row, body: { ...row.body, group: 77 } } : row,
      );
      const changed = made.segments.flat().join() !== scene.segments.flat().join();
      // A row of the journal's own was met: drop one instead.
      const better = changed ? made : rehashed(scene.segments, (row, at) => (at === 4 ? undefined : row));
      scene.segments.splice(0, scene.segments.length, ...better.segments);
    },
  },
  'drop a row, hash everything anew, and sign it all with another key': {
    alone: true,
    tamper: (scene) => {
      const seq = 3 + scene.random(60);
      const made = rehashed(scene.segments, (row, at) =>
        at === seq && row.kind === 'test' ? undefined : { ...row, mono: row.mono + 1 },
      );
      scene.heads.splice(0, scene.heads.length, ...forgedHeads(scene, made, ''));
      scene.segments.splice(0, scene.segments.length, ...made.segments);
    },
  },
  'forge heads with another key behind the true one': {
    alone: true,
    tamper: (scene) => {
      const made = rehashed(scene.segments, (row) =>
        row.kind === 'test' ? { ...row, body: { ...row.body, n: scene.random(9) + 100 } } : row,
      );
      const forged = forgedHeads(scene, made, scene.heads[0] ?? '');
      scene.heads.splice(0, scene.heads.length, ...forged);
      scene.segments.splice(0, scene.segments.length, ...made.segments);
    },
  },
  'hand over to a key of one’s own': {
    alone: true,
    tamper: (scene) => {
      const made = rehashed(scene.segments, (row) => row);
      const keep = 1 + scene.random(scene.heads.length - 2);
      scene.heads.splice(keep);
      const { body } = JSON.parse(scene.heads[0] ?? '') as { body: { at: string; node: string } };
      const said = handOver(attacker.key, attacker.key, body.at);
      const after = { number: keep, digest: digestOf(scene.heads.at(-1) ?? '') };
      const common = { at: body.at, node: body.node };
      const entry = keyEntry(made.journal, said, { ...common, after }, attacker.key);
      const state = made.states.get(made.size);
      if (state === undefined) throw new Error('no state');
      const head = headEntry(
        { journal: made.journal, size: made.size, ...state },
        3600,
        { ...common, after: entry },
        attacker.key,
      );
      scene.heads.push(entry.line.slice(0, -1), head.line.slice(0, -1));
    },
  },
  'replace what a head says': {
    alone: true,
    tamper: ({ heads, random }) => {
      const at = 1 + random(heads.length - 1);
      const head = JSON.parse(heads[at] ?? '') as { body: Record<string, unknown> };
      const [member, value] = [
        ['size', Number(head.body.size) + 1],
        ['root', digestOf(String(random(1e9)))],
        ['rowHash', digestOf(String(random(1e9)))],
        ['at', '2020-01-01T00:00:00.000Z'],
        ['every', 7],
      ][random(5)] as [string, unknown];
      heads[at] = canonicalJson({ ...head, body: { ...head.body, [member]: value } });
    },
  },
  'drop or reorder heads': {
    alone: true,
    tamper: ({ heads, random }) => {
      const at = random(heads.length - 2);
      const [gone = ''] = heads.splice(at, 1);
      if (random(2) === 0) heads.splice(at + 1, 0, gone);
    },
  },
  'take all heads away': {
    alone: true,
    tamper: async (scene) => {
      scene.heads.splice(0);
      if (scene.random(2) === 0) return;
      await store(scene);
      await rm(join(scene.dir, 'heads'), { recursive: true });
    },
  },
  'drop the last heads and rewrite what they covered': {
    alone: false,
    tamper: (scene) => {
      const keep = 3 + scene.random(scene.heads.length - 4);
      scene.heads.splice(keep);
      const { body } = JSON.parse(scene.heads.at(-1) ?? '') as { body: { size: number } };
      const made = rehashed(scene.segments, (row, seq) =>
        seq > body.size && row.kind === 'test' ? { ...row, body: { ...row.body, text: 'changed' } } : row,
      );
      scene.segments.splice(0, scene.segments.length, ...made.segments);
    },
  },
  'put everything back to an older copy': {
    alone: false,
    tamper: async (scene) => {
      await rm(scene.dir, { recursive: true });
      await cp(scene.earlier, scene.dir, { recursive: true });
    },
  },
  'fork: go on from an older copy with the true key': {
    alone: false,
    tamper: async (scene) => {
      await rm(scene.dir, { recursive: true });
      await cp(scene.fork, scene.dir, { recursive: true });
    },
  },
};

const EACH = 56;
/** Tampers after which the scene's lines are not to be stored, for the directory is another one. */
const whole = new Set([
  'put everything back to an older copy',
  'fork: go on from an older copy with the true key',
]);

t.test(
  `${Object.keys(tampers).length * EACH} tampers, of ${Object.keys(tampers).length} kinds, are all found`,
  async (t) => {
    const place = await signedPlace(t);
    const limits = { segmentRows: SEGMENT_ROWS };
    const earliest = await place.open(limits);
    await fill(earliest, 3, 9);
    await earliest.close();
    const earlier = join(place.root, 'earlier');
    await cp(place.dir, earlier, { recursive: true });
    const journal = await place.open(limits);
    await fill(journal, 3, 10);
    await journal.close();
    const sound = join(place.root, 'sound');
    await rename(place.dir, sound);

    // The fork ships to a place of its own, or its writer would have refused to go on.
    await cp(earlier, place.dir, { recursive: true });
    const forked = await place.open(limits, { ship: nowhere });
    await fill(forked, 3, 10, 'y');
    await forked.close();
    const fork = join(place.root, 'fork');
    await rename(place.dir, fork);

    const own = await verifyJournal(sound, { keys: [place.known], shipped: place.shipped });
    t.match(own, { ok: true, problems: [] }, 'untouched, it verifies without a word');
    t.ok(
      own.segments >= 6 && (own.heads?.count ?? 0) >= 8,
      `${own.segments} segments, ${own.heads?.count} heads`,
    );
    t.ok((await verifyJournal(fork, { keys: [place.known] })).ok, 'the fork is sound in itself');

    const segmentFiles = (await readdir(sound)).filter((name) => name.endsWith('.jsonl')).sort();
    const segments = await Promise.all(segmentFiles.map((name) => linesOf(join(sound, name))));
    const heads = await linesOf(join(sound, 'heads', nameOf(0)));
    const dir = join(place.root, 'tampered');
    let found = 0;
    for (const [kind, { alone, tamper }] of Object.entries(tampers)) {
      const codes = new Map<string, number>();
      for (let seed = 0; seed < EACH; seed += 1) {
        await rm(dir, { recursive: true, force: true });
        await mkdir(join(dir, 'heads'), { recursive: true });
        const random = randomFrom(seed * 7919 + kind.length);
        const scene: Scene = {
          dir,
          place,
          random,
          segments: segments.map((lines) => [...lines]),
          heads: [...heads],
          earlier,
          fork,
        };
        await tamper(scene);
        if (!whole.has(kind) && (await readdir(dir)).includes('heads')) await store(scene);
        const seen = await verifyJournal(dir, { keys: [place.known], shipped: place.shipped });
        const first = firstError(seen);
        codes.set(first, (codes.get(first) ?? 0) + 1);
        if (!seen.ok) found += 1;
        else t.fail(`${kind}, seed ${seed}, was not found`);
        if (!alone || seed % 4 !== 0) continue;
        const local = await verifyJournal(dir, { keys: [place.known] });
        if (local.ok) t.fail(`${kind}, seed ${seed}, was not found in the journal alone`);
      }
      t.pass(`${kind}: ${[...codes].map(([code, count]) => `${code} ${count}`).join(', ')}`);
    }
    t.equal(found, Object.keys(tampers).length * EACH);
    t.ok(found >= 1000, `${found} were found`);
  },
);

const nowhere = {
  list: async () => [],
  read: async () => undefined,
  put: async () => undefined,
};

const firstError = ({ problems }: Verification): string =>
  problems.find(({ severity }) => severity === 'error')?.code ?? 'nothing';
