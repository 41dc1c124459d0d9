import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Metrics } from '../../src/api/metrics.js';
import type { AppEvent } from '../../src/call/events.js';
import { type HoldFlags, holdsAdd, holdsList, holdsRelease } from '../../src/cli/holds.js';
import { retentionRun, retentionStatus, retentionText, runRetention } from '../../src/cli/retention.js';
import { makeAndWrite, verifyWritten } from '../../src/cli/statement.js';
import { parseConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import { DAY_MS, HOUR_MS } from '../../src/custody/retention/rules.js';
import {
  alarmOf,
  type RetentionStatus,
  readStatus,
  writeStatus,
} from '../../src/custody/retention/status.js';
import { watchRetention } from '../../src/custody/retention/watch.js';
import { verifyJournal } from '../../src/journal/verify.js';
import { watchExpiry } from '../../src/open-parts.js';
import { fromRoot } from '../../src/root.js';
import type { Statement } from '../../src/statement/model.js';
import { inProcess, type Run, Terminal } from '../cli/terminal.js';
import { callIdOf, World } from './retention-world.js';

t.setTimeout(300_000);

const worlds: World[] = [];
t.teardown(() => {
  for (const { dir } of worlds) rmSync(dir, { recursive: true, force: true });
});

const retention = { keepDays: { ordinary: 30, sealed: 100, quarantined: 'forever' } };

/** A site whose recordings began before now, since commands know one clock. */
class Site {
  readonly world = new World();
  readonly began = Date.now();
  readonly file = join(this.world.dir, 'sallyport.yaml');
  readonly config: Config;

  constructor(more: Record<string, unknown> = {}) {
    worlds.push(this.world);
    this.world.now = this.began - HOUR_MS;
    const text = readFileSync(fromRoot('config', 'sallyport.yaml'), 'utf8').replaceAll(
      'var/local',
      this.world.dir,
    );
    const said = JSON.stringify({ ...retention, ...more });
    writeFileSync(this.file, text.replace('recording:\n', `recording:\n  retention: ${said}\n`));
    this.config = parseConfig(readFileSync(this.file, 'utf8'), this.file);
  }

  old(nth: number, more: Parameters<World['make']>[1] = {}) {
    return this.world.make(nth, { receivedAt: this.began - 40 * DAY_MS, ...more });
  }

  add(flags: Partial<HoldFlags>): Promise<Run> {
    const { config } = this;
    return inProcess((terminal) =>
      holdsAdd(
        { plan: 'default', by: 'alice', why: 'case 4711', ...flags },
        { config, json: false, terminal },
      ),
    );
  }

  list(showNumbers = false, json = false): Promise<Run> {
    const { config } = this;
    return inProcess((terminal) => holdsList({ showNumbers, by: () => 'alice' }, { config, json, terminal }));
  }

  release(id: string, why = 'over'): Promise<Run> {
    const { config } = this;
    return inProcess((terminal) => holdsRelease({ id, why, by: 'alice' }, { config, json: false, terminal }));
  }

  run(order: Partial<Parameters<typeof retentionRun>[0]> = {}, json = false): Promise<Run> {
    const { config } = this;
    return inProcess((terminal) =>
      retentionRun({ by: 'alice', ...order }, this.desk(config, json, terminal)),
    );
  }

  status(json = false): Promise<Run> {
    return inProcess((terminal) => retentionStatus(this.desk(this.config, json, terminal)));
  }

  desk(config: Config, json: boolean, terminal: Parameters<Parameters<typeof inProcess>[0]>[0]) {
    return { config, journals: [this.world.journal], json, terminal };
  }
}

const idIn = (run: Run): string => /hold +(h[a-z2-7]{12})/.exec(run.out)?.[1] ?? 'none';
const refused = (t: Test, run: Run, code: string, exit: number): void => {
  t.match(run.err, new RegExp(`\\[${code}\\]`));
  t.equal(run.code, exit, code);
};

t.test('a hold is put on, listed without its number, and released once', async (t) => {
  const site = new Site();
  const one = site.old(1);
  await site.world.decided(one, '4711', '+12125550142');
  const added = await site.add({ number: '(212) 555-0142', from: '2026-01-01', to: '2030-12-31' });
  t.equal(added.code, 0);
  const id = idIn(added);
  t.match(added.out, /number \+1\*+0142/);
  t.match(added.out, /2031-01-01T00:00:00.000Z/, 'a day that is an end is counted');
  const listed = await site.list();
  t.match(listed.out, id);
  for (const run of [added, listed, await site.list(false, true)])
    t.notMatch(run.out + run.err, '12125550142');
  t.match((await site.list(true)).out, /\+12125550142/);
  t.match((await site.world.rows('legal-holds-shown'))[0]?.body, { by: 'alice' });
  t.match((await site.run({ first: true })).out, /held +1/);
  t.equal(site.world.filesOf(one).length, 3);
  t.match((await site.release(id)).out, /released/);
  refused(t, await site.release(id), 'hold-released', 1);
  refused(t, await site.release('haaaaaaaaaaaa'), 'hold-unknown', 1);
  refused(t, await site.release('nonsense'), 'hold-malformed', 2);
  t.match((await site.list()).out, /no hold is in force/);
  t.equal((await site.run()).code, 0);
  t.same(site.world.filesOf(one), []);
  t.equal((await verifyJournal(site.world.custody)).ok, true);
});

t.test('a hold that is not well said is refused, and nothing is told back', async (t) => {
  const site = new Site();
  const one = site.old(7, { facility: 'closed-down' });
  const cases: readonly (readonly [Partial<HoldFlags>, string])[] = [
    [{}, 'usage'],
    [{ caller: '1', facility: 'north' }, 'usage'],
    [{ call: 'c1' }, 'hold-malformed'],
    [{ call: '../../etc/passwd' }, 'hold-malformed'],
    [{ caller: 'a b' }, 'hold-malformed'],
    [{ facility: 'soth' }, 'facility-unknown'],
    [{ facility: '../north' }, 'hold-malformed'],
    [{ number: 'call me' }, 'number-malformed'],
    [{ number: '911' }, 'number-malformed'],
    [{ number: '2125550142', plan: 'nope' }, 'plan-unknown'],
    [{ facility: 'north', from: '2026-02-30' }, 'date-invalid'],
    [{ facility: 'north', from: 'yesterday' }, 'date-invalid'],
    [{ facility: 'north', from: '2026-03-01', to: '2026-02-01' }, 'period-empty'],
    [{ facility: 'north', why: '' }, 'why-invalid'],
    [{ facility: 'north', why: 'x'.repeat(201) }, 'why-invalid'],
    [{ facility: 'north', by: '\u001b[2J' }, 'by-invalid'],
  ];
  for (const [flags, code] of cases) refused(t, await site.add(flags), code, 2);
  refused(t, await site.add({ call: 'cnothing' }), 'recording-unknown', 1);
  t.equal((await site.world.rows('legal-hold').catch(() => [])).length, 0, 'none of them was written');
  t.equal(
    (await site.add({ facility: 'closed-down' })).code,
    0,
    'one that is no longer configured has recordings',
  );
  const prefix = await site.add({ call: one.callId.slice(0, 8) });
  t.match(prefix.out, one.callId, 'the beginning of an id is made whole');
  const early = await site.add({ call: callIdOf(99) });
  t.match(early.err, /the hold stands/, 'a call that has no recording yet');
  t.equal(early.code, 0);
});

t.test('what a round did, and what it would do, is told to people and to programs', async (t) => {
  const site = new Site({ guard: { percent: 20, recordings: 1 } });
  await site.world.controller();
  const made = [1, 2, 3].map((nth) => site.old(nth));
  refused(t, await site.run(), 'custody-journal-new', 1);
  const dry = await site.run({ dryRun: true, first: true, confirmCount: 3 });
  t.equal(dry.code, 0);
  t.match(dry.out, /would go +3/);
  t.match(dry.out, /keepDays.ordinary = 30 days/);
  const guarded = await site.run({ first: true });
  refused(t, guarded, 'retention-guard', 1);
  t.match(guarded.err, /--confirm-count 3/);
  refused(t, await site.status(), 'round-overdue', 1);
  const done = await site.run({ confirmCount: 3 }, true);
  t.match(JSON.parse(done.out), { outcome: 'complete', counts: { removed: 3 }, dryRun: false });
  for (const one of made) t.same(site.world.filesOf(one), []);
  const status = await site.status();
  t.equal(status.code, 0);
  t.match(status.out, /0 day\(s\) ago/);
  site.old(4);
  const late = await site.status(true);
  t.match(JSON.parse(late.out), { due: 1, overdue: 1, alarm: 'recordings-overdue' });
  t.equal(late.code, 1);
  t.match(await runRetention(site.config, 'custody'), { outcome: 'complete', counts: { removed: 1 } });
  const { retention: _none, ...recording } = site.config.recording;
  const kept = { ...site.config, recording } as Config;
  t.equal(await runRetention(kept, 'custody'), null);
  t.match(retentionText(kept), /for ever/);
  t.match(retentionText(site.config), /ordinary 30 days, sealed 100 days, quarantined for ever/);
  refused(
    t,
    await inProcess((terminal) => retentionStatus(site.desk(kept, false, terminal))),
    'retention-unconfigured',
    2,
  );
});

t.test('the command line is as the help says it', async (t) => {
  const site = new Site();
  await site.world.controller();
  site.old(1);
  const run = async (...args: string[]): Promise<Run> => new Terminal([...args, '-c', site.file]).done;
  const checked = await new Terminal(['check-config', site.file]).done;
  t.match(checked.out, /ordinary 30 days/);
  t.match(await run('holds', 'add', '--facility', 'north', '--why', 'case'), {
    code: 0,
    out: /facility north/,
  });
  t.match(await run('retention', 'run', '--confirm-count', 'many'), { code: 2, err: /count-invalid/ });
  t.match(await run('retention', 'status'), { code: 1, out: /holds +1 in force/, err: /status-missing/ });
});

t.test('a hold waits for a round and a round for a hold', async (t) => {
  const site = new Site();
  await site.world.controller();
  for (let nth = 0; nth < 20; nth += 1) site.old(nth);
  const [round, ...holds] = await Promise.all([
    site.run({ first: true, confirmCount: 20 }),
    site.add({ caller: 'a' }),
    site.add({ facility: 'north', from: '2020-01-01', to: '2020-02-01' }),
  ]);
  t.same([holds.map(({ code }) => code)], [[0, 0]]);
  // The one on a caller may or may not have been in time: then nobody knows who called, and all are kept.
  t.ok(round.code === 0 || /call-unknown|retention-incomplete/.test(round.err), round.err);
  t.equal((await verifyJournal(site.world.custody)).ok, true);
});

const status: RetentionStatus = {
  format: 1,
  at: '2026-06-15T12:00:00.000Z',
  outcome: 'complete',
  code: null,
  completeUntil: '2026-06-15T12:00:00.000Z',
  overdue: 0,
  seq: 9,
  hash: 'a'.repeat(64),
};

t.test('a status says when somebody must look, and one that says nothing does so too', async (t) => {
  const now = Date.parse(status.at);
  const cases: readonly (readonly [Partial<RetentionStatus>, number, string | null])[] = [
    [{}, now, null],
    [{}, now + 36 * HOUR_MS, null],
    [{}, now + 36 * HOUR_MS + 1, 'round-overdue'],
    [{ completeUntil: null }, now, 'round-overdue'],
    [{ overdue: 1 }, now, 'recordings-overdue'],
    [{}, now - 6 * 60_000, 'status-future'],
    [{ at: '2026-06-15T11:00:00.000Z' }, now - 30 * 60_000, 'status-future'],
    [{ outcome: 'refused', code: 'clock-unsure' }, now + HOUR_MS, null],
  ];
  for (const [more, at, why] of cases)
    t.equal(alarmOf({ ...status, ...more }, at, 36), why, JSON.stringify(more));
  const { dir } = new Site().world;
  t.equal(await readStatus(dir), 'status-missing');
  await writeStatus(dir, status);
  t.same(await readStatus(dir), status);
  const file = join(dir, 'retention-status.json');
  const good = readFileSync(file, 'utf8');
  for (const bad of [
    '',
    '{',
    'null',
    '[]',
    good.replace('"format":1', '"format":2'),
    good.replace('9', '-1'),
    ' '.repeat(5000),
  ]) {
    writeFileSync(file, bad);
    t.equal(await readStatus(dir), 'status-malformed', bad.slice(0, 40));
  }
  writeFileSync(join(dir, 'other'), good);
  unlinkSync(file);
  symlinkSync(join(dir, 'other'), file);
  t.equal(await readStatus(dir), 'status-malformed', 'a link is not followed');
  unlinkSync(file);
  mkdirSync(file);
  t.equal(await readStatus(dir), 'status-malformed');
});

t.test('the controller raises the alarm, and takes it back', async (t) => {
  const site = new Site();
  const events: AppEvent[] = [];
  const metrics = new Metrics(() => 0);
  const clock = { wall: () => Date.parse(status.at) as never, mono: () => 0 };
  const watch = await watchExpiry(site.config, clock, (event) => {
    events.push(event);
    metrics.observe(event);
  });
  watch?.close();
  t.same(events, [
    { event: 'retention-state', state: 'overdue', why: 'status-missing' },
    { event: 'alarm', alarm: 'retention-overdue', callId: null, detail: 'status-missing' },
  ]);
  t.match(await metrics.registry.metrics(), /^sallyport_retention_overdue 1$/m);
  const { retention: _none, ...recording } = site.config.recording;
  t.equal(await watchExpiry({ ...site.config, recording } as Config, clock, () => t.fail()), null);

  const told: (string | null)[] = [];
  let heard = (): void => undefined;
  await writeStatus(site.world.custody, status);
  const next = (): Promise<void> => new Promise((go) => (heard = go));
  const looking = await watchRetention({
    dir: site.world.custody,
    overdueHours: 36,
    wall: () => Date.parse(status.at),
    everyMs: 5,
    tell: (why) => {
      told.push(why);
      heard();
    },
  });
  // The watch keeps no process alive, and so not this one.
  const alive = setInterval(() => undefined, 1000);
  const overdue = next();
  await writeStatus(site.world.custody, { ...status, overdue: 3 });
  await overdue;
  const back = next();
  await writeStatus(site.world.custody, status);
  await back;
  looking.close();
  clearInterval(alive);
  t.same(told, [null, 'recordings-overdue', null]);
});

t.test('the statement counts what expired, and names nobody', async (t) => {
  const site = new Site({ facilities: { north: { sealed: 10 } } });
  // Rows of the past: a statement is made of periods that are over.
  site.world.now = Date.parse('2026-05-10T12:00:00Z');
  const { world } = site;
  world.rules = { ...world.rules, facilities: { north: { sealed: 10 } } };
  const at = world.now - 35 * DAY_MS;
  for (const nth of [1, 2]) await world.decided(world.make(nth, { receivedAt: at }), '4711', '+12125550142');
  world.make(3, { receivedAt: at, class: 'sealed' });
  world.make(4, { receivedAt: at, facility: 'south' });
  await world.hold('haaaaaaaaaaaa', { kind: 'call', call: callIdOf(2) });
  await world.hold(
    'hbbbbbbbbbbbb',
    { kind: 'number', number: '+13125550177' },
    { from: '2026-05-01T00:00:00.000Z' },
  );
  await world.release('hbbbbbbbbbbbb');
  await world.round({ first: false });
  t.match(await world.round(), { outcome: 'complete', counts: { removed: 3 } });
  const key = join(world.dir, 'key.pem');
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(`${key}.pub`, publicKey.export({ type: 'spki', format: 'pem' }));
  chmodSync(key, 0o600);
  const out = join(world.dir, 'statement');
  const flags = { from: '2026-05-01', to: '2026-05-31', journals: [world.journal], words: true, json: false };
  const made = await inProcess((terminal) =>
    makeAndWrite({ ...flags, custody: [world.custody], key, out }, '1', Date.now(), terminal),
  );
  t.equal(made.code, 0, made.err);
  const text = readFileSync(join(out, 'statement.json'), 'utf8');
  const statement = JSON.parse(text) as Statement;
  t.match(statement.retention, {
    removed: {
      byFacility: { north: 2, south: 1 },
      byClass: { ordinary: 2, sealed: 1 },
      byRule: { 'keepDays.ordinary': 2, 'facilities.north.sealed': 1 },
    },
    begun: 0,
    holds: { added: 2, released: 1, inForceAtEnd: 1 },
    rounds: { refused: 1, complete: 1 },
    refused: { 'custody-journal-new': 1 },
  });
  t.notOk(statement.notKept.some(({ what }) => /removal/.test(what)));
  t.notMatch(text, /4711|12125550142|13125550177/);
  const verify = (custody: string[]): Promise<Run> =>
    inProcess((terminal) =>
      verifyWritten(
        out,
        { publicKey: `${key}.pub`, journals: [world.journal], custody, json: false },
        '1',
        terminal,
      ),
    );
  t.equal((await verify([world.custody])).code, 0);
  refused(t, await verify([]), 'journal-differs', 1);
});
