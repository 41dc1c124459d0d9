import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { type CallId, parseCallId } from '../core/leg.js';

export interface NoticesOptions {
  /** Where the nodes send their notices: loopback, or an address only they can reach. */
  readonly host: string;
  /** 0: any free one; `address` then says which. */
  readonly port: number;
}

/** A notice is about 200 bytes. */
const MAX_BYTES = 4096;
/** Nodes of one site: each has at most one notice under way. */
const MAX_CONNECTIONS = 64;
const WITHIN_MS = 2000;

/** XML-RPC as the node sends it with `--xmlrpc-format=1`: a method and one text (facts: rtpengine, media timeout). */
const noticed = (body: string): CallId | null => {
  if (!/<methodName>\s*teardown\s*<\/methodName>/.test(body)) return null;
  const texts = [...body.matchAll(/<string>([^<]*)<\/string>/g)];
  return texts.length === 1 ? parseCallId(texts[0]?.[1] ?? '') : null;
};

const THANKS =
  '<?xml version="1.0"?><methodResponse><params><param><value><string>OK</string></value></param></params></methodResponse>';

/**
 * Receives what nodes say of calls they have given up because nobody was heard in them (`--b2b-url`). A notice proves
 * nothing, and ends no call: it is a reason to ask the node now instead of at the next round.
 */
export class Notices {
  readonly #options: NoticesOptions;
  readonly #nodes: ReadonlySet<string>;
  readonly #told: (callId: CallId) => void;
  #server: Server | null = null;

  /** `nodes`: addresses notices come from; others are turned away. Throws RangeError for what is no IP address. */
  constructor(options: NoticesOptions, nodes: readonly string[], told: (callId: CallId) => void) {
    if (isIP(options.host) === 0) throw new RangeError('the notices have no IP address');
    if (options.host === '0.0.0.0' || options.host === '::')
      throw new RangeError('the notices would be taken on every address');
    this.#options = options;
    this.#nodes = new Set(nodes);
    this.#told = told;
  }

  /** Rejects where the address cannot be had. */
  async open(): Promise<void> {
    const server = createServer({ maxHeaderSize: MAX_BYTES, keepAlive: false }, (request, response) =>
      this.#take(request, response),
    );
    server.maxConnections = MAX_CONNECTIONS;
    server.headersTimeout = WITHIN_MS;
    server.requestTimeout = WITHIN_MS;
    server.timeout = WITHIN_MS;
    server.unref();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#options.port, this.#options.host, () => {
        server.removeListener('error', reject);
        server.on('error', () => undefined);
        resolve();
      });
    });
    this.#server = server;
  }

  /** Null before `open`. */
  get address(): { readonly host: string; readonly port: number } | null {
    const address = this.#server?.address() as AddressInfo | null | undefined;
    return address === null || address === undefined ? null : { host: address.address, port: address.port };
  }

  close(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
    this.#server = null;
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const refuse = (status: number): void => {
      response.writeHead(status, { connection: 'close' }).end();
      request.resume();
    };
    const from = request.socket.remoteAddress?.replace(/^::ffff:/, '') ?? '';
    if (!this.#nodes.has(from) || request.method !== 'POST') {
      refuse(this.#nodes.has(from) ? 405 : 403);
      return;
    }
    const parts: Buffer[] = [];
    let bytes = 0;
    request.on('error', () => undefined);
    request.on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes > MAX_BYTES) {
        refuse(413);
        request.destroy();
      } else parts.push(part);
    });
    request.on('end', () => {
      const callId = noticed(Buffer.concat(parts).toString('utf8'));
      if (callId === null) refuse(400);
      else {
        response.writeHead(200, { 'content-type': 'text/xml', connection: 'close' }).end(THANKS);
        this.#told(callId);
      }
    });
  }
}
