/** The SIP agent's own figures as metrics: read when they are asked for, so that a message costs it a few additions. */
import type { MetricDoc } from './metrics.js';

type Counts = Readonly<Record<string, number>>;

/** What the agent counts (AgentStats), as far as it is told. It holds no address, number or Call-ID. */
export interface AgentFigures {
  readonly serverTransactions: number;
  readonly clientTransactions: number;
  readonly pendingRequests: number;
  readonly dialogs: number;
  readonly tcpConnections: number;
  readonly tlsConnections: number;
  readonly appConnections: number;
  readonly waitingCalls: number;
  readonly callRate: number | null;
  readonly messages: readonly {
    readonly transport: string;
    readonly direction: string;
    readonly kind: string;
    readonly count: number;
  }[];
  readonly repeats: {
    readonly requestsIn: number;
    readonly requestsOut: number;
    readonly responsesIn: number;
    readonly responsesOut: number;
  };
  readonly refused: Counts;
  readonly shed: Counts;
  readonly dropped: Counts;
  readonly dns: {
    readonly records: number;
    readonly none: number;
    readonly alias: number;
    readonly failed: number;
    readonly timeout: number;
    readonly dead: number;
  };
  readonly tls: { readonly accepted: number; readonly made: number; readonly failed: number };
}

type Sample = readonly [labels: readonly string[], value: number];

interface Family extends MetricDoc {
  readonly samples: (of: AgentFigures) => readonly Sample[];
}

const each = (counts: Counts): readonly Sample[] =>
  Object.entries(counts).map(([name, count]) => [[name], count]);
const sum = (counts: Counts, ...names: readonly string[]): number =>
  names.reduce((total, name) => total + (counts[name] ?? 0), 0);

const families: readonly Family[] = [
  {
    name: 'sallyport_agent_transactions',
    type: 'gauge',
    labels: ['side'],
    help: 'SIP transactions open, of requests that came (`server`) and that were sent (`client`).',
    samples: (of) => [
      [['server'], of.serverTransactions],
      [['client'], of.clientTransactions],
    ],
  },
  {
    name: 'sallyport_agent_dialogs',
    type: 'gauge',
    labels: [],
    help: 'Dialogs open: two for each call under way.',
    samples: (of) => [[[], of.dialogs]],
  },
  {
    name: 'sallyport_agent_pending_requests',
    type: 'gauge',
    labels: [],
    help: 'Requests that wait for a controller’s answer.',
    samples: (of) => [[[], of.pendingRequests]],
  },
  {
    name: 'sallyport_agent_connections',
    type: 'gauge',
    labels: ['transport'],
    help: 'Connections open: SIP over `tcp` and over `tls`, and controllers (`app`).',
    samples: (of) => [
      [['tcp'], of.tcpConnections],
      [['tls'], of.tlsConnections],
      [['app'], of.appConnections],
    ],
  },
  {
    name: 'sallyport_agent_waiting_calls',
    type: 'gauge',
    labels: [],
    help: 'New calls that came faster than they are read, and wait for it.',
    samples: (of) => [[[], of.waitingCalls]],
  },
  {
    name: 'sallyport_agent_call_rate_limit',
    type: 'gauge',
    labels: [],
    help: 'Calls a second let in at most; not there while nothing bounds them.',
    samples: (of) => (of.callRate === null ? [] : [[[], of.callRate]]),
  },
  {
    name: 'sallyport_agent_messages_total',
    type: 'counter',
    labels: ['transport', 'direction', 'kind'],
    help:
      'SIP messages that came (`in`) and were sent (`out`), by method or class of response; `other` is any other ' +
      'method, and what is no SIP.',
    samples: (of) =>
      of.messages.map(({ transport, direction, kind, count }) => [[transport, direction, kind], count]),
  },
  {
    name: 'sallyport_agent_retransmissions_total',
    type: 'counter',
    labels: ['direction', 'kind'],
    help: 'Messages that came or were sent again, `request` or `response`; they are among the messages as well.',
    samples: ({ repeats }) => [
      [['in', 'request'], repeats.requestsIn],
      [['in', 'response'], repeats.responsesIn],
      [['out', 'request'], repeats.requestsOut],
      [['out', 'response'], repeats.responsesOut],
    ],
  },
  {
    name: 'sallyport_agent_refused_total',
    type: 'counter',
    labels: ['reason'],
    help: 'Requests that the agent answered itself, by why.',
    samples: (of) => each(of.refused),
  },
  {
    name: 'sallyport_agent_shed_total',
    type: 'counter',
    labels: ['why'],
    help: 'Requests turned away at the door, by why; `sallyport_shed_total` has them by trunk.',
    samples: (of) => each(of.shed),
  },
  {
    name: 'sallyport_agent_dropped_total',
    type: 'counter',
    labels: ['reason'],
    help: 'Messages dropped without an answer, connections closed or not taken, and questions given up, by why.',
    samples: (of) => each(of.dropped),
  },
  {
    name: 'sallyport_agent_parse_errors_total',
    type: 'counter',
    labels: ['kind'],
    help:
      'Messages that could not be read: a `request` or a `response` that is malformed, a message that is too large or ' +
      'has no end (`framing`), and what is no SIP (`not-sip`). They are among the refused and the dropped.',
    samples: ({ refused, dropped }) => [
      [
        ['request'],
        sum(refused, 'malformed', 'version', 'uri-scheme', 'too-large') + sum(dropped, 'malformed'),
      ],
      [['response'], sum(dropped, 'malformed-response')],
      [['framing'], sum(dropped, 'too-large', 'tcp-framing')],
      [['not-sip'], sum(dropped, 'not-sip')],
    ],
  },
  {
    name: 'sallyport_agent_dns_total',
    type: 'counter',
    labels: ['outcome'],
    help:
      'Questions about names: answered with `records`, with `none`, with an `alias`; a resolver that said nothing in ' +
      'time (`timeout`) or nothing of use (`error`); and those that no resolver answered (`dead`).',
    samples: ({ dns }) => [
      [['records'], dns.records],
      [['none'], dns.none],
      [['alias'], dns.alias],
      [['timeout'], dns.timeout],
      [['error'], dns.failed - dns.timeout],
      [['dead'], dns.dead],
    ],
  },
  {
    name: 'sallyport_agent_tls_handshakes_total',
    type: 'counter',
    labels: ['direction', 'outcome'],
    help:
      'TLS handshakes of connections accepted (`in`) and made (`out`): `ok`, `failed`, turned away for the certificate ' +
      '(`no-certificate`, `revoked`), or not begun, for too many were under way (`limit`).',
    samples: ({ tls, dropped }) => [
      [['in', 'ok'], tls.accepted],
      [['in', 'failed'], sum(dropped, 'tls-handshake')],
      [['in', 'no-certificate'], sum(dropped, 'tls-no-certificate')],
      [['in', 'revoked'], sum(dropped, 'tls-revoked')],
      [['in', 'limit'], sum(dropped, 'tls-limit')],
      [['out', 'ok'], tls.made],
      [['out', 'failed'], tls.failed],
    ],
  },
];

export const agentMetricDocs: readonly MetricDoc[] = families;

/** The figures in Prometheus' text format. Labels are of sets that this program knows: they need no escaping. */
export const agentMetrics = (of: AgentFigures): string =>
  families
    .map(({ name, type, labels, help, samples }) => {
      const lines = samples(of).map(([values, value]) => {
        const named = labels.map((label, i) => `${label}="${values[i] ?? ''}"`).join(',');
        return `${name}${named === '' ? '' : `{${named}}`} ${value}\n`;
      });
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
    })
    .join('');
