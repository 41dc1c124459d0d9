import type { Flow, Listener } from './transport.js';

/** hh:mm:ss.usec as drachtio writes it. */
export function stamp(date: Date): string {
  const two = (n: number): string => (n < 10 ? '0' : '') + n;
  const ms = String(date.getMilliseconds()).padStart(3, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}000`;
}

/**
 * The receivedOn tokens, on new requests outside a dialog only. Behind them, where the protocol has its session token,
 * stands the name of the peer that was proved: no header of a message can be taken for it.
 */
export const receivedOn = (listener: Listener, identity: string | undefined): string => {
  const colon = listener.hostPort.lastIndexOf(':');
  const known = identity === undefined ? '' : `${identity}|`;
  return `${listener.hostPort.slice(0, colon)}|${listener.port}|${known}`;
};

/** Where a message came from or went, as the three tokens protocol, address and port. */
export const peer = (flow: Flow | undefined): string =>
  flow === undefined ? '||' : `${flow.listener.transport}|${flow.address}|${flow.port}`;
