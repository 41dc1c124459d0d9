import { constants, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { Socket } from 'node:net';
import {
  connect,
  createSecureContext,
  createServer,
  type DetailedPeerCertificate,
  type PeerCertificate,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
} from 'node:tls';
import { certificateNames, evidenceOf, namesHost } from './certificate.js';
import type { Timer, Timers } from './clock.js';
import type { Telemetry } from './events.js';
import type { AgentLimits } from './limits.js';
import type { Peers } from './peers.js';
import { maxChain, readList, type Standing, standingOf, type Trust } from './revocation-list.js';

/** TLS of the agent: its own certificate, and whose it believes. */
export interface TlsOptions {
  /** PEM: our certificate, with the certificates between it and its authority. */
  readonly certFile: string;
  /** PEM: its private key. */
  readonly keyFile: string;
  /** PEM: the authorities that vouch for peers, both directions. Without it those Node comes with, outgoing only. */
  readonly caFile?: string;
  /** PEM: revocation lists of those authorities, one of each; whoever is on one, or has none, is not believed. */
  readonly crlFile?: string;
  /** Close connections of clients that show no certificate of a peer (`peers`). */
  readonly requireClientCertificate: boolean;
  /** Servers whose certificate is of another name than the one they are asked for by. */
  readonly servers?: readonly {
    readonly host: string;
    /** Undefined: any, as the domain of the host says it. */
    readonly port: number | undefined;
    readonly name: string;
  }[];
}

/**
 * Forward secrecy and authenticated encryption alone (RFC 9325 section 4.2). A peer that has nothing of it is no peer:
 * there is no falling back.
 */
const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/**
 * No tickets: a resumed session would carry a client certificate that nobody looks at again, past its removal. No
 * renegotiation: it would let a peer become another one on a connection that was judged.
 */
const secureOptions =
  constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION;

interface TlsContext {
  readonly options: TlsOptions;
  readonly peers: Peers;
  readonly limits: AgentLimits;
  readonly timers: Timers;
  readonly telemetry: Telemetry;
}

/** What the files held when they were read. */
interface Read {
  readonly material: SecureContextOptions;
  readonly trust: Trust;
  readonly seen: string;
}

/** A handshake under way, and which reading of the files it began with. */
interface Handshake {
  readonly since: number;
  done(secure: TLSSocket, name: string | undefined): void;
}

/** The certificate and key in use, and the TLS ends made with them. */
export class Tls {
  readonly #context: TlsContext;
  readonly #server: Server;
  readonly #handshakes = new Map<Socket, Handshake>();
  #material: SecureContextOptions;
  /** By whom and by which lists a connection that is open is judged. */
  #trust: Trust;
  #readings = 0;
  #judge: () => Promise<void> = () => Promise.resolve();
  /** What the files were when they were read, to see a change. */
  #seen = '';
  #watch: Timer | undefined;
  #stopped = false;

  private constructor(context: TlsContext, { material, trust, seen }: Read) {
    this.#context = context;
    this.#material = material;
    this.#trust = trust;
    this.#seen = seen;
    // The handshake goes on without a good certificate, so that we decide who it is: a pinned one needs no authority.
    const server = createServer({ ...material, requestCert: true, rejectUnauthorized: false });
    this.#server = server;
    server.on('secureConnection', (secure) => this.#accepted(secure));
    server.on('tlsClientError', (_error, secure) => {
      context.telemetry.drop('tls-handshake');
      secure.destroy();
    });
    this.#watchFiles();
  }

  /** Reads certificate and key; rejects if they cannot be used. */
  static async open(context: TlsContext): Promise<Tls> {
    return new Tls(context, await readMaterial(context.options));
  }

  get handshakes(): number {
    return this.#handshakes.size;
  }

  /** How often the files have been read anew. */
  get readings(): number {
    return this.#readings;
  }

  /** What is done for the connections that are open when the files have been read anew. */
  onReload(judge: () => Promise<void>): void {
    this.#judge = judge;
  }

  /**
   * Reads the files again. New connections use what is read; of those that are open, the ones whose other end would not
   * be believed any more are closed. Resolves with false if the files are of no use; then what was read before stays in
   * use. Never rejects.
   */
  async reload(): Promise<boolean> {
    const { telemetry, options } = this.#context;
    try {
      const { material, trust, seen } = await readMaterial(options);
      if (this.#stopped) return false;
      this.#server.setSecureContext(material);
      this.#material = material;
      this.#trust = trust;
      this.#seen = seen;
      this.#readings++;
    } catch (error) {
      telemetry.log({ kind: 'tls-reloaded', ok: false, code: codeOf(error) });
      return false;
    }
    // From here on the new files are in use, whatever becomes of the connections that are open.
    try {
      await this.#judge();
    } catch (error) {
      const name = error instanceof Error ? error.name : 'unknown';
      telemetry.log({ kind: 'internal-error', where: 'network', name });
    }
    telemetry.log({ kind: 'tls-reloaded', ok: true, code: '' });
    return true;
  }

  #watchFiles(): void {
    const { timers, limits, options } = this.#context;
    this.#watch = timers.start(limits.tlsReloadMs, () => {
      void lookOf(options).then(async (seen) => {
        // A file that is away is being replaced: it is looked for again.
        if (!this.#stopped && seen !== this.#seen && seen !== '') {
          this.#seen = seen;
          await this.reload();
        }
        if (!this.#stopped) this.#watchFiles();
      });
    });
  }

  /**
   * Takes an accepted socket through its handshake. `done` gets the secure socket and the name of the peer its
   * certificate is of, if of any; it is never called for a connection that is turned away.
   */
  accept(socket: Socket, done: (secure: TLSSocket, name: string | undefined) => void): void {
    const { limits, timers, telemetry } = this.#context;
    if (this.#handshakes.size >= limits.tlsHandshakes) {
      telemetry.drop('tls-limit');
      socket.destroy();
      return;
    }
    // It is counted as every other that fails: the server tells of a socket that closes in its handshake.
    const timer = timers.start(limits.tlsHandshakeMs, () => socket.destroy());
    const over = (): void => {
      timers.stop(timer);
      this.#handshakes.delete(socket);
    };
    socket.on('error', () => undefined);
    socket.once('close', over);
    this.#handshakes.set(socket, {
      since: this.#readings,
      done: (secure, name) => {
        over();
        done(secure, name);
      },
    });
    this.#server.emit('connection', socket);
  }

  #accepted(secure: TLSSocket): void {
    // The socket beneath is not told by any documented field; its port and address are, and no two open ones share them.
    const handshake = [...this.#handshakes].find(
      ([socket]) =>
        socket.remotePort === secure.remotePort &&
        socket.remoteAddress === secure.remoteAddress &&
        socket.localPort === secure.localPort,
    )?.[1];
    const { options, peers, telemetry, timers } = this.#context;
    secure.on('error', () => undefined);
    const address = plainAddress(secure.remoteAddress ?? '');
    if (handshake === undefined || address === '') {
      secure.destroy();
      return;
    }
    const certificate = secure.getPeerX509Certificate();
    const name =
      certificate === undefined
        ? undefined
        : peers.byCertificate(
            evidenceOf(certificate, options.caFile !== undefined && secure.authorized, timers.clock.date()),
            address,
          );
    // A pinned certificate needs no authority; but where its authority took it back, it counts no more either.
    if (isRevoked(secure)) {
      telemetry.drop('tls-revoked');
      secure.destroy();
      return;
    }
    if (name === undefined && options.requireClientCertificate) {
      telemetry.drop('tls-no-certificate');
      secure.destroy();
      return;
    }
    // What OpenSSL said of it, it said by the files as they were when the handshake began.
    const reason = handshake.since === this.#readings ? undefined : this.objection(secure, { name });
    if (reason !== undefined) {
      telemetry.drop(reason);
      secure.destroy();
      return;
    }
    telemetry.tls.accepted++;
    handshake.done(secure, name);
  }

  /**
   * Why the other end of a connection would not be let in again by the files as they are now; undefined where it would.
   * `as`: the peer it was let in as, or null where we connected to it.
   */
  objection(
    secure: TLSSocket,
    as: { readonly name: string | undefined } | null,
  ): 'tls-revoked' | 'tls-no-certificate' | undefined {
    const { options, peers, timers } = this.#context;
    const now = timers.clock.date();
    const chain = chainOf(secure);
    const [certificate] = chain;
    // Without authorities of ours they are Node's, which do not change.
    const standing: Standing =
      options.caFile === undefined ? 'unknown' : standingOf(chain, this.#trust, now.getTime());
    if (standing === 'revoked') return 'tls-revoked';
    if (as === null) {
      return options.caFile === undefined || standing === 'believed' ? undefined : 'tls-no-certificate';
    }
    const address = plainAddress(secure.remoteAddress ?? '');
    const name =
      certificate === undefined
        ? undefined
        : peers.byCertificate(evidenceOf(certificate, standing === 'believed', now), address);
    return name === as.name ? undefined : 'tls-no-certificate';
  }

  /** Connects to a server that must prove to be `host`, or whoever is configured for that host and port. */
  connect(host: string, address: string, port: number, localAddress: string | undefined): TLSSocket {
    const name = this.#nameOf(host, port);
    return connect({
      ...this.#material,
      host: address,
      port,
      ...(localAddress === undefined ? {} : { localAddress }),
      // RFC 6066 section 3: an address is no server name.
      ...(/^[0-9.]+$|:/.test(name) ? {} : { servername: name }),
      rejectUnauthorized: true,
      checkServerIdentity: (_name: string, shown: PeerCertificate) => identityProblem(shown, name),
    });
  }

  #nameOf(host: string, port: number): string {
    const servers = this.#context.options.servers ?? [];
    return servers.find((one) => one.host === host && (one.port ?? port) === port)?.name ?? host;
  }

  stop(): void {
    this.#stopped = true;
    this.#watch = this.#context.timers.stop(this.#watch);
    for (const socket of [...this.#handshakes.keys()]) socket.destroy();
  }
}

/** Node shows IPv4 peers of a dual-stack socket as ::ffff:a.b.c.d; the mapped form must not get into messages. */
export const plainAddress = (address: string): string =>
  address.startsWith('::ffff:') ? address.slice(7) : address;

/** RFC 5922 section 7.2 in the place of HTTP's rules, which would take a wildcard. */
function identityProblem(shown: PeerCertificate, name: string): Error | undefined {
  const certificate = new X509Certificate(shown.raw);
  const names = certificateNames(certificate.subjectAltName, certificate.subject);
  return namesHost(names, name) ? undefined : new Error('the certificate is of another name');
}

/** What OpenSSL found, as text or as an error of that code: Node's types know the second, its documents the first. */
const isRevoked = (secure: TLSSocket): boolean => {
  const error: unknown = secure.authorizationError;
  return error === 'CERT_REVOKED' || (error instanceof Error && codeOf(error) === 'CERT_REVOKED');
};

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unusable';

const maxPemBytes = 1024 * 1024;

async function readMaterial(options: TlsOptions): Promise<Read> {
  const seen = await lookOf(options);
  const { certFile, keyFile, caFile, crlFile } = options;
  const [cert, key, ca, crl] = await Promise.all([
    readPem(certFile),
    readPem(keyFile),
    caFile === undefined ? undefined : readPem(caFile),
    crlFile === undefined ? undefined : readPem(crlFile),
  ]);
  // Node reads the first list of a text alone.
  const lists = crl?.match(/-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----/g);
  if (crl !== undefined && (lists === null || lists === undefined))
    throw new Error('agent: no revocation list');
  const material: SecureContextOptions = {
    cert,
    key,
    ...(ca === undefined ? {} : { ca }),
    ...(lists === null || lists === undefined ? {} : { crl: [...lists] }),
    minVersion: 'TLSv1.2',
    ciphers,
    honorCipherOrder: true,
    secureOptions,
  };
  const trust = trustOf(ca, lists ?? undefined);
  // Cut short by whoever writes it: nobody would be vouched for, and every trunk it vouched for cut off.
  if (ca !== undefined && trust.authorities.length === 0) throw new Error('agent: no authority');
  // Made once to see that it works: a key of another certificate is found out here, before anything uses it.
  createSecureContext(material);
  if (new X509Certificate(cert).validTo === '') throw new Error('agent: the certificate cannot be read');
  return { material, trust, seen };
}

/** The bytes of a PEM block; what stands beside them is none of it. */
const bytesOf = (pem: string): Buffer => Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64');

function trustOf(ca: string | undefined, lists: readonly string[] | undefined): Trust {
  const certificates = ca?.match(
    /-----BEGIN (?:X509 )?CERTIFICATE-----[^-]+-----END (?:X509 )?CERTIFICATE-----/g,
  );
  return {
    authorities: (certificates ?? []).map((pem) => new X509Certificate(bytesOf(pem))),
    // One that cannot be read here is as good as missing.
    lists: lists?.flatMap((pem) => readList(bytesOf(pem)) ?? []),
  };
}

/** What the other end showed, its own certificate first; empty where it showed none, or is gone. */
function chainOf(secure: TLSSocket): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  let shown: DetailedPeerCertificate | undefined = secure.getPeerCertificate(true);
  while (shown?.raw !== undefined && chain.length < maxChain) {
    const certificate = new X509Certificate(shown.raw);
    // Who vouches for itself is its own issuer there.
    if (chain.some(({ raw }) => raw.equals(certificate.raw))) break;
    chain.push(certificate);
    shown = shown.issuerCertificate;
  }
  return chain;
}

async function readPem(file: string): Promise<string> {
  const { size } = await stat(file);
  if (size > maxPemBytes) throw new Error('agent: a PEM file is too large');
  return readFile(file, 'utf8');
}

const filesOf = ({ certFile, keyFile, caFile, crlFile }: TlsOptions): string[] => [
  certFile,
  keyFile,
  ...(caFile === undefined ? [] : [caFile]),
  ...(crlFile === undefined ? [] : [crlFile]),
];

/** What the files look like from outside; '' while one of them is away. */
async function lookOf(options: TlsOptions): Promise<string> {
  try {
    const looks = await Promise.all(
      filesOf(options).map(async (file) => {
        const { mtimeMs, size, ino } = await stat(file);
        return `${mtimeMs} ${size} ${ino}`;
      }),
    );
    return looks.join('\n');
  } catch {
    return '';
  }
}
