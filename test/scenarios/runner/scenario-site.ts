import type { Test } from 'tap';
import type { Config } from '../../../src/config/schema.js';
import { freeTcpPort, freeUdpPort } from '../../../src/stack/free-ports.js';
import { openSite, type Site } from '../../site/site.js';

/** T1 of the agent in these scenarios, in ms: what takes 64*T1 (no ACK, no answer) then takes seconds. */
export const t1Ms = 60;

type CarrierName = 'c1' | 'c2' | 't1' | 's1';

export interface CarrierPlace {
  readonly name: CarrierName;
  readonly host: string;
  readonly port: number;
  readonly transport: 'udp' | 'tcp';
}

/** The address each facility trunk sends from; a stranger's is in no configuration. */
export const trunkHosts = {
  one: '127.0.1.1',
  two: '127.0.1.2',
  tcp: '127.0.1.3',
  silent: '127.0.1.4',
  header: '127.0.1.5',
  stranger: '127.0.1.99',
} as const;

const carriersOf: Readonly<Record<string, readonly CarrierName[]>> = {
  one: ['c1'],
  two: ['c1', 'c2'],
  tcp: ['t1'],
  silent: ['s1', 'c2'],
  header: ['c1'],
};

/** One site for all scenarios: a facility trunk for each way of reaching carriers, told apart by its address. */
export const openScenarioSite = async (
  t: Test,
): Promise<{ site: Site; carriers: ReadonlyMap<CarrierName, CarrierPlace> }> => {
  const places: CarrierPlace[] = [
    { name: 'c1', host: '127.0.2.1', port: await freeUdpPort('127.0.2.1'), transport: 'udp' },
    { name: 'c2', host: '127.0.2.2', port: await freeUdpPort('127.0.2.2'), transport: 'udp' },
    { name: 't1', host: '127.0.2.3', port: await freeTcpPort('127.0.2.3'), transport: 'tcp' },
    { name: 's1', host: '127.0.2.4', port: await freeUdpPort('127.0.2.4'), transport: 'udp' },
  ];
  const site = await openSite(t, {
    t1Ms,
    config: (config): Config => {
      const [trunk] = config.trunks.facilities;
      const [carrier] = config.trunks.carriers;
      if (trunk === undefined || carrier === undefined) throw new Error('the example has no trunks');
      return {
        ...config,
        policy: { ...config.policy, maxRingSeconds: 2.5 },
        trunks: {
          facilities: Object.entries(carriersOf).map(([name, carriers]) => ({
            ...trunk,
            name: `north-${name}`,
            addresses: [trunkHosts[name as keyof typeof trunkHosts]],
            carriers: [...carriers],
            ...(name === 'header'
              ? {
                  caller: { from: 'header' as const, header: 'X-Caller' },
                  unitHeader: 'X-Unit',
                  phoneHeader: 'X-Phone',
                }
              : {}),
          })),
          carriers: places.map(({ name, host, port, transport }) => ({
            ...carrier,
            name,
            address: host,
            port,
            transport,
            firstResponseSeconds: name === 's1' ? 1.2 : 15,
            copyHeaders: name === 'c1' ? ['X-Correlation'] : [],
          })),
        },
      };
    },
  });
  return { site, carriers: new Map(places.map((place) => [place.name, place])) };
};
