import type { MediaTotals, Party } from '../call/ports.js';
import { type Bencodable, type BencodeDict, dictAt, integerAt, isDict, isList } from './bencode.js';
import type { Heard } from './silence.js';

/** What a query or a delete says about a call. */
export interface CallFacts {
  readonly tags: readonly string[];
  /** Those of the tags that listen to another one, without being its party. */
  readonly listening: readonly string[];
  /** The tags each party's sound goes to, unless it is blocked. */
  readonly hearers: Readonly<Record<Party, readonly string[]>>;
  /** The certificate of each party's handshake is the one its description names, on all of its streams. */
  readonly verified: Readonly<Record<Party, boolean>>;
  /** The transport of each party's streams, where all have the same; null where the node names none, or several. */
  readonly protocols: Readonly<Record<Party, string | null>>;
  readonly packets: number;
  readonly heard: Heard;
  readonly totals: MediaTotals;
}

const firstStream = (tag: BencodeDict | null): BencodeDict | null => {
  const medias = tag?.medias;
  return streamOf(isList(medias) ? medias[0] : undefined);
};

/** The RTP stream of a media; RTCP is the one after it. */
const streamOf = (media: Bencodable | undefined): BencodeDict | null => {
  const streams = isDict(media) ? media.streams : undefined;
  const stream = isList(streams) ? streams[0] : undefined;
  return isDict(stream) ? stream : null;
};

/** Packets lost on the way from a party, as its peer's RTCP told the node; 0 where no RTCP came. */
const lostOf = (reply: BencodeDict, tag: BencodeDict | null): number => {
  const source = integerAt(firstStream(tag), 'SSRC');
  return integerAt(dictAt(dictAt(reply, 'SSRC'), String(source)), 'cumulative loss') ?? 0;
};

/** Reads the reply of a query or a delete. What it does not say is nothing heard, nobody listening, nothing verified. */
export const readFacts = (reply: BencodeDict): CallFacts => {
  const tags = dictAt(reply, 'tags');
  const packets = (party: Party): number =>
    integerAt(dictAt(firstStream(dictAt(tags, party)), 'stats'), 'packets') ?? 0;
  const lost = (party: Party): number => lostOf(reply, dictAt(tags, party));
  const totals = {
    packets: { caller: packets('caller'), called: packets('called') },
    lost: { caller: lost('caller'), called: lost('called') },
  };
  const listens = (tag: string): boolean => {
    const subscriptions = dictAt(tags, tag)?.subscriptions;
    const rows = isList(subscriptions) ? subscriptions : [];
    return rows.some((row) => isDict(row) && row.type !== 'offer/answer');
  };
  const hearers = (party: Party): readonly string[] => {
    const subscribers = dictAt(tags, party)?.subscribers;
    return isList(subscribers) ? subscribers.map((row) => (isDict(row) ? String(row.tag) : '')) : [];
  };
  const heard = (party: Party): number => {
    const medias = dictAt(tags, party)?.medias;
    const streams = (isList(medias) ? medias : []).map((media) => streamOf(media));
    return streams.reduce((sum, one) => sum + (integerAt(dictAt(one, 'stats'), 'packets') ?? 0), 0);
  };
  const protocols = (party: Party): string | null => {
    const medias = dictAt(tags, party)?.medias;
    const rows = isList(medias) ? medias.filter(isDict) : [];
    const [first, ...more] = new Set(rows.map(({ protocol }) => protocol));
    return typeof first === 'string' && more.length === 0 ? first : null;
  };
  const verified = (party: Party): boolean => {
    const medias = dictAt(tags, party)?.medias;
    const streams = (isList(medias) ? medias : []).map(streamOf);
    const isVerified = (stream: BencodeDict | null): boolean =>
      isList(stream?.flags) && stream.flags.includes('DTLS fingerprint verified');
    return streams.length > 0 && streams.every(isVerified);
  };
  return {
    verified: { caller: verified('caller'), called: verified('called') },
    protocols: { caller: protocols('caller'), called: protocols('called') },
    hearers: { caller: hearers('caller'), called: hearers('called') },
    tags: Object.keys(tags ?? {}),
    listening: Object.keys(tags ?? {}).filter(listens),
    heard: { caller: heard('caller'), called: heard('called') },
    packets: totals.packets.caller + totals.packets.called,
    totals,
  };
};
