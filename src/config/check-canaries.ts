import { BlockList, isIP, isIPv6 } from 'node:net';
import { type DialPlan, numberKeyText, parseDialled } from '../core/number.js';
import type { Config } from './schema.js';

interface Found {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIPv6(address) ? 'ipv6' : 'ipv4');

const numberNames = ['privileged', 'monitored', 'unlisted'] as const;

/** What the configuration says of test calls must fit its trunks, carriers and dial plans. */
export const checkCanaries = (config: Config): Found[] => {
  const { canaries } = config;
  return [...checkReserved(config), ...(canaries === undefined ? [] : checkSection(config, canaries))];
};

/** The key id that test calls' recordings have besides those of their facility. */
export const CANARY_KEY = 'canary';

/** What may not be there whether or not test calls are configured. */
const checkReserved = (config: Config): Found[] => {
  const problems: Found[] = [];
  if (Object.hasOwn(config.recording.vault.keys, CANARY_KEY)) {
    problems.push({
      path: ['recording', 'vault', 'keys', CANARY_KEY],
      message: 'is the id of the key of test calls, which is made at each start',
    });
  }
  const owners = new Map<string, string>();
  config.trunks.carriers.forEach((carrier, i) => {
    carrier.only?.forEach((number, j) => {
      const path = ['trunks', 'carriers', i, 'only', j];
      const other = owners.get(number);
      if (other !== undefined) problems.push({ path, message: `is a number of ${other} too` });
      owners.set(number, carrier.name);
    });
  });
  return problems;
};

type Canaries = NonNullable<Config['canaries']>;

const checkSection = (config: Config, canaries: Canaries): Found[] => {
  const problems = [...checkPlaces(config, canaries)];
  const carrier = config.trunks.carriers.find(({ name }) => name === canaries.carrier);
  const ports = new Map<number, string>();
  const numbers = new Map<string, string>();
  for (const [facility, own] of Object.entries(canaries.facilities)) {
    const at = (...rest: PropertyKey[]) => ['canaries', 'facilities', facility, ...rest];
    const trunk = config.trunks.facilities.find(({ name }) => name === own.trunk);
    if (trunk === undefined) problems.push({ path: at('trunk'), message: 'is not under trunks.facilities' });
    else if (trunk.facility !== facility) {
      problems.push({ path: at('trunk'), message: `is a trunk of ${trunk.facility}, not of ${facility}` });
    }
    const sharer = ports.get(own.port);
    if (sharer !== undefined) problems.push({ path: at('port'), message: `is that of ${sharer} too` });
    ports.set(own.port, facility);
    for (const kind of numberNames) {
      const number = own[kind];
      const path = at(kind);
      const plan = config.dialPlans[trunk?.dialPlan ?? 'default'];
      const read = plan === undefined ? null : parseDialled(number, plan as DialPlan);
      if (read !== null && (read.kind !== 'number' || numberKeyText(read.key) !== number)) {
        problems.push({ path, message: 'is not a number that can be dialled by this trunk’s plan' });
      }
      const other = numbers.get(number);
      // One number cannot be privileged and on no list; and what one facility's calls show must not hang on another's.
      if (other !== undefined) problems.push({ path, message: `is the number of ${other} too` });
      numbers.set(number, `${facility}.${kind}`);
      if (carrier !== undefined && carrier.only?.includes(number) !== true) {
        problems.push({ path, message: `is not in \`only\` of the carrier ${carrier.name}` });
      }
      const presented = config.trunks.facilities.find((one) => one.presentedNumber === number);
      if (presented !== undefined)
        problems.push({ path, message: `is presented by trunk ${presented.name}` });
    }
  }
  carrier?.only?.forEach((number, i) => {
    if (numbers.has(number)) return;
    const index = config.trunks.carriers.indexOf(carrier);
    problems.push({
      path: ['trunks', 'carriers', index, 'only', i],
      message: 'is no test call’s number: the carrier of test calls is for these alone',
    });
  });
  return problems;
};

/** Where they are made from and go to. */
const checkPlaces = (config: Config, canaries: Canaries): Found[] => {
  const problems: Found[] = [];
  const networks = new BlockList();
  for (const network of config.media.peerNetworks) {
    const [base = '', bits = '0'] = network.split('/');
    networks.addSubnet(base, Number(bits), familyOf(base));
  }
  const within = (address: string, path: readonly PropertyKey[]): void => {
    if (!networks.check(address, familyOf(address)))
      problems.push({ path, message: 'is in none of media.peerNetworks: its sound would be refused' });
  };
  within(canaries.address, ['canaries', 'address']);
  const taken =
    config.trunks.facilities.find(({ addresses }) => addresses.includes(canaries.address)) ??
    config.trunks.carriers.find(({ address }) => address === canaries.address);
  if (taken !== undefined) {
    problems.push({ path: ['canaries', 'address'], message: `is an address of trunk ${taken.name}` });
  }
  const index = config.trunks.carriers.findIndex(({ name }) => name === canaries.carrier);
  const carrier = config.trunks.carriers[index];
  if (carrier === undefined) {
    problems.push({ path: ['canaries', 'carrier'], message: 'is not under trunks.carriers' });
  } else {
    const at = (...rest: PropertyKey[]) => ['trunks', 'carriers', index, ...rest];
    if (isIP(carrier.address) === 0)
      problems.push({ path: at('address'), message: 'test calls use an address' });
    else within(carrier.address, at('address'));
    if (carrier.only === undefined) {
      problems.push({ path: at('name'), message: 'is for test calls: it needs `only` with their numbers' });
    }
    if (carrier.transport !== 'udp') problems.push({ path: at('transport'), message: 'test calls use udp' });
    // Its phone is there only while test calls are made.
    if (carrier.keepaliveSeconds !== 0) {
      problems.push({ path: at('keepaliveSeconds'), message: 'must be 0 for the carrier of test calls' });
    }
    config.trunks.facilities.forEach((trunk, i) => {
      const j = trunk.carriers.indexOf(carrier.name);
      if (j >= 0) {
        problems.push({
          path: ['trunks', 'facilities', i, 'carriers', j],
          message: 'is the carrier of test calls: no other call goes there',
        });
      }
    });
  }
  const listen = config.sip.listen.find(({ transport }) => transport === 'udp');
  const isAny = listen?.address === '0.0.0.0' || listen?.address === '::';
  if (canaries.sip === undefined && (config.sip.agent !== 'embedded' || listen === undefined || isAny)) {
    problems.push({
      path: ['canaries'],
      message: 'needs `sip`: which address test calls are sent to does not follow from sip.listen',
    });
  }
  return problems;
};
