import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import t, { type Test } from 'tap';
import { startControl } from '../../src/api/control-server.js';
import {
  type Desk,
  endCall,
  listenToCall,
  reviewNumber,
  setLockdown,
  showLockdowns,
  showOrders,
  suspendCaller,
} from '../../src/cli/control.js';
import { FakeControl, ids, phaseEvent, socketPath, standingOrders, until } from '../api/fake-control.js';
import { inProcess, type Run, Terminal } from './terminal.js';

// Each command line is a process, and a loaded machine may take seconds to start one.
t.setTimeout(120_000);

/** Waits long enough for a loaded machine to start a process. */
const soon = (what: string, condition: () => boolean): Promise<void> => until(what, condition, 30_000);

const site = async (t: Test) => {
  const path = socketPath();
  const control = new FakeControl();
  const server = await startControl({ path, control, onFault: () => undefined, limits: { lingerMs: 300 } });
  const started: Terminal[] = [];
  const start = (args: readonly string[], env?: Readonly<Record<string, string>>): Terminal => {
    const terminal = new Terminal([...args, '--socket', path], env);
    started.push(terminal);
    return terminal;
  };
  t.teardown(async () => {
    for (const terminal of started) terminal.child.kill('SIGKILL');
    await Promise.all(started.map((terminal) => terminal.done));
    await server.close();
    rmSync(dirname(dirname(path)), { recursive: true });
  });
  const run = (args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Run> =>
    start(args, env).done;
  const inside = (command: (desk: Desk) => Promise<void>, json = false): Promise<Run> =>
    inProcess((terminal) => command({ socket: path, json, terminal }));
  return { path, control, server, start, run, inside };
};

const by = { by: 'alice', why: 'fight in the yard' };
const why = ['--why', 'fight in the yard'] as const;

t.test('orders: what is asked, what is told the controller, what the operator reads', async (t) => {
  const { control, run, inside } = await site(t);
  const place = ['--facility', 'county-jail', '--unit', '7B'];
  const [on, off, end, listen, suspend] = await Promise.all([
    run(['lockdown', 'on', ...place, ...why]),
    inside((desk) => setLockdown('off', {}, { ...by, by: 'carol' }, desk), true),
    run(['calls', 'end', 'cpriva', '--block', ...why], { USER: 'root', SUDO_USER: 'dave' }),
    inside((desk) => listenToCall(ids.monitored, 'sip:desk1@10.0.0.5', by, desk)),
    run(['suspend', '4711', 'off', ...why]),
  ]);
  t.same(on, {
    code: 0,
    out: [
      'lockdown is ON: facility county-jail, unit 7B',
      'lift it with: sallyport lockdown off --facility county-jail --unit 7B --why …',
      '',
    ].join('\n'),
    err: '',
  });
  t.same(off, { code: 0, out: '{"ok":true,"note":null,"call":null}\n', err: '' });
  t.same(end, { code: 0, out: `call ${ids.private}: it ends, and its number is blocked\n`, err: '' });
  t.same(listen, {
    code: 0,
    out: `sip:desk1@10.0.0.5 hears call ${ids.monitored}\n`,
    err: '',
  });
  t.same(suspend, { code: 0, out: 'caller 4711 is no longer suspended\n', err: '' });
  const because = 'fight in the yard';
  t.same(
    control.told.map((one) => JSON.stringify(one)).sort(),
    [
      ['lockdown', { level: 'unit', facility: 'county-jail', unit: '7B' }, 'on', 'alice', because],
      ['lockdown', { level: 'global' }, 'off', 'carol', because],
      ['end', ids.private, 'dave', because, true],
      ['listen', ids.monitored, 'sip:desk1@10.0.0.5', 'alice', because],
      ['suspend', '4711', 'off', 'alice', because],
    ]
      .map((one) => JSON.stringify(one))
      .sort(),
  );
});

t.test('what is refused is exit code 1, what is mistyped 2, and neither is done', async (t) => {
  const { control, run, inside } = await site(t);
  control.answer = async () => ({
    ok: false,
    code: 'facility-unknown',
    message: 'no facility \u001b[2J of that name',
  });
  const [deaf, deafJson, unknown, none, wide, both, longWhy, phone, state, past, nobody] = await Promise.all([
    run(['calls', 'listen', ids.private.slice(0, 6), '--to', 'sip:d@desk', ...why]),
    inside((desk) => listenToCall(ids.private, 'sip:d@desk', by, desk), true),
    inside((desk) => setLockdown('on', { facility: 'nowhere' }, by, desk)),
    run(['lockdown', 'on']),
    inside(async (desk) => setLockdown('on', { unit: '7B' }, by, desk)),
    inside(async (desk) => setLockdown('on', { facility: 'f', unit: '7B', phone: 'W1' }, by, desk)),
    inside((desk) => suspendCaller('4711', 'on', { ...by, why: 'x'.repeat(201) }, desk)),
    inside((desk) => listenToCall(ids.monitored, 'desk1', by, desk)),
    run(['suspend', '4711', 'maybe', ...why]),
    run(['calls', '--follow', '--past']),
    run(['review', '2125550142', ...why], {}),
  ]);
  const deafText =
    'this call is private: no role can listen to a private call, the function does not exist for it';
  t.same(deaf, { code: 1, out: '', err: `sallyport: ${deafText} [call-private]\n` });
  t.same(
    [deafJson?.code, JSON.parse(deafJson?.out ?? '')],
    [1, { ok: false, code: 'call-private', message: deafText }],
  );
  t.same(unknown, { code: 1, out: '', err: 'sallyport: no facility ?[2J of that name [facility-unknown]\n' });
  for (const [run, says] of [
    [none, /required option '--why <text>' not specified/],
    [wide, /give --facility too \[usage\]/],
    [both, /--unit or --phone, not both \[usage\]/],
    [longWhy, /1 to 200 printable characters \[why-invalid\]/],
    [phone, /SIP URI such as sip:desk1@10\.0\.0\.5.* \[to-invalid\]/],
    [state, /Allowed choices are on, off/],
    [past, /give --follow or --past \[usage\]/],
    [nobody, /say who you are with --by NAME \[by-missing\]/],
  ] as const) {
    t.match(run?.err, says);
    t.same([run?.code, run?.out], [2, ''], run?.err.split('\n')[0] ?? '');
  }
  t.same(
    control.told.map((one) => one[0]),
    ['lockdown'],
    'the controller was asked nothing but the one order it refused',
  );
});

t.test('what stands, for people and for programs', async (t) => {
  const { control, run, inside } = await site(t);
  const [orders, shown, json] = await Promise.all([
    run(['orders']),
    run(['lockdown', 'show']),
    inside(showOrders, true),
  ]);
  t.equal(orders?.code, 0);
  t.equal(
    orders?.out,
    `order       of                             since                     by     why
lockdown    facility county-jail, unit 7B  2026-11-21T22:10:03.120Z  alice  fight in the yard
suspension  caller 4711                    2026-11-21T20:00:00.000Z  bob    threats

numbers          cause         count  newest
held for review  caller-claim  2      …42 …17
blocked          called-party  1      …99
`,
  );
  t.equal(
    shown?.out,
    `locked down                    since                     by     why
facility county-jail, unit 7B  2026-11-21T22:10:03.120Z  alice  fight in the yard
`,
  );
  t.same(JSON.parse(json?.out ?? ''), { orders: standingOrders });
  control.standing = [];
  control.answer = async () => ({ ok: true, note: '2 claims were taken back' });
  const [nothing, noLockdown, reviewed] = await Promise.all([
    inside(showOrders),
    inside(showLockdowns),
    inside((desk) => reviewNumber('(212) 555-0142', by, desk)),
  ]);
  t.match(nothing, { code: 0, out: /^nothing stands: no lockdown, no suspension, no number/ });
  t.same(noLockdown, { code: 0, out: 'no lockdown stands\n', err: '' });
  t.equal(reviewed?.code, 0);
  t.equal(reviewed?.out, 'cleared: 2 claims were taken back\n');
  t.notMatch(reviewed?.out, /0142/, 'the number is not printed again');
  t.same(control.told, [['review', '(212) 555-0142', 'clear', 'alice', 'fight in the yard']]);
});

t.test('without a controller: exit code 3, and what to do', async (t) => {
  const { path, control, server, run, inside } = await site(t);
  await server.close();
  const [lock, end, follow] = await Promise.all([
    run(['lockdown', 'on', ...why, '--json']),
    inside((desk) => endCall(ids.monitored, false, by, desk)),
    run(['calls', '--follow']),
  ]);
  for (const one of [lock, end, follow]) {
    t.equal(one?.code, 3);
    t.ok(one?.err.includes(`no controller answers on ${path}; start one (sallyport run), or say where`));
  }
  t.match(lock?.err, /given to a running controller; controllers that share a Redis pass them on/);
  t.match(JSON.parse(lock?.out ?? ''), { ok: false, code: 'controller-unreachable' });
  t.same(control.told, []);

  // One that takes the order and is gone before it answers: nobody may think that it was done, nor that it was not.
  const dying = createServer((socket) => void socket.once('data', () => socket.destroy()));
  await new Promise<void>((resolve) => {
    dying.listen(path, resolve);
  });
  const [cut, cutFollow] = await Promise.all([
    inside((desk) => endCall(ids.monitored, false, by, desk)),
    run(['calls', '--follow']),
  ]);
  t.same([cut?.code, cut?.out], [3, '']);
  t.match(cut?.err, /whether it was done is not known \[controller-gone\]/);
  t.same([cutFollow?.code, cutFollow?.out], [3, '']);
  t.match(cutFollow?.err, /the controller is gone without a word.* \[controller-gone\]/);
  await new Promise((resolve) => dying.close(resolve));
});

t.test('calls --follow', async (t) => {
  const { control, server, start } = await site(t);
  control.view = control.view.slice(0, 2);
  const [people, program, interrupted, deserted] = [
    start(['calls', '--follow']),
    start(['calls', '--follow', '--json']),
    start(['calls', '--follow']),
    start(['calls', '--follow']),
  ];
  await soon('all follow', () => control.followers.size === 4);
  await soon('the first lines are there', () => interrupted.out.includes('cprivate') && deserted.out !== '');

  interrupted.child.kill('SIGINT');
  const ended = await interrupted.done;
  t.equal(ended.code, 0, 'Ctrl-C is no failure');
  t.equal(ended.err, '2 calls under way; each change follows as a line (Ctrl-C ends)\n');
  t.equal(
    ended.out,
    `time UTC  call      facility     phase        verdict     elapsed
now       cmonitor  county-jail  connected    monitored    12.3 s
now       cprivate  county-jail  connected    private       4.0 s
`,
  );

  deserted.child.stdout?.destroy();
  const events = [
    phaseEvent('arming', 1500),
    {
      kind: 'call',
      at: '2026-11-21T22:14:04.000Z',
      what: 'ended',
      call: {
        callId: ids.private,
        trunk: 'pbx',
        facility: 'county-jail',
        phase: 'ended',
        verdict: 'private',
        elapsedMs: 61_000,
      },
      detail: 'caller-hung-up',
    },
    {
      kind: 'alarm',
      at: '2026-11-21T22:14:05.000Z',
      callId: ids.monitored,
      alarm: 'recording-lost',
      text: 'The recording stopped.',
      detail: 'stalled',
    },
    {
      kind: 'alarm',
      at: '2026-11-21T22:14:06.000Z',
      callId: null,
      alarm: 'lists-disarmed',
      text: 'Lists \u001b[31m are gone.',
      detail: 'digest',
    },
  ] as const;
  for (const event of events) control.tell(event);
  t.equal((await deserted.done).code, 0, 'whoever read its lines has seen enough');
  await soon('all was told', () => people.out.includes('Lists') && program.out.includes('Lists'));
  await server.close();
  const [text, json] = [await people.done, await program.done];
  t.same(text.out.split('\n').slice(3), [
    '22:14:03  cmonitor  county-jail  arming       monitored     1.5 s',
    '22:14:04  cprivate  county-jail  ended        private      61.0 s  caller-hung-up',
    '22:14:05  cmonitor  ALARM recording-lost (stalled): The recording stopped.',
    '22:14:06  -         ALARM lists-disarmed (digest): Lists ?[31m are gone.',
    '',
  ]);
  t.equal(text.code, 3);
  t.match(text.err, /\nsallyport: the controller is stopping \[controller-stopping\]\n$/);
  t.same(
    json.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
    [{ calls: control.view }, ...events],
  );
  t.equal(json.code, 3);
});

t.test('calls --follow into something that does not read ends with a word', async (t) => {
  const { control, start } = await site(t);
  const stuck = start(['calls', '--follow', '--json']);
  await soon('it follows', () => control.followers.size === 1 && stuck.out !== '');
  stuck.child.stdout?.pause();
  for (let told = 0; control.followers.size === 1 && told < 100_000; told += 1) {
    control.tell(phaseEvent('connected', told));
    if (told % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  t.equal(control.followers.size, 0);
  stuck.child.stdout?.resume();
  const run = await stuck.done;
  t.equal(run.code, 1);
  t.match(run.err, /events came faster than they were read.* \[follower-too-slow\]/);
});
