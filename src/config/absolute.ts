import { resolve } from 'node:path';
import type { Config } from './schema.js';

/** Relative paths are relative to the folder the process is started in; `./x` to the file's own folder. */
export const absolute = (config: Config, folder: string): Config => {
  const path = (text: string): string => (text.startsWith('./') ? resolve(folder, text) : resolve(text));
  const maybe = (text: string | undefined): string | undefined =>
    text === undefined ? undefined : path(text);
  const { agent, application, tls } = config.sip;
  const { heads } = config.journal;
  const { imports, registry, serve } = config;
  const { s3 } = config.recording.vault.store;
  return {
    ...config,
    controller: { ...config.controller, ledger: maybe(config.controller.ledger) },
    sip: {
      ...config.sip,
      agent: agent === 'embedded' ? agent : { ...agent, secretFile: path(agent.secretFile) },
      application: application && { ...application, secretFile: path(application.secretFile) },
      tls: tls && {
        ...tls,
        certFile: path(tls.certFile),
        keyFile: path(tls.keyFile),
        caFile: maybe(tls.caFile),
        crlFile: maybe(tls.crlFile),
      },
    },
    lists: {
      ...config.lists,
      publisherKeys: config.lists.publisherKeys.map(path),
      snapshot: path(config.lists.snapshot),
      orders: path(config.lists.orders),
      redis: {
        ...config.lists.redis,
        passwordFile: maybe(config.lists.redis.passwordFile),
        sentinel: config.lists.redis.sentinel && {
          ...config.lists.redis.sentinel,
          passwordFile: maybe(config.lists.redis.sentinel.passwordFile),
        },
      },
    },
    trunks: {
      facilities: config.trunks.facilities.map((trunk) => ({
        ...trunk,
        digest: trunk.digest && { ...trunk.digest, passwordFile: path(trunk.digest.passwordFile) },
      })),
      carriers: config.trunks.carriers.map((trunk) => ({
        ...trunk,
        credentials: trunk.credentials && {
          ...trunk.credentials,
          passwordFile: path(trunk.credentials.passwordFile),
        },
      })),
    },
    media: {
      ...config.media,
      nodes: config.media.nodes.map((node) => ({
        ...node,
        spool: maybe(node.spool),
        pidFile: maybe(node.pidFile),
      })),
    },
    prompts: { directory: maybe(config.prompts.directory) },
    control: { ...config.control, socket: path(config.control.socket) },
    ...(config.canaries === undefined
      ? {}
      : { canaries: { ...config.canaries, state: path(config.canaries.state) } }),
    recording: {
      ...config.recording,
      directory: path(config.recording.directory),
      vault: {
        ...config.recording.vault,
        readings: path(config.recording.vault.readings),
        store: {
          s3: s3 && {
            ...s3,
            credentialsFile: path(s3.credentialsFile),
            stagingDirectory: path(s3.stagingDirectory),
          },
        },
        keys: Object.fromEntries(
          Object.entries(config.recording.vault.keys).map(([id, key]) => [
            id,
            { ...key, recipientFile: maybe(key.recipientFile) },
          ]),
        ),
      },
    },
    custody: {
      ...config.custody,
      journals: config.custody.journals.map(path),
      status: maybe(config.custody.status),
    },
    journal: {
      ...config.journal,
      directory: path(config.journal.directory),
      heads: heads && { ...heads, keyFile: path(heads.keyFile), ship: maybe(heads.ship) },
    },
    serve: {
      ...serve,
      tls: serve.tls && { certFile: path(serve.tls.certFile), keyFile: path(serve.tls.keyFile) },
      oidc: serve.oidc && { ...serve.oidc, clientSecretFile: maybe(serve.oidc.clientSecretFile) },
      secretsKeyFile: maybe(serve.secretsKeyFile),
      journal: path(serve.journal),
      journals: serve.journals.map(path),
      exports: {
        ...serve.exports,
        keyFile: maybe(serve.exports.keyFile),
        directory: path(serve.exports.directory),
      },
      statements: {
        keyFile: maybe(serve.statements.keyFile),
        directory: path(serve.statements.directory),
      },
    },
    registry: registry && {
      ...registry,
      passwordFile: maybe(registry.passwordFile),
      publisherKey: path(registry.publisherKey),
      redis: registry.redis && { ...registry.redis, passwordFile: path(registry.redis.passwordFile) },
      journal: path(registry.journal),
    },
    imports: {
      ...imports,
      profiles: maybe(imports.profiles),
      uploads: path(imports.uploads),
    },
  };
};
