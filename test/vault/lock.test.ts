import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';

const run = promisify(execFile);

t.test('no garbage collection makes the encryption wait for itself', async (t) => {
  const program = fileURLToPath(new URL('./many-headers.js', import.meta.url));
  // A process that waits for itself never ends; see ephemeralKey.
  const flags = ['--gc-global', '--max-semi-space-size=1'];
  const { stdout } = await run(process.execPath, [...flags, program], {
    timeout: 240_000,
    killSignal: 'SIGKILL',
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  t.equal(stdout, 'done true');
});
