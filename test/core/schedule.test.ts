import t from 'tap';
import type { WallMs } from '../../src/core/leg.js';
import { type Day, days, type Hours, scheduleAt, schedulesAt } from '../../src/core/schedule.js';

const at = (iso: string): WallMs => Date.parse(iso) as WallMs;
const hours = (from: string, to: string, ...on: readonly Day[]): readonly Hours[] => [
  on.length === 0 ? { from, to } : { from, to, days: on },
];
const always = hours('00:00', '24:00');
const newYork = 'America/New_York';
const madrid = 'Europe/Madrid';

t.test('schedules follow the facility’s own clock', async (t) => {
  const table: readonly [string, readonly Hours[], string, string, 'open' | 'closed'][] = [
    ['before', hours('08:00', '22:00'), newYork, '2026-01-15T12:59:59Z', 'closed'],
    ['from is in', hours('08:00', '22:00'), newYork, '2026-01-15T13:00:00Z', 'open'],
    ['the last minute', hours('08:00', '22:00'), newYork, '2026-01-16T02:59:59Z', 'open'],
    ['to is out', hours('08:00', '22:00'), newYork, '2026-01-16T03:00:00Z', 'closed'],
    ['summer time', hours('08:00', '22:00'), newYork, '2026-07-15T12:00:00Z', 'open'],
    ['over midnight, before', hours('22:00', '06:00'), 'UTC', '2026-01-15T21:59:59Z', 'closed'],
    ['over midnight, late', hours('22:00', '06:00'), 'UTC', '2026-01-15T23:00:00Z', 'open'],
    ['over midnight, early', hours('22:00', '06:00'), 'UTC', '2026-01-15T05:59:59Z', 'open'],
    ['over midnight, after', hours('22:00', '06:00'), 'UTC', '2026-01-15T06:00:00Z', 'closed'],
    ['the whole day', always, 'UTC', '2026-01-15T23:59:59Z', 'open'],
    ['midnight', always, 'UTC', '2026-01-15T00:00:00Z', 'open'],
    ['an empty interval', hours('08:00', '08:00'), 'UTC', '2026-01-15T08:00:00Z', 'closed'],
    [
      'the second of two',
      [...hours('08:00', '09:00'), ...hours('10:00', '11:00')],
      'UTC',
      '2026-01-15T10:30:00Z',
      'open',
    ],
    [
      'between the two',
      [...hours('08:00', '09:00'), ...hours('10:00', '11:00')],
      'UTC',
      '2026-01-15T09:30:00Z',
      'closed',
    ],
    ['a quarter-hour zone', hours('12:45', '12:46'), 'Asia/Kathmandu', '2026-01-15T07:00:00Z', 'open'],
    ['no hours, no calls', [], 'UTC', '2026-01-15T12:00:00Z', 'closed'],
  ];
  for (const [name, some, zone, when, wanted] of table)
    t.equal(scheduleAt(some, zone, at(when)), wanted, name);
});

t.test('days, by the day the hours begin', async (t) => {
  // 15 January 2026 is a Thursday; at 03:00 UTC of that day it is still Wednesday evening in New York.
  const table: readonly [string, readonly Hours[], string, string, 'open' | 'closed'][] = [
    ['its day', hours('08:00', '22:00', 'thu'), 'UTC', '2026-01-15T12:00:00Z', 'open'],
    ['another day', hours('08:00', '22:00', 'wed', 'fri'), 'UTC', '2026-01-15T12:00:00Z', 'closed'],
    ['the day of the zone', hours('08:00', '23:00', 'wed'), newYork, '2026-01-15T03:00:00Z', 'open'],
    ['not that of UTC', hours('08:00', '23:00', 'thu'), newYork, '2026-01-15T03:00:00Z', 'closed'],
    ['a night begins', hours('22:00', '06:00', 'thu'), 'UTC', '2026-01-15T23:00:00Z', 'open'],
    ['and goes on next day', hours('22:00', '06:00', 'thu'), 'UTC', '2026-01-16T05:59:00Z', 'open'],
    [
      'the morning of its day is another night',
      hours('22:00', '06:00', 'thu'),
      'UTC',
      '2026-01-15T05:00:00Z',
      'closed',
    ],
    ['the night after', hours('22:00', '06:00', 'thu'), 'UTC', '2026-01-16T22:00:00Z', 'closed'],
    ['Sunday night into Monday', hours('22:00', '06:00', 'sun'), 'UTC', '2026-01-19T05:00:00Z', 'open'],
    [
      'Monday morning is no Monday night',
      hours('22:00', '06:00', 'mon'),
      'UTC',
      '2026-01-19T05:00:00Z',
      'closed',
    ],
  ];
  for (const [name, some, zone, when, wanted] of table)
    t.equal(scheduleAt(some, zone, at(when)), wanted, name);
  t.equal(
    scheduleAt([{ from: '00:00', to: '24:00', days: [] }], 'UTC', at('2026-01-15T12:00:00Z')),
    'closed',
  );
  for (let n = 0; n < 7; n++) {
    // 12 January 2026 is a Monday.
    const noon = (at('2026-01-12T12:00:00Z') + n * 86_400_000) as WallMs;
    for (const day of days)
      t.equal(
        scheduleAt(hours('00:00', '24:00', day), 'UTC', noon) === 'open',
        day === days[n],
        `${n} ${day}`,
      );
  }
});

t.test('both nights of the change of time', async (t) => {
  // The clock goes from 02:00 to 03:00 in New York on 8 March 2026 at 07:00 UTC, in Madrid on 29 March at 01:00 UTC;
  // back from 02:00 to 01:00 on 1 November at 06:00 UTC, and from 03:00 to 02:00 on 25 October at 01:00 UTC.
  const table: readonly [string, readonly Hours[], string, string, 'open' | 'closed'][] = [
    ['before the gap', hours('02:00', '03:00'), newYork, '2026-03-08T06:59:59Z', 'closed'],
    ['the skipped hour never comes', hours('02:00', '03:00'), newYork, '2026-03-08T07:00:00Z', 'closed'],
    ['what ends in the gap ends at it', hours('01:00', '02:30'), newYork, '2026-03-08T06:59:59Z', 'open'],
    ['and not later', hours('01:00', '02:30'), newYork, '2026-03-08T07:00:00Z', 'closed'],
    [
      'what begins in the gap begins after it',
      hours('02:30', '05:00'),
      newYork,
      '2026-03-08T07:00:00Z',
      'open',
    ],
    ['a night over the gap', hours('22:00', '06:00', 'sat'), newYork, '2026-03-08T07:30:00Z', 'open'],
    ['ends by the new time', hours('22:00', '06:00', 'sat'), newYork, '2026-03-08T10:00:00Z', 'closed'],
    ['one minute before', hours('22:00', '06:00', 'sat'), newYork, '2026-03-08T09:59:00Z', 'open'],
    ['the repeated hour', hours('01:00', '02:00'), newYork, '2026-11-01T05:30:00Z', 'open'],
    ['comes twice', hours('01:00', '02:00'), newYork, '2026-11-01T06:30:00Z', 'open'],
    ['and is over', hours('01:00', '02:00'), newYork, '2026-11-01T07:00:00Z', 'closed'],
    [
      'a night that is an hour longer',
      hours('22:00', '06:00', 'sat'),
      newYork,
      '2026-11-01T10:59:59Z',
      'open',
    ],
    ['ends by the old time', hours('22:00', '06:00', 'sat'), newYork, '2026-11-01T11:00:00Z', 'closed'],
    ['Madrid: before the gap', hours('02:00', '03:00'), madrid, '2026-03-29T00:59:59Z', 'closed'],
    ['Madrid: the skipped hour', hours('02:00', '03:00'), madrid, '2026-03-29T01:00:00Z', 'closed'],
    ['Madrid: after the gap', hours('03:00', '04:00', 'sun'), madrid, '2026-03-29T01:00:00Z', 'open'],
    ['Madrid: the repeated hour', hours('02:00', '03:00', 'sun'), madrid, '2026-10-25T00:30:00Z', 'open'],
    ['Madrid: comes twice', hours('02:00', '03:00', 'sun'), madrid, '2026-10-25T01:30:00Z', 'open'],
    ['Madrid: and is over', hours('02:00', '03:00', 'sun'), madrid, '2026-10-25T02:00:00Z', 'closed'],
  ];
  for (const [name, some, zone, when, wanted] of table)
    t.equal(scheduleAt(some, zone, at(when)), wanted, name);
});

t.test('what cannot be read is unknown', async (t) => {
  const noon = at('2026-01-15T12:00:00Z');
  for (const zone of ['Mars/Olympus', '', 'America/New York'])
    t.equal(scheduleAt(always, zone, noon), 'unknown', zone);
  for (const now of [Number.NaN, Number.POSITIVE_INFINITY, 8.64e15 + 1, -8.64e15 - 1])
    t.equal(scheduleAt(always, 'UTC', now as WallMs), 'unknown', String(now));
  // As far as dates go there is an answer, and it is the clock's.
  for (const now of [8.64e15, -8.64e15, 0, at('0001-01-01T12:00:00Z'), at('9999-12-31T23:59:59Z')])
    for (const zone of ['UTC', newYork])
      t.equal(scheduleAt(always, zone, now as WallMs), 'open', `${now} ${zone}`);
  for (const [from, to] of [
    ['8:00', '22:00'],
    ['08:00', '24:01'],
    ['aa:bb', '22:00'],
    ['', ''],
    ['08:00', '25:00'],
    ['08:60', '09:00'],
  ] as const)
    t.equal(scheduleAt([...always, ...hours(from, to)], 'UTC', noon), 'unknown', `${from}-${to}`);
  t.equal(scheduleAt(hours('00:00', '24:00', 'monday' as Day), 'UTC', noon), 'unknown');
});

t.test('facility, unit and phone together: every one that exists', async (t) => {
  const noon = at('2026-01-15T12:00:00Z');
  const open = always;
  const closed: readonly Hours[] = [];
  const unknown = hours('?', '?');
  const table: readonly [readonly Hours[], readonly Hours[] | null, readonly Hours[] | null, string][] = [
    [open, null, null, 'open'],
    [open, open, null, 'open'],
    [open, null, open, 'open'],
    [open, open, open, 'open'],
    [closed, null, null, 'closed'],
    [closed, open, open, 'closed'],
    [open, closed, open, 'closed'],
    [open, open, closed, 'closed'],
    [unknown, null, null, 'unknown'],
    [open, unknown, null, 'unknown'],
    [open, open, unknown, 'unknown'],
    [closed, unknown, null, 'closed'],
    [unknown, open, closed, 'closed'],
  ];
  for (const [facility, unit, phone, wanted] of table)
    t.equal(schedulesAt({ facility, unit, phone }, 'UTC', noon), wanted);
  t.equal(schedulesAt({ facility: open, unit: null, phone: null }, 'Mars/Olympus', noon), 'unknown');
});
