export const registryErrors = {
  'registry-unreachable': 'The database does not answer; nothing was changed.',
  'registry-newer': 'The database was made by a newer version of Sallyport: this one does not touch it.',
  'op-malformed': 'The change is not one this registry knows, or a field of it is missing or malformed.',
  'too-many-ops': 'One change holds more steps than are taken at once.',
  'number-malformed': 'The number cannot be read without guessing.',
  'entry-unknown': 'There is no such entry.',
  'entry-exists': 'The same is on the list already.',
  'entry-moved': 'The entry was changed since this change was proposed: look at it and propose it anew.',
  'facility-unknown': 'There is no such facility.',
  'caller-unknown': 'There is no such caller.',
  'all-facilities-needed':
    'This holds for every facility: an account of all facilities proposes it, and others of all agree.',
  'booking-open': 'The caller is booked elsewhere: release or transfer them first.',
  'change-unknown': 'There is no such change.',
  'change-over': 'The change was applied, rejected or withdrawn already.',
  'own-change': 'Nobody approves a change of their own.',
  'approved-already': 'This person has approved this change before; it counts once.',
  'not-the-maker': 'Only who proposed a change takes it back.',
  'reason-missing': 'A change needs a reason in words.',
  'account-exists': 'There is an account of that name, or it is somebody else’s.',
  'account-unknown': 'There is no such account, or it cannot do this.',
  'key-unknown': 'There is no such key, or it was revoked before.',
  'webhook-unknown': 'There is no such webhook.',
  'too-many-webhooks': 'There are as many webhooks as there may be.',
  'secrets-key-unfit': 'The file of the secrets’ key is no such file: sallyport accounts keygen makes one.',
  'secret-unopened':
    'A secret in the database cannot be opened: its key is not in the file, or it was tampered with.',
  'request-reused': 'The key of this request was used before, for another request.',
  'request-under-way': 'The same request is still under way: ask again.',
  'too-many-requests': 'Too many keys of requests are kept for this account.',
  'import-unknown': 'There is no such import.',
  'import-step': 'The import is not where that can be done.',
  'import-busy': 'Another import of this source is under way, or something else is being done with this one.',
  'import-faulty':
    'The file has faults, so nothing of it is taken: mend the file, or the profile it is read with.',
  'import-moved': 'The import is another than the one that was looked at: look again.',
  'import-unacknowledged': 'It takes away more than may go unasked: two people must say that it is meant.',
  'file-differs': 'The file is not the one that this import began with.',
  'file-missing': 'The file is not there any more: begin a new import.',
  'file-too-large': 'The file is larger than an import may be.',
  'part-misplaced': 'The part does not begin where the one before it ended.',
  'profile-unknown': 'There is no such profile.',
  'profile-malformed': 'The profile cannot be used; the detail says why.',
  'call-unknown': 'There is no such call that can be searched.',
  'search-too-broad': 'The search would take too long: narrow it, by time above all.',
  'too-many-notes': 'A call holds as many notes and flags as it may.',
  'note-unknown': 'There is no such note of this call.',
  'number-not-watchable':
    'As the lists stand no monitored call can be connected with this number: there is nothing to watch.',
  'hot-exists': 'This number is watched already, or proposed to be.',
  'hot-unknown': 'There is no such hot number.',
  'hot-over': 'The hot number was approved or ended already, or its time is over.',
  'too-many-hot': 'As many numbers are watched as may be.',
} as const;
export type RegistryErrorCode = keyof typeof registryErrors;

/** What the registry refuses. Nothing of a refused request was done. */
export class RegistryError extends Error {
  readonly code: RegistryErrorCode;
  /** The step of the change it is about, from 0; null where it is about none. */
  readonly at: number | null;
  constructor(code: RegistryErrorCode, detail?: string, at: number | null = null) {
    super(`${code}: ${detail ?? registryErrors[code]}`);
    this.name = 'RegistryError';
    this.code = code;
    this.at = at;
  }
}
