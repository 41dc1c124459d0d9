import type { Crossed } from './check.js';
import type { Config } from './schema.js';

/** What has to be there besides for trunks that are known, or are to be reached, by what they prove. */
export const checkPeers = (config: Config): Crossed[] => [
  ...checkTls(config),
  ...checkCertificates(config),
  ...checkTimers(config),
];

const checkTimers = (config: Config): Crossed[] =>
  (['facilities', 'carriers'] as const).flatMap((kind) =>
    config.trunks[kind].flatMap(({ sessionTimer }, i): Crossed[] =>
      sessionTimer !== undefined && sessionTimer.minSeconds > sessionTimer.seconds
        ? [{ path: ['trunks', kind, i, 'sessionTimer', 'minSeconds'], message: 'is more than seconds' }]
        : [],
    ),
  );

const checkTls = (config: Config): Crossed[] => {
  const problems: Crossed[] = [];
  const { tls, listen, agent } = config.sip;
  if (tls?.crlFile !== undefined && tls.caFile === undefined)
    problems.push({ path: ['sip', 'tls', 'crlFile'], message: 'needs caFile: whose lists these are' });
  const listens = listen.some((one) => one.transport === 'tls');
  const embedded = agent === 'embedded';
  const need = (path: PropertyKey[]): void => {
    // A drachtio-server has its own certificates, and its own addresses.
    if (!embedded) return;
    if (tls === undefined) problems.push({ path, message: 'needs sip.tls' });
    else if (!listens) problems.push({ path, message: 'needs an address of transport tls under sip.listen' });
  };
  listen.forEach((one, i) => {
    if (one.transport === 'tls' && tls === undefined && embedded)
      problems.push({ path: ['sip', 'listen', i, 'transport'], message: 'needs sip.tls' });
  });
  config.trunks.carriers.forEach((trunk, i) => {
    if (trunk.transport === 'tls') need(['trunks', 'carriers', i, 'transport']);
  });
  config.trunks.facilities.forEach((trunk, i) => {
    const at = (key: string): PropertyKey[] => ['trunks', 'facilities', i, key];
    if (trunk.transports.includes('tls')) need(at('transports'));
    if (trunk.tls === undefined) {
      if (embedded && trunk.transports.includes('tls') && tls?.requireClientCertificate === true)
        problems.push({
          path: at('transports'),
          message: 'tls without a certificate needs sip.tls.requireClientCertificate: false',
        });
      return;
    }
    if (trunk.tls.names.length > 0 && tls !== undefined && tls.caFile === undefined)
      problems.push({ path: at('tls'), message: 'names need sip.tls.caFile: nobody else vouches for them' });
  });
  return problems;
};

/** A certificate or a name that is of two trunks is of none: the agent could not tell which. */
const checkCertificates = (config: Config): Crossed[] => {
  const problems: Crossed[] = [];
  const owners = new Map<string, string>();
  const users = new Map<string, string>();
  config.trunks.facilities.forEach((trunk, i) => {
    const username = trunk.digest?.username;
    const same = username === undefined ? undefined : users.get(username);
    if (same !== undefined) {
      const path = ['trunks', 'facilities', i, 'digest', 'username'];
      problems.push({ path, message: `is that of trunk ${same} too` });
    }
    if (username !== undefined) users.set(username, trunk.name);
    for (const kind of ['names', 'fingerprints'] as const) {
      trunk.tls?.[kind].forEach((one, j) => {
        const other = owners.get(one);
        if (other !== undefined) {
          const path = ['trunks', 'facilities', i, 'tls', kind, j];
          problems.push({ path, message: `is that of trunk ${other} too` });
        }
        owners.set(one, trunk.name);
      });
    }
  });
  return problems;
};
