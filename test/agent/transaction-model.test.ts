import fc from 'fast-check';
import t from 'tap';
import { checkParts } from '../../src/agent/check.js';
import { ClientTransaction } from '../../src/agent/client-transaction.js';
import { Timers } from '../../src/agent/clock.js';
import { Telemetry } from '../../src/agent/events.js';
import { defaultLimits } from '../../src/agent/limits.js';
import { parseMessage } from '../../src/agent/message.js';
import { ServerTransaction } from '../../src/agent/server-transaction.js';
import { describeListener, type Flow } from '../../src/agent/transport.js';
import { ManualClock, request, response } from './support.js';
import { type Input, Machine, type Times, type tables } from './transaction-model.js';

type Kind = keyof typeof tables;

const asked = {
  invite: request({ port: 5060, branch: 'z9hG4bKmodel' }),
  other: request({ method: 'OPTIONS', port: 5060, branch: 'z9hG4bKmodel' }),
};

/** The real transaction, and what it does in the words of the model. */
class Real {
  readonly words: string[] = [];
  readonly clock = new ManualClock();
  readonly #kind: Kind;
  readonly #client: ClientTransaction | undefined;
  readonly #server: ServerTransaction | undefined;
  readonly #flow: Flow;
  #lost: (() => void) | undefined;

  constructor(kind: Kind, sip: Times, reliable: boolean) {
    this.#kind = kind;
    const listener = describeListener(reliable ? 'tcp' : 'udp', '127.0.0.1', 5060, undefined);
    this.#flow = { listener, address: '127.0.0.1', port: 5061, connection: undefined };
    const timers = new Timers(this.clock, (error) => {
      throw error;
    });
    const say = (word: string): void => void this.words.push(`${this.clock.now()} ${word}`);
    const invite = kind.endsWith('invite');
    const { repeats } = new Telemetry(undefined);
    const ended = (): void => say('ended');
    if (kind.startsWith('client')) {
      const send = (data: Buffer, _flow: Flow, onError?: (code: string) => void): void => {
        const text = data.toString('latin1');
        say(text === 'ACK' ? 'send ack' : 'send request');
        if (onError !== undefined) this.#lost = () => onError('gone');
      };
      const deps = { timers, sip, repeats, send, probe: () => undefined, ended };
      this.#client = new ClientTransaction('key', invite, deps, {
        response: (message) => say(`up ${message.status}`),
        failed: (failure) => say(`failed ${failure}`),
        ackFor: () => Buffer.from('ACK'),
        ended: () => undefined,
      });
      this.#client.start(Buffer.from(invite ? asked.invite : asked.other, 'latin1'), this.#flow);
      return;
    }
    const send = (data: Buffer): void => say(`send ${data.toString('latin1')}`);
    this.#server = new ServerTransaction('key', invite, this.#flow, { timers, sip, repeats, send, ended });
  }

  input(input: Input): void {
    switch (input.what) {
      case 'response': {
        if (this.#server !== undefined) {
          this.#server.respond(input.status, Buffer.from(String(input.status)));
          return;
        }
        const text = response(this.#kind === 'client-invite' ? asked.invite : asked.other, input.status);
        const { message } = parseMessage(text, defaultLimits, 'datagram');
        const checked = message === undefined ? undefined : checkParts(message, defaultLimits);
        if (message === undefined || checked?.ok !== true) throw new Error('the test’s own response is bad');
        this.#client?.receive(message, checked.parts, this.#flow);
        return;
      }
      case 'request':
        this.#server?.repeat();
        return;
      case 'ack':
        this.#server?.acknowledge();
        return;
      case 'transport-error':
        this.#lost?.();
        return;
      default: {
        const never: never = input;
        throw new Error(`unknown input ${String(never)}`);
      }
    }
  }

  advance(ms: number): void {
    this.clock.advance(ms);
  }
}

/** What happens to both: a message (maybe lost, maybe more than once), or time. */
type Step = { readonly input: Input; readonly copies: number } | { readonly ms: number };

const status = fc.constantFrom(100, 180, 183, 200, 202, 299, 300, 404, 486, 503, 600, 699);
const input: fc.Arbitrary<Input> = fc.oneof(
  { weight: 6, arbitrary: status.map((one): Input => ({ what: 'response', status: one })) },
  { weight: 2, arbitrary: fc.constant<Input>({ what: 'request' }) },
  { weight: 2, arbitrary: fc.constant<Input>({ what: 'ack' }) },
  { weight: 1, arbitrary: fc.constant<Input>({ what: 'transport-error' }) },
);

/** Times around every timer there is, those very moments included; a random order is reordering. */
const waits = (times: Times): fc.Arbitrary<number> =>
  fc.oneof(
    fc.integer({ min: 0, max: 4 * times.t1 }),
    fc.constantFrom(times.t1, 2 * times.t1, times.t2, times.t4, 64 * times.t1, 64 * times.t1 - 1),
    fc.integer({ min: 0, max: 70 * times.t1 }),
  );

const steps = (times: Times): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.oneof(
      // 0 copies: lost on the way; 2 and 3: the network made more of it.
      fc.record({ input, copies: fc.constantFrom(0, 1, 1, 1, 2, 3) }),
      waits(times).map((ms) => ({ ms })),
    ),
    { maxLength: 24 },
  );

/** RFC 3261's own values, and others that are not multiples of each other. */
const values: readonly Times[] = [
  { t1: 500, t2: 4000, t4: 5000 },
  { t1: 70, t2: 300, t4: 1100 },
];

const kinds: readonly Kind[] = ['client-invite', 'client-other', 'server-invite', 'server-other'];

for (const kind of kinds) {
  for (const reliable of [false, true]) {
    t.test(`${kind}, ${reliable ? 'reliable' : 'unreliable'}: as in the figure`, (t) => {
      const seen = new Set<string>();
      let ended = 0;
      fc.assert(
        fc.property(
          fc.constantFrom(...values).chain((times) => fc.tuple(fc.constant(times), steps(times))),
          ([times, plan]) => {
            const model = new Machine(kind, times, reliable);
            const real = new Real(kind, times, reliable);
            const compare = (after: string): void => {
              const [wanted, got] = [model.words.join('\n'), real.words.join('\n')];
              if (wanted !== got) throw new Error(`after ${after}\nmodel:\n${wanted}\nreal:\n${got}`);
            };
            compare('the start');
            for (const step of plan) {
              if ('ms' in step) {
                model.advance(step.ms);
                real.advance(step.ms);
              } else {
                for (let copy = 0; copy < step.copies; copy++) {
                  model.input(step.input);
                  real.input(step.input);
                }
              }
              seen.add(model.state);
              compare(JSON.stringify(step));
            }
            // Left alone, whatever has its final response or never gets one comes to its end, and holds no timer.
            model.advance(200 * times.t1);
            real.advance(200 * times.t1);
            compare('a long time');
            if (model.state === 'terminated') {
              ended++;
              if (real.clock.pending !== 0) throw new Error(`${real.clock.pending} timers are left`);
            }
          },
        ),
        { numRuns: 1500 },
      );
      const own: Readonly<Record<Kind, readonly string[]>> = {
        'client-invite': [
          'calling',
          'proceeding',
          'accepted',
          'terminated',
          ...(reliable ? [] : ['completed']),
        ],
        'client-other': ['trying', 'proceeding', 'terminated', ...(reliable ? [] : ['completed'])],
        'server-invite': [
          ...['proceeding', 'completed', 'accepted', 'terminated'],
          ...(reliable ? [] : ['confirmed']),
        ],
        'server-other': ['trying', 'proceeding', 'terminated', ...(reliable ? [] : ['completed'])],
      };
      t.same([...seen].sort(), [...own[kind]].sort(), 'every state of the figure was visited');
      t.ok(ended > 300, `${ended} came to their end`);
      t.end();
    });
  }
}

t.test('the retransmissions of RFC 3261 with its own timers, in milliseconds', (t) => {
  const sent = (kind: Kind, ...inputs: Input[]): number[] => {
    const real = new Real(kind, { t1: 500, t2: 4000, t4: 5000 }, false);
    for (const one of inputs) real.input(one);
    real.advance(100_000);
    return real.words.filter((word) => word.includes('send')).map((word) => Number(word.split(' ')[0]));
  };
  t.same(sent('client-invite'), [0, 500, 1500, 3500, 7500, 15_500, 31_500], 'section 17.1.1.2');
  t.same(
    sent('client-other'),
    [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500],
    'section 17.1.2.1',
  );
  t.same(
    sent('server-invite', { what: 'response', status: 486 }),
    [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500],
    'section 17.2.1',
  );
  t.end();
});
