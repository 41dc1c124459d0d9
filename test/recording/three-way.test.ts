import fc from 'fast-check';
import t from 'tap';
import type { ThreeWayEvidence } from '../../src/call/talk.js';
import { PartyEar } from '../../src/recording/three-way/party-ear.js';
import { Evidence, episodeScore } from '../../src/recording/three-way/score.js';
import { type Noticed, type Sign, weights } from '../../src/recording/three-way/signs.js';
import {
  busy,
  dialTone,
  join,
  keys,
  Line,
  music,
  noise,
  onLine,
  type Random,
  randomOf,
  ringback,
  speech,
  tones,
  zeros,
} from './three-way-sounds.js';

/** More of them where asked for: the sounds take long to make. */
const runs = (few: number): number => few * Number(process.env.SALLYPORT_MORE_RUNS ?? 1);

/** What is noticed on these lines. */
const hear = (...lines: readonly Line[]): ThreeWayEvidence => {
  const evidence = new Evidence();
  const packets = lines.flatMap((line) => line.packets).sort((one, other) => one.at - other.at);
  const ears = new Map<number, PartyEar>();
  for (const { at, toPort, sequence, timestamp, ssrc, payloadType, payload } of packets) {
    const party = toPort === 30_000 ? 'caller' : 'called';
    const ear =
      ears.get(toPort) ?? new PartyEar((sign, atMs) => evidence.add({ sign, party, atMs: Math.round(atMs) }));
    ears.set(toPort, ear);
    ear.take(at, {
      payloadType: payloadType ?? 0,
      sequence: sequence & 0xffff,
      timestamp: timestamp >>> 0,
      ssrc: ssrc ?? 1,
      payload: payload ?? Buffer.alloc(0),
    });
  }
  return evidence.evidence;
};

const signsOf = ({ signs }: ThreeWayEvidence): string[] => signs.map(({ sign }) => sign);

/** A line on which somebody has talked for a while. */
const talking = (random: Random, party: 'caller' | 'called' = 'called', ms = 6000): Line =>
  new Line(party).say(onLine(speech(ms, random), random));

t.test('each tone of an exchange, in either codec, beside the line noise', async (t) => {
  for (const payloadType of [0, 8] as const) {
    for (const level of [400, 3000, 12_000]) {
      const heard = (sound: Float64Array): string[] => {
        const random = randomOf(level);
        const line = new Line('called');
        line.payloadType = payloadType;
        line.say(onLine(join(noise(500, random, 20), sound, noise(500, random, 20)), random, 15));
        return signsOf(hear(line));
      };
      const name = `type ${payloadType}, level ${level}`;
      t.strictSame(heard(tones(1000, [350, 440], level)), ['dial-tone'], name);
      t.strictSame(heard(tones(700, [350, 440], level)), [], 'too short');
      t.strictSame(heard(tones(2000, [440, 480], level)), ['ringback'], name);
      t.strictSame(heard(tones(600, [440, 480], level)), [], 'too short');
      const beat = join(tones(500, [480, 620], level), zeros(500));
      t.strictSame(heard(join(beat, beat)), ['busy-tone'], name);
      t.strictSame(heard(beat), [], 'one burst is no busy tone');
      t.strictSame(heard(tones(2000, [440], level)), [], 'a single tone');
      t.strictSame(heard(tones(2000, [350, 440, 480, 620], level)), [], 'all of them at once');
      t.strictSame(heard(keys(7, randomOf(1))), ['dtmf-burst'], 'keys');
    }
  }
});

t.test('five keys in a row are somebody dialling, fewer are a menu', async (t) => {
  const random = randomOf(2);
  const dialled = (count: number, onMs: number, offMs: number): string[] =>
    signsOf(hear(talking(random).say(onLine(keys(count, random, onMs, offMs), random))));
  t.strictSame(dialled(4, 100, 100), []);
  t.strictSame(dialled(5, 100, 100), ['dtmf-burst']);
  t.strictSame(dialled(11, 60, 60), ['dtmf-burst'], 'a redial key');
  t.strictSame(dialled(6, 200, 2200), [], 'six, but over 14 s');
  t.strictSame(dialled(1, 3000, 100), [], 'one long key is one');

  const events = (count: number): Line => {
    const line = talking(random);
    for (let i = 0; i < count; i++) line.event(5).say(noise(60, random));
    return line;
  };
  t.strictSame(signsOf(hear(events(4))), []);
  t.strictSame(signsOf(hear(events(5))), ['dtmf-burst'], 'the same key again is another');
  const both = talking(random);
  for (let i = 0; i < 4; i++) {
    both
      .say(onLine(keys(1, random, 60, 0), random))
      .event(5, 60)
      .say(noise(200, random));
  }
  t.strictSame(signsOf(hear(both)), [], 'as sound and as event, a key is one');
  t.notMatch(JSON.stringify(hear(events(9))), /"[0-9#*]"|digit|key/, 'nobody learns which ones');
});

t.test('a hook flash is noticed once', async (t) => {
  const random = randomOf(3);
  const evidence = hear(talking(random).event(16).say(noise(3000, random)));
  t.strictSame(signsOf(evidence), ['hook-flash']);
  t.equal(evidence.signs[0]?.party, 'called');
  t.ok((evidence.signs[0]?.atMs ?? 0) >= 5900);
  t.strictSame(signsOf(hear(talking(random).event(17))), [], 'another event is none');
});

t.test('a silence deeper than the pauses of the line', async (t) => {
  const random = randomOf(4);
  const around = (gap: Line | Float64Array, level = 2500, lineRms = 40): string[] => {
    const line = new Line('called').say(onLine(speech(8000, random), random, lineRms));
    if (gap instanceof Float64Array) line.say(gap);
    return signsOf(hear(line.say(onLine(speech(8000, random, level), random, lineRms))));
  };
  t.strictSame(around(zeros(880)), ['silence-gap']);
  t.strictSame(around(join(zeros(400), noise(40, random, 900), zeros(500))), ['silence-gap'], 'with a click');
  t.strictSame(around(noise(2000, random, 4)), ['silence-gap']);
  t.strictSame(around(zeros(300)), [], 'short');
  t.strictSame(around(noise(2000, random, 40)), [], 'a pause');
  t.strictSame(around(noise(2000, random, 40), 600), [], 'nor is speaking lower after a pause one');
  t.strictSame(around(zeros(9000)), ['long-silence']);
  t.strictSame(around(zeros(1000), 16_000), ['silence-gap', 'level-change']);
  t.strictSame(around(zeros(1000), 2500, 0), [], 'a phone that sends zeros in every pause');
  const muted = talking(random);
  for (let i = 0; i < 8; i++) muted.say(zeros(1000)).say(onLine(speech(3000, random), random));
  t.equal(signsOf(hear(muted)).filter((sign) => sign === 'silence-gap').length, 3, 'a habit');
});

t.test('a stream that becomes another one, or stops', async (t) => {
  const random = randomOf(5);
  const after = (change: (line: Line) => void): string[] => {
    const line = talking(random);
    change(line);
    return signsOf(hear(line.say(onLine(speech(3000, random), random))));
  };
  t.strictSame(
    after((line) => {
      line.ssrc = 9;
    }),
    ['ssrc-change'],
  );
  t.strictSame(
    after((line) => {
      line.payloadType = 8;
    }),
    ['payload-change'],
  );
  t.strictSame(
    after((line) => line.pause(1500)),
    ['packet-gap'],
  );
  t.strictSame(
    after((line) => line.lose(1500)),
    [],
    'lost by the network',
  );
  t.strictSame(
    after((line) => line.pause(200)),
    [],
  );
  const habit = talking(random);
  for (let i = 0; i < 10; i++) habit.pause(2000).say(onLine(speech(1000, random), random));
  t.equal(signsOf(hear(habit)).length, 3, 'a phone that pauses in every silence');
  // Disorder and duplicates are the network's, and say nothing.
  const line = talking(random);
  line.packets.forEach((packet, i) => {
    const next = line.packets[i + 1];
    if (i % 7 === 0 && next !== undefined) line.packets.splice(i, 2, next, packet);
    if (i % 11 === 0) line.packets.splice(i, 0, packet);
  });
  t.strictSame(signsOf(hear(line)), []);
});

/** Tells a three-way call, with more or less of its signs. */
const threeWay = (random: Random, line: Line): Line => {
  const [flash, tone, dialled] = [random() < 0.5, random() < 0.5, random() < 0.7];
  line.say(onLine(speech(5000 + random() * 4000, random), random));
  if (flash) line.event(16);
  line.say(zeros(600 + random() * 3000));
  if (tone || !dialled) line.say(onLine(dialTone(1000 + random() * 1500), random));
  if (dialled && random() < 0.5) {
    line.say(
      onLine(keys(7 + Math.floor(random() * 5), random, 60 + random() * 80, 60 + random() * 80), random),
    );
  } else if (dialled) {
    for (let i = 0; i < 10; i++) line.event(i, 80).say(noise(60, random));
  }
  line.say(onLine(join(zeros(1500), ringback(1 + Math.floor(random() * 3))), random));
  if (random() < 0.5) line.ssrc = 77;
  return line.say(onLine(speech(4000, random, 800 + random() * 3000), random));
};

t.test('a three-way call, told in its order, scores over 70', async (t) => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const random = randomOf(seed);
      const evidence = hear(threeWay(random, new Line('called')), talking(random, 'caller', 20_000));
      if (evidence.score <= 70) throw new Error(JSON.stringify(evidence));
      // Whoever talks may pause for as long as a transfer takes: a weak sign, and the only one of the other party.
      const own = evidence.signs.every(({ party, sign }) => party === 'called' || sign === 'silence-gap');
      return evidence.score <= 100 && own;
    }),
    { numRuns: runs(8) },
  );
  const random = randomOf(6);
  const refused = talking(random)
    .say(zeros(900))
    .say(onLine(keys(10, random), random));
  t.ok(hear(refused.say(onLine(busy(4), random))).score > 70, 'and one that was busy');
});

/** What happens on any call. */
const ordinary: readonly ((random: Random, line: Line) => unknown)[] = [
  (random, line) => line.say(onLine(speech(3000 + random() * 9000, random, 500 + random() * 5000), random)),
  (random, line) => line.say(noise(500 + random() * 6000, random)),
  (random, line) => line.say(onLine(music(2000 + random() * 8000, random), random)),
  // Mute.
  (random, line) => line.say(zeros(300 + random() * 8000)),
  // Hold: the stream stops, and another one may come back.
  (random, line) => {
    line.pause(500 + Math.round(random() * 500) * 20);
    if (random() < 0.5) line.ssrc++;
    if (random() < 0.2) line.payloadType = line.payloadType === 0 ? 8 : 0;
  },
  // A cough, a door.
  (random, line) => line.say(noise(100 + random() * 400, random, 8000)),
  // The beep of a voicemail, of a cash register, and of a call that waits.
  (random, line) =>
    line.say(onLine(tones(200 + random() * 1500, [random() < 0.5 ? 440 : 1000 + random() * 900]), random)),
  (random, line) => line.lose(Math.round(random() * 100) * 20),
  // Two keys for a menu, and listening to what it says.
  (random, line) => line.say(onLine(join(keys(2, random), speech(4000, random)), random)),
];

t.test('what happens on any call stays below 50', async (t) => {
  let highest = 0;
  fc.assert(
    fc.property(
      fc.nat(),
      fc.array(fc.nat(ordinary.length - 1), { minLength: 1, maxLength: 8 }),
      (seed, events) => {
        const random = randomOf(seed);
        const line = talking(random);
        for (const event of events) {
          ordinary[event]?.(random, line);
          line.say(onLine(speech(1500, random), random));
        }
        const caller = talking(random, 'caller', 12_000);
        // The caller dials its way through the called party's menu.
        if (random() < 0.3) caller.say(onLine(keys(10, random), random));
        const evidence = hear(line, caller);
        highest = Math.max(highest, evidence.score);
        if (evidence.score >= 50) throw new Error(JSON.stringify(evidence));
      },
    ),
    { numRuns: runs(20) },
  );
  t.comment(`highest score ${highest}`);
  t.ok(highest < 50);
  const swap = talking(randomOf(7));
  for (let i = 0; i < 3; i++) {
    swap
      .event(16)
      .say(zeros(4500))
      .say(onLine(speech(5000, randomOf(i)), randomOf(8)));
  }
  t.ok(hear(swap).score < 50, 'call waiting, swapped by flashes');
});

t.test('the score', async (t) => {
  const told = (...signs: readonly Sign[]): Noticed[] =>
    signs.map((sign, i) => ({ sign, party: 'called', atMs: i * 4000 }));
  const story = told('hook-flash', 'dial-tone', 'dtmf-burst', 'ringback', 'ssrc-change');
  t.equal(episodeScore(story), 100);
  t.ok(episodeScore(told('silence-gap', 'dtmf-burst', 'ringback')) > 70);
  t.ok(episodeScore(told('ringback', 'dtmf-burst', 'silence-gap')) < 60, 'the order counts');
  const apart = story.map(({ sign }, i) => ({ sign, party: 'called' as const, atMs: i * 60_000 }));
  t.ok(episodeScore(apart) < 30, 'a minute apart, nothing belongs together');
  t.ok(
    episodeScore(story.map((one) => ({ ...one, party: 'caller' as const }))) < 50,
    'the same on the phone in the facility',
  );
  const signs = Object.keys(weights) as Sign[];
  const away = signs.filter((sign) => weights[sign].part === 'away');
  t.ok(episodeScore(told(...away)) < 50, 'all that a hold can cause');

  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(...signs), fc.constantFrom('caller', 'called'), fc.nat(600_000)), {
        maxLength: 200,
      }),
      (all) => {
        const evidence = new Evidence();
        let before = 0;
        for (const [sign, party, atMs] of all) {
          evidence.add({ sign, party: party as 'caller' | 'called', atMs });
          const { score, signs: kept } = evidence.evidence;
          if (score < before || score > 100 || kept.length > 64) return false;
          if (kept.some((one, i) => one.atMs < (kept[i - 1]?.atMs ?? 0))) return false;
          before = score;
        }
        return true;
      },
    ),
    { numRuns: 100 },
  );
});

t.end();
