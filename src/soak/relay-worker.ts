/** Runs a relay in a thread of its own, so that what the soak is busy with delays no command to a media node. */
import { parentPort, workerData } from 'node:worker_threads';
import { Dice } from './dice.js';
import { Forwarder } from './forwarder.js';
import type { RelayOrder, RelayPlace } from './lossy-relay.js';

const { to, host } = workerData as RelayPlace;
const forwarder = await Forwarder.open(to, host);
parentPort?.on('message', (order: RelayOrder) => {
  const dice = new Dice(order.seed);
  forwarder.lose(order.share, () => dice.next());
});
parentPort?.postMessage('open');
