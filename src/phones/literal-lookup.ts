import dns from 'node:dns';
import net from 'node:net';

type LookupCallback = (error: NodeJS.ErrnoException | null, address: string, family: number) => void;

/** Addresses need no resolver; without this, every packet would pass through one. */
export const literalLookup = ((host: string, options: dns.LookupOptions, callback: LookupCallback): void => {
  const family = net.isIP(host);
  if (family !== 0) callback(null, host, family);
  else dns.lookup(host, { ...options, all: false }, callback);
}) as typeof dns.lookup;
