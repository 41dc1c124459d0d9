import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { AppEvent } from '../../src/call/events.js';
import type { JsonObject, LedgerNote } from '../../src/call/ports.js';
import type { CallId } from '../../src/core/leg.js';
import { openLedger } from '../../src/recovery/ledger.js';
import { firstRowToRead, type KnownRow, Unclosed } from '../../src/recovery/unfinished.js';

const id = (n: number): CallId => `c${'abcdefghijklmnopqrstuvwxyz234567'[n]?.repeat(26)}` as CallId;

const opened = (
  t: Test,
  more: { dir?: string; node?: string; through?: number; slackBytes?: number } = {},
) => {
  const dir = more.dir ?? mkdtempSync(join(tmpdir(), 'sallyport-ledger-'));
  if (more.dir === undefined) t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const events: AppEvent[] = [];
  const file = join(dir, 'a.ledger');
  const ledger = openLedger({
    file,
    node: more.node ?? 'a',
    through: () => more.through ?? 7,
    emit: (event) => events.push(event),
    ...(more.slackBytes === undefined ? {} : { slackBytes: more.slackBytes }),
  });
  return { dir, file, ledger, events };
};

t.test('what is noted is there for the next run, without a close', async (t) => {
  const { dir, ledger } = opened(t);
  ledger.settled();
  ledger.note(id(1), 'arrived', { at: 1 });
  ledger.note(id(1), 'node', { node: 'x' });
  ledger.note(id(1), 'node', { node: 'y' });
  ledger.note(id(2), 'arrived', { at: 2 });
  ledger.over(id(2));
  const { found } = opened(t, { dir }).ledger;
  t.same([...found.calls], [[id(1), { arrived: { at: 1 }, node: { node: 'y' } }]]);
  t.same(found.head, { node: 'a', through: 7 });
  // And for the one after that, whose predecessor closed nothing.
  const second = opened(t, { dir }).ledger;
  const third = opened(t, { dir }).ledger;
  t.same([...third.found.calls.keys()], [id(1)]);
  t.equal(third.lastSeen, second.lastSeen, 'who left the call was seen no later for that');
  third.over(id(1));
  third.settled();
  t.equal(opened(t, { dir }).ledger.found.head?.seen, undefined);
});

t.test('a line that was cut short, damage, and another controller’s ledger', async (t) => {
  const { dir, file, ledger } = opened(t);
  ledger.note(id(1), 'arrived', { at: 1 });
  appendFileSync(file, 'no json\n{"call":"x","what":"arrived","fact":{}}\n{"call":"');
  const again = opened(t, { dir }).ledger.found;
  t.same([...again.calls.keys()], [id(1)]);
  t.equal(again.damaged, 2, 'what was being written is no damage');
  const other = opened(t, { dir, node: 'b' }).ledger.found;
  t.same([...other.calls], [], 'calls of another controller are not ours to end');
  t.equal(other.head, null);
  writeFileSync(file, Buffer.from([0, 255, 10, 10, 0]));
  t.equal(opened(t, { dir }).ledger.found.head, null);
});

t.test('it holds nobody’s call for longer than it must, and stays small', async (t) => {
  const { file, ledger } = opened(t, { slackBytes: 20_000 });
  ledger.note(id(1), 'arrived', { secret: '5551234' });
  ledger.over(id(1));
  t.notMatch(readFileSync(file, 'utf8'), /5551234/, 'with no call under way nothing of any is in the file');
  ledger.note(id(2), 'arrived', { stays: true });
  for (let i = 0; i < 2000; i++) {
    ledger.note(id(3), 'arrived', { filler: 'x'.repeat(200) });
    ledger.over(id(3));
  }
  t.ok(statSync(file).size < 60_000, `${statSync(file).size} bytes after 2,000 calls`);
  t.match(readFileSync(file, 'utf8'), /stays/);
  t.equal(statSync(file).mode & 0o077, 0, 'nobody else reads it');
});

t.test('what comes late does not bring a call back that is over', async (t) => {
  const { dir, ledger } = opened(t);
  ledger.note(id(1), 'arrived', { at: 1 });
  ledger.note(id(2), 'arrived', { at: 2 });
  ledger.over(id(1));
  ledger.note(id(1), 'dialling', { trace: null });
  ledger.over(id(2));
  ledger.note(id(2), 'called', { trace: null });
  t.same([...opened(t, { dir }).ledger.found.calls], []);
  const long = opened(t);
  long.ledger.note(id(3), 'arrived', { filler: 'y'.repeat(40_000) });
  long.ledger.note(id(3), 'node', { node: 'x' });
  t.same(
    [...opened(t, { dir: long.dir }).ledger.found.calls.keys()],
    [id(3)],
    'one that could not be told whole is there',
  );
});

t.test('a ledger that cannot be written is told once, and throws at nobody', async (t) => {
  const { ledger, events } = opened(t);
  ledger.close();
  ledger.note(id(1), 'arrived', {});
  ledger.note(id(1), 'node', { filler: 'y'.repeat(40_000) });
  t.match(events, [
    { event: 'fault', where: 'ledger' },
    { event: 'fault', where: 'ledger', code: 'note-too-long' },
  ]);
});

t.test('whatever is noted and wherever it is cut, the next run reads a prefix of it', async (t) => {
  const kinds: LedgerNote[] = ['arrived', 'node', 'caller', 'called', 'opened'];
  const step = fc.record({
    call: fc.integer({ min: 0, max: 5 }),
    what: fc.option(fc.constantFrom(...kinds), { nil: null }),
    value: fc.integer(),
  });
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 40 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (steps, cut) => {
        const dir = mkdtempSync(join(tmpdir(), 'sallyport-ledger-'));
        try {
          const { file, ledger } = opened(t, { dir });
          const states: Map<CallId, Record<string, JsonObject>>[] = [new Map()];
          for (const { call, what, value } of steps) {
            const next = new Map([...(states.at(-1) ?? new Map())].map(([k, v]) => [k, { ...v }]));
            if (what === null) {
              // Only a call that was noted is ever over; with the last one the file begins anew.
              if (next.size < 2) continue;
              next.delete(id(call));
              ledger.over(id(call));
            } else {
              // A call begins by having arrived; of one that is over nothing is noted any more.
              if (what !== 'arrived' && !next.has(id(call))) {
                ledger.note(id(call), what, { value });
                continue;
              }
              next.set(id(call), { ...next.get(id(call)), [what]: { value } });
              ledger.note(id(call), what, { value });
            }
            states.push(next);
          }
          const bytes = readFileSync(file);
          const head = bytes.indexOf(10) + 1;
          writeFileSync(file, bytes.subarray(0, head + Math.floor((bytes.length - head) * cut)));
          const { calls } = opened(t, { dir }).ledger.found;
          const text = JSON.stringify([...calls].sort());
          return states.some((state) => JSON.stringify([...state].sort()) === text);
        } finally {
          rmSync(dir, { recursive: true, force: true });
        }
      },
    ),
    { numRuns: 200 },
  );
});

t.test('the journal says which calls exist; the ledger what is known of them', async (t) => {
  const row = (seq: number, kind: string, callId: CallId, more: object = {}): KnownRow => ({
    seq,
    kind,
    body: { callId, ...more },
  });
  const head = { node: 'a', through: 10 };
  const notes = { arrived: { at: 5 }, decided: { seq: 4 } };
  const read = (
    rows: readonly KnownRow[],
    calls = new Map<CallId, object>(),
    known: typeof head | null = head,
  ) => {
    const unclosed = new Unclosed({ head: known, calls, damaged: 0 });
    for (const one of rows) unclosed.take(one);
    return unclosed.end();
  };
  const decided = row(11, 'decision', id(1), { verdict: 'monitored' });
  t.match(read([decided]).unfinished, [{ callId: id(1), notes: null }], 'also where the ledger has nothing');
  t.same(read([decided, row(12, 'cdr', id(1))]).unfinished, []);
  t.match(
    read([
      decided,
      row(12, 'cdr', id(1)),
      { seq: 13, kind: 'abandoned', body: { firstSeq: 12, lastSeq: 12 } },
    ]).unfinished,
    [{ callId: id(1) }],
    'a CDR that does not count is none',
  );
  t.match(
    read(
      [
        decided,
        row(12, 'armed', id(1), { proof: { node: 'r' } }),
        row(13, 'decision', id(1), { other: 'refer', verdict: 'private' }),
        row(14, 'decision', id(1), { again: true, verdict: 'private', class: 'attorney' }),
      ],
      new Map([[id(1), notes]]),
    ).unfinished,
    [
      {
        decision: { verdict: 'monitored' },
        becamePrivate: { class: 'attorney' },
        proof: { node: 'r' },
        notes,
      },
    ],
  );
  const only = read(
    [row(12, 'cdr', id(2))],
    new Map([
      [id(1), notes],
      [id(2), notes],
    ]),
  );
  t.match(only, { unfinished: [{ callId: id(1), decision: null }], closed: [id(2)] });
  t.equal(firstRowToRead({ head, calls: new Map(), damaged: 0 }, 50), 11);
  t.equal(firstRowToRead({ head, calls: new Map([[id(1), notes]]), damaged: 0 }, 50), 4);
  t.equal(firstRowToRead({ head, calls: new Map(), damaged: 0 }, 9), 1, 'it is of another journal');
  t.equal(firstRowToRead({ head: null, calls: new Map(), damaged: 0 }, 50), 1);
});
