import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { Config } from '../../src/config/schema.js';
import { converse, hangUp } from '../site/conversation.js';
import { defaultLists, listSet, numbers, openSite, type Site } from '../site/site.js';
import { openTalkSite, phoneAt, withTrunk } from '../site/talk.js';
import type { Named } from './named.js';

/** The past failures that need a call to be enacted: real SIP, media, audio and disks, and a watcher of every file. */

const ordinary = '2125550142';
const attorney = '2125550111';

/** What no named test may hang on: a wait in vain is a failure like any other. */
const within = async <T>(what: string, work: Promise<T>): Promise<T> => {
  try {
    return await work;
  } catch (error) {
    assert.fail(`${what}: ${error instanceof Error ? error.message : String(error)}`);
  }
};

/** The ending of a call that is not to be answered. */
const refusedWith = async (site: Site, dialled: string): Promise<{ status: number; ending: string }> => {
  const before = site.callIds().length;
  const call = await site.call(dialled);
  const { status } = await within(`the call to ${dialled} is refused`, call.failed());
  await site.ended(before + 1);
  const callId = site.callIds()[before] ?? '';
  assert.deepEqual(site.watch.named(callId), [], 'and left no file');
  return { status, ending: (await site.cdr(callId)).ending };
};

const noTrace = async (site: Site, callId: string): Promise<void> => {
  const cdr = await site.cdr(callId);
  assert.equal(cdr.verdict, 'private');
  assert.equal(cdr.node, 'private-1', 'on a node that cannot record');
  assert.equal(cdr.armed, null);
  assert.deepEqual(site.watch.named(callId), [], 'no file of it, at any moment');
};

const southToo = (config: Config): Config => {
  const [north] = Object.values(config.facilities);
  assert.ok(north !== undefined);
  return { ...config, facilities: { ...config.facilities, south: north } };
};

/** Headers and a body that ask for a recording: of RFC 7866, of vendors, and made up. */
const asking = {
  'X-Record': 'yes',
  'X-Hide-Recording': 'true',
  Record: 'on',
  'Recording-Policy': 'always',
  Supported: 'record-aware',
  'P-Charge-Info': '<sip:record@facility.example>',
};

const moved: Named = {
  cause: 4,
  name: 'a caller who is moved to another facility is private to the same attorney as before, whatever the facility’s PBX asks for',
  run: async (scope) => {
    const south = '127.0.1.7';
    const site = await openSite(scope, {
      config: (config) => southToo(withTrunk(south, { facility: 'south' })(config)),
    });
    site.called.answerWith({ do: 'answer', ring: {}, afterMs: 20 });
    const words = listSet(defaultLists, site.config);
    // Entered by the first facility, for itself; the second allows the number to everybody.
    await site.local.publish({
      ...words,
      privileged: words.privileged.map((one) => ({ ...one, scope: 'north' })),
    });
    await site.event('lists-armed', ({ epoch }) => epoch === 2);
    const phone = await phoneAt(scope, south);
    for (const [n, from] of [site.caller, phone].entries()) {
      const at = site.sip();
      const call = await from.call({
        to: `sip:${attorney}@${at.host}:${at.port}`,
        via: at,
        from: `<sip:4711@${from.host}>`,
        headers: asking,
      });
      await within('the call is connected', call.answered());
      await within('they hear each other', call.audio.untilHears(1000, { forMs: 200 }));
      await call.hangUp();
      await site.ended(n + 1);
      const callId = site.callIds()[n] ?? '';
      await noTrace(site, callId);
      assert.equal((await site.cdr(callId)).facility, n === 0 ? 'north' : 'south');
    }
  },
};

const pressedThree: Named = {
  cause: 1,
  name: 'an attorney nobody registered presses a key: the call ends unrecorded, and the number waits for review from then on',
  run: async (scope) => {
    const house = await openTalkSite(scope);
    const { site } = house;
    const talk = await house.talk(numbers.allowed, { as: '4711' });
    await within('the menu is heard', talk.calledHears('menu-recorded'));
    await talk.calledPresses('3');
    const over = await within('the call ends', talk.over());
    assert.equal(over.cdr.ending, 'called-protected');
    assert.equal(over.cdr.armed, null, 'no recording was armed');
    assert.deepEqual(site.watch.named(talk.callId), [], 'no file of it, at any moment');
    const again = await house.talk(numbers.allowed, { as: '4711' });
    const next = await within('the next call ends', again.over());
    assert.equal(next.cdr.ending, 'review-pending');
    assert.equal(again.wasDialled, false, 'nobody was dialled');
  },
};

const coldStart: Named = {
  cause: 8,
  name: 'a controller that starts before its list refuses with “try again”, and one whose Redis is emptied records nobody',
  run: async (scope) => {
    const site = await openSite(scope, { controller: false });
    site.called.answerWith({ do: 'answer', ring: {}, afterMs: 20 });
    const { host, port } = site.local.redis;
    const redis = new Redis({ host, port, protocol: 2 });
    scope.teardown(() => redis.disconnect());
    await site.heartbeat.stop();
    await redis.flushall();
    await site.start({ ready: false });
    await site.event('agent-state', ({ state }) => state === 'up');
    const early = await refusedWith(site, ordinary);
    assert.equal(early.ending, 'lists-unavailable', 'there is no list: try again');
    await site.publish(defaultLists);
    await site.local.beat();
    await within(
      'the list is taken',
      site.until('armed', () => site.sallyport.checks().every(({ ok }) => ok)),
    );
    const talk = await within('an ordinary call is connected', converse(site, ordinary));
    assert.equal((await hangUp(site, talk)).verdict, 'monitored', 'and recorded, now that there is a list');
    await redis.flushall();
    const late = await refusedWith(site, ordinary);
    assert.equal(late.ending, 'lists-unavailable');
    const private_ = await within('the attorney is connected', converse(site, attorney));
    await hangUp(site, private_);
    await noTrace(site, private_.callId);
  },
};

const filesUnder = (dir: string): readonly string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

const noAddress: Named = {
  cause: 11,
  name: 'nothing tells an address from which a recording could be fetched, and nothing lets in whoever carries a token',
  run: async (scope) => {
    const site = await openSite(scope);
    site.called.answerWith({ do: 'answer', ring: {}, afterMs: 20 });
    const talk = await within('the call is connected', converse(site, ordinary));
    await within('they hear each other', talk.call.audio.untilHears(1000, { forMs: 300 }));
    const cdr = await hangUp(site, talk);
    assert.equal(cdr.spool.state, 'recording-finished');
    const page = async (path: string): Promise<string> =>
      (await fetch(`http://127.0.0.1:${site.sallyport.healthPort}${path}`)).text();
    const journal = filesUnder(site.config.journal.directory).map((file) => readFileSync(file, 'utf8'));
    const manifests = filesUnder(site.config.recording.directory)
      .filter((file) => file.endsWith('.json'))
      .map((file) => readFileSync(file, 'utf8'));
    assert.ok(manifests.length === 1 && journal.join('').includes(talk.callId), 'it is looked at');
    const said = {
      journal: journal.join(''),
      manifests: manifests.join(''),
      events: JSON.stringify(site.events),
      metrics: await page('/metrics'),
      ready: await page('/ready'),
      calls: await page('/calls'),
    };
    for (const [where, text] of Object.entries(said)) {
      assert.doesNotMatch(text, /\b(https?|ftp|s3|rtsp|wss?):\/\//i, `an address in ${where}`);
      assert.doesNotMatch(
        text,
        /bearer|access.?token|api.?key|[?&](sig|signature|token|key)=/i,
        `a token in ${where}`,
      );
    }
    for (const path of [
      `/recordings/${talk.callId}`,
      `/recordings`,
      `/calls/${talk.callId}`,
      `/${talk.callId}.wav`,
    ]) {
      const { status } = await fetch(`http://127.0.0.1:${site.sallyport.healthPort}${path}`);
      assert.equal(status, 404, `${path} is nowhere`);
    }
  },
};

const heardPrivate: Named = {
  cause: 14,
  name: 'neither party of a private call hears that it is recorded: both hear that it is not',
  run: async (scope) => {
    const house = await openTalkSite(scope);
    const talk = await house.talk(numbers.attorney, { as: '4711' });
    await within('the called party is asked', talk.calledHears('menu-private', { deadlineMs: 12_000 }));
    await talk.calledPresses('1');
    await within('the caller is told', talk.callerHears('told-private', { deadlineMs: 12_000 }));
    await talk.call.hangUp();
    const { heard, cdr } = await within('the call ends', talk.over());
    assert.equal(cdr.verdict, 'private');
    for (const said of [heard.caller, heard.called]) {
      assert.deepEqual(
        said.filter((one) => one.includes('recorded')),
        [],
      );
      assert.ok(
        said.some((one) => one.endsWith('-private')),
        `it was told the truth: ${said.join(' ')}`,
      );
    }
    assert.deepEqual(house.site.watch.named(talk.callId), []);
  },
};

export const callCases: readonly Named[] = [pressedThree, moved, coldStart, noAddress, heardPrivate];
