import { sendSafely } from './drachtio-messages.js';
import type { SrfMessage, SrfRequest, SrfResponse } from './drachtio-types.js';
import { parseNameAddr } from './name-addr.js';
import { lists } from './session-timer.js';

/**
 * An UPDATE before the INVITE is answered (RFC 3311 section 5.2). A description in it would move media past the node
 * that anchors them (I9), and the offer of the INVITE is open still: it has to wait. The library would answer every
 * UPDATE with our first offer, so it is kept from answering after us.
 */
export const answerEarlyUpdate = (
  whose: 'our' | 'their',
  update: SrfRequest,
  response: SrfResponse,
): void => {
  // Ours is the offer that is open where we called, so 491; theirs where they did, so 500 (section 5.2).
  if ((update.body ?? '') === '') sendSafely(response, 200, 'OK', {});
  else if (whose === 'our') sendSafely(response, 491, 'Request Pending', {});
  else sendSafely(response, 500, 'Server Internal Error', { headers: { 'Retry-After': '5' } });
  (response as { send: SrfResponse['send'] }).send = () => undefined;
};

/** Early dialogs whose answers are kept; a carrier that forks more has one of these answer. */
const maxKept = 16;
const maxAnswer = 16_384;

const tagOf = (message: SrfMessage): string => {
  const to = message.get('To') ?? '';
  return parseNameAddr(to) === null ? '' : (/;[ \t]*tag=([^;,\s]{1,256})/i.exec(to)?.[1] ?? '');
};

/** Answers that came in reliable provisional responses, by the tag of their early dialog. */
export class ReliableAnswers {
  readonly #answers = new Map<string, string>();

  note(response: SrfMessage): void {
    const body = response.body ?? '';
    if (body === '' || body.length > maxAnswer || !lists(response.get('Require'), '100rel')) return;
    const type = (response.get('Content-Type') ?? '').split(';', 1)[0]?.trim().toLowerCase();
    // The first is the answer, whatever comes after it (RFC 3261 section 13.2.1).
    const tag = tagOf(response);
    if (type === 'application/sdp' && this.#answers.size < maxKept && !this.#answers.has(tag))
      this.#answers.set(tag, body);
  }

  /** The answer of the dialog of that 2xx, or ''. */
  answerOf(final: SrfMessage): string {
    return this.#answers.get(tagOf(final)) ?? '';
  }
}
