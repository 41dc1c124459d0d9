import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';

/** A key's report is about 200 bytes; the keypad takes no more than this. */
const MAX_BYTES = 1024;
/** Reports in one second, of all calls: so many fingers do not press at once. */
const MAX_A_SECOND = 20_000;

/**
 * Receives what parties press, as the nodes report it, and hands it to every worker: a node has one destination for its
 * reports, and does not know whose call it is. Who it came from goes with it, for the workers' keypads take reports of
 * their nodes alone. Which key it was is read by nobody here (I11). Rejects with the system's error where the address
 * cannot be had.
 */
export const openKeyRelay = async (
  at: { readonly address: string; readonly port: number },
  hand: (report: string, from: string) => void,
): Promise<{ close(): void }> => {
  const socket = dgram.createSocket(isIPv6(at.address) ? 'udp6' : 'udp4');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address: at.address, port: at.port, exclusive: true }, () => {
      socket.removeListener('error', reject);
      resolve();
    });
  });
  // A datagram that was refused somewhere is no concern of who listens.
  socket.on('error', () => undefined);
  let second = 0;
  let count = 0;
  socket.on('message', (bytes, { address }) => {
    const now = Math.floor(performance.now() / 1000);
    if (now !== second) [second, count] = [now, 0];
    count += 1;
    if (bytes.length <= MAX_BYTES && count <= MAX_A_SECOND) hand(bytes.toString('base64'), address);
  });
  return { close: () => socket.close() };
};
