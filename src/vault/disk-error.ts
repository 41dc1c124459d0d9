import { VaultError, type VaultErrorCode } from './errors.js';

const codes: Readonly<Record<string, VaultErrorCode>> = {
  ENOSPC: 'vault-full',
  EDQUOT: 'vault-full',
  EFBIG: 'vault-full',
  EROFS: 'vault-unwritable',
  EACCES: 'vault-unwritable',
  EPERM: 'vault-unwritable',
  ENOENT: 'vault-missing',
  ENOTDIR: 'vault-symlink',
  ELOOP: 'vault-symlink',
};

/** What a failed file operation means for the vault; an error without a code of ours stays what it is. */
export const vaultError = (error: unknown): unknown => {
  const code = codes[(error as NodeJS.ErrnoException | null)?.code ?? ''];
  return code === undefined ? error : new VaultError(code);
};
