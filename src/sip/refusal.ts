import { type Ending, endingRow } from '../core/ending.js';

/** Headers are name to value; the agent adds those of the transaction. */
export type Headers = Readonly<Record<string, string>>;

/** In how many seconds a retry may help; spread so that a crowd does not come back at once (facts: reliability S4). */
export const retryLater = (): Headers => ({ 'Retry-After': String(5 + Math.floor(Math.random() * 11)) });

// What goes into a quoted string or a token is ours and coded; anything else is dropped rather than escaped.
const coded = (text: string): string => text.replace(/[^A-Za-z0-9._-]/g, '-').slice(0, 64);

/** RFC 3326: the Q.850 cause for BYEs and refusals. */
export const reasonHeader = (ending: Ending): string =>
  `Q.850;cause=${endingRow(ending.code).cause};text="${coded(ending.code)}"`;

/** The headers of a final response for this ending. */
export const refusalHeaders = (ending: Ending): Headers => {
  const row = endingRow(ending.code);
  const headers: Record<string, string> = { Reason: reasonHeader(ending) };
  if (row.retry) Object.assign(headers, retryLater());
  if (row.status === 488) {
    // RFC 3261 section 20.43: 399 is a warning of no other kind.
    headers.Warning = `399 sallyport "${coded(ending.detail ?? ending.code)}"`;
  }
  return headers;
};
