import { readFile } from 'node:fs/promises';
import { until } from './rtp-phone.js';

/**
 * More than 50 packets that wait at once deaden a port of rtpengine 10.5 for the rest of the call, whoever sent them
 * (docs/trunks.md). A test that means to send many therefore sends a few, and waits until the node has read them: a
 * pause of some milliseconds is not enough where the processor is busy and the node does not get its turn.
 */
export const AT_ONCE = 10;

/** Resolves when nothing waits unread at this UDP port of this machine, by the kernel's own account. */
export const readOut = (port: number): Promise<void> =>
  until(`port ${port} is read out`, () => isReadOut(port));

const isReadOut = async (port: number): Promise<boolean> => {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  for (const table of ['/proc/net/udp', '/proc/net/udp6'])
    for (const line of (await readFile(table, 'utf8')).split('\n')) {
      // sl, local address:port, remote address:port, state, tx_queue:rx_queue
      const [, local, , , queues] = line.trim().split(/\s+/);
      if (local?.endsWith(`:${hex}`) && !queues?.endsWith(':00000000')) return false;
    }
  return true;
};
