import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { createLocalStore } from '../../src/vault/local-store.js';
import type { Store } from '../../src/vault/store.js';
import { s3Site } from './s3-site.js';
import { type StorePlace, storeContract } from './store-contract.js';

const site = s3Site();
t.teardown(() => site.close());

t.test('the store on this host', (t) =>
  storeContract(t, async (): Promise<StorePlace> => {
    const root = site.place();
    const open = (): Store => createLocalStore({ dir: root, minFreeBytes: 1, withinMs: 10_000 });
    return {
      store: open(),
      other: open(),
      strew: async (names) => {
        for (const name of names) {
          mkdirSync(join(root, dirname(name)), { recursive: true });
          writeFileSync(join(root, name), '{}');
        }
      },
    };
  }),
);

t.test('the store in a bucket', (t) =>
  storeContract(t, async (): Promise<StorePlace> => {
    const server = await site.serve();
    return {
      store: site.openS3(server.endpoint).store,
      other: site.openS3(server.endpoint).store,
      strew: async (names) => {
        for (const name of names)
          server.objects.set(`site-1/${name}`, { bytes: Buffer.from('{}'), etag: '0', metadata: {} });
      },
    };
  }),
);

t.end();
