import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { journalShow, pastCalls } from '../../src/cli/journal.js';
import { standingRows } from '../../src/cli/standing-rows.js';
import { loadConfig } from '../../src/config/load.js';
import { openJournal } from '../../src/journal/log.js';
import { readJournal } from '../../src/journal/read.js';
import { fromRoot } from '../../src/root.js';
import { FaultyDisk } from '../journal/faulty-disk.js';
import { inProcess } from './terminal.js';

const cdr = (callId: string, ending: string) => ({ callId, verdict: 'monitored', ending, connectedMs: 1000 });

/** A journal in which CDRs of two calls came too late to count, and were written again. */
const house = async (t: Test): Promise<string> => {
  const dir = mkdtempSync(join(tmpdir(), 'journal-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const disk = new FaultyDisk();
  const journal = await openJournal({ dir, nodeId: 'one', appendDeadlineMs: 10_000, fs: disk });
  await journal.append('cdr', cdr('c-first', 'called-busy'));
  await journal.append('decision', { callId: 'c-late' });
  await journal.close();
  const slow = await openJournal({ dir, nodeId: 'one', appendDeadlineMs: 1500, fs: disk });
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  disk.before = (call) => (call === 'datasync' ? held : undefined);
  const late = [
    slow.append('cdr', cdr('c-late', 'caller-hung-up')),
    slow.append('cdr', cdr('c-too', 'called-hung-up')),
  ];
  for (const one of late) await t.rejects(one, { code: 'journal-timeout' });
  disk.before = () => undefined;
  release();
  const again = async (callId: string, ending: string): Promise<void> => {
    // What is still in the way of the disk may cost it a try, or several.
    for (;;) {
      const done = await slow.append('cdr', cdr(callId, ending)).then(
        () => true,
        () => false,
      );
      if (done) return;
    }
  };
  await again('c-late', 'caller-hung-up');
  await again('c-too', 'called-hung-up');
  await slow.close();
  return dir;
};

t.test('one call, one CDR: what the journal took back is told by no command', async (t) => {
  const dir = await house(t);
  const every: string[] = [];
  for await (const { kind, body } of readJournal(dir)) {
    if (kind === 'cdr' || kind === 'abandoned') every.push(String(body.callId ?? kind));
  }
  t.ok(every.includes('abandoned') && every.filter((id) => id === 'c-late').length >= 2, every.join(' '));
  const own = loadConfig(fromRoot('config', 'sallyport.yaml'));
  const config = { ...own, journal: { ...own.journal, directory: dir } };
  const idsOf = (text: string): readonly string[] => text.match(/c-(?:first|late|too)/g) ?? [];
  for (const [last, ids] of [
    [undefined, ['c-first', 'c-late', 'c-too']],
    ['2', ['c-late', 'c-too']],
    ['1', ['c-too']],
  ] as const) {
    for (const json of [true, false]) {
      const past = await inProcess((terminal) => pastCalls(config, last, json, terminal));
      t.same(idsOf(past.out), ids, `calls --past --last ${last}`);
    }
  }
  const show = (options: { kind?: string; call?: string; last?: string }) =>
    inProcess((terminal) =>
      journalShow(
        dir,
        { kind: undefined, call: undefined, since: undefined, last: undefined, ...options },
        true,
        terminal,
      ),
    );
  t.same(idsOf((await show({ kind: 'cdr' })).out), ['c-first', 'c-late', 'c-too']);
  t.same(idsOf((await show({})).out), ['c-first', 'c-late', 'c-late', 'c-too'], 'a decision, and the CDRs');
  t.same(idsOf((await show({ call: 'c-late' })).out), ['c-late', 'c-late']);
  t.same(idsOf((await show({ call: 'c-late', kind: 'cdr' })).out), ['c-late']);
  t.same(idsOf((await show({ call: 'c-none' })).out), []);
  t.match((await show({ kind: 'abandoned' })).out, /"firstSeq"/, 'that it was taken back is a row');
  const seqs: number[] = [];
  for await (const { seq } of standingRows(dir)) seqs.push(seq);
  t.same(
    seqs,
    [...seqs].sort((a, b) => a - b),
    'in their order',
  );
});
