import { createConnection } from 'node:net';

const MAX_REPLY = 16 << 20;

type Reply = string | number | null | readonly Reply[] | Error;

/** Reads one reply of RESP 2 from `at`; null while it is not all there. */
const parse = (bytes: Buffer, at: number): { readonly value: Reply; readonly end: number } | null => {
  const line = bytes.indexOf('\r\n', at);
  if (line < 0) return null;
  const text = bytes.toString('utf8', at + 1, line);
  const end = line + 2;
  switch (bytes[at]) {
    case 0x2b: // +
      return { value: text, end };
    case 0x2d: // -
      return { value: new Error(text), end };
    case 0x3a: // :
      return { value: Number(text), end };
    case 0x24: {
      // $
      const length = Number(text);
      if (length < 0) return { value: null, end };
      if (bytes.length < end + length + 2) return null;
      return { value: bytes.toString('utf8', end, end + length), end: end + length + 2 };
    }
    case 0x2a: {
      // *
      const values: Reply[] = [];
      let next = end;
      for (let i = 0; i < Number(text); i++) {
        const one = parse(bytes, next);
        if (one === null) return null;
        values.push(one.value);
        next = one.end;
      }
      return { value: values, end: next };
    }
    default:
      return { value: new Error('no reply of Redis'), end };
  }
};

/**
 * One command on a connection of its own, spoken by hand: the soak looks at Redis with nothing of the product's. Rejects
 * where there is no answer in time.
 */
export const askRedis = (
  at: { readonly host: string; readonly port: number },
  command: readonly string[],
  withinMs = 3000,
): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const socket = createConnection({ host: at.host, port: at.port });
    let bytes = Buffer.alloc(0);
    const done = (settle: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    const fail = (why: string): void => done(() => reject(new Error(`Redis: ${why}`)));
    const timer = setTimeout(() => fail('no answer'), withinMs);
    socket.once('error', (error) => fail(error.message));
    socket.once('close', () => fail('closed'));
    socket.once('connect', () => {
      const parts = command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`);
      socket.write(`*${command.length}\r\n${parts.join('')}`);
    });
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length > MAX_REPLY) return fail('too long an answer');
      const reply = parse(bytes, 0);
      if (reply === null) return;
      if (reply.value instanceof Error) fail(reply.value.message);
      else done(() => resolve(reply.value));
    });
  });

/** Keys by family: what stands between the prefix and the next colon, and one level more for those of use. */
export const keyFamilies = async (
  at: { readonly host: string; readonly port: number },
  prefix: string,
): Promise<ReadonlyMap<string, number>> => {
  const families = new Map<string, number>();
  let cursor = '0';
  do {
    const reply = await askRedis(at, ['SCAN', cursor, 'MATCH', `${prefix}*`, 'COUNT', '1000']);
    if (!Array.isArray(reply)) throw new Error('Redis: SCAN was not answered');
    const [next, keys] = reply as [string, readonly string[]];
    for (const key of keys) {
      const [first = '', second = ''] = key.slice(prefix.length).split(':');
      const family = first === 'use' ? `use:${second}` : first;
      families.set(family, (families.get(family) ?? 0) + 1);
    }
    cursor = next;
  } while (cursor !== '0');
  return families;
};
