export type PromptErrorCode =
  /** manifest.json is absent, too large, no JSON or not of the shape it must have. */
  | 'manifest-unreadable'
  /** The same for texts.json. */
  | 'texts-unreadable'
  /** A prompt lacks its sound, or its row in the manifest or in the texts. */
  | 'prompt-missing'
  /** The manifest or the texts name a prompt or a language that Sallyport does not know. */
  | 'prompt-unknown'
  | 'prompt-duplicate'
  /** The bytes are not those the manifest was made of. */
  | 'prompt-corrupt'
  /** Not a WAV, or not µ-law, one channel, 8000 Hz. */
  | 'prompt-format'
  /** The header promises more, or less, than the file holds: cut short, or still being written. */
  | 'prompt-truncated'
  /** Shorter or longer than may be played, or not as long as the manifest says. */
  | 'prompt-length'
  /** Nothing in it could be heard: a notice that nobody hears was not given. */
  | 'prompt-silent'
  /** The file is there and could not be read. */
  | 'prompt-unreadable'
  /** A file among the names that is no id of a facility or caller. */
  | 'name-unknown'
  /** A name that no voice can say, or a voice that failed. */
  | 'name-unspoken'
  /** More names than are looked at when the catalogue is loaded; each is looked at when it is used. */
  | 'names-too-many';

/** Why the prompts, or one of them, cannot be spoken. The message names the file, relative to its directory. */
export class PromptError extends Error {
  readonly code: PromptErrorCode;
  /** Within the prompts' directory, such as 'en/greeting.wav'. */
  readonly file: string;

  constructor(code: PromptErrorCode, file: string, why: string) {
    super(`${code}: ${file}: ${why}`);
    this.name = 'PromptError';
    this.code = code;
    this.file = file;
  }
}

/** What Node says about a file that could not be opened or read, as its code alone: 'ENOENT', 'EACCES'. */
export const causeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : String(error);
