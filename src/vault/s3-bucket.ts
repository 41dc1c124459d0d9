import { setTimeout as pause } from 'node:timers/promises';
import type { GetObjectCommandOutput, S3Client } from '@aws-sdk/client-s3';
import { VaultError } from './errors.js';
import { readCredentialsFile } from './s3-credentials.js';
import { outcomeOf, type S3Outcome } from './s3-errors.js';

export interface BucketOptions {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly credentialsFile: string;
  /** `endpoint/bucket/key` in the place of `bucket.endpoint/key`. */
  readonly forcePathStyle: boolean;
  /** Bound of one request with a part of a file; requests without one have half of it, 5 s at most. */
  readonly requestMs: number;
}

/** An object as the service describes it. `sha256` is what we said of it when we put it, hex. */
export interface Described {
  readonly bytes: number;
  readonly sha256: string | null;
}

export interface Listed {
  readonly keys: readonly string[];
  readonly folders: readonly string[];
}

/** A part of a file and its digest. */
export interface Part {
  readonly bytes: Buffer;
  /** Base64. */
  readonly sha256: string;
}

export interface DonePart {
  readonly number: number;
  readonly etag: string | undefined;
  readonly sha256: string;
}

type Sdk = typeof import('@aws-sdk/client-s3');
type Work<Value> = (sdk: Sdk, client: S3Client, abortSignal: AbortSignal) => Promise<Value>;

const TRIES = 3;
const FIRST_PAUSE_MS = 100;
const CONNECT_MS = 3000;
const QUICK_MS = 5000;
const MAX_SOCKETS = 16;
const TYPE = 'application/octet-stream';

/** Thrown between our own lines only: every public method gives a value, or a VaultError. */
class Refusal extends Error {
  readonly outcome: S3Outcome;
  constructor(outcome: S3Outcome) {
    super(outcome.kind);
    this.outcome = outcome;
  }
}

const kindOf = (error: unknown): S3Outcome['kind'] | null =>
  error instanceof Refusal ? error.outcome.kind : null;

const thrown = (error: unknown): unknown => {
  if (!(error instanceof Refusal)) return error;
  const { outcome } = error;
  return 'error' in outcome ? outcome.error : new VaultError('store-refused', `unexpectedly ${outcome.kind}`);
};

/**
 * The few requests we make, each with a bound, tries with jitter, and answers of ours. The SDK is loaded with the
 * first: whoever keeps recordings on this host does not wait for it. It is not left to try again by itself, for then
 * nobody could say how long a request takes.
 */
export class Bucket {
  readonly #options: BucketOptions;
  readonly #live = new Set<AbortController>();
  #connected: Promise<{ readonly sdk: Sdk; readonly client: S3Client }> | null = null;

  constructor(options: BucketOptions) {
    this.#options = options;
  }

  /** Puts an object where there is none. The service holds the bytes against the digest (base64). */
  async put(key: string, { bytes, sha256 }: Part, digest: string): Promise<'stored' | 'taken'> {
    return this.#unlessTaken((sdk, client, abortSignal) =>
      client.send(
        new sdk.PutObjectCommand({
          ...this.#at(key),
          Body: bytes,
          ContentLength: bytes.length,
          ContentType: TYPE,
          ChecksumSHA256: sha256,
          IfNoneMatch: '*',
          Metadata: { sha256: digest },
        }),
        { abortSignal },
      ),
    );
  }

  async describe(key: string): Promise<Described | null> {
    try {
      const found = await this.#quick((sdk, client, abortSignal) =>
        client.send(new sdk.HeadObjectCommand(this.#at(key)), { abortSignal }),
      );
      return { bytes: found.ContentLength ?? -1, sha256: found.Metadata?.sha256 ?? null };
    } catch (error) {
      if (kindOf(error) === 'absent') return null;
      throw thrown(error);
    }
  }

  /** The bytes of an object, taken up again where the connection was cut. Rejects with `recording-unknown`. */
  async *read(key: string): AsyncGenerator<Buffer, void, undefined> {
    let [at, cuts] = [0, 0];
    let first: { readonly total: number; readonly etag: string | undefined } | null = null;
    for (;;) {
      const stop = new AbortController();
      this.#live.add(stop);
      try {
        const got: GetObjectCommandOutput = await this.#get(key, at, first?.etag, stop.signal);
        first ??= { total: got.ContentLength ?? -1, etag: got.ETag };
        for await (const bytes of this.#paced(got, stop)) {
          at += bytes.length;
          if (at > first.total) throw new VaultError('recording-changed', 'longer than was said');
          yield bytes;
        }
        if (at === first.total) return;
      } catch (error) {
        if (kindOf(error) === 'absent') throw new VaultError('recording-unknown');
        if (kindOf(error) === 'taken') throw new VaultError('recording-changed', 'changed while it was read');
        if (error instanceof Refusal || error instanceof VaultError) throw thrown(error);
      } finally {
        this.#live.delete(stop);
        stop.abort();
      }
      cuts += 1;
      if (cuts >= TRIES) throw new VaultError('store-unreachable', 'the connection was cut while reading');
    }
  }

  /** Everything under a prefix up to the next slash, page by page. */
  async *list(prefix: string): AsyncGenerator<Listed, void, undefined> {
    for (let token: string | undefined; ; ) {
      const page = await this.#quick((sdk, client, abortSignal) =>
        client.send(
          new sdk.ListObjectsV2Command({
            Bucket: this.#options.bucket,
            Prefix: prefix,
            Delimiter: '/',
            // Keys of anybody's making may hold what XML cannot.
            EncodingType: 'url',
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
          { abortSignal },
        ),
      ).catch((error: unknown) => {
        throw thrown(error);
      });
      const plain = (key: string | undefined): string => decoded(key ?? '', page.EncodingType === 'url');
      yield {
        keys: (page.Contents ?? []).map(({ Key }) => plain(Key)),
        folders: (page.CommonPrefixes ?? []).map(({ Prefix }) => plain(Prefix)),
      };
      const next: string | undefined = page.IsTruncated === true ? page.NextContinuationToken : undefined;
      if (next === undefined) return;
      if (next === token) throw new VaultError('store-refused', 'a list that does not go on');
      token = next;
    }
  }

  async remove(key: string): Promise<void> {
    try {
      await this.#quick((sdk, client, abortSignal) =>
        client.send(new sdk.DeleteObjectCommand(this.#at(key)), { abortSignal }),
      );
    } catch (error) {
      if (kindOf(error) !== 'absent') throw thrown(error);
    }
  }

  /** Begins an object of parts; gives the id under which they are sent. */
  async begin(key: string, digest: string): Promise<string> {
    const { UploadId } = await this.#quick((sdk, client, abortSignal) =>
      client.send(
        new sdk.CreateMultipartUploadCommand({
          ...this.#at(key),
          ContentType: TYPE,
          ChecksumAlgorithm: 'SHA256',
          Metadata: { sha256: digest },
        }),
        { abortSignal },
      ),
    ).catch((error: unknown) => {
      throw thrown(error);
    });
    if (UploadId === undefined) throw new VaultError('store-refused', 'no upload was begun');
    return UploadId;
  }

  async sendPart(key: string, upload: string, number: number, { bytes, sha256 }: Part): Promise<DonePart> {
    const { ETag } = await this.#tried(this.#options.requestMs, (sdk, client, abortSignal) =>
      client.send(
        new sdk.UploadPartCommand({
          ...this.#at(key),
          UploadId: upload,
          PartNumber: number,
          Body: bytes,
          ContentLength: bytes.length,
          ChecksumSHA256: sha256,
        }),
        { abortSignal },
      ),
    ).catch((error: unknown) => {
      throw thrown(error);
    });
    return { number, etag: ETag, sha256 };
  }

  /** Makes an object of its parts where there is none. `gone`: the upload is not there (any more). */
  async complete(
    key: string,
    upload: string,
    parts: readonly DonePart[],
  ): Promise<'stored' | 'taken' | 'gone'> {
    return this.#unlessTaken((sdk, client, abortSignal) =>
      client.send(
        new sdk.CompleteMultipartUploadCommand({
          ...this.#at(key),
          UploadId: upload,
          IfNoneMatch: '*',
          MultipartUpload: {
            Parts: parts.map(({ number, etag, sha256 }) => ({
              PartNumber: number,
              ETag: etag,
              ChecksumSHA256: sha256,
            })),
          },
        }),
        { abortSignal },
      ),
    ).catch((error: unknown) => {
      if (kindOf(error) === 'absent') return 'gone';
      throw thrown(error);
    });
  }

  /** Gives up an upload. Never rejects: a rule of the bucket removes what is left of those that could not be. */
  async abort(key: string, upload: string): Promise<void> {
    await this.#quick((sdk, client, abortSignal) =>
      client.send(new sdk.AbortMultipartUploadCommand({ ...this.#at(key), UploadId: upload }), {
        abortSignal,
      }),
    ).catch(() => undefined);
  }

  /** Ids of uploads of this object that were begun and neither completed nor given up; none where we may not ask. */
  async uploads(key: string): Promise<readonly string[]> {
    const found = await this.#quick((sdk, client, abortSignal) =>
      client.send(new sdk.ListMultipartUploadsCommand({ Bucket: this.#options.bucket, Prefix: key }), {
        abortSignal,
      }),
    ).catch(() => null);
    return (found?.Uploads ?? []).flatMap(({ Key, UploadId }) =>
      Key === key && UploadId !== undefined ? [UploadId] : [],
    );
  }

  /** Ends what is under way. */
  close(): void {
    for (const one of this.#live) one.abort();
    this.#forget();
  }

  #at(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#options.bucket, Key: key };
  }

  async #unlessTaken(work: Work<unknown>): Promise<'stored' | 'taken'> {
    try {
      await this.#tried(this.#options.requestMs, work);
      return 'stored';
    } catch (error) {
      if (kindOf(error) === 'taken') return 'taken';
      if (kindOf(error) === 'absent') throw error;
      throw thrown(error);
    }
  }

  #get(
    key: string,
    at: number,
    etag: string | undefined,
    abortSignal: AbortSignal,
  ): Promise<GetObjectCommandOutput> {
    return this.#quick((sdk, client, tryEnds) => {
      // The headers have the bound of a request; the body goes on for as long as it comes.
      const end = (): void => tryEnded.abort();
      const tryEnded = new AbortController();
      tryEnds.addEventListener('abort', end);
      abortSignal.addEventListener('abort', end);
      const command = new sdk.GetObjectCommand({
        ...this.#at(key),
        ...(at === 0 ? {} : { Range: `bytes=${at}-` }),
        ...(at === 0 || etag === undefined ? {} : { IfMatch: etag }),
      });
      return client
        .send(command, { abortSignal: tryEnded.signal })
        .finally(() => tryEnds.removeEventListener('abort', end));
    });
  }

  /** The chunks of a body, each within the bound of a request. */
  async *#paced(
    { Body }: GetObjectCommandOutput,
    stop: AbortController,
  ): AsyncGenerator<Buffer, void, undefined> {
    if (Body === undefined) return;
    const arm = (): NodeJS.Timeout => {
      const timer = setTimeout(() => {
        stop.abort();
        (Body as unknown as { destroy?: (error: Error) => void }).destroy?.(new Error('no bytes came'));
      }, this.#options.requestMs);
      timer.unref();
      return timer;
    };
    let timer = arm();
    try {
      for await (const chunk of Body as AsyncIterable<Uint8Array>) {
        clearTimeout(timer);
        yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
        timer = arm();
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #quick<Value>(work: Work<Value>): Promise<Value> {
    return this.#tried(Math.min(QUICK_MS, this.#options.requestMs / 2), work);
  }

  /** Rejects with a Refusal. */
  async #tried<Value>(ms: number, work: Work<Value>): Promise<Value> {
    for (let tries = 1; ; tries += 1) {
      const stop = new AbortController();
      const timer = setTimeout(() => stop.abort(), ms);
      this.#live.add(stop);
      try {
        const { sdk, client } = await this.#connect();
        return await work(sdk, client, stop.signal);
      } catch (error) {
        const outcome = outcomeOf(error);
        // The next request reads the key anew, and starts from this host's own clock.
        if (outcome.kind === 'refused') this.#forget();
        if (outcome.kind !== 'busy' || tries >= TRIES) throw new Refusal(outcome);
      } finally {
        clearTimeout(timer);
        this.#live.delete(stop);
      }
      // Jitter: many controllers that lost the service at the same time do not come back at the same time.
      await pause(FIRST_PAUSE_MS * 2 ** (tries - 1) * (0.5 + Math.random()));
    }
  }

  #connect(): Promise<{ readonly sdk: Sdk; readonly client: S3Client }> {
    this.#connected ??= this.#open();
    return this.#connected.catch((error: unknown) => {
      this.#connected = null;
      throw error;
    });
  }

  async #open(): Promise<{ readonly sdk: Sdk; readonly client: S3Client }> {
    const { endpoint, region, forcePathStyle, credentialsFile, requestMs } = this.#options;
    const credentials = await readCredentialsFile(credentialsFile);
    const sdk = await import('@aws-sdk/client-s3');
    const client = new sdk.S3Client({
      endpoint,
      region,
      forcePathStyle,
      credentials,
      maxAttempts: 1,
      // Nothing of it is left to what else stands in this host's environment and profile files.
      defaultsMode: 'standard',
      useFipsEndpoint: false,
      useDualstackEndpoint: false,
      useArnRegion: false,
      expectContinueHeader: false,
      // We give digests of our own, SHA-256, and hold what is read against the manifest.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      followRegionRedirects: false,
      requestHandler: {
        connectionTimeout: CONNECT_MS,
        requestTimeout: requestMs,
        httpAgent: { maxSockets: MAX_SOCKETS, keepAlive: true },
        httpsAgent: { maxSockets: MAX_SOCKETS, keepAlive: true },
      },
    });
    return { sdk, client };
  }

  #forget(): void {
    const before = this.#connected;
    this.#connected = null;
    void before?.then(({ client }) => client.destroy()).catch(() => undefined);
  }
}

const decoded = (key: string, encoded: boolean): string => {
  if (!encoded) return key;
  try {
    return decodeURIComponent(key.replaceAll('+', '%20'));
  } catch {
    return key;
  }
};
