import dgram from 'node:dgram';
import { createServer } from 'node:net';
import { type BencodeDict, decode, encode } from '../../src/media/bencode.js';

/** A media node that says what a test wants: for what no real rtpengine can be brought to say. */
export interface FakeNode {
  readonly ng: { readonly host: string; readonly port: number };
  readonly cli: { readonly host: string; readonly port: number };
  readonly commands: string[];
  /** Changes or replaces the reply to a command; null leaves it unanswered. */
  answer: (message: BencodeDict, reply: BencodeDict) => BencodeDict | null;
  params: Record<string, string>;
  close(): void;
}

const counters = ['startrec', 'startfwd', 'pub', 'subreq', 'subans', 'playmedia', 'playdtmf'];

const ordinary = (message: BencodeDict, port: number): BencodeDict => {
  switch (message.command) {
    case 'ping':
      return { result: 'pong' };
    case 'statistics':
      return {
        result: 'ok',
        statistics: {
          totalstatistics: { uptime: '5' },
          controlstatistics: Object.fromEntries(counters.map((name) => [`total${name}count`, 0])),
        },
      };
    case 'offer':
    case 'answer':
      return {
        result: 'ok',
        sdp: `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${port} RTP/AVP 0\r\n`,
      };
    case 'query':
    case 'delete':
      return { result: 'ok', tags: { caller: { medias: [] }, called: { medias: [] } } };
    default:
      return { result: 'ok' };
  }
};

export const openFakeNode = async (): Promise<FakeNode> => {
  const socket = dgram.createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  const fake = {
    ng: { host: '127.0.0.1', port },
    cli: { host: '127.0.0.1', port: 0 },
    commands: [] as string[],
    answer: (_message: BencodeDict, reply: BencodeDict): BencodeDict | null => reply,
    params: {
      'recording-dir': '(null)',
      'listen-ng': `127.0.0.1:${port}`,
      'redis-db': '-1',
      'redis-write-db': '-1',
    } as Record<string, string>,
    close: () => {
      socket.close();
      server.close();
    },
  };
  const server = createServer((client) => {
    client.on('error', () => undefined);
    client.on('data', () => {
      client.end(
        Object.entries(fake.params)
          .map(([name, value]) => `${name} = ${value}\n`)
          .join(''),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  fake.cli.port = typeof address === 'object' && address !== null ? address.port : 0;
  socket.on('message', (bytes, from) => {
    const space = bytes.indexOf(0x20);
    const message = decode(bytes.subarray(space + 1)) as BencodeDict;
    fake.commands.push(String(message.command));
    const reply = fake.answer(message, ordinary(message, message.command === 'offer' ? 30_000 : 30_002));
    if (reply !== null)
      socket.send(Buffer.concat([bytes.subarray(0, space + 1), encode(reply)]), from.port, from.address);
  });
  return fake;
};
