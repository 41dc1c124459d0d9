import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type ControlOutcome, type FollowedEvent, maskedNumber } from '../../src/api/control.js';
import type { ControlLimits } from '../../src/api/control-connection.js';
import { FollowedCalls } from '../../src/api/control-follow.js';
import { parseRequest } from '../../src/api/control-request.js';
import { type ControlServer, startControl } from '../../src/api/control-server.js';
import { ControlError } from '../../src/api/control-socket.js';
import type { CallId } from '../../src/core/leg.js';
import { FakeControl, ids, phaseEvent, socketPath, standingOrders, until } from './fake-control.js';

type Line = Readonly<Record<string, unknown>> & {
  readonly error?: { readonly code: string; readonly message: string };
};

/** A client that knows nothing: it writes what it is given and keeps the lines that come back. */
class Wire {
  readonly socket: Socket;
  readonly lines: Line[] = [];
  closed = false;
  #rest = '';

  constructor(path: string) {
    this.socket = connect(path);
    this.socket.setEncoding('utf8');
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.closed = true;
    });
    this.socket.on('data', (chunk: string) => {
      const parts = (this.#rest + chunk).split('\n');
      this.#rest = parts.pop() ?? '';
      this.lines.push(...parts.map((part) => JSON.parse(part) as Line));
    });
  }

  say(...requests: readonly unknown[]): void {
    this.socket.write(requests.map((one) => `${JSON.stringify(one)}\n`).join(''));
  }

  /** The first `count` lines. */
  async heard(count: number): Promise<readonly Line[]> {
    await until(`${count} lines came`, () => this.lines.length >= count);
    return this.lines.slice(0, count);
  }

  async ended(): Promise<readonly Line[]> {
    await until('the connection is closed', () => this.closed);
    return this.lines;
  }
}

interface Site {
  readonly path: string;
  readonly control: FakeControl;
  readonly server: ControlServer;
  readonly faults: string[];
  readonly dial: () => Wire;
}

const site = async (t: Test, limits: Partial<ControlLimits> = {}): Promise<Site> => {
  const path = socketPath();
  const control = new FakeControl();
  const faults: string[] = [];
  const server = await startControl({
    path,
    control,
    onFault: (command) => faults.push(command),
    limits: { lingerMs: 300, ...limits },
  });
  const wires: Wire[] = [];
  t.teardown(async () => {
    for (const wire of wires) wire.socket.destroy();
    await server.close();
    rmSync(dirname(dirname(path)), { recursive: true });
  });
  return {
    path,
    control,
    server,
    faults,
    dial: () => {
      const wire = new Wire(path);
      wires.push(wire);
      return wire;
    },
  };
};

const signed = { by: 'alice', why: 'fight in the yard' };

t.test('every command reaches the controller as it was given, and its outcome comes back', async (t) => {
  const { control, dial } = await site(t);
  const wire = dial();
  wire.say(
    { id: 1, command: 'calls' },
    { id: 'two', command: 'orders' },
    { id: 3, command: 'end', call: ids.monitored, ...signed },
    { id: 4, command: 'end', call: 'cpriva', block: true, ...signed },
    { id: 5, command: 'listen', call: 'cmonit', to: 'sip:desk1@10.0.0.5:5060;transport=udp', ...signed },
    { id: 6, command: 'lockdown', state: 'on', place: { level: 'global' }, ...signed },
    {
      id: 7,
      command: 'lockdown',
      state: 'off',
      place: { level: 'facility', facility: 'county-jail' },
      ...signed,
    },
    {
      id: 8,
      command: 'lockdown',
      state: 'on',
      place: { level: 'unit', facility: 'f', unit: '7B' },
      ...signed,
    },
    {
      id: 9,
      command: 'lockdown',
      state: 'on',
      place: { level: 'phone', facility: 'f', phone: 'W.1' },
      ...signed,
    },
    { id: 10, command: 'suspend', caller: '4711', state: 'on', ...signed },
    { id: 11, command: 'review', number: '+1 (212) 555-0142', verdict: 'clear', ...signed },
    { id: 12, command: 'callers', change: 'publish', facility: 'f', callers: 3, by: signed.by },
    { id: 13, command: 'callers', change: 'set-pin', facility: 'f', caller: '4711', ...signed },
  );
  // Replies come as orders are done, each under its id.
  const heard = [...(await wire.heard(13))].sort((a, b) => (Number(a.id) || 2) - (Number(b.id) || 2));
  t.same(heard[0], { id: 1, ok: true, result: { calls: control.view } });
  t.same(heard[1], { id: 'two', ok: true, result: { orders: standingOrders } });
  t.same(heard[2], { id: 3, ok: true, result: { note: null, call: ids.monitored } });
  t.same(
    heard[3],
    { id: 4, ok: true, result: { note: null, call: ids.private } },
    'a private call may be ended',
  );
  t.same(
    heard.slice(4).map((line) => [line.id, line.ok]),
    [5, 6, 7, 8, 9, 10, 11, 12, 13].map((id) => [id, true]),
  );
  const { by, why } = signed;
  t.same(control.told, [
    ['end', ids.monitored, by, why, false],
    ['end', ids.private, by, why, true],
    ['listen', ids.monitored, 'sip:desk1@10.0.0.5:5060;transport=udp', by, why],
    ['lockdown', { level: 'global' }, 'on', by, why],
    ['lockdown', { level: 'facility', facility: 'county-jail' }, 'off', by, why],
    ['lockdown', { level: 'unit', facility: 'f', unit: '7B' }, 'on', by, why],
    ['lockdown', { level: 'phone', facility: 'f', phone: 'W.1' }, 'on', by, why],
    ['suspend', '4711', 'on', by, why],
    ['review', '+1 (212) 555-0142', 'clear', by, why],
    ['callers', { change: 'publish', facility: 'f', caller: null, callers: 3 }, by, null],
    ['callers', { change: 'set-pin', facility: 'f', caller: '4711', callers: null }, by, why],
  ]);
});

t.test('what the controller refuses or breaks on comes back as a code, never as done', async (t) => {
  const { control, dial, faults } = await site(t, { answerMs: 100 });
  const wire = dial();
  const end = (id: number) => ({ id, command: 'end', call: ids.monitored, ...signed });
  control.answer = async () => ({
    ok: false,
    code: 'facility-unknown',
    message: 'there is no such facility',
  });
  wire.say(end(1));
  await wire.heard(1);
  control.answer = async () => {
    throw new Error('number 12125550142 broke it');
  };
  wire.say(end(2));
  await wire.heard(2);
  control.answer = () => {
    throw new Error('not even a promise');
  };
  wire.say(end(3));
  await wire.heard(3);
  control.answer = () => new Promise(() => undefined);
  wire.say(end(4));
  await wire.heard(4);
  // An implementation that forgets its answer has not said that it is done.
  control.answer = async () => ({}) as ControlOutcome;
  wire.say(end(5));
  await wire.heard(5);
  control.calls = () => {
    throw new Error('no calls');
  };
  wire.say({ id: 6, command: 'calls' }, { id: 7, command: 'follow' });
  const heard = await wire.heard(7);
  t.same(
    heard.map((line) => [line.id, line.ok, line.error?.code]),
    [
      [1, false, 'facility-unknown'],
      [2, false, 'control-failed'],
      [3, false, 'control-failed'],
      [4, false, 'outcome-unknown'],
      [5, false, undefined],
      [6, false, 'control-failed'],
      [7, false, 'control-failed'],
    ],
  );
  t.notMatch(JSON.stringify(heard), /12125550142/, 'what was thrown is not repeated');
  t.same(faults, ['end', 'end', 'calls', 'follow']);
});

t.test(
  'only a monitored call can be listened to, and only a call that is surely meant is touched',
  async (t) => {
    const { control, dial } = await site(t);
    control.view.push({
      ...control.view[0],
      callId: 'cnewverd22222222222222222aa',
      verdict: 'semi',
    } as never);
    const wire = dial();
    const listen = (id: number, call: string) => ({
      id,
      command: 'listen',
      call,
      to: 'sip:d@desk',
      ...signed,
    });
    wire.say(
      listen(1, ids.private),
      listen(2, 'cprivat'),
      listen(3, ids.undecided),
      listen(4, 'cnewverd'),
      listen(5, 'ctwinabc'),
      { id: 6, command: 'end', call: 'ctwinabc', ...signed },
      { id: 7, command: 'end', call: 'cnobody', ...signed },
      { id: 8, command: 'end', call: 'cmoni', ...signed },
      { id: 9, command: 'end', call: `${ids.monitored}a`, ...signed },
    );
    t.same(
      (await wire.heard(9)).map((line) => [line.id, line.error?.code]),
      [
        // Those that are turned down before anything is asked for come back first.
        [8, 'call-invalid'],
        [9, 'call-invalid'],
        [1, 'call-private'],
        [2, 'call-private'],
        [3, 'call-undecided'],
        [4, 'call-not-monitored'],
        [5, 'call-ambiguous'],
        [6, 'call-ambiguous'],
        [7, 'call-not-found'],
      ],
    );
    t.match(wire.lines[2]?.error?.message, /no role can listen to a private call/);
    t.match(wire.lines[2]?.error?.message, /does not exist/);
    t.same(control.told, [], 'the controller was told of none of them');
  },
);

t.test('requests are read strictly', async (t) => {
  const codeOf = (request: unknown): string => {
    const parsed = parseRequest(Buffer.from(typeof request === 'string' ? request : JSON.stringify(request)));
    return parsed.ok ? 'ok' : parsed.fault.code;
  };
  const end = { id: 1, command: 'end', call: ids.monitored, ...signed };
  const listen = { id: 1, command: 'listen', call: ids.monitored, to: 'sip:d@desk', ...signed };
  const lock = { id: 1, command: 'lockdown', state: 'on', place: { level: 'global' }, ...signed };
  const suspend = { id: 1, command: 'suspend', caller: '4711', state: 'on', ...signed };
  const review = { id: 1, command: 'review', number: '2125550142', verdict: 'clear', ...signed };
  const callers = { id: 1, command: 'callers', change: 'unlock', facility: 'f', caller: '4711', by: 'ann' };
  for (const sound of [end, listen, lock, suspend, review]) t.equal(codeOf(sound), 'ok', sound.command);
  const without = (request: object, field: string): object =>
    Object.fromEntries(Object.entries(request).filter(([name]) => name !== field));
  const cases: readonly (readonly [unknown, string])[] = [
    ['', 'line-invalid'],
    ['{"id":1,', 'line-invalid'],
    ['[]', 'line-invalid'],
    ['null', 'line-invalid'],
    ['"calls"', 'line-invalid'],
    ['{"id":1,"command":"calls"}{"id":2}', 'line-invalid'],
    [{ command: 'calls' }, 'id-invalid'],
    [{ id: null, command: 'calls' }, 'id-invalid'],
    [{ id: 1.5, command: 'calls' }, 'id-invalid'],
    [{ id: '', command: 'calls' }, 'id-invalid'],
    [{ id: 'x'.repeat(65), command: 'calls' }, 'id-invalid'],
    [{ id: 1 }, 'command-unknown'],
    [{ id: 1, command: 'record' }, 'command-unknown'],
    [{ id: 1, command: 'toString' }, 'command-unknown'],
    [{ id: 1, command: ['end'] }, 'command-unknown'],
    [{ id: 1, command: 'calls', past: true }, 'field-unknown'],
    [{ id: 1, command: 'follow', call: ids.monitored }, 'field-unknown'],
    [{ ...end, Block: true }, 'field-unknown'],
    [`${JSON.stringify(end).slice(0, -1)},"__proto__":{"block":true}}`, 'field-unknown'],
    [{ ...end, block: 'true' }, 'block-invalid'],
    [{ ...end, block: null }, 'block-invalid'],
    [{ ...listen, block: true }, 'field-unknown'],
    ...['by', 'why'].flatMap((field) =>
      [end, listen, lock, suspend, review].flatMap((request): [unknown, string][] => [
        [without(request, field), `${field}-invalid`],
        [{ ...request, [field]: '' }, `${field}-invalid`],
        [{ ...request, [field]: '   ' }, `${field}-invalid`],
        [{ ...request, [field]: 7 }, `${field}-invalid`],
      ]),
    ),
    [{ ...end, why: 'x'.repeat(200) }, 'ok'],
    [{ ...end, why: '😀'.repeat(200) }, 'ok'],
    [{ ...end, why: 'x'.repeat(201) }, 'why-invalid'],
    [{ ...end, by: 'x'.repeat(65) }, 'by-invalid'],
    [{ ...end, why: 'two\nlines' }, 'why-invalid'],
    [{ ...end, why: 'a\u001b[2J' }, 'why-invalid'],
    [{ ...end, why: 'a\u202eb' }, 'why-invalid'],
    [{ ...end, why: 'a\u2028b' }, 'why-invalid'],
    [`${JSON.stringify(end).slice(0, -1)},"why":"\\ud800"}`, 'why-invalid'],
    [without(end, 'call'), 'call-invalid'],
    [{ ...end, call: '' }, 'call-invalid'],
    [{ ...end, call: 'c2345' }, 'call-invalid'],
    [{ ...end, call: 'c23456' }, 'ok'],
    [{ ...end, call: 'd23456' }, 'call-invalid'],
    [{ ...end, call: 'C23456' }, 'call-invalid'],
    [{ ...end, call: 'c23456*' }, 'call-invalid'],
    [{ ...end, call: 'c23456\n' }, 'call-invalid'],
    ...[
      'desk',
      'tel:+12125550142',
      'sip:desk',
      'sip:@desk',
      'sip:d:secret@desk',
      'sip:d@desk?Subject=x',
      'sip:d@desk;maddr=10.1.1.1',
      'sip:d@desk\r\nVia: x',
      'sip:d@desk>;x',
      'sip:d@desk;transport=ws',
      `sip:d@${'x'.repeat(256)}`,
    ].map((to): [unknown, string] => [{ ...listen, to }, 'to-invalid']),
    [{ ...listen, to: 'sips:d@[2001:db8::1]:5061' }, 'ok'],
    [without(lock, 'place'), 'place-invalid'],
    [{ ...lock, place: 'global' }, 'place-invalid'],
    [{ ...lock, place: { level: 'global', facility: 'f' } }, 'place-invalid'],
    [{ ...lock, place: { level: 'facility' } }, 'place-invalid'],
    [{ ...lock, place: { level: 'facility', facility: 'F' } }, 'place-invalid'],
    [{ ...lock, place: { level: 'facility', facility: 'f', unit: '7B' } }, 'place-invalid'],
    [{ ...lock, place: { level: 'unit', facility: 'f' } }, 'place-invalid'],
    [{ ...lock, place: { level: 'unit', unit: '7B' } }, 'place-invalid'],
    [{ ...lock, place: { level: 'unit', facility: 'f', unit: '7 B' } }, 'place-invalid'],
    [{ ...lock, place: { level: 'unit', facility: 'f', unit: '7B', phone: 'W1' } }, 'place-invalid'],
    [{ ...lock, place: { level: 'phone', facility: 'f', phone: 'W1', wing: 1 } }, 'place-invalid'],
    [{ ...lock, place: { level: 'wing', facility: 'f' } }, 'place-invalid'],
    [{ ...lock, place: { facility: 'f' } }, 'place-invalid'],
    [without(lock, 'state'), 'state-invalid'],
    [{ ...lock, state: true }, 'state-invalid'],
    [{ ...suspend, state: 'ON' }, 'state-invalid'],
    [{ ...suspend, caller: '4711 4712' }, 'caller-invalid'],
    [{ ...suspend, caller: 4711 }, 'caller-invalid'],
    [without(review, 'verdict'), 'verdict-invalid'],
    [{ ...review, verdict: 'monitored' }, 'verdict-invalid'],
    [{ ...review, number: '' }, 'number-invalid'],
    [{ ...review, number: 2125550142 }, 'number-invalid'],
    [{ ...review, number: '1'.repeat(129) }, 'number-invalid'],
    [callers, 'ok'],
    [without(callers, 'by'), 'by-invalid'],
    [{ ...callers, by: '' }, 'by-invalid'],
    [{ ...callers, why: '' }, 'why-invalid'],
    [{ ...callers, why: 7 }, 'why-invalid'],
    [{ ...callers, pin: '4821' }, 'field-unknown'],
    [{ ...callers, change: 'show' }, 'change-invalid'],
    [without(callers, 'change'), 'change-invalid'],
    [{ ...callers, callers: '3' }, 'change-invalid'],
    [{ ...callers, callers: -1 }, 'change-invalid'],
    [without(callers, 'facility'), 'place-invalid'],
    [{ ...callers, facility: 'F' }, 'place-invalid'],
    [without(callers, 'caller'), 'caller-invalid'],
    [{ ...callers, caller: '47 11' }, 'caller-invalid'],
    [{ ...callers, change: 'publish' }, 'caller-invalid'],
  ];
  for (const [request, code] of cases)
    t.equal(
      codeOf(request),
      code,
      JSON.stringify(request)
        .replace(/[^ -~]/g, '?')
        .slice(0, 200),
    );
  const latin1 = Buffer.from(JSON.stringify({ ...end, why: 'José' }), 'latin1');
  const parsed = parseRequest(latin1);
  t.equal(parsed.ok ? 'ok' : parsed.fault.code, 'line-invalid', 'bytes that are no UTF-8');
});

t.test(
  'whatever a line is made of, it is read without an exception and never as another command',
  async () => {
    const words = fc.constantFrom(
      'id',
      'command',
      'end',
      'call',
      'by',
      'why',
      'place',
      'level',
      '__proto__',
      '1',
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 3 },
        fc.jsonValue({ maxDepth: 2 }),
        fc.dictionary(words, tie('any') as fc.Arbitrary<unknown>),
      ),
    })).any;
    fc.assert(
      fc.property(
        fc.oneof(
          value.map((one) => JSON.stringify(one)),
          fc.string(),
        ),
        (line) => {
          const parsed = parseRequest(Buffer.from(line));
          return !parsed.ok || ['calls', 'follow', 'orders', 'end'].includes(parsed.command.command);
        },
      ),
      { numRuns: 500 },
    );
  },
);

t.test('lines: malformed, oversized, cut off, in pieces, many at once', async (t) => {
  const { control, dial } = await site(t);
  const wire = dial();
  wire.socket.write('nonsense\n\n{"id":1,"command":"orders"}\r\n{"id":2,"comm');
  await wire.heard(3);
  wire.socket.write('and":"orders"}\n');
  const heard = await wire.heard(4);
  t.same(
    heard.map((line) => [line.id, line.ok, line.error?.code]),
    [
      [null, false, 'line-invalid'],
      [null, false, 'line-invalid'],
      [1, true, undefined],
      [2, true, undefined],
    ],
  );

  const padded = (bytes: number): string => {
    const bare = JSON.stringify({ id: 1, command: 'orders' });
    return bare + ' '.repeat(bytes - bare.length);
  };
  const fits = dial();
  fits.socket.write(`${padded(8192)}\n`);
  t.equal((await fits.heard(1))[0]?.ok, true, '8 KB fit');
  for (const [name, text] of [
    ['a line too long', `${padded(8193)}\n${JSON.stringify({ id: 2, command: 'orders' })}\n`],
    ['one without an end', 'x'.repeat(300_000)],
  ] as const) {
    const over = dial();
    over.socket.write(text);
    t.same(
      (await over.ended()).map((line) => [line.id, line.error?.code]),
      [[null, 'line-too-long']],
      name,
    );
  }

  const cut = dial();
  cut.socket.end(JSON.stringify({ id: 1, command: 'end', call: ids.monitored, ...signed }));
  t.same(
    (await cut.ended()).map((line) => line.error?.code),
    ['line-incomplete'],
  );
  t.same(control.told, [], 'a command that was cut off is not carried out');

  let done = (): void => undefined;
  control.answer = () =>
    new Promise((resolve) => {
      done = () => resolve({ ok: true, note: null });
    });
  const script = dial();
  script.socket.end(`${JSON.stringify({ id: 1, command: 'end', call: ids.monitored, ...signed })}\n`);
  await until('the order came', () => control.told.length === 1);
  // Until the end of what it said has come through as well.
  const after = dial();
  after.say({ id: 1, command: 'orders' });
  await after.heard(1);
  done();
  t.same(
    (await script.ended()).map((line) => [line.id, line.ok]),
    [[1, true]],
    'a script that closes its side gets its reply all the same',
  );
});

t.test('a flood of requests whose replies nobody reads is not read on', async (t) => {
  const { control, dial, server } = await site(t, { unreadBytes: 64 * 1024, idleMs: 400 });
  let asked = 0;
  const { view } = control;
  const big = Array.from({ length: 100 }, () => view[0]) as typeof view;
  control.calls = () => {
    asked += 1;
    return big;
  };
  const wire = dial();
  wire.socket.pause();
  const flood = `${JSON.stringify({ id: 1, command: 'calls' })}\n`.repeat(5000);
  wire.socket.write(flood);
  await until('the flood came', () => asked > 2);
  let before = -1;
  await until('it stands still', () => {
    const still = asked === before;
    before = asked;
    return still;
  });
  t.ok(asked < 1000, `${asked} of 5000 were answered while nobody read`);
  t.equal(server.connections(), 1);
  const other = dial();
  other.say({ id: 1, command: 'orders' });
  t.equal((await other.heard(1))[0]?.ok, true, 'another operator is served meanwhile');
  other.socket.destroy();
  await until('who asks for nothing and reads nothing is dropped', () => server.connections() === 0);
});

t.test('orders under way, ids and connections are bounded', async (t) => {
  const { control, dial, server } = await site(t, { outstanding: 3, connections: 3 });
  const release: (() => void)[] = [];
  control.answer = () =>
    new Promise((resolve) => {
      release.push(() => resolve({ ok: true, note: 'done' }));
    });
  const wire = dial();
  const end = (id: number | string) => ({ id, command: 'end', call: ids.monitored, ...signed });
  wire.say(end(1), end(2), end(3), end(4), end(1), { id: 2, command: 'calls' });
  t.same(
    (await wire.heard(3)).map((line) => [line.id, line.error?.code]),
    [
      [4, 'too-many-requests'],
      [1, 'id-in-use'],
      [2, 'id-in-use'],
    ],
  );
  t.equal(control.told.length, 3, 'what was refused was not begun');
  for (const done of release.splice(0)) done();
  await wire.heard(6);
  wire.say(end(1));
  await until('there is room again', () => release.length === 1);
  release[0]?.();
  t.same((await wire.heard(7))[6], { id: 1, ok: true, result: { note: 'done', call: ids.monitored } });

  const second = dial();
  const third = dial();
  await until('three are connected', () => server.connections() === 3);
  const fourth = dial();
  t.same(
    (await fourth.ended()).map((line) => line.error?.code),
    ['too-many-connections'],
  );
  second.say({ id: 1, command: 'orders' });
  t.equal((await second.heard(1))[0]?.ok, true);
  third.socket.destroy();
  await until('a place is free', () => server.connections() === 2);
  const fifth = dial();
  fifth.say({ id: 1, command: 'orders' });
  t.equal((await fifth.heard(1))[0]?.ok, true);
});

t.test(
  'following: what is under way first, then every event, to each follower, until it leaves',
  async (t) => {
    const { control, dial, server } = await site(t);
    const [one, two] = [dial(), dial()];
    one.say({ id: 'a', command: 'follow' });
    two.say({ id: 7, command: 'follow' });
    t.same(await one.heard(1), [{ id: 'a', ok: true, result: { calls: control.view } }]);
    await two.heard(1);
    const event = phaseEvent('dialling');
    control.tell(event);
    t.same((await one.heard(2))[1], { id: 'a', event });
    t.same((await two.heard(2))[1], { id: 7, event });
    one.say({ id: 'b', command: 'follow' }, { id: 'a', command: 'calls' }, { id: 'c', command: 'orders' });
    t.same(
      (await one.heard(5)).slice(2).map((line) => [line.id, line.error?.code]),
      [
        ['b', 'already-following'],
        ['a', 'id-in-use'],
        ['c', undefined],
      ],
    );
    one.socket.end();
    await one.ended();
    two.socket.destroy();
    await until('nobody follows', () => control.followers.size === 0 && server.connections() === 0);
    control.tell(event);
  },
);

t.test('a follower that does not read is dropped with a last line that says so', async (t) => {
  const { control, dial, server } = await site(t, { unreadBytes: 64 * 1024, lingerMs: 5000 });
  const [slow, quick] = [dial(), dial()];
  slow.say({ id: 's', command: 'follow' });
  quick.say({ id: 'q', command: 'follow' });
  await slow.heard(1);
  await quick.heard(1);
  slow.socket.pause();
  let told = 0;
  while (control.followers.size === 2 && told < 50_000) {
    control.tell(phaseEvent('connected', told));
    told += 1;
    if (told % 50 === 0) await quick.heard(told + 1);
  }
  t.equal(control.followers.size, 1, `dropped after ${told} events`);
  t.ok(told < 50_000);
  slow.socket.resume();
  const heard = await slow.ended();
  t.same(
    [heard.at(-1)?.id, heard.at(-1)?.error?.code],
    ['s', 'follower-too-slow'],
    'the last line is whole and says why',
  );
  t.equal(heard.length, told + 1, 'all events but the one too many came before it, none twice');
  control.tell(phaseEvent('ending'));
  await until('the other one follows on', () => quick.lines.length === told + 2);
  t.equal(server.connections(), 1);
});

t.test('a follower that never reads again is cut off', async (t) => {
  const { control, dial, server } = await site(t, { unreadBytes: 16 * 1024, lingerMs: 50 });
  const wire = dial();
  wire.say({ id: 1, command: 'follow' });
  await wire.heard(1);
  wire.socket.pause();
  for (let told = 0; control.followers.size === 1 && told < 50_000; told += 1) {
    control.tell(phaseEvent('connected', told));
    if (told % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await until('its place is free', () => server.connections() === 0);
});

t.test('a stop tells followers, whoever waits and whoever is idle, and takes the socket away', async (t) => {
  const { control, dial, server, path } = await site(t);
  control.answer = () => new Promise(() => undefined);
  const [follower, waiting, idle] = [dial(), dial(), dial()];
  follower.say({ id: 'f', command: 'follow' });
  waiting.say({ id: 'w', command: 'end', call: ids.monitored, ...signed });
  await until('all are there', () => server.connections() === 3 && control.told.length === 1);
  await follower.heard(1);
  await server.close();
  for (const [wire, id] of [
    [follower, 'f'],
    [waiting, 'w'],
    [idle, null],
  ] as const) {
    const last = (await wire.ended()).at(-1);
    t.same([last?.id, last?.error?.code], [id, 'controller-stopping']);
  }
  t.equal(control.followers.size, 0);
  t.notOk(existsSync(path));
  t.same(readdirSync(dirname(path)), []);
});

t.test('who asks for nothing is let go; who follows or waits is not', async (t) => {
  const { control, dial } = await site(t, { idleMs: 150 });
  control.answer = () => new Promise(() => undefined);
  const [idle, follower, waiting] = [dial(), dial(), dial()];
  follower.say({ id: 1, command: 'follow' });
  waiting.say({ id: 1, command: 'end', call: ids.monitored, ...signed });
  t.same(
    (await idle.ended()).map((line) => line.error?.code),
    ['idle'],
  );
  const again = dial();
  await again.ended();
  t.notOk(follower.closed);
  t.notOk(waiting.closed);
});

t.test('the socket: its mode, what it never replaces, and whose directory it may be in', async (t) => {
  const fails = async (path: string): Promise<string> => {
    try {
      const server = await startControl({ path, control: new FakeControl(), onFault: () => undefined });
      await server.close();
      return 'started';
    } catch (error) {
      if (error instanceof ControlError) return error.code;
      throw error;
    }
  };
  const { path, control, dial, server } = await site(t);
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.ok(lstatSync(path).isSocket());
  t.same(readdirSync(dirname(path)), ['control.sock'], 'nothing else is left in the directory');
  t.equal(await fails(path), 'socket-in-use');
  const wire = dial();
  wire.say({ id: 1, command: 'calls' });
  t.same((await wire.heard(1))[0]?.result, { calls: control.view }, 'the first one is still there');

  const dir = dirname(path);
  const file = join(dir, 'file');
  writeFileSync(file, 'evidence');
  t.equal(await fails(file), 'socket-path-taken');
  t.equal(readFileSync(file, 'utf8'), 'evidence');
  const pointing = join(dir, 'link');
  symlinkSync(join(dir, 'nowhere'), pointing);
  t.equal(await fails(pointing), 'socket-path-taken');
  t.ok(lstatSync(pointing).isSymbolicLink());

  const made = join(dir, 'new', 'deep', 'control.sock');
  t.equal(await fails(made), 'started');
  t.equal(statSync(dirname(made)).mode & 0o777, 0o700, 'a directory it makes is private');
  for (const mode of [0o720, 0o702, 0o777, 0o1777]) {
    const open = join(dir, `open-${mode.toString(8)}`);
    mkdirSync(open);
    chmodSync(open, mode);
    t.equal(await fails(join(open, 's')), 'socket-directory-unsafe', mode.toString(8));
    t.same(readdirSync(open), []);
  }
  t.equal(await fails(join(file, 's')), 'socket-failed', 'a file is no directory');
  t.equal(await fails(join(dir, 'x'.repeat(120))), 'socket-path-too-long');

  // Another controller took the path meanwhile: ours must not take its socket away.
  rmSync(path);
  const other = createServer();
  await new Promise<void>((resolve) => {
    other.listen(path, resolve);
  });
  await server.close();
  t.ok(existsSync(path));
  await new Promise((resolve) => other.close(resolve));
});

t.test('a directory of somebody else is refused', { skip: process.getuid?.() !== 0 }, async (t) => {
  const path = socketPath();
  t.teardown(() => rmSync(dirname(dirname(path)), { recursive: true }));
  const { chownSync } = await import('node:fs');
  chownSync(dirname(path), 65534, 65534);
  await t.rejects(startControl({ path, control: new FakeControl(), onFault: () => undefined }), {
    code: 'socket-directory-unsafe',
  });
});

t.test(
  'the socket a dead controller left is taken over; two that start at once do not both win',
  async (t) => {
    const path = socketPath();
    t.teardown(() => rmSync(dirname(dirname(path)), { recursive: true }));
    const stale = async (): Promise<void> => {
      // A listener of another name leaves the file behind when it goes.
      const dead = createServer();
      const made = `${path}.dead`;
      await new Promise<void>((resolve) => {
        dead.listen(made, resolve);
      });
      const { renameSync } = await import('node:fs');
      renameSync(made, path);
      await new Promise((resolve) => dead.close(resolve));
      t.ok(lstatSync(path).isSocket(), 'a stale socket is there');
    };
    await stale();
    const start = () => startControl({ path, control: new FakeControl(), onFault: () => undefined });
    const server = await start();
    const wire = new Wire(path);
    wire.say({ id: 1, command: 'orders' });
    t.equal((await wire.heard(1))[0]?.ok, true);
    wire.socket.destroy();
    await server.close();
    const both = await Promise.allSettled([start(), start()]);
    t.same(both.map((one) => one.status).sort(), ['fulfilled', 'rejected']);
    for (const one of both)
      if (one.status === 'fulfilled') await one.value.close();
      else t.equal((one.reason as ControlError).code, 'socket-in-use');
  },
);

t.test('followed calls: what becomes of the product’s events', async (t) => {
  let mono = 100;
  const followed = new FollowedCalls({
    facilityOf: (trunk) => `${trunk}-site`,
    clock: { wall: () => Date.UTC(2026, 10, 21, 22, 14, 3), mono: () => mono },
  });
  const callId = ids.monitored as CallId;
  const [seen, late]: [FollowedEvent[], FollowedEvent[]] = [[], []];
  const stop = followed.follow((event) => seen.push(event));
  followed.observe({ event: 'call-arrived', callId, trunk: 'pbx' });
  mono += 2.4;
  followed.observe({ event: 'call-phase', callId, phase: 'looking-up', ms: 1 });
  const stopLate = followed.follow((event) => late.push(event));
  followed.observe({
    event: 'call-decided',
    callId,
    verdict: 'monitored',
    reason: 'allowed-by-caller-list',
    row: 10,
    epoch: 1,
  });
  followed.observe({ event: 'alarm', alarm: 'recording-lost', callId, detail: 'stalled' });
  followed.observe({ event: 'list-lookup', ms: 1, outcome: 'answered' });
  followed.observe({ event: 'call-phase', callId, phase: 'ended', ms: 5 });
  const ended = {
    event: 'call-ended',
    callId,
    verdict: 'monitored',
    ending: 'recording-lost',
    detail: null,
    connectedMs: 0,
  } as const;
  followed.observe(ended);
  followed.observe(ended);
  followed.observe({ event: 'call-phase', callId: ids.private as CallId, phase: 'dialling', ms: 1 });
  const call = { callId, trunk: 'pbx', facility: 'pbx-site' };
  const at = '2026-11-21T22:14:03.000Z';
  const later: unknown[] = [
    {
      kind: 'call',
      at,
      what: 'decided',
      call: { ...call, phase: 'looking-up', verdict: 'monitored', elapsedMs: 2 },
      detail: 'allowed-by-caller-list',
    },
    {
      kind: 'alarm',
      at,
      callId,
      alarm: 'recording-lost',
      text: 'The recording of a monitored call stopped while the call was up.',
      detail: 'stalled',
    },
    {
      kind: 'call',
      at,
      what: 'ended',
      call: { ...call, phase: 'ended', verdict: 'monitored', elapsedMs: 2 },
      detail: 'recording-lost',
    },
  ];
  const undecided = { ...call, verdict: 'undecided' };
  t.same(seen, [
    { kind: 'call', at, what: 'arrived', call: { ...undecided, phase: 'new', elapsedMs: 0 }, detail: null },
    {
      kind: 'call',
      at,
      what: 'phase',
      call: { ...undecided, phase: 'looking-up', elapsedMs: 2 },
      detail: null,
    },
    ...later,
  ]);
  t.same(late, later, 'who begins half way is told of a call it did not see arrive');
  stop();
  stopLate();
  followed.observe({ event: 'call-arrived', callId, trunk: 'pbx' });
  t.equal(seen.length, 5);
});

t.test('a masked number keeps two digits and nothing else', async (t) => {
  t.equal(maskedNumber('+1 (212) 555-0142'), '…42');
  t.equal(maskedNumber('12345'), '…');
});
