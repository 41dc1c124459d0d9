/** The controller as it runs in production, in a process of its own, for the benchmark to load. */
import type { AppEvent } from '../../src/call/events.js';
import type { Config } from '../../src/config/schema.js';
import { type Sallyport, startSallyport } from '../../src/main.js';
import { serve } from './ask.js';
import { watchLoop } from './event-loop.js';
import { count } from './load.js';
import { liveMemory } from './memory.js';
import { watchSteps } from './steps.js';

const loop = watchLoop();
const steps = watchSteps();
let sallyport: Sallyport | null = null;
/** What should not happen in a good run, by kind. */
const mishaps: Record<string, number> = {};

/** Calls turned away for load, which is no mishap and no failure of what is measured either. */
let shed = 0;

const note = (event: AppEvent): void => {
  steps.note(event);
  if (event.event === 'shed') shed += event.count;
  else if (event.event === 'alarm') count(mishaps, `alarm ${event.alarm}: ${event.detail}`);
  else if (event.event === 'call-effect-failed') count(mishaps, `${event.effect} failed: ${event.code}`);
  else if (event.event === 'fault') count(mishaps, `fault in ${event.where}: ${event.code}`);
  else if (event.event === 'node-state' && event.state === 'down')
    count(mishaps, `node ${event.node} down: ${event.why}`);
  else if (event.event === 'lists-disarmed') count(mishaps, `lists disarmed: ${event.why}`);
  else if (event.event === 'journal-state' && event.state === 'unhealthy')
    count(mishaps, `journal unhealthy: ${event.code}`);
  else if (event.event === 'call-rejected') count(mishaps, `rejected: ${event.ending}`);
  else if (event.event === 'call-ended' && !goodEndings.has(event.ending))
    count(mishaps, `ended ${event.ending}: ${event.detail}`);
};
const goodEndings: ReadonlySet<string> = new Set(['caller-hung-up', 'called-hung-up']);

const start = async (config: Config): Promise<{ host: string; port: number }> => {
  sallyport = await startSallyport(config, note);
  const { checks, sip } = sallyport;
  for (let waited = 0; !checks().every((check) => check.ok); waited += 25) {
    if (waited > 15_000) throw new Error(`the controller is not ready: ${JSON.stringify(checks())}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  const udp = sip.find((one) => one.transport === 'udp');
  return { host: udp?.host ?? '', port: udp?.port ?? 0 };
};

serve({
  start,
  reset: () => {
    loop.reset();
    steps.reset();
    shed = 0;
    for (const key of Object.keys(mishaps)) delete mishaps[key];
  },
  report: () => ({
    calls: sallyport?.controller.size ?? 0,
    mishaps: { ...mishaps },
    loop: loop.read(),
    steps: steps.read(),
    agent: sallyport?.agentStats() ?? null,
  }),
  memory: liveMemory,
  listeners: () => sallyport?.sip ?? [],
  unready: () => sallyport?.checks().flatMap(({ ok, name }) => (ok ? [] : [name])) ?? ['not started'],
  // Asked while it is measured: the whole report sorts what it has gathered, and would be seen in the probes.
  shed: () => shed,
  stats: () => sallyport?.agentStats() ?? null,
  stop: () => sallyport?.stop(0),
});
