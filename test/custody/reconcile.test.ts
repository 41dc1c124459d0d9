import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { WallMs } from '../../src/core/leg.js';
import type { NumberPrefix, NumberRange } from '../../src/core/number.js';
import { openJournal } from '../../src/journal/log.js';
import { verifyJournal } from '../../src/journal/verify.js';
import type { PrivilegedItem, Target } from '../../src/lists/entries.js';
import { VaultError } from '../../src/vault/errors.js';
import { options } from '../journal/fixture.js';
import { key, privileged } from '../lists/fixtures.js';
import { newCallId } from '../media/decisions.js';
import { openedByAge } from '../site/opened.js';
import { dayOf, House, type MadeCall, publication } from './kit.js';

t.setTimeout(300_000);

const open = async (t: Test): Promise<House> => {
  const house = await House.open();
  t.teardown(() => house.close());
  return house;
};

/** As in the name of a file in the making. */
const hex = (): string => randomBytes(8).toString('hex');
const hour = 3_600_000;
const day = 24 * hour;
const targetOf = (target: Target, more: Partial<PrivilegedItem> = {}): PrivilegedItem => ({
  ...privileged('+12125550100'),
  target,
  ...more,
});

t.test(
  'a beginning in the past finds every recording from it on, by every way a number can be listed',
  async (t) => {
    const house = await open(t);
    const from = (house.now - 10 * day) as WallMs;
    const late = { began: house.now - 2 * day };
    const early = { began: house.now - 20 * day };
    const hits = [
      await house.call('+12125550111', late),
      await house.call('+12125550120', late),
      await house.call('+13105551234', late),
      await house.call('+16465550101', late),
      await house.call('+17185550100;ext=7', late),
      await house.call('+17185550100', late),
      // It came in before, and was up when the protection began.
      await house.call('+12125550111', { began: from - 30_000, lastsMs: 60_000 }),
      // Somebody else was brought into it.
      await house.call('+12125559999', { ...late, others: ['+12125550111'] }),
      // A crash left it without a CDR.
      await house.call('+12125550111', { ...late, cdr: false }),
    ];
    const misses = [
      await house.call('+12125550111', early),
      await house.call('+12125550112', late),
      await house.call('+12125550130', late),
      await house.call('+17185550100;ext=8', late),
      await house.call('+18185550100', late),
    ];
    const first = hits[0] as MadeCall;
    await house.reading(first, 'alice');
    await house.reading(first, 'bob');
    const reconciler = await house.reconciler();
    t.same((await reconciler.relist()).counts, {}, 'nothing is privileged yet');
    const since = { validFrom: from };
    house.lists = publication(2, [
      privileged('+12125550111', 'attorney', since),
      targetOf({ kind: 'range', range: { from: '+12125550120', to: '+12125550129' } as NumberRange }, since),
      targetOf({ kind: 'prefix', prefix: '+1310555' as NumberPrefix }, since),
      targetOf({ kind: 'alias', key: key('+16465550101'), of: key('+12125550111') }, since),
      privileged('+17185550100;ext=7', 'physician', since),
      privileged('+18185550100', 'clergy', { validFrom: null, validTo: (house.now - 5 * day) as WallMs }),
    ]);
    const report = await reconciler.relist();
    t.same(report.counts, { 'recording-privileged': hits.length });
    for (const call of hits) {
      t.notOk(house.opensForFacility(call), `${call.number} is sealed`);
      t.ok(house.wavUnderSeal(call).equals(call.wav), 'and nothing of it is lost');
    }
    for (const call of misses)
      t.equal(house.namesOf(house.ordinary(call), call).length, 3, `${call.number} is not`);
    t.equal(house.alarms.filter(({ alarm }) => alarm === 'recording-privileged').length, hits.length);
    t.match(
      house.alarms.find(({ callId }) => callId === first.callId)?.detail,
      /read 2 time\(s\), by alice, bob/,
    );
    t.equal((await house.rows('recording-sealing')).length, hits.length);
    t.same((await reconciler.relist()).counts, {}, 'what is sealed is not found again');

    // Entered before it is in force: the decision names the entry, and the earlier of the two counts.
    const future = privileged('+19175550100', 'court', { validFrom: (house.now + 10 * day) as WallMs });
    house.lists = publication(3, [future]);
    const [id = ''] = [...house.lists.index.entries()].flatMap(([, bodies]) =>
      bodies.map((b) => b.split('|')[1]),
    );
    t.same((await reconciler.relist()).counts, {});
    const entered = await house.call('+19175550100', { ...late, listed: [id] });
    const before = await house.call('+19175550100', late);
    t.same(
      (await reconciler.follow()).counts,
      { 'recording-privileged': 1 },
      'a call that ended now is matched at once',
    );
    t.notOk(house.opensForFacility(entered));
    t.equal(house.namesOf(house.ordinary(before), before).length, 3);

    // A call that became private, and an ordinary recording of it all the same.
    const became = await house.call('+12125558888', { verdict: 'private' });
    t.same((await reconciler.follow()).counts, { 'recording-ordinary': 1 });
    t.notOk(house.opensForFacility(became));

    const full = await house.full();
    t.same(full.counts, {}, 'what was sealed is explained');
    t.match(await verifyJournal(house.own), { ok: true });
  },
);

/** The matching of docs/lists.md said again in a few lines, with no code of the product's. */
interface Entry {
  readonly kind: 'number' | 'range' | 'prefix' | 'alias';
  readonly digits: string;
  readonly to: string;
  readonly ext: string | null;
  readonly from: number | null;
  readonly until: number | null;
}
const covers = (entry: Entry, digits: string, ext: string | null): boolean => {
  if (entry.kind === 'prefix') return digits.startsWith(entry.digits);
  if (entry.kind === 'range') {
    return digits.length === entry.digits.length && entry.digits <= digits && digits <= entry.to;
  }
  return entry.digits === digits && (entry.ext === null || ext === null || entry.ext === ext);
};
const itemOf = ({ kind, digits, to, ext, from, until }: Entry): PrivilegedItem => {
  const plain = `+${digits}${ext === null ? '' : `;ext=${ext}`}`;
  const target: Target =
    kind === 'range'
      ? { kind, range: { from: `+${digits}`, to: `+${to}` } as NumberRange }
      : kind === 'prefix'
        ? { kind, prefix: `+${digits}` as NumberPrefix }
        : kind === 'alias'
          ? { kind, key: key(plain), of: key('+12125550100') }
          : { kind, key: key(plain) };
  return targetOf(target, { validFrom: from as WallMs | null, validTo: until as WallMs | null });
};

t.test(
  'after a round no facility key opens a call to a number privileged at its time (property)',
  async (t) => {
    const now = Date.now();
    const times = fc.constantFrom(...[1, 2, 3, 4, 5].map((days) => now - days * day));
    const bound = fc.option(times, { nil: null });
    const tail = fc.integer({ min: 0, max: 29 }).map((n) => String(n).padStart(2, '0'));
    const ext = fc.option(fc.constantFrom('1', '2'), { nil: null });
    const entry: fc.Arbitrary<Entry> = fc
      .record({
        kind: fc.constantFrom('number', 'range', 'prefix', 'alias'),
        tail,
        span: fc.nat(9),
        ext,
        bounds: fc.tuple(bound, bound),
      })
      .map(({ kind, tail: last, span, ext: extension, bounds: [a, b] }) => {
        const [from, until] = a !== null && b !== null && a > b ? [b, a] : [a, b];
        const digits = `121255501${last}`;
        const to = `121255501${String(Math.min(99, Number(last) + span)).padStart(2, '0')}`;
        const keyed = kind === 'number' || kind === 'alias';
        return {
          kind: kind as Entry['kind'],
          digits: kind === 'prefix' ? digits.slice(0, 10) : digits,
          ...{ to, ext: keyed ? extension : null, from, until: from === until ? null : until },
        };
      });
    const call = fc.record({
      tail,
      ext,
      began: times.map((at) => at + hour),
      other: fc.option(tail, { nil: null }),
    });
    const change = fc.array(entry, { maxLength: 4 });
    let sealed = 0;
    let kept = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(call, { minLength: 1, maxLength: 5 }),
        fc.array(change, { minLength: 1, maxLength: 3 }),
        async (calls, changes) => {
          const house = await House.open();
          try {
            const made: { call: MadeCall; numbers: { digits: string; ext: string | null }[] }[] = [];
            for (const { tail: last, ext: extension, began, other } of calls) {
              const digits = `121255501${last}`;
              const numbers = [{ digits, ext: extension }];
              if (other !== null) numbers.push({ digits: `121255501${other}`, ext: null });
              const text = `+${digits}${extension === null ? '' : `;ext=${extension}`}`;
              const others = other === null ? [] : [`+121255501${other}`];
              made.push({ call: await house.call(text, { began, others, lastsMs: 1000 }), numbers });
            }
            const reconciler = await house.reconciler();
            const seen: Entry[] = [];
            for (const [i, entries] of changes.entries()) {
              house.lists = publication(i + 1, entries.map(itemOf));
              if (i % 2 === 0) await reconciler.relist();
              else await house.full();
              // What a list said once cannot be unsaid: it was sealed then.
              seen.push(...entries);
              for (const { call: one, numbers } of made) {
                const meant = seen.some(
                  (each) =>
                    numbers.some(({ digits, ext: extension }) => covers(each, digits, extension)) &&
                    (each.from === null || each.from <= one.ended) &&
                    (each.until === null || one.began < each.until),
                );
                const opens = house.opensForFacility(one);
                if (meant === opens) throw new Error(`${one.number}: privileged ${meant}, opens ${opens}`);
                if (meant && !house.wavUnderSeal(one).equals(one.wav)) throw new Error('lost under the seal');
                if (meant) sealed += 1;
                else kept += 1;
              }
            }
            return true;
          } finally {
            await house.close();
          }
        },
      ),
      { numRuns: 25 },
    );
    t.ok(sealed > 10 && kept > 10, `${sealed} were sealed and ${kept} were not`);
  },
);

t.test('a call that was recorded and has no playable recording is told, once, with why', async (t) => {
  const house = await open(t);
  const calls = {
    whole: await house.call('+12125550101'),
    gone: await house.call('+12125550102'),
    noFile: await house.call('+12125550103'),
    changed: await house.call('+12125550104'),
    swapped: await house.call('+12125550105'),
    cut: await house.call('+12125550106'),
    none: await house.call('+12125550107', {
      recorded: false,
      cdrMore: { spool: { state: 'recording-missing', code: 'file-vanished' } },
    }),
    silent: await house.call('+12125550108', {
      recorded: false,
      cdrMore: {
        spool: { state: 'recording-missing', code: 'no-audio' },
        media: { packets: { caller: 0, called: 12 } },
      },
    }),
    incomplete: await house.call('+12125550109', { complete: false }),
    linked: await house.call('+12125550110'),
    removed: await house.call('+12125550112'),
    late: await house.call('+12125550113', {
      recorded: false,
      cdrMore: { reduced: 'row-too-large', spool: null },
    }),
    down: await house.call('+12125550114', { recorded: false, cdrMore: { connectedMs: 0 } }),
  };
  const path = (call: MadeCall, ending: string): string =>
    join(house.ordinary(call), `${call.callId}${ending}`);
  const flip = (file: string): void => {
    const bytes = readFileSync(file);
    bytes.writeUInt8(bytes.readUInt8(500) ^ 1, 500);
    writeFileSync(file, bytes);
  };
  for (const ending of ['.json', '.wav.age', '.txt.age']) {
    unlinkSync(path(calls.gone, ending));
    unlinkSync(path(calls.removed, ending));
  }
  unlinkSync(path(calls.noFile, '.wav.age'));
  flip(path(calls.changed, '.wav.age'));
  // As its manifest says, but that is not the manifest of the CDR.
  const manifest = JSON.parse(readFileSync(path(calls.swapped, '.json'), 'utf8'));
  writeFileSync(path(calls.swapped, '.json'), JSON.stringify({ ...manifest, seconds: 1 }));
  truncateSync(path(calls.cut, '.txt.age'), 40);
  renameSync(path(calls.linked, '.wav.age'), join(house.dir, 'elsewhere'));
  symlinkSync(join(house.dir, 'elsewhere'), path(calls.linked, '.wav.age'));
  const own = await openJournal(options(house.own, { nodeId: 'c-1' }));
  const { callId, manifestSha256 } = calls.removed;
  await own.append('tombstone', { callId, manifestSha256, why: 'expired' });
  await own.close();

  const expected = {
    [calls.gone.callId]: 'recording-missing',
    [calls.noFile.callId]: 'recording-missing',
    [calls.changed.callId]: 'recording-changed',
    [calls.swapped.callId]: 'recording-changed',
    [calls.cut.callId]: 'recording-changed',
    [calls.none.callId]: 'recording-none',
    [calls.incomplete.callId]: 'recording-incomplete',
    [calls.linked.callId]: 'recording-unreadable',
    [calls.late.callId]: 'recording-missing',
  };
  const report = await house.full();
  t.same(Object.fromEntries(report.findings.map(({ callId: id, code }) => [id, code])), expected);
  t.same(
    Object.fromEntries(
      house.alarms.map(({ alarm, callId: id, detail }) => [
        id,
        alarm === 'recording-missing' ? detail : alarm,
      ]),
    ),
    expected,
  );
  t.same(
    Object.fromEntries((await house.rows('recording-missing')).map(({ body }) => [body.callId, body.code])),
    expected,
  );
  const told = house.alarms.length;
  await house.full();
  t.equal(house.alarms.length, told, 'told once');
  t.equal((await house.rows('recording-missing')).length, told);
  flip(path(calls.changed, '.wav.age'));
  t.notOk((await house.full()).findings.some((one) => one.callId === calls.changed.callId));
  t.match(
    (await house.rows('recording-found')).map(({ body }) => body),
    [{ callId: calls.changed.callId }],
  );

  // Nobody mounted the disk: that is not a hundred recordings lost.
  renameSync(house.vaultDir, `${house.vaultDir}-away`);
  await house.call('+12125550115', {
    recorded: false,
    cdrMore: { spool: { state: 'recording-finished', manifestSha256: 'a'.repeat(64) } },
  });
  const blind = await house.full();
  t.match(blind.counts, { 'vault-empty': 1 });
  t.equal(house.alarms.length, told + 1);
  t.match(house.alarms.at(-1), { alarm: 'custody-blind', detail: 'vault-empty' });
  t.match((await house.rows('custody-round')).at(-1)?.body, { complete: false });
});

t.test('what no call owns is moved away encrypted, and a link is followed by nobody', async (t) => {
  const house = await open(t);
  const began = house.now - hour;
  const call = await house.call('+12125550101', { began });
  const up = await house.call('+12125550102', { began, cdr: false, recorded: false });
  const folder = house.ordinary(call);
  const stranger = newCallId();
  const secret = join(house.dir, 'secret');
  writeFileSync(secret, 'not to be read');
  const strays: Record<string, string> = {
    [join(folder, `${stranger}.wav.age`)]: 'of no call',
    [join(folder, `${stranger}.json`)]: '{}',
    [join(folder, `.${stranger}.wav.age.${hex()}.part`)]: 'in the making of no call',
    [join(folder, `.${newCallId()}.wav.age.part`)]: 'in the making of no call, as earlier versions called it',
    [join(folder, `.${call.callId}.exe.${hex()}.part`)]: 'odd, in the making',
    [join(folder, `${call.callId}.wav`)]: 'somebody decrypted it here',
    [join(folder, `${call.callId}.exe`)]: 'odd',
    [join(folder, 'new\nline \u202e.txt')]: 'hostile',
    [join(house.vaultDir, 'notes.txt')]: 'at the top',
    [join(house.spool, 'pcaps', `${stranger}-0123456789abcdef.pcap`)]: 'sound of no call',
  };
  mkdirSync(join(house.vaultDir, '2019', '01', '01'), { recursive: true });
  const old = join(house.vaultDir, '2019', '01', '01', `${newCallId()}.json`);
  writeFileSync(old, 'older than the journals');
  const links = [
    join(folder, `${stranger}.txt.age`),
    join(house.spool, 'pcaps', `${newCallId()}-0123456789abcdef.pcap`),
  ];
  for (const link of links) symlinkSync(secret, link);
  const growing = join(house.spool, 'pcaps', `${newCallId()}-fedcba9876543210.pcap`);
  writeFileSync(growing, 'still growing');
  const owned = join(house.spool, 'pcaps', `${call.callId}-0123456789abcdef.pcap`);
  writeFileSync(owned, 'of a call');
  strays[join(house.spool, 'pcaps', `${call.callId}-00aa00aa00aa00aa.pcap`)] =
    'of a call, and left for two hours';
  // Of a call that is up, and what a crash left of one that has ended.
  const inTheMaking = [up, call].flatMap((one) => [
    join(house.ordinary(one), `.${one.callId}.wav.age.${hex()}.part`),
    join(house.ordinary(one), `.${one.callId}.json.part`),
    join(house.sealed(one), `.${one.callId}.wav.age.age.${hex()}.part`),
  ]);
  mkdirSync(house.sealed(up), { recursive: true });
  for (const path of inTheMaking) writeFileSync(path, 'of a call');
  const young = join(folder, `.${newCallId()}.wav.age.${hex()}.part`);
  writeFileSync(young, 'in the making, of whom is not known yet');
  for (const [path, text] of Object.entries(strays)) writeFileSync(path, text);
  const rested = new Date(house.now - 2 * hour);
  for (const path of [...Object.keys(strays), ...inTheMaking]) utimesSync(path, rested, rested);

  const report = await house.full();
  t.match(report.counts, { 'stray-file': Object.keys(strays).length, 'stray-link': 2, 'stray-growing': 2 });
  t.equal(report.notJudged, 1);
  for (const path of [...links, old, growing, owned, ...inTheMaking, young, secret])
    t.ok(existsSync(path), `${path} stays`);
  const rows = await house.rows('stray-found');
  for (const [path, text] of Object.entries(strays)) {
    t.notOk(existsSync(path), `${JSON.stringify(path)} is gone`);
    const name = path.startsWith(house.spool) ? path : path.slice(house.vaultDir.length + 1);
    const row = rows.find(({ body }) => body.name === name);
    const as = String(row?.body.as);
    t.match(as, /^quarantine\/\d{4}\/\d\d\/\d\d\/q[0-9a-f]{32}\.age$/);
    t.equal(
      openedByAge(join(house.vaultDir, as), house.escrowFile).toString(),
      text,
      'and nothing of it is lost',
    );
    t.match(JSON.parse(readFileSync(join(house.vaultDir, as.replace(/age$/, 'json')), 'utf8')), { name });
  }
  t.equal(house.namesOf(folder, call).length, 5, 'what the call owns stays');
  t.equal(house.alarms.filter(({ alarm }) => alarm === 'stray-file').length, Object.keys(strays).length + 2);
  const again = await house.full();
  t.same(again.counts, { 'stray-growing': 2 }, 'a link is told once');

  // A whole vault without owners is a journal that is missing, and nobody's to move.
  for (let i = 0; i < 30; i++) writeFileSync(join(folder, `${newCallId()}.wav.age`), 'x');
  t.match((await house.full()).counts, { 'strays-too-many': 1 });
  t.equal(readdirSync(folder).filter((name) => !/^\./.test(name) && !name.includes(call.callId)).length, 31);
  t.match((await house.full({}, { allStrays: true })).counts, { 'stray-file': 30 });
});

t.test('journals: read on where they were read to, and anew where they are not the same', async (t) => {
  const house = await open(t);
  const first = await house.call('+12125550101');
  const reconciler = await house.reconciler();
  await reconciler.follow();
  const second = await house.call('+12125550111');
  // The next process reads on; it knows the first call from the index.
  const next = await house.reconciler();
  house.lists = publication(2, [privileged('+12125550111')]);
  t.same((await next.follow()).counts, { 'recording-privileged': 1 }, 'what is new is matched');
  house.lists = publication(3, [privileged('+12125550101'), privileged('+12125550111')]);
  t.same((await next.relist()).counts, { 'recording-privileged': 1 }, 'and what was read before');
  for (const call of [first, second]) t.notOk(house.opensForFacility(call));

  // A line of the index that a crash cut, and a CDR that was written twice.
  const shard = join(house.dir, 'state', 'calls', `${dayOf(first.began).replaceAll('/', '-')}.jsonl`);
  appendFileSync(shard, '{"callId":"c');
  const third = await house.call('+12125550133', { listed: [] });
  await (await house.reconciler()).follow();
  house.lists = publication(4, [privileged('+12125550133')]);
  t.same((await (await house.reconciler()).relist()).counts, { 'recording-privileged': 1 });
  t.notOk(house.opensForFacility(third));

  // The last line is torn: a row on its way.
  await house.journal.close();
  const segment = join(house.journalDir, '00000001.jsonl');
  const whole = readFileSync(segment);
  appendFileSync(segment, '{"at":"2026');
  t.same((await house.full()).counts, {}, 'a torn tail is not there yet');
  writeFileSync(segment, whole);

  // Another journal in the place of the one that was read.
  const other = join(house.dir, 'other');
  const begun = await openJournal(options(other, { nodeId: 'c-1', genesisNote: { why: 'begun anew' } }));
  for (let i = 0; i < 50; i++) await begun.append('controller-started', { i });
  await begun.close();
  const reader = await house.reconciler();
  await reader.follow();
  renameSync(house.journalDir, `${house.journalDir}-kept`);
  renameSync(other, house.journalDir);
  t.match((await reader.follow()).counts, { 'journal-other': 1 });
  t.match(house.alarms.at(-1), { alarm: 'custody-blind', detail: 'journal-other' });
  t.same((await reader.follow()).counts, {}, 'it is read from its first row then');
  const anew = await house.full();
  t.same(anew.counts, {}, 'what was recorded before the journal began has an owner nobody remembers');
  t.ok(anew.notJudged >= 4);
  rmSync(house.journalDir, { recursive: true });
  t.match((await reader.follow()).counts, { 'journal-unread': 1 }, 'a journal that is gone');
  t.match((await house.full()).counts, { 'journal-unread': 1 });
  t.equal(house.namesOf(house.sealed(first), first).length, 4, 'and what nobody can tell the owner of stays');
});

t.test('a vault that fails while calls are matched: they are matched again', async (t) => {
  const house = await open(t);
  house.lists = publication(2, [privileged('+12125550111')]);
  const store = house.store();
  let failing = true;
  const flaky = new Proxy(store, {
    get: (target, name) =>
      name === 'list' && failing
        ? async () => {
            throw new VaultError('vault-unresponsive');
          }
        : Reflect.get(target, name).bind(target),
  });
  const reconciler = await house.reconciler({ store: flaky });
  const call = await house.call('+12125550111');
  await t.rejects(reconciler.follow(), { code: 'vault-unresponsive' });
  await t.rejects(reconciler.follow(), { code: 'vault-unresponsive' }, 'also where no row is new');
  // The next process reads on from before that call.
  const another = await house.reconciler({ store: flaky });
  await t.rejects(another.follow(), { code: 'vault-unresponsive' });
  failing = false;
  t.same((await reconciler.follow()).counts, { 'recording-privileged': 1 });
  t.notOk(house.opensForFacility(call));
});

t.test('lists that cannot be read are no lists without entries', async (t) => {
  const house = await open(t);
  const call = await house.call('+12125550111');
  house.lists = null;
  const reconciler = await house.reconciler();
  t.match((await reconciler.relist()).counts, { 'lists-unread': 1 });
  await reconciler.relist();
  t.match(house.alarms, [{ alarm: 'custody-blind', detail: 'lists-unread' }], 'told once');
  house.lists = publication(5, [privileged('+12125550111')]);
  t.match((await reconciler.relist()).counts, { 'recording-privileged': 1 });
  t.notOk(house.opensForFacility(call));
  house.lists = publication(4, []);
  t.match((await reconciler.relist()).counts, { 'lists-older': 1 });
  // What was proved before still counts.
  const later = await house.call('+12125550111');
  t.match((await reconciler.follow()).counts, { 'recording-privileged': 1 });
  t.notOk(house.opensForFacility(later));
});
