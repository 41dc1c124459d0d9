import dgram from 'node:dgram';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { pressInfoKeys } from '../../src/phones/info-keys.js';
import { buildRtp } from '../../src/phones/rtp-packet.js';
import { createPhone, type Phone } from '../../src/phones/sip-phone.js';
import type { ListWords } from '../site/site.js';
import {
  checkClean,
  checkUnrecorded,
  numbersFrom,
  type Over,
  openTalkSite,
  type Talk,
  withTrunk,
} from '../site/talk.js';

/** Calls whose conversation is held here, between parties who type: beside what they say, or instead of it. */

t.setTimeout(240_000);

const allowed = numbersFrom('212', 20, 30);
const number = (at: number): string => allowed[at] ?? '';
const [relay = '', relayToo = '', attorney = ''] = numbersFrom('646', 20, 3);
const becoming = numbersFrom('646', 40, 2);

const lists: ListWords = {
  allow: { '*': [...allowed, ...becoming] },
  privileged: { [relay]: 'relay', [relayToo]: 'relay', [attorney]: 'attorney' },
};

const menuHost = '127.0.1.21';
const voiceHost = '127.0.1.22';
const elsewhereHost = '127.0.1.23';

t.test('text where the conversation is held here', async (t) => {
  const house = await openTalkSite(t, {
    text: true,
    lists,
    config: (config) => {
      const menu = withTrunk(menuHost, { offerPrivateCall: true })(config);
      return withTrunk(elsewhereHost, { conversation: 'elsewhere' })(withTrunk(voiceHost, {})(menu));
    },
  });
  const { site } = house;

  const phone = async (host: string, text: boolean): Promise<Phone> => {
    const made = await createPhone({
      name: host,
      host,
      tone: 440,
      transport: 'udp',
      t1Ms: 200,
      text,
      keepAudioMs: 120_000,
    });
    t.teardown(() => made.close());
    return made;
  };
  const menuPhone = await phone(menuHost, true);
  const voicePhone = await phone(voiceHost, false);
  const elsewherePhone = await phone(elsewhereHost, true);

  /** Each side types a word at a time, and the other has read nothing but that, from the first to the last. */
  const bothType = async (t: Test, talk: Talk, words: string, before = ''): Promise<void> => {
    const [call, other] = [talk.call, await talk.called()];
    // Where the conversation is held elsewhere, the caller is answered last: connected is when the 200 was sent.
    for (const [who, party] of Object.entries({ call, other }))
      await site.until(
        `${who} is told of text`,
        () => party.text.remote !== undefined,
        () => JSON.stringify(party.media.received.map((one) => one.text)),
      );
    const [left, right] = [call.text.heard, other.text.heard];
    for (const word of words.split(' ')) {
      call.text.type(`>${word}`);
      await other.text.untilReads(`>${word}`);
      other.text.type(`<${word}`);
      await call.text.untilReads(`<${word}`);
    }
    const typed = (mark: string): string =>
      words
        .split(' ')
        .map((word) => mark + word)
        .join('');
    t.same([left, right], [before.replaceAll('>', '<'), before], `nothing was read before ${words}`);
    t.same(
      [call.text.heard, other.text.heard],
      [left + typed('<'), right + typed('>')],
      `both read ${words}`,
    );
  };

  const textLine = (sdp: string | undefined): string => /^m=text.*$/m.exec(sdp ?? '')?.[0]?.trim() ?? '';
  const told = (party: Talk['call'] | Awaited<ReturnType<Talk['called']>>): string =>
    textLine(party.media.received.at(-1)?.text);

  /** Every place anything may have been kept: what lies on the disk now and holds these words. */
  const keptAnywhere = (words: string): readonly string[] => {
    const dirs = [site.dir, ...site.local.recorded.flatMap((node) => node.spool ?? [])];
    const files = dirs.flatMap((dir) =>
      readdirSync(dir, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name)),
    );
    return files.filter((file) => {
      try {
        return readFileSync(file).includes(words);
      } catch (error) {
        // A file of another call, gone meanwhile.
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
        throw error;
      }
    });
  };

  const transcriptBeside = (wav: string): string =>
    site.opened(wav.replace(/\.wav\.age$/, '.txt.age')).toString('utf8');
  const transcript = ({ cdr }: Over): readonly string[] =>
    transcriptBeside(cdr.spool.file)
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/^\[\d\d:\d\d\.\d{3}\] /, ''));

  /** Types to the text port each party was told last, from a port that is nobody's. */
  const strangerTypes = async (talk: Talk): Promise<void> => {
    const parties = [talk.call, await talk.called()];
    const socket = dgram.createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, site.called.host, resolve));
    for (const party of parties) {
      const to = party.media.received.filter(({ typing }) => typing !== undefined).at(-1)?.typing;
      if (to === undefined) throw new Error('the party was told of no text');
      for (const payloadType of [99, 98]) {
        const packet = { payloadType, marker: false, sequence: 1, timestamp: 1, ssrc: 7 };
        const payload = Buffer.concat([
          payloadType === 98 ? Buffer.of(99) : Buffer.of(),
          Buffer.from('psst'),
        ]);
        await new Promise((resolve) =>
          socket.send(buildRtp({ ...packet, payload }), to.port, to.address, resolve),
        );
      }
    }
    await new Promise<void>((resolve) => socket.close(() => resolve()));
  };

  /** The called party's own answer, changed. */
  const answerAs = async (talk: Talk, change: (sdp: string) => string): Promise<void> => {
    const other = await talk.called();
    other.answer({ sdp: change(other.media.answer(other.invite.request.body) ?? '') });
  };

  const accept = async (talk: Talk, notice: 'recorded' | 'private'): Promise<void> => {
    await talk.calledHears(`menu-${notice}`);
    await talk.calledPresses('1', 'application/dtmf-relay');
  };

  // All of these are up at the same time.
  t.jobs = 16;
  const running: Promise<unknown>[] = [];
  const test = (name: string, work: (t: Test) => Promise<void>): void =>
    void running.push(t.test(name, { buffered: true }, work));

  test('a relay call, private: both type, and nothing of it is on any disk', async (t) => {
    const talk = await house.talk(relay, { answer: { do: 'ring' } });
    await talk.call.answered();
    talk.call.text.type('to nobody');
    const other = await talk.called();
    t.match(textLine(other.invite.request.body), /^m=text [1-9]\d+ RTP\/AVP 98 99$/, 'it is offered text');
    other.answer();
    other.text.type('before it is opened');
    talk.call.text.type('before it is opened');
    await talk.phase('connected');
    await bothType(t, talk, 'my-own case');
    await strangerTypes(talk);
    await bothType(t, talk, 'goes on', '>my-own>case');
    t.same(keptAnywhere('my-own'), [], 'no file holds a word while the call is up');
    await talk.bothHear(t);
    t.equal(
      talk.call.requests.filter(({ method }) => method === 'INVITE').length,
      0,
      'nobody is asked again',
    );
    await talk.call.hangUp();
    const over = await talk.over();
    t.match(over.cdr, { verdict: 'private', class: 'relay', ending: 'caller-hung-up', node: 'private-1' });
    checkUnrecorded(t, talk, over);
    t.same(keptAnywhere('my-own'), [], 'nor after its end');
  });

  test('a monitored call: both are told, both type, and the transcript has that and no more', async (t) => {
    const talk = await house.talk(number(0));
    await talk.call.answered();
    talk.call.text.type('too early');
    await talk.calledHears('notice-recorded');
    talk.call.text.type('too early');
    const other = await talk.called();
    other.text.type('too early');
    await accept(talk, 'recorded');
    await talk.phase('connected');
    await bothType(t, talk, 'hello there');
    await strangerTypes(talk);
    t.equal((await other.hold()).status, 200);
    t.equal((await other.resume()).status, 200);
    talk.call.text.lose('lost');
    talk.call.text.type('found');
    await other.text.untilReads('found');
    await talk.call.hangUp();
    const over = await talk.over();
    t.match(over.cdr, { verdict: 'monitored', spool: { state: 'recording-finished' } });
    t.same(transcript(over), ['caller: >hello>therelostfound', 'called: <hello<there']);
    t.match(over.cdr.spool.text, {
      errors: [],
      caller: { lost: 0, recovered: 1, malformed: 0 },
      called: { lost: 0 },
    });
    t.equal(over.cdr.spool.strangersPackets, 4, 'what a stranger typed is counted and belongs to nobody');
  });

  test('a called party without text: the caller is told before it is opened', async (t) => {
    for (const [at, how, change] of [
      [1, 'refuses', (sdp: string) => sdp.replace(/^m=text \d+/m, 'm=text 0')],
      [2, 'says nothing of it', (sdp: string) => sdp.slice(0, sdp.indexOf('m=text'))],
    ] as const) {
      const talk = await house.talk(number(at), { answer: { do: 'ring' } });
      const { call } = talk;
      await call.answered();
      t.match(told(call), /^m=text [1-9]/, 'promised at first');
      await answerAs(talk, change);
      await call.requested('INVITE');
      const mark = call.audio.mark();
      await site.until('the caller hears on', () => call.audio.mark() > mark + 8000);
      await accept(talk, 'recorded');
      await talk.phase('connected');
      t.match(told(call), /^m=text 0 RTP\/AVP/, how);
      t.equal(call.text.remote, undefined);
      t.equal(call.requests.filter(({ method }) => method === 'INVITE').length, 1, 'asked once');
      const other = await talk.called();
      other.text.type('psst');
      await strangerTypes(talk);
      await talk.bothHear(t);
      await call.hangUp();
      const over = await talk.over();
      t.equal(over.cdr.spool.state, 'recording-finished');
      t.equal(over.cdr.spool.text, undefined, 'no transcript');
      t.same([call.text.received, other.text.received], [0, 0], `${how}: nothing passed`);
    }
  });

  test('a called party that repeats nothing: the caller is told to do the same', async (t) => {
    const talk = await house.talk(number(3), { answer: { do: 'ring' } });
    await talk.call.answered();
    await answerAs(talk, (sdp) =>
      sdp.replace(/^(m=text \d+ RTP\/AVP) .*$/m, '$1 99').replaceAll(/^a=.*:98 .*\r\n/gm, ''),
    );
    await accept(talk, 'recorded');
    await talk.phase('connected');
    t.match(told(talk.call), /^m=text [1-9]\d+ RTP\/AVP 99$/);
    await bothType(t, talk, 'each once');
    await talk.bothHear(t);
    await talk.call.hangUp();
    const over = await talk.over();
    t.same(transcript(over), ['caller: >each>once', 'called: <each<once']);
    t.match(over.cdr.spool.text, { errors: [] });
  });

  test('a caller that takes no other word: the two speak, and no text passes', async (t) => {
    const talk = await house.talk(attorney, { answer: { do: 'ring' } });
    const { call } = talk;
    await call.answered();
    call.replyTo('re-INVITE', { status: 488 });
    await answerAs(talk, (sdp) =>
      sdp.replace(/^(m=text \d+ RTP\/AVP) .*$/m, '$1 99').replaceAll(/^a=.*:98 .*\r\n/gm, ''),
    );
    await accept(talk, 'private');
    await talk.phase('connected');
    const other = await talk.called();
    call.text.type('psst');
    other.text.type('psst');
    await talk.bothHear(t);
    await call.hangUp();
    const over = await talk.over();
    t.match(over.cdr, { verdict: 'private', ending: 'caller-hung-up' });
    t.same([call.text.received, other.text.received], [0, 0]);
    checkUnrecorded(t, talk, over);
  });

  test('a caller without text: nobody is offered any', async (t) => {
    const talk = await house.talk(number(4), { from: voicePhone });
    await accept(talk, 'recorded');
    await talk.phase('connected');
    t.equal(textLine((await talk.called()).invite.request.body), '');
    await talk.bothHear(t);
    await talk.call.hangUp();
    t.match((await talk.over()).cdr, { spool: { state: 'recording-finished' } });
  });

  test('a caller who was asked in the lobby types on the call’s own node', async (t) => {
    const talk = await house.talk(number(5), { from: menuPhone });
    await talk.callerHears('kind-menu');
    talk.call.text.type('to nobody');
    await talk.callerPresses('1', 'application/dtmf-relay');
    await accept(talk, 'recorded');
    await talk.phase('connected');
    await bothType(t, talk, 'moved along');
    await talk.call.hangUp();
    t.same(transcript(await talk.over()), ['caller: >moved>along', 'called: <moved<along']);
  });

  test('calls in which nothing is said, only typed, held here and elsewhere', async (t) => {
    for (const [to, from, recorded] of [
      [number(6), site.caller, true],
      [number(7), elsewherePhone, true],
      [relayToo, site.caller, false],
    ] as const) {
      const talk = await house.talk(to, { from, answer: { do: 'ring' } });
      talk.call.audio.mute();
      const other = await talk.called();
      other.audio.mute();
      other.answer();
      if (to === number(6)) {
        await talk.calledHears('menu-recorded');
        await pressInfoKeys(other, '1', { as: 'application/dtmf' });
      }
      await talk.phase('connected');
      await bothType(t, talk, 'only this');
      await talk.call.hangUp();
      const over = await talk.over();
      t.match(over.cdr, { verdict: recorded ? 'monitored' : 'private', ending: 'caller-hung-up' });
      if (recorded) t.same(transcript(over), ['caller: >only>this', 'called: <only<this']);
      else checkUnrecorded(t, talk, over);
    }
  });

  await Promise.all(running);

  await t.test(
    'a call that becomes private takes its text along, and no text comes of what had none',
    async (t) => {
      const [typing = '', speaking = ''] = becoming;
      const talk = await house.talk(typing);
      // Held elsewhere: nobody asks the caller again, and its description goes on offering text.
      const without = await house.talk(speaking, { from: elsewherePhone, answer: { do: 'ring' } });
      await answerAs(without, (sdp) => sdp.replace(/^m=text \d+/m, 'm=text 0'));
      await accept(talk, 'recorded');
      await Promise.all([talk.phase('connected'), without.phase('connected')]);
      await bothType(t, talk, 'not yet');
      const privileged = { ...lists.privileged, [typing]: 'attorney', [speaking]: 'attorney' } as const;
      await site.publish({ ...lists, privileged });
      await Promise.all([talk.callerHears('now-private'), talk.calledHears('now-private')]);
      await talk.bothHear(t);
      await bothType(t, talk, 'for-counsel alone', '>not>yet');
      t.same(keptAnywhere('for-counsel'), [], 'and nothing of it is on any disk');
      await strangerTypes(talk);
      const [call, other] = [without.call, await without.called()];
      const { mediaAddress } = site.local.private[0] ?? {};
      const moved = (party: typeof call | typeof other): boolean =>
        party.media.received.at(-1)?.addresses.includes(mediaAddress ?? '') === true;
      await site.until('the other call has moved', () => moved(call) && moved(other));
      t.match([told(call), told(other)], [/^m=text 0 /, /^m=text 0 /], 'it is not offered again');
      await without.bothHear(t);
      await Promise.all([talk.call.hangUp(), call.hangUp()]);
      const over = await talk.over();
      t.match(over.cdr, {
        verdict: 'private',
        sealed: { state: 'recording-sealed' },
        spool: { state: 'nothing-found' },
      });
      const sealed = transcriptBeside(over.cdr.sealed.file);
      t.match(sealed, />not>yet/);
      t.notMatch(sealed, 'for-counsel', 'what was typed after is not under seal either');
      t.same(keptAnywhere('for-counsel'), [], 'nor anywhere');
      await without.over();
      t.same([call.text.received, other.text.received], [0, 0]);
    },
  );

  await t.test('nothing is left', async (t) => checkClean(t, house, [menuPhone, voicePhone, elsewherePhone]));
});
