import dgram from 'node:dgram';

/** A UDP proxy that drops what a rule says: `count` is 1 for the first datagram in that direction. */
export interface LossyProxy {
  readonly port: number;
  readonly seen: { readonly toNode: string[]; fromNode: number };
  close(): void;
}

export const openLossyProxy = async (
  target: { readonly host: string; readonly port: number },
  drops: (direction: 'to-node' | 'from-node', count: number) => boolean,
): Promise<LossyProxy> => {
  const front = dgram.createSocket('udp4');
  const back = dgram.createSocket('udp4');
  const seen = { toNode: [] as string[], fromNode: 0 };
  let client: dgram.RemoteInfo | null = null;
  front.on('message', (bytes, from) => {
    client = from;
    seen.toNode.push(bytes.toString('latin1'));
    if (!drops('to-node', seen.toNode.length)) back.send(bytes, target.port, target.host);
  });
  back.on('message', (bytes) => {
    seen.fromNode++;
    if (client !== null && !drops('from-node', seen.fromNode)) front.send(bytes, client.port, client.address);
  });
  await new Promise<void>((resolve) => front.bind(0, '127.0.0.1', resolve));
  return {
    port: front.address().port,
    seen,
    close: () => {
      front.close();
      back.close();
    },
  };
};
