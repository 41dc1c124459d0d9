import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { AppEvent } from '../call/events.js';
import type { NodeView } from './control.js';

/** A metric as docs/metrics.md lists it. */
export interface MetricDoc {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
}

const seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** All metrics of the product. They follow from the same typed events as the log, so the two cannot disagree. */
export class Metrics {
  readonly registry = new Registry();
  readonly docs: MetricDoc[] = [];

  readonly #calls = this.#counter('sallyport_calls_total', 'Calls ended, by verdict and ending.', [
    'verdict',
    'ending',
  ]);
  readonly #rejected = this.#counter(
    'sallyport_rejected_total',
    'Attempts refused before they were calls, by ending.',
    ['ending'],
  );
  readonly #shed = this.#counter(
    'sallyport_shed_total',
    'Calls turned away at the door before they were read, by trunk, ending and why.',
    ['trunk', 'ending', 'why'],
  );
  readonly #decisions = this.#counter(
    'sallyport_decisions_total',
    'Decisions, by verdict, first reason and row of the table.',
    ['verdict', 'reason', 'row'],
  );
  readonly #phases = this.#histogram(
    'sallyport_call_phase_seconds',
    'Time from the INVITE to the beginning of a phase.',
    ['phase'],
  );
  readonly #alarms = this.#counter('sallyport_alarms_total', 'Alarms raised, by code.', ['alarm']);
  readonly #lookups = this.#histogram(
    'sallyport_list_lookup_seconds',
    'Time of a list look-up, by outcome.',
    ['outcome'],
  );
  readonly #armed = this.#gauge('sallyport_lists_armed', '1 while the lists are armed.', []);
  readonly #epoch = this.#gauge('sallyport_lists_epoch', 'The epoch last armed.', []);
  readonly #ng = this.#histogram(
    'sallyport_ng_command_seconds',
    'Time of a media command, by node, command and outcome.',
    ['node', 'command', 'outcome'],
  );
  readonly #nodes = this.#gauge('sallyport_media_node_up', '1 while a media node answers and is attested.', [
    'node',
    'pool',
  ]);
  readonly #journal = this.#histogram(
    'sallyport_journal_append_seconds',
    'Time until a row was durable, by kind and outcome.',
    ['kind', 'outcome'],
  );
  readonly #trunks = this.#gauge('sallyport_trunk_up', '1 while a carrier trunk answers.', ['trunk']);
  readonly #agent = this.#gauge('sallyport_agent_up', '1 while the SIP agent is connected.', []);
  readonly #faults = this.#counter('sallyport_faults_total', 'Failures of parts, by place and code.', [
    'where',
    'code',
  ]);
  readonly #canaries = this.#counter(
    'sallyport_canary_calls_total',
    'Test calls, by facility, kind and outcome (passed, failed, unknown).',
    ['facility', 'kind', 'outcome'],
  );
  readonly #canarySeconds = this.#histogram(
    'sallyport_canary_call_seconds',
    'Time a test call took with all that was looked at after it, by kind.',
    ['kind'],
  );
  readonly #recordingArmed = this.#gauge(
    'sallyport_canary_recording_armed',
    '0 while failed test calls keep a facility from recording.',
    ['facility'],
  );
  readonly #recordings = this.#counter('sallyport_recordings_total', 'Recordings finished.', []);
  readonly #retention = this.#gauge(
    'sallyport_retention_overdue',
    '1 while the removal of recordings whose time is over is overdue, or nobody can tell; 0 where nothing expires.',
    [],
  );
  readonly #staged = this.#gauge(
    'sallyport_staged_recordings',
    'Encrypted recordings that wait on this host for the storage service.',
    [],
  );
  readonly #stagedBytes = this.#gauge('sallyport_staged_bytes', 'How large they are.', []);
  readonly #stagedSeconds = this.#gauge('sallyport_staged_seconds', 'How long the oldest has waited.', []);
  readonly #store = this.#gauge(
    'sallyport_store_up',
    '1 while the storage service takes recordings; 0 also where none is configured.',
    [],
  );
  readonly #heads = this.#gauge(
    'sallyport_journal_heads_up',
    '1 while heads of the journal are signed (`signing`), and copied to their second place (`shipping`).',
    ['part'],
  );

  constructor(
    callsUnderWay: () => number,
    setUps: () => { readonly underWay: number; readonly limit: number } = () => ({ underWay: 0, limit: 0 }),
    nodes: () => readonly NodeView[] = () => [],
    liveHeap: () => number | null = () => null,
  ) {
    this.#ofNodes('sallyport_media_node_calls', 'Calls on a media node.', nodes, ({ calls }) => calls);
    this.#ofNodes(
      'sallyport_media_node_weight',
      'Its weight: how many of its pool’s calls it takes, against the others’.',
      nodes,
      ({ weight }) => weight,
    );
    this.#ofNodes(
      'sallyport_media_node_drained',
      '1 while a media node takes no new calls by order.',
      nodes,
      ({ drained }) => (drained ? 1 : 0),
    );
    this.#read('sallyport_calls_under_way', 'Calls under way.', callsUnderWay);
    this.#read('sallyport_set_ups_limit', 'How many calls may be set up at once now.', () => setUps().limit);
    this.#read(
      'sallyport_set_ups_under_way',
      'Calls being set up, ringing not counted.',
      () => setUps().underWay,
    );
    this.#read(
      'sallyport_live_heap_bytes',
      'What the main thread held after its last full collection; 0 before the first. It shows a leak long before the resident size does.',
      () => liveHeap() ?? 0,
    );
    collectDefaultMetrics({ register: this.registry });
  }

  #ofNodes(
    name: string,
    help: string,
    nodes: () => readonly NodeView[],
    value: (node: NodeView) => number,
  ): void {
    const labelNames = ['node', 'pool'];
    this.docs.push({ name, type: 'gauge', labels: labelNames, help });
    new Gauge({
      name,
      help,
      labelNames,
      registers: [this.registry],
      collect() {
        for (const node of nodes()) this.set({ node: node.name, pool: node.pool }, value(node));
      },
    });
  }

  observe(event: AppEvent): void {
    switch (event.event) {
      case 'call-ended':
        this.#calls.inc({ verdict: event.verdict, ending: event.ending });
        return;
      case 'call-rejected':
        this.#rejected.inc({ ending: event.ending });
        return;
      case 'shed':
        this.#shed.inc(
          { trunk: event.trunk ?? '', ending: event.ending, why: event.detail ?? '' },
          event.count,
        );
        return;
      case 'call-decided':
        this.#decisions.inc({ verdict: event.verdict, reason: event.reason, row: String(event.row) });
        return;
      case 'call-phase':
        this.#phases.observe({ phase: event.phase }, event.ms / 1000);
        return;
      case 'alarm':
        this.#alarms.inc({ alarm: event.alarm });
        return;
      case 'list-lookup':
        this.#lookups.observe({ outcome: event.outcome }, event.ms / 1000);
        return;
      case 'lists-armed':
        this.#armed.set(1);
        this.#epoch.set(event.epoch);
        return;
      case 'lists-disarmed':
        this.#armed.set(0);
        return;
      case 'ng-command':
        this.#ng.observe(
          { node: event.node, command: event.command, outcome: event.outcome },
          event.ms / 1000,
        );
        return;
      case 'node-state':
        this.#nodes.set({ node: event.node, pool: event.pool }, event.state === 'up' ? 1 : 0);
        return;
      case 'journal-append':
        this.#journal.observe({ kind: event.kind, outcome: event.outcome }, event.ms / 1000);
        return;
      case 'trunk-state':
        this.#trunks.set({ trunk: event.trunk }, event.state === 'up' ? 1 : 0);
        return;
      case 'agent-state':
        this.#agent.set(event.state === 'up' ? 1 : 0);
        return;
      case 'fault':
        this.#faults.inc({ where: event.where, code: event.code });
        return;
      case 'call-effect-failed':
        this.#faults.inc({ where: event.effect, code: event.code });
        return;
      case 'retention-state':
        this.#retention.set(event.state === 'overdue' ? 1 : 0);
        return;
      case 'recordings-staged':
        this.#staged.set(event.recordings);
        this.#stagedBytes.set(event.bytes);
        this.#stagedSeconds.set(event.seconds);
        return;
      case 'store-state':
        this.#store.set(event.state === 'up' ? 1 : 0);
        return;
      case 'journal-heads':
        this.#heads.set({ part: event.part }, event.state === 'healthy' ? 1 : 0);
        return;
      case 'canary':
        this.#canaries.inc({ facility: event.facility, kind: event.kind, outcome: event.outcome });
        this.#canarySeconds.observe({ kind: event.kind }, event.ms / 1000);
        return;
      case 'recording-state':
        this.#recordingArmed.set({ facility: event.facility }, event.state === 'armed' ? 1 : 0);
        return;
      case 'recording-finished':
        this.#recordings.inc();
        return;
      default:
        // Everything else is for the log alone.
        return;
    }
  }

  #counter(name: string, help: string, labels: string[]): Counter<string> {
    this.docs.push({ name, type: 'counter', labels, help });
    return new Counter({ name, help, labelNames: labels, registers: [this.registry] });
  }

  /** A gauge that is read when it is asked for. */
  #read(name: string, help: string, value: () => number): void {
    this.docs.push({ name, type: 'gauge', labels: [], help });
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(value());
      },
    });
  }

  #gauge(name: string, help: string, labels: string[]): Gauge<string> {
    this.docs.push({ name, type: 'gauge', labels, help });
    return new Gauge({ name, help, labelNames: labels, registers: [this.registry] });
  }

  #histogram(name: string, help: string, labels: string[]): Histogram<string> {
    this.docs.push({ name, type: 'histogram', labels, help });
    return new Histogram({ name, help, labelNames: labels, buckets: seconds, registers: [this.registry] });
  }
}
