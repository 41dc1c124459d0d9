import { readFile } from 'node:fs/promises';
import { StackError } from './program.js';

/** The ordinary user a server runs as. */
export interface RunAs {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * The user for a server: the first of the wanted names that exists, when we are root; null when we are not root,
 * which means "as ourselves". A server never runs as root.
 */
export const chooseUser = async (wanted: readonly string[]): Promise<RunAs | null> => {
  if (process.getuid?.() !== 0) return null;
  const rows = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const name of [...wanted, 'nobody']) {
    const row = rows.find((fields) => fields[0] === name);
    const uid = Number(row?.[2]);
    const gid = Number(row?.[3]);
    if (Number.isSafeInteger(uid) && Number.isSafeInteger(gid) && uid > 0) return { name, uid, gid };
  }
  throw new StackError('user-missing', `none of the users ${[...wanted, 'nobody'].join(', ')} exists`);
};

/** Arguments of setpriv(1) that drop everything and end the child with its parent, even after kill -9 of it. */
export const privilegeArgs = (user: RunAs | null): string[] => [
  ...(user === null
    ? []
    : [
        `--reuid=${user.uid}`,
        `--regid=${user.gid}`,
        '--clear-groups',
        '--inh-caps=-all',
        '--bounding-set=-all',
      ]),
  '--no-new-privs',
  // setpriv sets this after the change of user, which would clear it (prctl(2), PR_SET_PDEATHSIG).
  '--pdeathsig=KILL',
];
