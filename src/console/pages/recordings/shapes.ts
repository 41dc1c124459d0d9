/** What the API answers about recordings. */
export interface RecordingShown {
  readonly callId: string;
  readonly facility: string;
  readonly receivedAt: string;
  readonly createdAt: string;
  readonly seconds: number;
  readonly complete: boolean;
  readonly sealed: { readonly why: string; readonly at: string } | null;
  readonly canary: boolean;
  readonly keys: readonly { readonly id: string; readonly role: string }[];
  readonly files: readonly StoredFile[];
  readonly manifestSha256: string;
}

/** One of them alone: with what its call's closing record says of its files. */
export interface OneRecordingShown extends RecordingShown {
  readonly journalled: readonly { readonly name: string; readonly sha256: string }[];
}

export interface StoredFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface RecordingPage {
  readonly rows: readonly RecordingShown[];
  readonly next: string | null;
  readonly unreadable: number;
}

/** Sealed after its call a file lies encrypted once more: `c….wav.age.age`. */
export const layersOf = ({ name }: StoredFile): number => (name.endsWith('.age.age') ? 2 : 1);
export const isSound = ({ name }: StoredFile): boolean => /\.wav\.age(\.age)?$/.test(name);
export const isText = ({ name }: StoredFile): boolean => /\.txt\.age(\.age)?$/.test(name);
