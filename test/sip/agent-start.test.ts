import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import t from 'tap';
import { parseConfig } from '../../src/config/load.js';
import { remoteAgent, startAgentIfEmbedded } from '../../src/sip-agent.js';
import { Certificates } from '../agent/certificates.js';
import { RawApp, request } from '../agent/support.js';

t.test('the embedded agent, as the configuration has it', async (t) => {
  const certs = new Certificates(t);
  const own = certs.issued('agent', 'IP:127.0.0.1');
  const pbx = certs.issued('pbx', 'DNS:pbx.example');
  const password = join(certs.folder, 'password');
  writeFileSync(password, 'secret\n');
  const text = `
sip:
  listen:
    - { transport: tls, address: 127.0.0.1, port: 1 }
    - { transport: udp, address: 127.0.0.1, port: 1 }
  tls: { certFile: ${own.certFile}, keyFile: ${own.keyFile}, caFile: ${certs.authority.certFile} }
dialPlans: { default: {} }
facilities: { north: {} }
trunks:
  facilities:
    - { name: pbx, facility: north, transports: [tls], tls: { names: [pbx.example] }, carriers: [w], presentedNumber: "+12125550100" }
    - { name: east, facility: north, digest: { username: e, passwordFile: ${password} }, carriers: [w], presentedNumber: "+12125550101" }
  carriers:
    - { name: w, address: 192.0.2.9, transport: tls, tls: { name: w.example }, credentials: { realm: w, username: u, passwordFile: ${password} } }
lists: { publisherKeys: [key.pem] }
media:
  nodes:
    - { name: r, pool: recorded, ng: { host: 127.0.0.1, port: 1 }, cli: { host: 127.0.0.1, port: 2 }, mediaAddress: 127.0.0.1, spool: /s }
    - { name: p, pool: private, ng: { host: 127.0.0.1, port: 3 }, cli: { host: 127.0.0.1, port: 4 }, mediaAddress: 127.0.0.1 }
  peerNetworks: [127.0.0.0/8]
recording:
  vault:
    keys:
      n: { role: facility, recipientFile: n.pub }
      s: { role: escrow, recipientFile: s.pub }
    facilities: { north: [n] }
    sealed: [s]
`;
  const parsed = parseConfig(text, '/srv/site/sallyport.yaml');
  const listen = parsed.sip.listen.map((one) => ({ ...one, port: 0 }));
  const config = { ...parsed, sip: { ...parsed.sip, listen } };
  const started = await startAgentIfEmbedded(config, {}, '0.0.0');
  if (started === null) throw new Error('no agent');
  let stopped = false;
  const stop = async (): Promise<void> => {
    if (!stopped) await started.stop();
    stopped = true;
  };
  t.teardown(stop);
  const app = await RawApp.open(started.at.port, started.at.secret, 'options');
  t.teardown(() => app.socket.destroy());
  const dial = (): Promise<TLSSocket> =>
    new Promise((resolve, reject) => {
      const { cert, key } = pbx;
      const port = started.sip[0]?.port ?? 0;
      const socket = connect({ host: '127.0.0.1', port, ca: certs.authority.cert, cert, key });
      socket.once('secureConnect', () => resolve(socket)).once('error', reject);
      t.teardown(() => socket.destroy());
    });
  const socket = await dial();
  socket.write(request({ method: 'OPTIONS', port: 5061 }).replace('SIP/2.0/UDP', 'SIP/2.0/TLS'));
  const event = await app.event('OPTIONS');
  t.same([event.tokens[4], event.tokens[12]], ['tls', 'pbx']);

  const next = certs.issued('agent', 'IP:127.0.0.1');
  copyFileSync(next.certFile, own.certFile);
  copyFileSync(next.keyFile, own.keyFile);
  process.emit('SIGHUP');
  for (let shown = ''; shown !== next.fingerprint; ) {
    const again = await dial();
    shown = again.getPeerCertificate().fingerprint256.replaceAll(':', '').toLowerCase();
  }
  t.equal(socket.destroyed, false, 'read again, and nobody was cut off');

  writeFileSync(password, '\n');
  await t.rejects(startAgentIfEmbedded(config, {}, '0.0.0'), /holds no password/);
  const listeners = process.listenerCount('SIGHUP');
  await stop();
  t.equal(process.listenerCount('SIGHUP'), listeners - 1);
  const agent = { host: '127.0.0.1', port: 9022, secretFile: password };
  const remote = { ...config, sip: { ...config.sip, agent } };
  t.throws(() => remoteAgent(remote), /trunk pbx needs sip.agent: embedded/);
});
