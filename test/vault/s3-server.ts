import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/**
 * A small server that speaks as much of S3 as the tests need, made from the service's documentation and from nothing
 * of ours: it checks Signature Version 4 itself, holds bodies against their digests, and knows conditional writes,
 * objects of parts and lists by pages. And it can be told to fail.
 */
export type Fault =
  /** Answers so, without doing it. */
  | { readonly how: 'status'; readonly status: number; readonly code: string }
  /** Never answers. */
  | { readonly how: 'silent' }
  /** Does it and cuts the connection in the place of the answer. */
  | { readonly how: 'done-and-cut' }
  /** Cuts the answer's body after so many bytes. */
  | { readonly how: 'cut-body'; readonly after: number }
  /** Answers with less than all of it, as if that were all. */
  | { readonly how: 'short' }
  /** Takes the body for another one than was sent. */
  | { readonly how: 'damaged' };

export interface S3ServerOptions {
  readonly bucket?: string;
  readonly region?: string;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  /** Takes no notice of `If-None-Match`. */
  readonly replaces?: 'objects' | 'parts';
  /** Most names on a page, whatever was asked for. */
  readonly pageSize?: number;
  /** The clock it judges signatures by, ms. */
  readonly now?: () => number;
  readonly port?: number;
}

interface Stored {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly metadata: Readonly<Record<string, string>>;
}

interface Upload {
  readonly key: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly parts: Map<
    number,
    { readonly bytes: Buffer; readonly etag: string; readonly sha256: string | null }
  >;
}

interface Asked {
  readonly request: IncomingMessage;
  readonly url: URL;
  /** What was asked for: `PutObject`, `UploadPart` and so on. */
  readonly action: string;
  readonly key: string;
  readonly body: Buffer;
}

class Refused extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string) {
    super(code);
    this.status = status;
    this.code = code;
  }
}

const sha256 = (bytes: Buffer | string, as: 'hex' | 'base64' = 'hex'): string =>
  createHash('sha256').update(bytes).digest(as);
const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex');
const hmac = (key: Buffer | string, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const escaped = (text: string): string =>
  text
    .replace(/[<>&"']/g, (one) => `&#${one.charCodeAt(0)};`)
    .replace(/[^\t\n\r -\ud7ff\ue000-\ufffd]/g, '?');
const encoded = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
const xml = (name: string, content: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<${name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${content}</${name}>`;
const tag = (name: string, content: string | number | boolean): string => `<${name}>${content}</${name}>`;

const SKEW_MS = 15 * 60_000;
const MIN_PART = 5 * 2 ** 20;

export class S3Server {
  readonly objects = new Map<string, Stored>();
  readonly uploads = new Map<string, Upload>();
  /** Every request that was let in: `PutObject key`. */
  readonly asked: string[] = [];
  /** What went wrong with signatures and digests, told by the server itself. */
  readonly refused: string[] = [];
  faultOf: (action: string, key: string) => Fault | null = () => null;
  /** Actions nobody may do. */
  readonly denied = new Set<string>();
  readonly #options: Required<S3ServerOptions>;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #uploadCount = 0;

  constructor(options: S3ServerOptions = {}) {
    this.#options = {
      bucket: 'recordings',
      region: 'us-test-1',
      accessKeyId: 'AKTEST',
      secretAccessKey: 'a+secret/of=the/tests',
      replaces: undefined as never,
      pageSize: 1000,
      now: Date.now,
      port: 0,
      ...options,
    };
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(this.#options.port, '127.0.0.1');
    await once(this.#server, 'listening');
    return this.port;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const url = new URL(request.url ?? '/', 'http://s3');
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      const raw = Buffer.concat(parts);
      const key = decodeURIComponent(url.pathname.split('/').slice(2).join('/'));
      const action = actionOf(request.method ?? '', url, key);
      const fault = this.faultOf(action, key);
      if (fault?.how === 'silent') return;
      if (fault?.how === 'status') throw new Refused(fault.status, fault.code);
      const body = fault?.how === 'damaged' && raw.length > 0 ? Buffer.from(raw).fill(0, 0, 1) : raw;
      this.#checkSignature(request, url, raw);
      if (decodeURIComponent(url.pathname.split('/')[1] ?? '') !== this.#options.bucket)
        throw new Refused(404, 'NoSuchBucket');
      if (this.denied.has(action)) throw new Refused(403, 'AccessDenied');
      this.#checkDigests(request, body);
      this.asked.push(`${action} ${key}`);
      const whole = this.#do({ request, url, action, key, body });
      const answer = fault?.how === 'short' ? { ...whole, body: whole.body.subarray(0, -10) } : whole;
      if (fault?.how === 'done-and-cut') {
        request.socket.destroy();
        return;
      }
      response.writeHead(answer.status, { ...answer.headers, 'content-length': answer.body.length });
      if (fault?.how === 'cut-body') {
        response.write(answer.body.subarray(0, fault.after), () => request.socket.destroy());
        return;
      }
      response.end(request.method === 'HEAD' ? undefined : answer.body);
    } catch (error) {
      const { status, code } = error instanceof Refused ? error : new Refused(500, 'InternalError');
      this.refused.push(code);
      const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${tag('Code', code)}${tag('Message', 'no')}</Error>`;
      response.writeHead(status, { 'content-type': 'application/xml' });
      response.end(request.method === 'HEAD' ? undefined : body);
    }
  }

  /** Signature Version 4 from the service's documentation, over what came in. */
  #checkSignature(request: IncomingMessage, url: URL, body: Buffer): void {
    const { accessKeyId, secretAccessKey, region } = this.#options;
    const found =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
        request.headers.authorization ?? '',
      );
    if (found === null) throw new Refused(403, 'AccessDenied');
    const [, key = '', day = '', where = '', signed = '', signature = ''] = found;
    if (key !== accessKeyId) throw new Refused(403, 'InvalidAccessKeyId');
    if (where !== region) throw new Refused(400, 'AuthorizationHeaderMalformed');
    const date = String(request.headers['x-amz-date'] ?? '');
    const at = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
    if (!(Math.abs(at - this.#options.now()) <= SKEW_MS) || !date.startsWith(day))
      throw new Refused(403, 'RequestTimeTooSkewed');
    const names = signed.split(';');
    // What says how an object is written must be signed, or somebody on the way could take it off.
    for (const name of Object.keys(request.headers)) {
      if ((name.startsWith('x-amz-') || name === 'host') && !names.includes(name))
        throw new Refused(403, 'AccessDenied');
    }
    const payload = String(request.headers['x-amz-content-sha256'] ?? '');
    const query = [...url.searchParams]
      .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
      .sort()
      .join('&');
    const path = (request.url ?? '/').split('?')[0] ?? '/';
    const canonical = [
      request.method,
      path
        .split('/')
        .map((part) => encoded(decodeURIComponent(part)))
        .join('/'),
      query,
      ...names.map(
        (name) =>
          `${name}:${String(request.headers[name] ?? '')
            .trim()
            .replace(/ +/g, ' ')}`,
      ),
      '',
      signed,
      payload,
    ].join('\n');
    const scope = `${day}/${region}/s3/aws4_request`;
    const text = ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n');
    const signing = [day, region, 's3', 'aws4_request'].reduce<Buffer | string>(
      hmac,
      `AWS4${secretAccessKey}`,
    );
    const ours = hmac(signing, text);
    if (!timingSafeEqual(ours, Buffer.from(signature, 'hex')))
      throw new Refused(403, 'SignatureDoesNotMatch');
    if (payload !== 'UNSIGNED-PAYLOAD' && payload !== sha256(body))
      throw new Refused(400, 'XAmzContentSHA256Mismatch');
  }

  #checkDigests({ headers }: IncomingMessage, body: Buffer): void {
    const said = headers['x-amz-checksum-sha256'];
    if (said !== undefined && said !== sha256(body, 'base64')) throw new Refused(400, 'BadDigest');
    const length = headers['content-length'];
    if (length !== undefined && Number(length) !== body.length) throw new Refused(400, 'IncompleteBody');
  }

  #do(asked: Asked): Answer {
    const { action, key, url, body, request } = asked;
    switch (action) {
      case 'PutObject':
        this.#unlessThere(request, key, 'objects');
        return this.#stored(key, { bytes: body, etag: md5(body), metadata: metadataOf(request) });
      case 'GetObject':
      case 'HeadObject':
        return this.#got(request, key);
      case 'DeleteObject':
        this.objects.delete(key);
        return { status: 204, headers: {}, body: Buffer.alloc(0) };
      case 'ListObjectsV2':
        return okay(this.#listed(url));
      case 'CreateMultipartUpload': {
        const id = `upload-${++this.#uploadCount}`;
        this.uploads.set(id, { key, metadata: metadataOf(request), parts: new Map() });
        return okay(
          xml(
            'InitiateMultipartUploadResult',
            tag('Bucket', this.#options.bucket) + tag('Key', escaped(key)) + tag('UploadId', id),
          ),
        );
      }
      case 'UploadPart': {
        const said = request.headers['x-amz-checksum-sha256'];
        this.#upload(url, key).parts.set(Number(url.searchParams.get('partNumber')), {
          bytes: body,
          etag: md5(body),
          sha256: said === undefined ? null : String(said),
        });
        return { status: 200, headers: { etag: `"${md5(body)}"` }, body: Buffer.alloc(0) };
      }
      case 'CompleteMultipartUpload':
        return this.#completed(asked);
      case 'AbortMultipartUpload':
        this.#upload(url, key);
        this.uploads.delete(url.searchParams.get('uploadId') ?? '');
        return { status: 204, headers: {}, body: Buffer.alloc(0) };
      case 'ListMultipartUploads': {
        const prefix = url.searchParams.get('prefix') ?? '';
        const found = [...this.uploads].filter(([, upload]) => upload.key.startsWith(prefix));
        const each = found.map(([id, upload]) =>
          tag('Upload', tag('Key', escaped(upload.key)) + tag('UploadId', id)),
        );
        return okay(xml('ListMultipartUploadsResult', tag('IsTruncated', false) + each.join('')));
      }
      default:
        throw new Refused(501, 'NotImplemented');
    }
  }

  #unlessThere(request: IncomingMessage, key: string, what: 'objects' | 'parts'): void {
    const condition = request.headers['if-none-match'];
    if (condition === undefined || this.#options.replaces === what) return;
    if (condition !== '*') throw new Refused(501, 'NotImplemented');
    if (this.objects.has(key)) throw new Refused(412, 'PreconditionFailed');
  }

  #stored(key: string, stored: Stored): Answer {
    this.objects.set(key, stored);
    return { status: 200, headers: { etag: `"${stored.etag}"` }, body: Buffer.alloc(0) };
  }

  #got(request: IncomingMessage, key: string): Answer {
    const stored = this.objects.get(key);
    if (stored === undefined) throw new Refused(404, 'NoSuchKey');
    const { bytes, etag, metadata } = stored;
    const match = request.headers['if-match'];
    if (match !== undefined && match !== `"${etag}"`) throw new Refused(412, 'PreconditionFailed');
    const said = Object.fromEntries(
      Object.entries(metadata).map(([name, value]) => [`x-amz-meta-${name}`, value]),
    );
    const modified = new Date(0).toUTCString();
    const headers = {
      etag: `"${etag}"`,
      'last-modified': modified,
      'content-type': 'application/octet-stream',
      ...said,
    };
    const range = /^bytes=(\d+)-$/.exec(String(request.headers.range ?? ''))?.[1];
    if (range === undefined) return { status: 200, headers, body: bytes };
    const body = bytes.subarray(Number(range));
    const place = `bytes ${range}-${bytes.length - 1}/${bytes.length}`;
    return { status: 206, headers: { ...headers, 'content-range': place }, body };
  }

  #listed(url: URL): string {
    const asked = (name: string): string => url.searchParams.get(name) ?? '';
    const [prefix, delimiter] = [asked('prefix'), asked('delimiter')];
    const after = Buffer.from(asked('continuation-token'), 'base64').toString();
    const most = Math.min(this.#options.pageSize, Number(asked('max-keys') || 1000));
    const urlled = asked('encoding-type') === 'url';
    const shown = (key: string): string => (urlled ? encoded(key).replaceAll('%2F', '/') : escaped(key));
    const entries = new Map<string, string>();
    for (const key of [...this.objects.keys()].filter((one) => one.startsWith(prefix))) {
      const end = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
      const name = end === -1 ? key : key.slice(0, end + delimiter.length);
      const size = this.objects.get(key)?.bytes.length ?? 0;
      entries.set(
        name,
        end === -1
          ? tag('Contents', tag('Key', shown(name)) + tag('Size', size))
          : tag('CommonPrefixes', tag('Prefix', shown(name))),
      );
    }
    const names = [...entries.keys()].sort().filter((name) => name > after);
    const page = names.slice(0, most);
    const more = names.length > page.length;
    return xml(
      'ListBucketResult',
      tag('IsTruncated', more) +
        tag('KeyCount', page.length) +
        (urlled ? tag('EncodingType', 'url') : '') +
        (more ? tag('NextContinuationToken', Buffer.from(page.at(-1) ?? '').toString('base64')) : '') +
        page.map((name) => entries.get(name)).join(''),
    );
  }

  #upload(url: URL, key: string): Upload {
    const upload = this.uploads.get(url.searchParams.get('uploadId') ?? '');
    if (upload === undefined || upload.key !== key) throw new Refused(404, 'NoSuchUpload');
    return upload;
  }

  #completed({ url, key, body, request }: Asked): Answer {
    const upload = this.#upload(url, key);
    this.#unlessThere(request, key, 'parts');
    const said = [...body.toString().matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part = '']) => ({
      number: Number(/<PartNumber>(\d+)</.exec(part)?.[1]),
      etag: /<ETag>(?:&quot;|"|&#34;)?([0-9a-f]+)/.exec(part)?.[1],
      sha256: /<ChecksumSHA256>([^<]+)</.exec(part)?.[1],
    }));
    const parts = said.map(({ number, etag, sha256: digest }, i) => {
      const part = upload.parts.get(number);
      if (part === undefined || part.etag !== etag || number !== i + 1) throw new Refused(400, 'InvalidPart');
      if (part.sha256 !== null && part.sha256 !== digest) throw new Refused(400, 'InvalidPart');
      if (i < said.length - 1 && part.bytes.length < MIN_PART) throw new Refused(400, 'EntityTooSmall');
      return part.bytes;
    });
    if (parts.length === 0) throw new Refused(400, 'MalformedXML');
    const bytes = Buffer.concat(parts);
    this.uploads.delete(url.searchParams.get('uploadId') ?? '');
    const etag = `${md5(Buffer.concat(parts.map((part) => Buffer.from(md5(part), 'hex'))))}-${parts.length}`;
    this.#stored(key, { bytes, etag, metadata: upload.metadata });
    return okay(xml('CompleteMultipartUploadResult', tag('Key', escaped(key)) + tag('ETag', etag)));
  }
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const okay = (text: string): Answer => ({
  status: 200,
  headers: { 'content-type': 'application/xml' },
  body: Buffer.from(text),
});

const metadataOf = ({ headers }: IncomingMessage): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      name.startsWith('x-amz-meta-') ? [[name.slice('x-amz-meta-'.length), String(value)]] : [],
    ),
  );

const actionOf = (method: string, { searchParams: query }: URL, key: string): string => {
  if (key === '')
    return query.has('uploads') ? 'ListMultipartUploads' : method === 'GET' ? 'ListObjectsV2' : 'HeadBucket';
  const parted = query.has('uploadId');
  switch (method) {
    case 'PUT':
      return parted ? 'UploadPart' : 'PutObject';
    case 'GET':
      return 'GetObject';
    case 'HEAD':
      return 'HeadObject';
    case 'DELETE':
      return parted ? 'AbortMultipartUpload' : 'DeleteObject';
    case 'POST':
      return query.has('uploads') ? 'CreateMultipartUpload' : 'CompleteMultipartUpload';
    default:
      return method;
  }
};
