import { BlockList, isIPv6 } from 'node:net';
import type { Config } from './schema.js';
import type { Path } from './shapes.js';

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIPv6(address) ? 'ipv6' : 'ipv4');

/** What the configuration says of calls with a code must fit its trunks and networks. */
export const checkCounsel = ({
  counsel,
  trunks,
  canaries,
  media,
  sip,
}: Config): { readonly path: Path; readonly message: string }[] => {
  const calls = counsel?.calls;
  if (calls === undefined) return [];
  const problems: { readonly path: Path; readonly message: string }[] = [];
  const at = (key: string): Path => ['counsel', 'calls', key];
  if (!trunks.facilities.some(({ name }) => name === calls.trunk))
    problems.push({ path: at('trunk'), message: 'is not under trunks.facilities' });
  const taken =
    trunks.facilities.find(({ addresses }) => addresses.includes(calls.address)) ??
    trunks.carriers.find(({ address }) => address === calls.address);
  if (taken !== undefined)
    problems.push({ path: at('address'), message: `is an address of trunk ${taken.name}` });
  const ports = Object.values(canaries?.facilities ?? {}).map(({ port }) => port);
  if (canaries?.address === calls.address && ports.includes(calls.port))
    problems.push({ path: at('port'), message: 'is that of test calls too' });
  const networks = new BlockList();
  for (const network of media.peerNetworks) {
    const [base = '', bits = '0'] = network.split('/');
    networks.addSubnet(base, Number(bits), familyOf(base));
  }
  if (!networks.check(calls.address, familyOf(calls.address)))
    problems.push({
      path: at('address'),
      message: 'is in none of media.peerNetworks: its sound would be refused',
    });
  const listen = sip.listen.find(({ transport }) => transport === 'udp');
  const isAny = listen?.address === '0.0.0.0' || listen?.address === '::';
  if (calls.sip === undefined && (sip.agent !== 'embedded' || listen === undefined || isAny))
    problems.push({
      path: ['counsel', 'calls'],
      message: 'needs `sip`: which address such calls are sent to does not follow from sip.listen',
    });
  return problems;
};
