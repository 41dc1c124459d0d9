import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { custodyJournalDir } from '../../src/cli/custody-journal.js';
import { recordingsDecrypt } from '../../src/cli/recordings.js';
import type { WallMs } from '../../src/core/leg.js';
import { readJournal } from '../../src/journal/read.js';
import { storeOf } from '../../src/open-vault.js';
import { heardMs } from '../../src/phones/goertzel.js';
import { readWav } from '../../src/phones/wav.js';
import { inProcess, Terminal } from '../cli/terminal.js';
import { bothHear, converse, hangUp } from '../site/conversation.js';
import { openedByAge } from '../site/opened.js';
import { defaultLists, listSet, openSite } from '../site/site.js';

t.setTimeout(240_000);

const monitored = '2125550142';
const day = 86_400_000;

t.test(
  'a number that was recorded and proves privileged since last week: sealed at once, and custody is missed',
  async (t) => {
    const site = await openSite(t, {
      overlay: (config, dir) => ({
        ...config,
        custody: { ...config.custody, status: join(dir, 'custody.json'), maxSilentSeconds: 20 },
      }),
    });
    site.called.answerWith({ do: 'answer', ring: {}, afterMs: 50 });
    const talk = await converse(site, monitored);
    await bothHear(t, talk, 'first', 1000);
    const cdr = await hangUp(site, talk);
    const { facility, escrow } = site.local.identities;
    const { readings } = site.config.recording.vault;
    const out = join(site.dir, 'out');
    mkdirSync(out);
    const decrypt = (identity: readonly string[], where = out) =>
      inProcess((terminal) =>
        recordingsDecrypt(
          {
            ...{ id: talk.callId, identity, by: 'alice', why: 'case 7', out: where, readings },
            journal: site.config.journal.directory,
            custody: custodyJournalDir(site.config),
          },
          { store: storeOf(site.config), json: false, terminal },
        ),
      );
    t.match(await decrypt([facility]), { code: 0 }, 'a recording like any other');

    // The configuration is what a person would give: JSON is YAML, and no port is left to chance.
    const file = join(site.dir, 'sallyport.yaml');
    const listen = site.config.sip.listen.map((one) => ({ ...one, port: 5060 }));
    const told = { ...site.config, sip: { ...site.config.sip, listen }, log: { level: 'info' } };
    writeFileSync(file, JSON.stringify(told));
    const clean = await new Terminal(['custody', 'check', '--config', file]).done;
    t.match(clean, { code: 0, out: /calls matched +\d[\s\S]*nothing was found/, err: '' });

    const running = new Terminal(['custody', 'run', '--config', file]);
    t.teardown(() => running.child.kill('SIGKILL'));
    const status = site.config.custody.status ?? '';
    const said = (): string => `${running.out}${running.err}`;
    await site.until('custody works', () => existsSync(status), said);
    const second = await new Terminal(['custody', 'run', '--config', file]).done;
    t.match(second, { code: 2, err: /\[journal-locked\]/ }, 'two of them would write one index');

    const lists = listSet(defaultLists, site.config);
    const [attorney] = lists.privileged;
    const [number] = listSet({ privileged: { [`+1${monitored}`]: 'attorney' } }, site.config).privileged;
    if (attorney === undefined || number === undefined) throw new Error('the lists have no attorney');
    const since = (Date.now() - 7 * day) as WallMs;
    await site.local.publish({
      ...lists,
      privileged: [...lists.privileged, { ...number, validFrom: since }],
    });
    const folder = cdr.spool.file.slice(0, cdr.spool.file.lastIndexOf('/'));
    const sealed = folder.replace('/recordings/', '/recordings/sealed/');
    await site.until(
      'the recording is sealed',
      () => existsSync(join(sealed, `${talk.callId}.json`)) && readdirSync(folder).length === 0,
      said,
      60_000,
    );
    const alarm = (): string | undefined =>
      running.out.split('\n').find((line) => line.includes('"recording-privileged"'));
    await site.until('the alarm is raised', () => alarm() !== undefined, said);
    t.match(JSON.parse(alarm() ?? '{}'), {
      level: 'error',
      event: 'alarm',
      callId: talk.callId,
      detail: 'attorney, epoch 2; read 1 time(s), by alice',
    });
    t.notMatch(running.out, new RegExp(monitored), 'and no number is in the log');

    const later = join(site.dir, 'later');
    mkdirSync(later);
    t.match(await decrypt([facility], later), { err: /\[escrow-needed\]/ });
    t.match(await decrypt([escrow, facility], later), { code: 0, out: /genuine {3}/ });
    const wav = readFileSync(join(later, `${talk.callId}.wav`));
    t.ok(wav.equals(readFileSync(join(out, `${talk.callId}.wav`))), 'the same to the last byte');
    const [left = new Int16Array(), right = new Int16Array()] = readWav(wav).channels;
    t.ok(heardMs(left, 440) >= 200 && heardMs(right, 1000) >= 200);
    t.throws(() => openedByAge(join(sealed, `${talk.callId}.wav.age.age`), facility));
    const inner = join(site.dir, 'inner');
    writeFileSync(inner, openedByAge(join(sealed, `${talk.callId}.wav.age.age`), escrow), { mode: 0o600 });
    t.ok(openedByAge(inner, facility).equals(wav), 'and by age twice');

    const rows: string[] = [];
    for await (const { kind, body } of readJournal(custodyJournalDir(site.config))) {
      if (body.callId === talk.callId) rows.push(kind);
    }
    t.same(rows.slice(0, 2), ['recording-sealing', 'recording-sealed']);
    t.match(
      await new Terminal(['custody', 'check', '--config', file]).done,
      { code: 0 },
      'what is sealed is in order',
    );
    t.match(JSON.parse(readFileSync(status, 'utf8')), {
      format: 1,
      epoch: 2,
      alarms: { 'recording-privileged': 1 },
    });
    t.notOk(site.events.some((event) => event.event === 'alarm' && event.detail === 'stands-still'));

    running.child.kill('SIGTERM');
    t.match(await running.done, { code: 0 });
    await site.event(
      'alarm',
      (event) => event.alarm === 'custody-silent' && event.detail === 'stands-still',
      60_000,
    );
  },
);
