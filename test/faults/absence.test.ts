import { existsSync, readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { verifyJournal } from '../../src/journal/verify.js';
import type { AnswerPolicy } from '../../src/phones/answer-policy.js';
import { heardMs } from '../../src/phones/goertzel.js';
import type { IncomingCall } from '../../src/phones/incoming-call.js';
import type { OutgoingCall } from '../../src/phones/outgoing-call.js';
import { readWav } from '../../src/phones/wav.js';
import { type ListWords, openSite, type Row, type Site } from '../site/site.js';
import { answered, callHeader, Dice, incomingOf, Nodes, paired, tones, withPidFiles } from './kit.js';
import { type Placed, Storm } from './storm.js';

const number = (last: number): string => `+1646555${String(last).padStart(4, '0')}`;
const privateNumbers = [110, 111, 112, 113].map(number);
const hotline = number(119);
const monitoredNumbers = [120, 121, 122].map(number);
const refusedNumbers = [130, 131].map(number);
const turning = [140, 141, 142].map(number);

const words = (privileged: readonly string[]): ListWords => ({
  allow: { '*': [...monitoredNumbers, ...turning] },
  privileged: {
    ...Object.fromEntries([...privateNumbers, ...privileged].map((one) => [one, 'attorney' as const])),
    [hotline]: 'hotline',
  },
});

const callIdShape = /c[a-z2-7]{26}/;

t.test('the independent watcher', async (t) => {
  const dice = new Dice(t);
  const site = await openSite(t, {
    config: (config) =>
      paired({
        ...config,
        media: { ...config.media, attestSeconds: 1 },
        recording: { ...config.recording, growthSeconds: 1 },
      }),
    overlay: withPidFiles,
    lists: words([]),
    local: { nodes: { recorded: 2, private: 2 }, portCount: 512, heartbeatMs: 500 },
  });
  const nodes = new Nodes(t, site);
  site.called.answerWith({ do: 'answer', ring: {}, afterMs: 10 });

  await t.test('300 private calls among others, while everything breaks', async (t) => {
    const storm = new Storm(site, nodes, dice, {
      privateNumbers: [...privateNumbers, hotline],
      monitoredNumbers,
      refusedNumbers,
      turning,
      privates: 300,
      monitored: 60,
      refused: 30,
      atOnce: 12,
      words,
    });
    await storm.run();
    t.comment(`faults: ${storm.injected.join(', ')}`);
    await isQuiet(site, nodes);
    await judge(t, site, storm.placed);
    const talkedPrivately = storm.placed.filter((one) => one.expected === 'private' && one.talked).length;
    const talked = storm.placed.filter((one) => one.talked).length;
    t.comment(`${storm.placed.length} calls, ${talked} talked, ${talkedPrivately} of them privately`);
    t.ok(talkedPrivately >= 60, 'enough of the private calls came about for their absence to mean something');
    t.ok(
      storm.placed.some((one) => one.expected === 'monitored' && one.talked),
      'and monitored ones',
    );
  });

  await t.test('100 calls up at once: each hears its own other party, each recording is its own', (t) =>
    crowd(t, site, nodes, dice),
  );

  await t.test('the journal verifies', async (t) => {
    await site.stop();
    const result = await verifyJournal(site.config.journal.directory);
    t.ok(result.ok, JSON.stringify(result));
  });
});

/** All calls are over and nothing of them is left on any node or with the phones. */
const isQuiet = async (site: Site, nodes: Nodes): Promise<void> => {
  const { controller, checks } = site.sallyport;
  await site.until(
    'no call is under way and all is well',
    () => controller.size === 0 && checks().every((check) => check.ok),
    () => JSON.stringify([controller.calls(), checks()]),
    60_000,
  );
  await nodes.untilEmpty();
  await site.until(
    'no phone has a call',
    () => site.caller.liveCalls + site.called.liveCalls === 0,
    () => `${site.caller.liveCalls} and ${site.called.liveCalls} have`,
  );
};

/** What is wrong with a recording, or null. `leastMs` is how long each party must be heard on its own channel. */
const isRightRecording = (
  site: Site,
  file: string,
  left: number,
  right: number,
  leastMs: number,
): string | null => {
  if (!existsSync(file)) return 'no file';
  const { channels } = readWav(site.opened(file));
  const [caller = new Int16Array(), called = new Int16Array()] = channels;
  if (channels.length !== 2) return `${channels.length} channels`;
  if (heardMs(caller, left) < leastMs) return `${heardMs(caller, left)} ms of the caller on the left`;
  if (heardMs(called, right) < leastMs)
    return `${heardMs(called, right)} ms of the called party on the right`;
  if (heardMs(caller, right) > 0 || heardMs(called, left) > 0) return 'channels are mixed';
  return null;
};

/** Holds what the phones and the kernel saw against what the journal says. */
const judge = async (t: Test, site: Site, placed: readonly Placed[]): Promise<void> => {
  const cdrs = await site.rows({ kinds: ['cdr'] });
  const byId = new Map(cdrs.map((row) => [row.body.callId as string, row.body]));
  t.same([...byId.keys()].sort(), [...site.callIds()].sort(), 'each call has exactly one CDR');
  t.equal(cdrs.length, byId.size);
  const byCaller = new Map<string, Row['body']>(cdrs.map((row) => [row.body.caller, row.body]));

  const wrong: string[] = [];
  const alarmed = new Set(
    site.events.flatMap((event) => (event.event === 'alarm' && event.callId !== null ? [event.callId] : [])),
  );
  for (const one of placed) {
    const cdr = byCaller.get(one.as);
    // Hotline calls keep no caller; they are judged below.
    if (cdr === undefined && one.number === hotline) continue;
    const verdict: string = cdr?.verdict ?? 'none';
    const fits =
      one.expected === 'either' ||
      // Became private while it was up: what was recorded until then is sealed.
      (one.expected === 'monitored' && cdr?.sealed !== undefined) ||
      verdict === one.expected ||
      // Unknown lists refuse.
      (one.expected === 'monitored' && verdict === 'refused') ||
      // Gone before anything was decided.
      (one.cancelled && verdict === 'undecided');
    if (!fits) wrong.push(`${one.as}: expected ${one.expected}, was ${verdict}`);
    if (one.expected === 'refused' && one.status < 300) wrong.push(`${one.as}: answered`);
    if (verdict === 'monitored' && one.talked && !alarmed.has(cdr?.callId)) {
      const why = isRightRecording(site, cdr?.spool?.file ?? '', tones.caller, tones.called, 100);
      if (why !== null) wrong.push(`${one.as}: ${why}; ${JSON.stringify(cdr?.spool)}`);
    }
  }
  const nameless = cdrs.filter((row) => row.body.caller === undefined);
  for (const { body } of nameless) {
    if (body.class !== 'hotline') wrong.push(`${body.callId} has no caller: ${body.verdict}, ${body.ending}`);
  }
  if (placed.length !== cdrs.length) wrong.push(`${placed.length} calls placed, ${cdrs.length} CDRs`);
  for (const { body } of cdrs) {
    if (body.sealed !== undefined) continue;
    if (body.verdict === 'private' && body.node !== null && !body.node.startsWith('private')) {
      wrong.push(`${body.callId} is private and was on ${body.node}`);
    }
    if (body.verdict !== 'monitored' && body.armed !== null) wrong.push(`${body.callId} was armed`);
  }
  t.same(wrong, [], 'every call was what the lists said, and every monitored one is on the disk');
  hasNoFiles(t, site, byId);
};

/** No file event for any call but monitored ones, and none in a spool without a call. */
const hasNoFiles = (t: Test, site: Site, byId: ReadonlyMap<string, Row['body']>): void => {
  const spools = site.local.recorded.map((node) => node.spool ?? 'none');
  const stray: string[] = [];
  let seen = 0;
  for (const file of site.watch.files()) {
    const callId = callIdShape.exec(file)?.[0];
    if (callId === undefined) {
      // The folders themselves are the only things in a spool that belong to no call.
      const inside = spools.some((spool) => file.startsWith(`${spool}/`));
      if (inside && !/\/(pcaps|tmp|metadata)$/.test(file)) stray.push(file);
    } else if (byId.get(callId)?.verdict === 'monitored') {
      seen += 1;
    } else if (byId.get(callId)?.sealed !== undefined) {
      // Recorded until its number became privileged: now it is under seal and nowhere else.
      const where = existsSync(file) && !file.includes('/recordings/sealed/');
      if (where) stray.push(`${file} of a call that became private`);
    } else {
      stray.push(`${file} of a call that was ${byId.get(callId)?.verdict}`);
    }
  }
  t.same(stray, [], 'no file of any call that was not monitored, at any moment');
  t.ok(seen > 0, 'the watcher does see the files of monitored calls');
};

/** The kernel's own count of what a process wrote to disks; null where it may not be read. */
const bytesWritten = (pid: number): number | null => {
  try {
    const found = /^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'));
    return found === null ? null : Number(found[1]);
  } catch {
    return null;
  }
};

const crowd = async (t: Test, site: Site, nodes: Nodes, dice: Dice): Promise<void> => {
  const before = site.endedCalls;
  const kinds = dice.shuffle([
    ...Array<'monitored'>(70).fill('monitored'),
    ...Array<'private'>(30).fill('private'),
  ]);
  // Each call has a pair of tones of its own, 20 Hz apart from the next: what is heard is this call and no other.
  const plans = kinds.map((kind, i) => ({
    as: `crowd-${i}`,
    kind,
    number: dice.pick(kind === 'private' ? privateNumbers : monitoredNumbers),
    caller: 300 + 20 * (i % 30),
    called: 1000 + 20 * (i % 33),
  }));
  const tonesOf = new Map(plans.map((plan) => [plan.as, plan.called]));
  site.called.answerWith((invite): AnswerPolicy => {
    const as = invite.request.headers.get(callHeader.toLowerCase()) ?? '';
    return { do: 'answer', ring: {}, afterMs: 10, tone: tonesOf.get(as) ?? 1000 };
  });
  const up: { plan: (typeof plans)[number]; out: OutgoingCall; incoming: IncomingCall }[] = [];
  // Ten are being set up at a time: this is about calls that are up, not about how fast they come.
  const waiting = [...plans];
  const place = async (): Promise<void> => {
    for (let plan = waiting.pop(); plan !== undefined; plan = waiting.pop()) {
      const out = await site.call(plan.number, {
        as: plan.as,
        headers: { [callHeader]: plan.as },
        tone: plan.caller,
      });
      await answered(site, out, plan.as, 60_000);
      up.push({ plan, out, incoming: await incomingOf(site, plan.as) });
    }
  };
  await Promise.all(Array.from({ length: 10 }, place));
  await site.until('all are connected', () =>
    site.sallyport.controller.calls().every((call) => call.phase === 'connected'),
  );
  t.equal(site.sallyport.controller.size, 100, '100 calls are up');
  const deaf: string[] = [];
  await Promise.all(
    up.flatMap(({ plan, out, incoming }) => [
      out.audio.untilHears(plan.called, { deadlineMs: 60_000 }).catch(() => deaf.push(`${plan.as} caller`)),
      incoming.audio
        .untilHears(plan.caller, { deadlineMs: 60_000 })
        .catch(() => deaf.push(`${plan.as} called`)),
    ]),
  );
  t.same(deaf, [], 'every one hears the other, and the right one');
  t.equal(site.sallyport.controller.size, 100, 'and they still are');
  await Promise.all(up.map(({ out }) => out.hangUp({ deadlineMs: 60_000 })));
  await site.ended(before + 100, 120_000);
  await isQuiet(site, nodes);
  const cdrs = await site.rows({ kinds: ['cdr'] });
  const wrong: string[] = [];
  for (const plan of plans) {
    const mine = cdrs.filter((row) => row.body.caller === plan.as);
    const cdr = mine[0]?.body;
    if (mine.length !== 1 || cdr.verdict !== plan.kind || cdr.ending !== 'caller-hung-up') {
      wrong.push(`${plan.as}: ${mine.length} CDRs, ${cdr?.verdict}, ${cdr?.ending}`);
    } else if (plan.kind === 'monitored') {
      const why = isRightRecording(site, cdr.spool.file ?? '', plan.caller, plan.called, 200);
      if (why !== null) wrong.push(`${plan.as}: ${why}`);
    }
  }
  t.same(wrong, [], '70 recordings, each of its own call; 30 private calls');
  hasNoFiles(t, site, new Map(cdrs.map((row) => [row.body.callId as string, row.body])));
  for (const name of ['private-1', 'private-2']) {
    const bytes = bytesWritten(nodes.get(name).pid);
    if (bytes !== null) t.equal(bytes, 0, `${name} wrote nothing to any disk`);
  }
};
