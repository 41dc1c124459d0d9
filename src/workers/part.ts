import type { AgentStats } from '../agent/agent.js';
import type { AgentSaid } from '../sip-agent.js';
import { isOrder, type Order, type Word } from './messages.js';

/**
 * One process of several: the agent or a controller, whatever its parent says first. It lives no longer than its parent
 * does, and stops when it is told to: signals that a terminal or a supervisor sends to the whole group are the parent's to
 * answer, for who stops first matters.
 */

/** What was begun, and can be told more. */
interface Begun {
  readonly take: (report: Buffer, from: string) => void;
  readonly hear: (said: AgentSaid) => void;
  readonly reloadTls: () => void;
  /** Of the agent alone. */
  readonly counts: () => AgentStats | null;
  readonly stop: (seconds: number) => Promise<unknown>;
  /** The parent is gone: nobody will start what fails, so what is up is ended in order. */
  readonly orphaned: () => Promise<unknown>;
}

/** How long the agent waits for controllers to end their calls when the parent is gone. */
const ORPHAN_MS = 15_000;

const say = (word: Word): void => {
  if (process.connected) process.send?.(word);
};

const agent = async ({
  config,
  app,
  timers,
  version,
}: Extract<Order, { do: 'be-agent' }>): Promise<Begun> => {
  // Each loads what it is and no more: while the agent starts again, parties wait to be told.
  const { startOwnAgent } = await import('../sip-agent.js');
  const own = await startOwnAgent(config, app, timers, version, (said) => say({ is: 'telling', said }));
  say({ is: 'agent', port: own.at.port, sip: own.sip });
  return {
    take: () => undefined,
    hear: () => undefined,
    reloadTls: () => void own.agent.reloadTls(),
    counts: () => own.agent.stats(),
    stop: () => own.stop(),
    orphaned: async () => {
      const end = performance.now() + ORPHAN_MS;
      while (own.agent.stats().appConnections > 0 && performance.now() < end) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await own.stop();
    },
  };
};

const controller = async ({ config, among }: Extract<Order, { do: 'be-controller' }>): Promise<Begun> => {
  const { startSallyport } = await import('../main.js');
  const sallyport = await startSallyport(config, undefined, {}, among);
  say({ is: 'controller', healthPort: sallyport.healthPort });
  return {
    take: (report, from) => sallyport.media.keyReport(report, from),
    hear: (said) => sallyport.hear(said),
    reloadTls: () => undefined,
    counts: () => null,
    stop: (seconds) => sallyport.stop(seconds * 1000),
    orphaned: () => sallyport.stop(0),
  };
};

let begun: Promise<Begun> | null = null;

const failed = (error: unknown): void => {
  const { code } = error as { readonly code?: unknown };
  say({
    is: 'failed',
    code: typeof code === 'string' ? code : 'failed',
    message: error instanceof Error ? error.message : 'unknown',
  });
  process.exitCode = 1;
  process.disconnect?.();
};

const begin = (work: Promise<Begun>): void => {
  begun ??= work;
  begun.catch(failed);
};

const whenBegun = (use: (one: Begun) => unknown): void => {
  begun?.then(use).catch(() => undefined);
};

/** Ends the process once all is closed, whatever still holds its loop. */
const end = (work: Promise<unknown> | undefined): void => {
  void Promise.resolve(work).then(
    () => process.exit(0),
    () => process.exit(1),
  );
};

const take = (order: Order): void => {
  switch (order.do) {
    case 'be-agent':
      begin(agent(order));
      return;
    case 'be-controller':
      begin(controller(order));
      return;
    case 'take-key':
      whenBegun((one) => one.take(Buffer.from(order.report, 'base64'), order.from));
      return;
    case 'hear':
      whenBegun((one) => one.hear(order.said));
      return;
    case 'count':
      whenBegun((one) => {
        const stats = one.counts();
        if (stats !== null) say({ is: 'counts', stats });
      });
      return;
    case 'answer':
      say({ is: 'there' });
      return;
    case 'reload-tls':
      whenBegun((one) => one.reloadTls());
      return;
    case 'stop':
      end(begun?.then((one) => one.stop(order.seconds)));
      return;
    default: {
      const never: never = order;
      void never;
    }
  }
};

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.on('disconnect', () => {
  if (process.exitCode !== undefined) process.exit();
  end(begun?.then((one) => one.orphaned()));
});
process.on('message', (order: unknown) => {
  if (isOrder(order)) take(order);
});
say({ is: 'waiting' });
