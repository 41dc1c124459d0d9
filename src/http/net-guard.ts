import { type LookupAddress, lookup } from 'node:dns';
import { BlockList, isIP } from 'node:net';
import { promisify } from 'node:util';

/** Why an address is not written to, as a code. */
export type GuardCode = 'url-malformed' | 'url-not-https' | 'name-unknown' | 'address-not-allowed';

export class GuardError extends Error {
  readonly code: GuardCode;
  constructor(code: GuardCode, message: string) {
    super(message);
    this.name = 'GuardError';
    this.code = code;
  }
}

export interface Target {
  readonly url: URL;
  /** Where the name led when it was checked: the connection goes there and nowhere else. */
  readonly address: string;
  readonly family: 4 | 6;
}

export type Resolve = (host: string) => Promise<readonly LookupAddress[]>;
const ask = promisify(lookup);
export const systemResolve: Resolve = (host) => ask(host, { all: true, verbatim: true });

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Networks as `10.1.0.0/16`. */
export const networksOf = (cidrs: readonly string[]): BlockList => {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [address = '', bits = ''] = cidr.split('/');
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
};

/** An IPv4 address within IPv6 is judged as what it is, or a name could lead anywhere in another dress. */
const plainly = ({
  address,
  family,
}: LookupAddress): { readonly address: string; readonly family: 4 | 6 } => {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  return mapped === undefined ? { address, family: family === 6 ? 6 : 4 } : { address: mapped, family: 4 };
};

/**
 * Where a message may go: https, or plain http to this host alone; to addresses of the networks that the configuration
 * allows, all of them that the name has. A server that can be made to write to any address is a way into every network
 * it stands in. Rejects with GuardError.
 */
export const checkedTarget = async (
  text: string,
  allowed: BlockList,
  resolve: Resolve = systemResolve,
): Promise<Target> => {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.username !== '' || url.password !== '' || url.hash !== '')
    throw new GuardError(
      'url-malformed',
      'an address is https://host/path, without a name or password in it',
    );
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw new GuardError('url-not-https', 'only https is written to');
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const literal = isIP(host);
  const found = literal === 0 ? await resolve(host).catch(() => []) : [{ address: host, family: literal }];
  if (found.length === 0) throw new GuardError('name-unknown', 'the name leads nowhere');
  const addresses = found.map(plainly);
  for (const { address, family } of addresses) {
    const kind = family === 6 ? 'ipv6' : 'ipv4';
    if (url.protocol === 'http:' && !loopback.check(address, kind))
      throw new GuardError('url-not-https', 'plain http goes to this host alone');
    if (!allowed.check(address, kind))
      throw new GuardError(
        'address-not-allowed',
        'the address is in no network that serve.webhooks.networks names',
      );
  }
  const [first] = addresses;
  if (first === undefined) throw new GuardError('name-unknown', 'the name leads nowhere');
  return { url, ...first };
};
