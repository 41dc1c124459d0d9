import type { Crossed } from './check.js';
import type { Config } from './schema.js';

/**
 * The node makes the offer for the called party before a carrier is tried, and one offer does for all of a trunk's
 * carriers: a call must not fall from SRTP to RTP because the first carrier was busy.
 */
export const checkMedia = ({ trunks }: Config): Crossed[] => {
  const carriers = new Map(trunks.carriers.map((carrier) => [carrier.name, carrier]));
  const reserved = trunks.carriers.flatMap(({ only, media = 'rtp' }, i) =>
    only === undefined || media === 'rtp'
      ? []
      : [
          {
            path: ['trunks', 'carriers', i, 'media'],
            message: 'test calls use rtp: their phones know no keys',
          },
        ],
  );
  const mixed = trunks.facilities.flatMap((trunk, i) => {
    const kinds = trunk.carriers.flatMap((name) => {
      const carrier = carriers.get(name);
      // A number that is some carrier's alone goes to no other, so nothing falls from one to the other.
      return carrier === undefined || carrier.only !== undefined ? [] : [carrier.media ?? 'rtp'];
    });
    const path = ['trunks', 'facilities', i, 'carriers'];
    const message = 'carriers-media-differ: the carriers of one trunk must all have the same media';
    return new Set(kinds).size > 1 ? [{ path, message }] : [];
  });
  return [...reserved, ...mixed];
};
