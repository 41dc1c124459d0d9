/** The thread that finishes recordings; see finish-worker.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { RecordingError } from './call/ports.js';
import type { WallMs } from './core/leg.js';
import { giveSignsIn } from './durable/disk.js';
import type { Done, KeyText, Order, ThreadData } from './finish-messages.js';
import { finishHere } from './recording/finisher.js';
import { parseRecipient } from './vault/age-keys.js';
import { createLocalStore } from './vault/local-store.js';
import { createVault, type VaultKey } from './vault/vault.js';

const { vault: given, signs } = workerData as ThreadData;
giveSignsIn(signs);
const keyOf = ({ recipient, ...key }: KeyText): VaultKey => ({
  ...key,
  recipient: parseRecipient(recipient),
});
const vault = createVault({
  store: createLocalStore({ dir: given.dir, minFreeBytes: given.minFreeBytes }),
  facilities: new Map(given.facilities.map(([name, keys]) => [name, keys.map(keyOf)])),
  sealed: given.sealed.map(keyOf),
  ...(given.canary === null ? {} : { canary: keyOf(given.canary) }),
});
const finisher = finishHere(vault, 1);

const carryOut = (order: Order) => {
  switch (order.do) {
    case 'finish': {
      const now = (): WallMs => (Date.now() + order.ahead) as WallMs;
      return finisher.finish(order.ended, { ...order.bounds, now });
    }
    case 'look':
      return finisher.look(order.spools, order.callId, order.now, order.sealed);
    default: {
      const never: never = order;
      throw new RangeError(`unknown order ${JSON.stringify(never)}`);
    }
  }
};

const answer = async (order: Order): Promise<Done> => {
  try {
    return { id: order.id, result: await carryOut(order) };
  } catch (error) {
    const code = error instanceof RecordingError ? error.code : null;
    return { id: order.id, code, message: error instanceof Error ? error.message : 'failed' };
  }
};

parentPort?.on('message', (order: Order) => {
  void answer(order).then((done) => parentPort?.postMessage(done));
});

const ready: Done = { ready: true };
parentPort?.postMessage(ready);
