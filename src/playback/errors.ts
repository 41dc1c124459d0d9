/** Why a recording does not open. Stable; the words for people are the page's. */
export type PlaybackCode =
  | 'identity-malformed'
  | 'identity-unfit'
  | 'file-changed'
  | 'file-too-large'
  | 'digest-differs'
  | 'wav-malformed';

/** Holds no word of an identity and none of what was decrypted. */
export class PlaybackError extends Error {
  override readonly name = 'PlaybackError';
  readonly code: PlaybackCode;
  constructor(code: PlaybackCode) {
    super(code);
    this.code = code;
  }
}
