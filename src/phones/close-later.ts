import type dgram from 'node:dgram';
import { Linger } from './linger.js';

/** Longer than a node goes on sending to a party whose call has ended. */
const AFTER_MS = 1000;
const closing = new Linger(AFTER_MS);

/**
 * Takes nothing more in at once, and gives the port back a second later: whoever gets it next must not hear what a node
 * still sends to the call that had it, and take that for its own.
 */
export const closeLater = (socket: dgram.Socket): void => {
  socket.removeAllListeners('message');
  socket.unref();
  closing.add(() => socket.close());
};
