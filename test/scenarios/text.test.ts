import { createHash } from 'node:crypto';
import dgram from 'node:dgram';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { buildRtp } from '../../src/phones/rtp-packet.js';
import { bothHear, type Conversation, converse, hangUp } from '../site/conversation.js';
import { checkNothingLeft } from '../site/left-over.js';
import { openSite, type Site } from '../site/site.js';

t.setTimeout(180_000);

const monitored = '2125550142';
const privileged = '12125550111';

/** Each side types and the other reads it. */
const bothRead = async (t: Test, { call, other }: Conversation, words: string): Promise<void> => {
  for (const part of words.split(' ')) {
    call.text.type(`>${part}`);
    await other.text.untilReads(`>${part}`);
    other.text.type(`<${part}`);
    await call.text.untilReads(`<${part}`);
  }
  t.pass(`both read ${words}`);
};

const descriptions = ({ call, other }: Conversation): readonly string[] =>
  [call, other].flatMap((one) => one.media.received.map((sdp) => sdp.text));

/** The m=text line a party was told last. */
const told = (of: Conversation['call'] | Conversation['other']): string | undefined =>
  of.media.received.at(-1)?.mediaLines.find((line) => line.startsWith('m=text'));

const filesUnder = (dir: string): readonly string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

const digest = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

const onlyTheNode = (t: Test, site: Site, talk: Conversation, address: string | undefined): void => {
  const named = [talk.call, talk.other].flatMap((one) => one.media.received.flatMap((sdp) => sdp.addresses));
  t.same([...new Set(named)], [address], 'only the node’s address was ever told');
  t.equal(
    descriptions(talk).some((text) => text.includes(site.caller.host)),
    false,
  );
};

t.test('phones that type', async (t) => {
  const site = await openSite(t, { t1Ms: 100, text: true });
  site.called.answerWith({ do: 'answer', ring: false });

  await t.test('a private call: text passes, and the disk sees nothing', async (t) => {
    const talk = await converse(site, privileged);
    await bothHear(t, talk, 'before');
    await bothRead(t, talk, 'my case');
    onlyTheNode(t, site, talk, site.local.private[0]?.mediaAddress);
    const cdr = await hangUp(site, talk);
    t.match(cdr, { verdict: 'private', ending: 'caller-hung-up', spool: { state: 'nothing-found' } });
    t.same(site.watch.named(talk.callId), []);
  });

  await t.test('a monitored call: the recording holds what was typed', async (t) => {
    const talk = await converse(site, monitored);
    await bothHear(t, talk, 'before');
    await bothRead(t, talk, 'hello there');
    talk.call.text.lose('lost');
    talk.call.text.type('found');
    await talk.other.text.untilReads('found');
    t.equal((await talk.other.hold()).status, 200);
    t.equal((await talk.other.resume()).status, 200);
    await bothRead(t, talk, 'still');
    onlyTheNode(t, site, talk, site.local.recorded[0]?.mediaAddress);
    const { spool } = await hangUp(site, talk);
    t.equal(spool.state, 'recording-finished');
    const file = spool.file.replace(/\.wav\.age$/, '.txt.age');
    const lines = site.opened(file).toString('utf8').trimEnd().split('\n');
    t.same(
      lines.map((line) => line.replace(/^\[\d\d:\d\d\.\d{3}\] /, '')),
      ['caller: >hello>therelostfound>still', 'called: <hello<there<still'],
    );
    const manifest = JSON.parse(readFileSync(spool.file.replace(/\.wav\.age$/, '.json'), 'utf8'));
    const text = {
      characters: { caller: '>hello>therelostfound>still'.length, called: '<hello<there<still'.length },
      errors: [],
    };
    t.match(manifest, { complete: true, text: { ...text, caller: { lost: 0, recovered: 1 } } });
    t.match(manifest.files, [{}, { name: `${talk.callId}.txt.age`, sha256: digest(file) }]);
    t.match(spool.text, text, 'and the CDR says so too');
    const plain = filesUnder(site.dir).filter((name) =>
      /hello|therelostfound/.test(readFileSync(name, 'utf8')),
    );
    t.same(plain, [], 'what was typed is nowhere in plain');
    t.strictSame(
      spool.files,
      manifest.files,
      'of the encrypted files: a digest of the words would confirm a guess',
    );
  });

  await t.test('what is no text is an error of the recording', async (t) => {
    const talk = await converse(site, monitored);
    await bothHear(t, talk, 'before');
    talk.call.text.sendRaw(0, Buffer.alloc(160, 1));
    talk.call.text.sendRaw(98, Buffer.of(0xe3, 0, 0xff));
    talk.call.text.type('end');
    await talk.other.text.untilReads('end');
    const { spool } = await hangUp(site, talk);
    const manifest = JSON.parse(readFileSync(spool.file.replace(/\.wav\.age$/, '.json'), 'utf8'));
    t.match(manifest, {
      complete: false,
      text: { errors: ['text-malformed', 'text-other-payload'], caller: { malformed: 1 } },
    });
    t.match(manifest.text.caller.otherPayloadTypes, { 0: 1 });
  });

  await t.test('a party that refuses text, or says nothing of it, gets none', async (t) => {
    for (const [how, change] of [
      ['refuses', (sdp: string) => sdp.replace(/^m=text \d+/m, 'm=text 0')],
      ['says nothing', (sdp: string) => sdp.slice(0, sdp.indexOf('m=text'))],
    ] as const) {
      site.called.answerWith((invite) => {
        const audio = /^m=audio (\d+)/m;
        // Audio goes nowhere in these calls; it is the text that is looked at.
        const own = invite.request.body
          .replaceAll(/IN IP4 \S+/g, `IN IP4 ${site.called.host}`)
          .replace(audio, 'm=audio 40000');
        return { do: 'answer', ring: false, sdp: change(own) };
      });
      const talk = await converse(site, monitored);
      t.match(told(talk.call), /^m=text 0 RTP\/AVP/, `${how}: the caller is told`);
      // Where the called party was invited to send its text: nothing passes there, whoever sends it.
      const offered = talk.other.invite.request.body;
      const to = Number(/^m=text (\d+)/m.exec(offered)?.[1]);
      const socket = dgram.createSocket('udp4');
      await new Promise<void>((resolve) => socket.bind(0, site.called.host, resolve));
      const packet = { payloadType: 99, marker: false, timestamp: 1, ssrc: 7, payload: Buffer.from('psst') };
      for (let sequence = 0; sequence < 5; sequence++)
        socket.send(buildRtp({ ...packet, sequence }), to, site.local.recorded[0]?.mediaAddress);
      await new Promise((resolve) => setTimeout(resolve, 200));
      t.equal(talk.call.text.received, 0, `${how}: nothing passes`);
      socket.close();
      await hangUp(site, talk);
    }
    site.called.answerWith({ do: 'answer', ring: false });
  });

  await checkNothingLeft(t, site);
});

t.test('text that was given up does not come back', async (t) => {
  const site = await openSite(t, { t1Ms: 100, text: true });
  const silent = (sdp: string): string => sdp.replace(/^m=text \d+/m, 'm=text 0');
  site.called.answerWith({ do: 'answer', ring: false });
  const talk = await converse(site, monitored);
  const { call, other } = talk;
  await bothRead(t, talk, 'first');
  const gone = await call.reinvite({ sdp: silent(call.media.offer()) });
  t.equal(gone.status, 200);
  t.match(told(other), /^m=text 0 /, 'the caller gives its text up');
  const again = await call.reinvite({ sdp: call.media.offer() });
  t.equal(again.status, 200);
  t.match([told(call), told(other)], [/^m=text 0 /, /^m=text 0 /], 'what is gone does not come back');
  await bothHear(t, talk, 'all the same');
  t.match(await hangUp(site, talk), { spool: { state: 'recording-finished', text: { errors: [] } } });
});
