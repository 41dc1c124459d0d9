/** An error as adapters throw them: a stable code, and nothing of the call. */
export class CodedError extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}
