import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { loadConfig } from '../../src/config/load.js';
import { fromRoot } from '../../src/root.js';
import { parseFaults } from '../../src/soak/faults.js';
import type { FindingCode } from '../../src/soak/judge.js';
import { parseMix } from '../../src/soak/mix.js';
import { reportData } from '../../src/soak/report/data.js';
import { reportHtml } from '../../src/soak/report/html.js';
import { type SoakOptions, type SoakResult, type SoakRun, soak } from '../../src/soak/soak.js';
import { verdictOf } from '../../src/soak/verdict.js';

t.setTimeout(240_000);

const options = (t: Test, more: Partial<SoakOptions>): SoakOptions => {
  mkdirSync(fromRoot('var'), { recursive: true });
  const dir = mkdtempSync(fromRoot('var', 'test-soak-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return {
    config: loadConfig(fromRoot('config', 'sallyport.yaml')),
    dir,
    seed: 11,
    rate: 4,
    holdSeconds: 2,
    seconds: 16,
    mix: parseMix('default'),
    faults: {},
    faultEverySeconds: 60,
    // Few enough to call again.
    callers: 12,
    sounds: 1,
    // Other tests run at the same time: delays are not what this is about.
    patient: true,
    keepRecordings: true,
    bounds: { answer: 40_000, end: 60_000, overdue: 20_000, lease: 100_000, settle: 20_000 },
    ...more,
  };
};

const reportOf = (result: SoakResult) =>
  reportData(result, { repeat: 'sallyport soak --seed 11', version: '0.0.0', tolerate: 0.2 });

t.test('a short soak with two faults: nothing breaks, and the report says all', async (t) => {
  const said: string[] = [];
  const result = await soak(
    options(t, { faults: parseFaults('redis-killed,private-killed'), faultEverySeconds: 5, seconds: 16 }),
    {
      onBreak: (one) => said.push(`${one.code}: ${one.text}\n${one.context}`),
      onFault: () => undefined,
      onProgress: () => undefined,
    },
  );
  const data = reportOf(result);
  const verdict = verdictOf(data);
  t.ok(verdict.ok, `${verdict.reasons.join('; ')}\n${said.join('\n')}`);
  t.ok(
    data.faults.length >= 2 && data.faults.every(({ healedMs }) => healedMs !== null),
    'faults were made, and healed',
  );
  t.same(new Set(data.faults.map(({ name }) => name)), new Set(['redis-killed', 'private-killed']));
  t.ok(data.counts.judged > 30, `${data.counts.judged} calls were judged`);
  t.equal(data.counts.judged, data.counts.placed, 'every one that was made');
  for (const code of [
    'private-recorded',
    'recording-missing',
    'recording-wrong',
    'foreign-sound',
    'not-heard',
    'redis-left',
    'node-left',
    'journal-unsound',
  ] as const)
    t.ok((data.checked[code] ?? 0) > 0, `${code} was looked at`);
  t.ok(data.filesLooked > 20, 'files were looked at');
  t.ok(data.samples.length >= 3);
  const html = reportHtml(data);
  for (const text of [
    'Nothing broke.',
    'redis-killed',
    'private-killed',
    'sallyport soak --seed 11',
    'Set-up: INVITE to 200',
    'seed 11',
    '<desc',
    '✓ held',
  ])
    t.ok(html.includes(text), `the report says ${text}`);
  t.notMatch(html, /<script|https?:|<link|url\(/i, 'and needs nothing from elsewhere');
  t.equal(
    html.match(/<figure>/g)?.length,
    html.match(/The values<\/summary>/g)?.length,
    'a table behind each plot',
  );
});

/** The id of a private call that is over or under way, as the journal has it. */
const privateCallIn = (journal: string): string | null => {
  for (const name of readdirSync(journal).filter((one) => /^\d{8}\.jsonl$/.test(one))) {
    for (const line of readFileSync(join(journal, name), 'utf8').split('\n')) {
      if (!line.includes('"kind":"decision"') || !line.includes('"verdict":"private"')) continue;
      return /"callId":"(c[a-z2-7]{26})"/.exec(line)?.[1] ?? null;
    }
  }
  return null;
};

t.test('what is sabotaged from outside is found', async (t) => {
  const broken = new Map<FindingCode, string>();
  let end = (): void => undefined;
  const stop = new Promise<void>((resolve) => {
    end = resolve;
  });
  let done = false;
  let shot = false;
  const sabotage = async (run: SoakRun): Promise<void> => {
    const { stage } = run;
    let callId: string | null = null;
    while (callId === null && !done) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      callId = privateCallIn(stage.config.journal.directory);
    }
    const pcap = Buffer.alloc(200, 1);
    pcap.writeUInt32BE(0xd4c3b2a1);
    writeFileSync(join(stage.spools[0] ?? '', 'pcaps', `${callId}-0123456789abcdef.pcap`), pcap);
    mkdirSync(join(stage.recordings, '2026'), { recursive: true });
    writeFileSync(join(stage.recordings, '2026', 'left.wav'), Buffer.from('RIFF0000WAVEfmt '));
    const place = `${stage.config.lists.keyPrefix}use:places:sabotaged`;
    execFileSync('redis-cli', [
      '-h',
      stage.redis.host,
      '-p',
      String(stage.redis.port),
      'ZADD',
      place,
      '9e15',
      'x',
    ]);
    while (run.tally.answered < 8 && !done) await new Promise((resolve) => setTimeout(resolve, 100));
    // Not a fault of the soak's: it ends by itself as far as the soak knows, and nobody starts it again.
    process.kill(stage.controller.pid, 'SIGKILL');
    shot = true;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    end();
  };
  let sabotaging: Promise<void> = Promise.resolve();
  const result = await soak(
    options(t, {
      seconds: 60,
      mix: parseMix('monitored,private'),
      holdSeconds: 2,
      bounds: { answer: 4000, end: 4000, overdue: 4000, lease: 1000, settle: 1000 },
    }),
    {
      onBreak: ({ code, text }) => broken.set(code, text),
      onFault: () => undefined,
      onProgress: () => undefined,
      onUp: (run) => {
        sabotaging = sabotage(run);
      },
    },
    stop,
  );
  done = true;
  await sabotaging;
  t.ok(shot, 'the sabotage was done');
  t.match(
    broken.get('private-recorded'),
    /0123456789abcdef\.pcap of the private call/,
    'a file of a private call',
  );
  t.match(broken.get('plain-audio'), /left\.wav is a WAV|left in a spool \(packet capture\)/, 'a plain WAV');
  t.match(broken.get('redis-left'), /places are still counted/, 'a counter');
  t.match(broken.get('process-died'), /controller .*(SIGKILL|is gone)/, 'a controller that was killed');
  t.ok(
    broken.has('unexplained') || broken.has('dialogs-differ') || broken.has('cdr-count'),
    'and what its calls came to',
  );
  const data = reportOf(result);
  t.equal(verdictOf(data).ok, false);
  t.match(reportHtml(data), /Something broke that must hold\./);
});
