import { chmodSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { canaryClear, canaryRun, canaryStatus } from '../../src/cli/canary.js';
import type { Desk } from '../../src/cli/control.js';
import { inProcess, type Run } from '../cli/terminal.js';
import { bothHear, converse, hangUp } from '../site/conversation.js';
import { numbers, type Site } from '../site/site.js';
import { allPassed, canaryCaller, canaryLists, canaryNumbers, openCanarySite, setOf } from './canary-site.js';

// One site for all: each sabotage is from outside, and is taken back before the next.
const neverByItself = { firstSeconds: 900_000, retrySeconds: 900_000, everyMinutes: 20_000 };
const site = await openCanarySite(t, {
  overlay: (config) => ({
    ...config,
    ...(config.canaries === undefined ? {} : { canaries: { ...config.canaries, ...neverByItself } }),
  }),
});
const cli = (command: (desk: Desk) => Promise<void>): Promise<Run> =>
  inProcess((terminal) => command({ socket: site.config.control.socket, json: false, terminal }));

let sets = 0;
const runSet = async () => {
  const run = await cli((desk) => canaryRun(null, desk));
  sets += 1;
  return { ...(await setOf(site, sets)), code: run.code, out: run.out };
};
const publish = (lists = canaryLists) => site.publish(lists, { approvedBy: ['alice', 'bob'] });
const armedAt = async (epoch: number): Promise<void> => {
  await site.event('lists-armed', (event) => event.epoch >= epoch);
};

/** Whether an ordinary monitored call is made, and how it ends where not. */
const monitoredCall = async (): Promise<{
  verdict: string;
  ending: string;
  callId: string;
  reason: string;
}> => {
  const before = site.callIds().length;
  const call = await site.call(numbers.allowed);
  const isUp = await call.answered({ deadlineMs: 20_000 }).then(
    () => true,
    () => false,
  );
  const callId = site.callIds()[before] ?? '';
  if (isUp) {
    await site.event('call-phase', (event) => event.callId === callId && event.phase === 'connected');
    await call.audio.untilHears(1000, { deadlineMs: 20_000 });
    await call.hangUp();
  }
  await site.event('call-ended', (event) => event.callId === callId);
  const { verdict, ending, reasons } = await site.cdr(callId);
  return { verdict, ending, callId, reason: reasons[0].code };
};
const isDisarmed = async (
  t: typeof import('tap').default | import('tap').Test,
  why: string,
): Promise<void> => {
  t.match(await monitoredCall(), {
    verdict: 'refused',
    ending: 'recording-disarmed',
    reason: 'recording-disarmed',
  });
  const talk = await converse(site, numbers.attorney);
  await bothHear(t as import('tap').Test, talk, `in a private call, while recording is disarmed: ${why}`);
  t.match(await hangUp(site, talk), { verdict: 'private', spool: { state: 'nothing-found' } });
};
const passes = async (t: import('tap').Test): Promise<void> => {
  const set = await runSet();
  t.same(set.outcomes, allPassed);
  t.equal(set.recording, 'armed');
  t.equal(set.code, 0, set.out);
};
const alarmsOf = (of: Site): string[] =>
  of.events.flatMap((event) =>
    event.event === 'alarm' && event.alarm === 'canary-failed' ? [event.detail] : [],
  );

t.test('an ordinary call is recorded for its facility alone, and no caller can be a test call', async (t) => {
  t.match((await cli((desk) => canaryStatus(desk))).out, /recording is armed[\s\S]*no test calls since/);
  await passes(t);
  const { callId } = await monitoredCall();
  const manifestOf = (id: string) => {
    const file = site.watch.named(`${id}.json`).find((name) => name.endsWith(`/${id}.json`));
    return JSON.parse(readFileSync(file ?? '', 'utf8'));
  };
  const ids = ({ keys }: { keys: { id: string }[] }) => keys.map(({ id }) => id);
  t.same(ids(manifestOf(callId)), ['demo-facility', 'demo-escrow']);
  t.equal(manifestOf(callId).canary, undefined);
  // Somebody behind the facility's own trunk says that it is the caller of test calls.
  const before = site.callIds().length;
  const call = await site.call('+16465550190', { as: canaryCaller });
  await call.answered({ deadlineMs: 20_000 });
  await call.audio.untilHears(1000, { deadlineMs: 20_000 });
  await call.hangUp();
  const pretended = site.callIds()[before] ?? '';
  await site.event('call-ended', (event) => event.callId === pretended);
  t.same(ids(manifestOf(pretended)), ['demo-facility', 'demo-escrow']);
  // And the numbers of test calls lead nowhere else, whoever dials them.
  const rung = site.called.invites.length;
  const refused = await site.call(canaryNumbers.privileged);
  t.equal((await refused.failed({ deadlineMs: 20_000 })).status, 503);
  t.equal(site.called.invites.length, rung, 'no real carrier was asked for a number of test calls');
});

t.test('lists published without the privileged number of test calls', async (t) => {
  const { privileged, ...rest } = canaryLists;
  const { [canaryNumbers.privileged]: _, ...others } = privileged ?? {};
  const published = await publish({ ...rest, privileged: others });
  await armedAt(published.manifest.epoch);
  const set = await runSet();
  t.match(set, { outcomes: { ...allPassed, privileged: 'refused' }, recording: 'disarmed', code: 1 });
  t.equal(set.why, 'privileged: refused');
  t.match(alarmsOf(site), ['north: privileged: refused']);
  await isDisarmed(t, 'the lists');
  const said = await cli((desk) => canaryStatus(desk));
  t.match(said.out, /DISARMED since .*privileged: refused/);
  t.match(said.out, /monitored calls of this facility are refused; private ones go on/);

  // It is no less disarmed when the controller starts anew.
  await site.stop();
  await site.start();
  sets = 0;
  const again = await publish();
  await armedAt(again.manifest.epoch);
  t.match(await monitoredCall(), { ending: 'recording-disarmed' });
  await passes(t);
  t.match(await monitoredCall(), { verdict: 'monitored', ending: 'caller-hung-up' });
});

t.test('a caller of test calls who may call the number that is on no list', async (t) => {
  const { allow } = canaryLists;
  const wide = [...(allow?.[canaryCaller] ?? []), canaryNumbers.unlisted];
  const published = await publish({ ...canaryLists, allow: { ...allow, [canaryCaller]: wide } });
  await armedAt(published.manifest.epoch);
  t.match(await runSet(), { outcomes: { ...allPassed, unlisted: 'allowed' }, recording: 'disarmed' });
  await isDisarmed(t, 'the number on no list');

  // An operator's word is written down before it is done, with who and why.
  const signature = { by: 'alice', why: 'list mended, next set is due' };
  t.match(await cli((desk) => canaryClear('south', signature, desk).then(() => undefined)), {
    code: 1,
    err: /facility-unknown/,
  });
  t.match(await cli((desk) => canaryClear('north', signature, desk)), { code: 0, out: /armed again/ });
  const rows = await site.rows({ kinds: ['supervision'] });
  t.match(rows.at(-1)?.body, { use: 'canary-clear', by: 'alice', facility: 'north', why: signature.why });
  t.match(await monitoredCall(), { verdict: 'monitored' });
  t.match(await cli((desk) => canaryClear('north', signature, desk)), { code: 1, err: /nothing-stands/ });
  await armedAt((await publish()).manifest.epoch);
});

t.test('a spool that nobody can write into', async (t) => {
  const pcaps = join(site.local.recorded[0]?.spool ?? '', 'pcaps');
  const { mode } = statSync(pcaps);
  chmodSync(pcaps, 0o500);
  t.teardown(() => chmodSync(pcaps, mode & 0o777));
  await site.event('alarm', (event) => event.alarm === 'spool-unusable');
  t.match(await runSet(), {
    outcomes: { ...allPassed, monitored: 'recording-unproved' },
    recording: 'disarmed',
  });
  chmodSync(pcaps, mode & 0o777);
  await site.until('the spool is usable again', () => site.sallyport.checks().every(({ ok }) => ok));
  await isDisarmed(t, 'the spool');
  await passes(t);
});

t.test('a recording that is emptied while it is made', async (t) => {
  const spool = site.local.recorded[0]?.spool ?? '';
  const empty = setInterval(() => {
    for (const file of site.watch.named('.pcap')) {
      if (!file.startsWith(spool)) continue;
      try {
        // Its header stays: a pcap in which nothing was said.
        if (statSync(file).size > 24) truncateSync(file, 24);
      } catch {
        // It is gone already.
      }
    }
  }, 20);
  t.teardown(() => clearInterval(empty));
  const { outcomes, recording } = await runSet();
  clearInterval(empty);
  t.match(outcomes, { privileged: 'passed', unlisted: 'passed' });
  t.match(outcomes.monitored, /^recording-(missing|silent|unproved|unreadable)$/);
  t.equal(recording, 'disarmed');
  await isDisarmed(t, 'the recording');
  await passes(t);
});
