import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

export interface Pair {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
  /** SHA-256 of the certificate, lower-case hex. */
  readonly fingerprint: string;
}

/** Certificates made for one test by the openssl program, in a folder that goes with it. */
export class Certificates {
  readonly folder = mkdtempSync(join(tmpdir(), 'sallyport-certs-'));
  readonly authority: Pair;
  readonly #program = 'openssl';
  #count = 0;

  constructor(test: Test) {
    test.teardown(() => rmSync(this.folder, { recursive: true, force: true }));
    this.authority = this.#make('Test Authority', [], null);
  }

  #openssl(...args: string[]): void {
    execFileSync(this.#program, args, { stdio: 'pipe' });
  }

  #make(subject: string, altNames: readonly string[], issuer: Pair | null, ca = false): Pair {
    const base = join(this.folder, `c${++this.#count}`);
    const [certFile, keyFile, requestFile, extensionFile] = ['.crt', '.key', '.csr', '.ext'].map(
      (end) => base + end,
    ) as [string, string, string, string];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile];
    const subj = ['-subj', `/CN=${subject}`];
    const names = altNames.length === 0 ? [] : ['-addext', `subjectAltName=${altNames.join(',')}`];
    if (issuer === null) {
      this.#openssl('req', '-x509', ...key, ...subj, ...names, '-days', '30', '-out', certFile);
    } else {
      const own = ca ? 'basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\n' : '';
      const named = altNames.length === 0 ? '' : `subjectAltName=${altNames.join(',')}\n`;
      writeFileSync(extensionFile, own + named);
      this.#openssl('req', '-new', ...key, ...subj, '-out', requestFile);
      const by = ['-CA', issuer.certFile, '-CAkey', issuer.keyFile, '-CAcreateserial', '-days', '30'];
      this.#openssl('x509', '-req', '-in', requestFile, ...by, '-extfile', extensionFile, '-out', certFile);
    }
    const cert = readFileSync(certFile, 'utf8');
    const fingerprint = createHash('sha256').update(new X509Certificate(cert).raw).digest('hex');
    return { certFile, keyFile, cert, key: readFileSync(keyFile, 'utf8'), fingerprint };
  }

  /** By our authority; `altNames` as `DNS:a`, `URI:sip:b`, `IP:127.0.0.1`. */
  issued(subject: string, ...altNames: string[]): Pair {
    return this.#make(subject, altNames, this.authority);
  }

  /** By another authority than ours. */
  issuedBy(issuer: Pair, subject: string, ...altNames: string[]): Pair {
    return this.#make(subject, altNames, issuer);
  }

  /** An authority below ours. */
  intermediate(subject: string): Pair {
    return this.#make(subject, [], this.authority, true);
  }

  /**
   * The revocation list of an authority with these certificates on it, for so many days; less than none: one that runs out
   * within a second.
   */
  list(issuer: Pair, days: number, ...revoked: Pair[]): string {
    const base = join(this.folder, `l${++this.#count}`);
    const [database, config, number, file] = ['.txt', '.cnf', '.number', '.crl'].map((end) => base + end) as [
      string,
      string,
      string,
      string,
    ];
    writeFileSync(database, '');
    writeFileSync(number, '01\n');
    writeFileSync(
      config,
      `[ca]\ndefault_ca=own\n[own]\ndatabase=${database}\ncrlnumber=${number}\ndefault_md=sha256\n` +
        'crl_extensions=ext\n[ext]\nauthorityKeyIdentifier=keyid\n',
    );
    const ca = ['ca', '-config', config, '-cert', issuer.certFile, '-keyfile', issuer.keyFile];
    for (const one of revoked) this.#openssl(...ca, '-revoke', one.certFile);
    // A list that has run out: its next one should have come already.
    const until = days >= 0 ? ['-crldays', String(days)] : ['-crlsec', '1'];
    this.#openssl(...ca, '-gencrl', ...until, '-out', file);
    return file;
  }

  /** A certificate's key, name and serial number once more, vouched for by that authority for so many days. */
  again(pair: Pair, by: Pair, days: number): Pair {
    const base = join(this.folder, `a${++this.#count}`);
    const [certFile, requestFile] = [`${base}.crt`, `${base}.csr`];
    const copy = ['-copy_extensions', 'copyall'];
    const ask = ['-x509toreq', '-signkey', pair.keyFile, ...copy];
    this.#openssl('x509', '-in', pair.certFile, ...ask, '-out', requestFile);
    const serial = `0x${new X509Certificate(pair.cert).serialNumber}`;
    const signer = by === pair ? ['-signkey', by.keyFile] : ['-CA', by.certFile, '-CAkey', by.keyFile];
    const dated = ['-set_serial', serial, '-days', String(days)];
    this.#openssl('x509', '-req', '-in', requestFile, ...signer, ...dated, ...copy, '-out', certFile);
    const cert = readFileSync(certFile, 'utf8');
    const fingerprint = createHash('sha256').update(new X509Certificate(cert).raw).digest('hex');
    return { ...pair, certFile, cert, fingerprint };
  }

  selfSigned(subject: string, ...altNames: string[]): Pair {
    return this.#make(subject, altNames, null);
  }
}
