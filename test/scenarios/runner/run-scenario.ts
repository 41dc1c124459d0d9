import { existsSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import { freeTcpPort, freeUdpPort } from '../../../src/stack/free-ports.js';
import { mediaSessions } from '../../site/left-over.js';
import type { Row, Site } from '../../site/site.js';
import { answer, offer } from './descriptions.js';
import { expectMessages, foreignAddresses, onlyWhatIsAsked } from './expect.js';
import type { LoggedMessage } from './message-log.js';
import { type Scenario, xmlOf } from './scenario-file.js';
import { type CarrierPlace, trunkHosts } from './scenario-site.js';
import { SilentCarrier } from './silent-carrier.js';
import { Sipp } from './sipp.js';

let runs = 0;

/** What one run left to look at. */
interface Seen {
  readonly messages: ReadonlyMap<string, readonly LoggedMessage[]>;
  readonly rows: readonly Row[];
}

/** Plays one scenario and checks everything it says. */
export const runScenario = async (
  t: Test,
  scenario: Scenario,
  site: Site,
  carriers: ReadonlyMap<string, CarrierPlace>,
): Promise<void> => {
  const lastSeq = (await site.rows()).at(-1)?.seq ?? -1;
  const eventsBefore = site.events.length;
  const messages = await play(t, scenario, site, carriers);
  const rows = (await site.rows({ kinds: ['decision', 'cdr'] })).filter((row) => row.seq > lastSeq);
  checkMessages(t, scenario, site, { messages, rows });
  checkRows(t, scenario, rows);
  const callId = rows.map((row) => row.body.callId as string | null).find((id) => id !== null) ?? null;
  await checkSpool(t, scenario, site, rows, callId);
  const alarms = site.events
    .slice(eventsBefore)
    .flatMap((event) =>
      event.event === 'alarm' ? [event.alarm] : event.event === 'fault' ? [event.code] : [],
    );
  t.same([...new Set(alarms)], scenario.alarms, 'the alarms');
  t.same(await mediaSessions(site), 0, 'no call is left on any media node');
};

const play = async (
  t: Test,
  scenario: Scenario,
  site: Site,
  carriers: ReadonlyMap<string, CarrierPlace>,
): Promise<ReadonlyMap<string, readonly LoggedMessage[]>> => {
  const dir = join(site.dir, `sipp-${++runs}-${scenario.name}`);
  await mkdir(dir, { recursive: true });
  const speech = join(dir, 'speech.ulaw');
  // One second of a square wave: µ-law bytes that are no silence.
  writeFileSync(speech, Buffer.alloc(8000, Buffer.from([0x80, 0x80, 0x80, 0x80, 0x00, 0x00, 0x00, 0x00])));
  const playing = new Map<string, Sipp>();
  const silent = new Map<string, SilentCarrier>();
  const journalled = cdrsWritten(site);
  const ended = site.endedCalls;
  try {
    for (const [name, place] of carriers) {
      const part = scenario.carriers[name as keyof typeof scenario.carriers];
      if (part === undefined || part === 'silent') {
        if (place.transport === 'udp') silent.set(name, await SilentCarrier.open(place.host, place.port));
        continue;
      }
      const uas = new Sipp({ ...place, name, dir, xml: xmlOf(scenario, part, { answer, speech }) });
      playing.set(name, uas);
      await uas.listening();
    }
    const host = trunkHosts[scenario.trunk];
    const { transport } = scenario;
    const to = site.sip(transport);
    const port = await (transport === 'udp' ? freeUdpPort(host) : freeTcpPort(host));
    const xml = xmlOf(scenario, scenario.caller, { dialled: scenario.dialled, offer, speech });
    playing.set('caller', new Sipp({ name: 'caller', dir, xml, host, port, transport, to }));
    for (const [name, sipp] of playing) {
      const code = await sipp.exited;
      t.equal(code, 0, `sipp as ${name} saw what it waited for`, code === 0 ? {} : { sipp: sipp.trouble() });
    }
    if (scenario.cdr !== 'none')
      await site.until(
        'the CDR is written',
        () => cdrsWritten(site) > journalled && site.sallyport.controller.size === 0,
      );
    t.ok(site.endedCalls - ended <= 1, 'at most one call came of it');
    for (const [name, carrier] of silent) {
      const wanted = scenario.carriers[name as keyof typeof scenario.carriers] === 'silent';
      t.equal(carrier.calls > 0, wanted, `${name} was ${wanted ? '' : 'not '}dialled`);
    }
  } finally {
    for (const sipp of playing.values()) await sipp.stop();
    // Only a scenario that failed leaves a call; it must not make the next one fail too.
    if (site.sallyport.controller.size > 0) site.sallyport.controller.agentLost();
    for (const carrier of silent.values()) await carrier.close();
  }
  return new Map([...playing].map(([name, sipp]) => [name, sipp.messages()]));
};

const cdrsWritten = (site: Site): number =>
  site.events.filter((event) => event.event === 'journal-append' && event.kind === 'cdr').length;

const checkMessages = (t: Test, scenario: Scenario, site: Site, { messages, rows }: Seen): void => {
  for (const [name, wanted] of Object.entries(scenario.messages)) {
    expectMessages(t, name, messages.get(name) ?? [], wanted);
  }
  for (const [name, titles] of Object.entries(scenario.repeated)) {
    for (const title of titles) {
      const all = (messages.get(name) ?? []).filter((one) => `${one.direction} ${one.title}` === title);
      t.ok(all.length > new Set(all.map((one) => one.text)).size, `${name}: ${title} came again`);
    }
  }
  const pool = rows.some((row) => row.body.verdict === 'private') ? site.local.private : site.local.recorded;
  const node = pool[0]?.mediaAddress ?? '';
  const callerIds = (messages.get('caller') ?? []).flatMap((one) => one.header('Call-ID'));
  const ports = new Set((messages.get('caller') ?? []).flatMap((one) => one.header('Contact')));
  for (const [name, list] of messages) {
    for (const message of list.filter((one) => one.direction === 'received')) {
      t.same(
        foreignAddresses(message, node),
        [],
        `${name} received ${message.title}: only the node's address`,
      );
      // Nothing of one side may be seen on the other: addresses, identities, dialogs, programs.
      const foreign =
        name === 'caller'
          ? /127\.0\.2\.|carrier-secret/
          : /127\.0\.1\.|(?<![0-9a-f-])4711(?![0-9a-f-])|caller-secret/i;
      t.notMatch(
        message.text.replace(/^INVITE [^\n]*\n/, ''),
        foreign,
        `${name}: ${message.title} shows nothing of the other side`,
      );
      if (name !== 'caller')
        t.notOk(callerIds.includes(message.header('Call-ID')[0] ?? ''), 'a Call-ID of its own');
      for (const pattern of scenario.never)
        t.notMatch(message.text, new RegExp(pattern), `${name}: never ${pattern}`);
    }
  }
  t.ok(
    ports.size > 0 || scenario.messages.caller === undefined || callerIds.length > 0,
    'the caller was seen',
  );
};

const checkRows = (t: Test, scenario: Scenario, rows: readonly Row[]): void => {
  const decisions = rows.filter((row) => row.kind === 'decision').map((row) => row.body.verdict as string);
  const own = scenario.decision === 'none' ? [] : [scenario.decision];
  t.same(decisions.slice(0, own.length), own, 'the decision');
  t.equal(decisions.length, own.length + scenario.others, 'a decision for each other party, and no more');
  const cdrs = rows.filter((row) => row.kind === 'cdr').map((row) => row.body as unknown);
  if (scenario.cdr === 'none') {
    t.same(cdrs, [], 'no CDR');
    return;
  }
  t.equal(cdrs.length, 1, 'one CDR');
  t.same(onlyWhatIsAsked(cdrs[0], scenario.cdr), scenario.cdr, 'the CDR');
};

const checkSpool = async (
  t: Test,
  scenario: Scenario,
  site: Site,
  rows: readonly Row[],
  callId: string | null,
): Promise<void> => {
  if (callId === null) {
    t.equal(scenario.spool, 'untouched', 'without a call there is nothing in the spool');
    return;
  }
  // It is a process of its own, and may be a moment behind.
  if (scenario.spool !== 'untouched')
    await site.until('the watcher saw the recording begin', () =>
      site.watch.named(callId).some((file) => file.endsWith('.pcap')),
    );
  const seen = site.watch.named(callId);
  const left = seen.filter((file) => existsSync(file));
  const cdr = rows.find((row) => row.kind === 'cdr');
  switch (scenario.spool) {
    case 'untouched':
      t.same(seen, [], 'no file of the call, at any moment');
      return;
    case 'discarded':
      t.same(left, [], 'and nothing of it is left');
      return;
    case 'recording-finished':
      t.equal(cdr?.body.spool?.state, 'recording-finished', 'the recording was finished');
      t.ok(existsSync(String(cdr?.body.spool?.file)), 'and is there');
      t.same(
        left.filter((file) => !file.startsWith(site.config.recording.directory)),
        [],
        'nothing is left in the spool',
      );
      return;
    default:
      scenario.spool satisfies never;
  }
};
