import {
  appendFileSync,
  mkdtempSync,
  renameSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { ThreeWayEvidence } from '../../src/call/talk.js';
import { pooled } from '../../src/durable/disk.js';
import type { ProvedFile } from '../../src/recording/proof.js';
import type { Sides } from '../../src/recording/sorter.js';
import { Observation } from '../../src/recording/three-way/observation.js';
import { PcapTail } from '../../src/recording/three-way/pcap-tail.js';
import { until } from '../media/rtp-phone.js';
import { type PacketSpec, pcapOf } from './pcap-maker.js';
import {
  dialTone,
  join as joined,
  keys,
  Line,
  onLine,
  PORTS,
  randomOf,
  ringback,
  SOURCES,
  speech,
  zeros,
} from './three-way-sounds.js';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-observation-'));
t.teardown(() => rm(dir, { recursive: true, force: true }));

let made = 0;

const fileOf = (bytes: Buffer): ProvedFile => {
  const path = join(dir, `${made++}.pcap`);
  writeFileSync(path, bytes);
  const { ino, dev } = statSync(path);
  return { path, ino, dev, fd: null, evidence: {} };
};

const sides: Sides = { ports: PORTS, sources: SOURCES };
const packets = (count: number, first = 0): PacketSpec[] =>
  Array.from({ length: count }, (_, i) => ({
    at: (first + i) * 20,
    toPort: PORTS.called,
    sequence: first + i,
    timestamp: (first + i) * 160,
  }));
const HEADER = 24;
const always = (): boolean => true;

t.test('a pcap that grows is read as it grows, whole records only', async (t) => {
  const bytes = pcapOf(packets(200));
  const file = fileOf(bytes.subarray(0, 0));
  let seen = 0;
  const tail = new PcapTail(file, pooled, () => seen++);
  t.ok(await tail.read(always), 'an empty file is none yet');
  const record = (bytes.length - HEADER) / 200;
  let at = 0;
  // Pieces that end anywhere: in the header, in a record's header, in its middle.
  for (const end of [
    7,
    24,
    31,
    24 + record,
    24 + record * 3 + 9,
    24 + record * 3 + 16,
    bytes.length - 1,
    bytes.length,
  ]) {
    appendFileSync(file.path, bytes.subarray(at, end));
    at = end;
    t.ok(await tail.read(always));
    t.equal(seen, Math.max(0, Math.floor((end - HEADER) / record)), `${end} bytes`);
  }
  t.ok(await tail.read(always), 'nothing new is a hold');
  renameSync(file.path, `${file.path}.away`);
  writeFileSync(file.path, 'another file');
  appendFileSync(`${file.path}.away`, pcapOf(packets(5)).subarray(HEADER));
  t.ok(await tail.read(always), 'renamed: the node writes on');
  t.equal(seen, 205);
  truncateSync(`${file.path}.away`, 1000);
  t.notOk(await tail.read(always), 'shorter than it was');
  await tail.close();
  await tail.close();
});

t.test('what cannot be read on ends the reading, and nothing else', async (t) => {
  const whole = pcapOf(packets(3));
  const removed = fileOf(whole);
  const tail = new PcapTail(removed, pooled, () => undefined);
  t.ok(await tail.read(always));
  unlinkSync(removed.path);
  t.notOk(await tail.read(always), 'removed');
  await tail.close();

  const gone = fileOf(whole);
  unlinkSync(gone.path);
  t.notOk(await new PcapTail(gone, pooled, () => undefined).read(always), 'removed before');
  const other = { ...fileOf(whole), ino: 1 };
  t.notOk(await new PcapTail(other, pooled, () => undefined).read(always), 'another file');
  t.notOk(await new PcapTail(fileOf(Buffer.alloc(100, 1)), pooled, () => undefined).read(always), 'no pcap');
  const broken = Buffer.from(whole);
  broken.writeUInt32LE(2 ** 31, HEADER + 8);
  t.notOk(await new PcapTail(fileOf(broken), pooled, () => undefined).read(always), 'a record without end');
});

t.test('a file far ahead is caught up with in pieces', async (t) => {
  let seen = 0;
  const tail = new PcapTail(fileOf(pcapOf(packets(3000))), pooled, () => seen++);
  await tail.read(always);
  t.ok(seen > 1000 && seen < 1500, `${seen} at once`);
  let wanted = true;
  await tail.read(() => {
    const now = wanted;
    wanted = false;
    return now;
  });
  t.ok(seen < 1500, 'and nothing more once it is not wanted');
  await tail.read(always);
  await tail.read(always);
  t.equal(seen, 3000);
  await tail.close();
});

/** A called party that leaves, dials, and comes back with somebody. */
const story = (): readonly PacketSpec[] => {
  const random = randomOf(1);
  const line = new Line('called').say(onLine(speech(6000, random), random)).say(zeros(900));
  line.say(onLine(joined(dialTone(1200), keys(10, random), zeros(800), ringback(1)), random));
  return line.say(onLine(speech(3000, random), random)).packets;
};

/** An observation with a count of its looks at the file. */
const observed = (
  file: ProvedFile,
  listener: (evidence: ThreeWayEvidence) => void,
  sources: Sides['sources'] = SOURCES,
) => {
  let looks = 0;
  const now = { sources };
  const observation = new Observation(
    file,
    pooled,
    () => {
      looks++;
      return { ...sides, sources: now.sources };
    },
    5,
    listener,
  );
  /** Until everything that is in the file now was looked at. */
  const looked = async (): Promise<void> => {
    const before = looks;
    await until('another look', () => looks >= before + 2);
  };
  return { observation, now, looked, looks: () => looks };
};

t.test('evidence is told when it changes, until it is stopped', async (t) => {
  const bytes = pcapOf(story());
  const record = 16 + 20 + 8 + 12 + 160;
  const upTo = (ms: number): number => HEADER + (ms / 20) * record;
  const file = fileOf(bytes.subarray(0, HEADER));
  const told: ThreeWayEvidence[] = [];
  const { observation, now, looked } = observed(file, (each) => told.push(each), { caller: [], called: [] });
  // The first second comes from an address nobody has named yet.
  await looked();
  const pieces = [0, 1000, 7500, 8800, 10_000, bytes.length];
  for (const [i, from] of pieces.slice(0, -1).entries()) {
    const to = pieces[i + 1] ?? 0;
    appendFileSync(file.path, bytes.subarray(upTo(from), to === bytes.length ? to : upTo(to)));
    await looked();
    now.sources = SOURCES;
    // A look that has begun before this knows nobody yet, and may still read what comes next.
    if (i === 0) await looked();
  }
  await until('the whole story', () => (told.at(-1)?.score ?? 0) > 70);
  const signs = told.at(-1)?.signs.map(({ sign }) => sign) ?? [];
  t.strictSame(
    signs.filter((sign) => sign !== 'level-change'),
    ['silence-gap', 'dial-tone', 'dtmf-burst', 'ringback'],
  );
  t.ok(told.length >= 3, `told ${told.length} times`);
  t.ok(told.every((each, i) => each.signs.length > (told[i - 1]?.signs.length ?? 0)));
  t.ok((told.at(-1)?.signs[0]?.atMs ?? 0) < 5500, 'its clock began with the first packet of a party');
  const count = told.length;
  observation.stop();
  observation.stop();
  t.equal(told.length, count);
});

t.test('a listener that throws, and a file that goes, end it quietly', async (t) => {
  let calls = 0;
  const thrower = observed(fileOf(pcapOf(story())), () => {
    calls++;
    throw new Error('not ours');
  });
  await until('it was told', () => calls > 0);
  const file = fileOf(pcapOf(packets(10)));
  const reader = observed(file, () => undefined);
  const other = observed(fileOf(pcapOf(packets(10))), () => undefined);
  await reader.looked();
  unlinkSync(file.path);
  await other.looked();
  await other.looked();
  const [thrown, gone] = [thrower.looks(), reader.looks()];
  for (let i = 0; i < 5; i++) await other.looked();
  t.strictSame([thrower.looks(), reader.looks()], [thrown, gone], 'they look no more');
  for (const { observation } of [thrower, reader, other]) observation.stop();
  t.equal(calls, 1);
  const last = other.looks();
  const witness = observed(fileOf(pcapOf(packets(10))), () => undefined);
  for (let i = 0; i < 5; i++) await witness.looked();
  t.equal(other.looks(), last, 'nor does one that was stopped');
  witness.observation.stop();
});

t.end();
