import { CommandError } from './output.js';

/** Who is at the keyboard, as the machine knows it: behind sudo, the person and not the account they became. */
export const whoami = (): string => {
  const name = process.env.SUDO_USER ?? process.env.USER;
  if (name !== undefined && name !== '') return name;
  throw new CommandError('by-missing', 'say who you are with --by NAME', 2);
};
