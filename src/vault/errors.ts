import { RecordingError } from '../call/ports.js';

/** Every refusal of the vault. docs/vault.md holds the same table, and a test proves it. */
export const vaultErrorTexts = {
  'key-malformed': 'A recipient or an identity is not one that age (X25519) knows.',
  'key-unreadable': 'The file of a recipient or an identity cannot be read, or holds none.',
  'identity-exposed': 'Others than its owner may read the identity’s file.',
  'no-recording-key': 'There is no key to encrypt recordings of this facility to: nothing is recorded there.',
  'age-malformed': 'The file is not of the format age-encryption.org/v1, or has more than we read.',
  'age-header-changed': 'The header of an encrypted file was changed.',
  'age-cut': 'An encrypted file ends too early.',
  'age-changed': 'An encrypted file was changed: a piece of it is damaged, missing, or in another’s place.',
  'identity-unfit': 'The file is not encrypted to this identity.',
  'escrow-needed': 'A sealed recording, or one being sealed, opens for whoever has an escrow identity alone.',
  'facility-needed':
    'A recording that was sealed after its call opens with an escrow identity and one of those it opened with before.',
  'vault-missing': 'The vault’s folder is not there, or is none.',
  'vault-unwritable': 'Nothing can be written into the vault.',
  'vault-full': 'The vault has too little free space.',
  'vault-unresponsive': 'The vault’s file system does not answer in time.',
  'vault-symlink': 'A name in the vault is a link, or no plain file or folder: it is not followed.',
  'vault-too-many': 'There are more names in the vault than are looked through.',
  'name-malformed': 'A name is not one the vault files under.',
  'credentials-unreadable': 'The file with the storage service’s access key cannot be read, or holds none.',
  'credentials-exposed': 'Others than its owner may read the file with the storage service’s access key.',
  'store-unreachable': 'The storage service does not answer, or is busy.',
  'store-bucket-missing': 'The storage service knows no such bucket.',
  'store-denied': 'The storage service does not let us in, or not do what is needed.',
  'store-clock-skewed': 'This host’s clock, or the storage service’s, is wrong by more than it takes.',
  'store-refused': 'The storage service refuses what it was asked: look at the endpoint and the region.',
  'store-unsafe':
    'The storage service replaces objects although it was asked not to: nothing is stored there.',
  'store-behind': 'Too much waits on this host for the storage service, or has waited for too long.',
  'recording-exists': 'There is a finished recording of this call; it is never overwritten.',
  'recording-unknown': 'There is no recording of that call.',
  'recording-ambiguous': 'More than one recording fits.',
  'manifest-malformed': 'The manifest of a recording is not one of ours.',
  'recording-changed': 'A file of the vault is not the one its manifest, or the journal, names.',
  'out-exists': 'There is a file of that name already; it is not overwritten.',
  'out-unwritable': 'The decrypted recording cannot be written there.',
} as const;

export type VaultErrorCode = keyof typeof vaultErrorTexts;
export const vaultErrorCodes = Object.keys(vaultErrorTexts) as VaultErrorCode[];

/** Never holds a key, a number or a byte of a recording. */
export class VaultError extends RecordingError {
  declare readonly code: VaultErrorCode;
  constructor(code: VaultErrorCode, detail: string = vaultErrorTexts[code]) {
    super(code, detail);
    this.name = 'VaultError';
  }
}
