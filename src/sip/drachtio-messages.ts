import type { SrfMessage, SrfRequest, SrfResponse } from './drachtio-types.js';
import type { Headers } from './refusal.js';
import { type InDialogRequest, SipError } from './sip-dialog.js';
import type { Source } from './trunk.js';

export const codeOfError = (error: unknown): string => {
  // Some rejections of the library are strings (facts: drachtio 11.6).
  if (typeof error === 'string') return 'agent-refused';
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string')
    return error.code;
  return 'agent-error';
};

export const asSipError = (error: unknown): SipError => {
  if (typeof error === 'object' && error !== null && 'status' in error && typeof error.status === 'number') {
    const response = 'res' in error ? (error.res as SrfMessage | undefined) : undefined;
    const header = (name: string) => (response === undefined ? undefined : headerOf(response, name));
    return new SipError('sip-status', error.status, header);
  }
  return new SipError(codeOfError(error));
};

/**
 * A header as RFC 3261 section 7.3.1 has it: all its lines, joined by commas. The library joins them too, except
 * those of Diversion written with another case, of which it gives the first kind alone.
 */
export const headerOf = (message: SrfMessage, name: string): string | undefined => {
  const { raw } = message;
  if (name.toLowerCase() !== 'diversion' || raw === undefined) return message.get(name);
  const end = raw.indexOf('\r\n\r\n');
  const lines = (end < 0 ? raw : raw.slice(0, end)).split('\r\n');
  const values = lines
    .filter(
      (line) =>
        line
          .slice(0, Math.max(0, line.indexOf(':')))
          .trim()
          .toLowerCase() === 'diversion',
    )
    .map((line) => line.slice(line.indexOf(':') + 1).trim());
  return values.length === 0 ? undefined : values.join(',');
};

/**
 * The agent has already ended this INVITE by itself: a CANCEL overtook our 200. The library tells nobody of that
 * CANCEL, for it forgets the INVITE in the moment we answer it.
 */
export const overtaken = (error: unknown): boolean =>
  typeof error === 'string' && /unknown transaction/i.test(error);

export const plain = (headers: Headers | undefined): Record<string, string> => ({ ...headers });

export const sourceOf = (request: SrfRequest): Source => ({
  address: request.source_address,
  port: request.source_port,
  protocol: request.protocol,
  // A header could be forged; this comes in the leader line, which is the agent's alone.
  identity: request.sessionToken,
});

export const wrap = (request: SrfRequest, response: SrfResponse): InDialogRequest => {
  let cancelled = false;
  request.on('cancel', () => {
    cancelled = true;
  });
  return {
    method: request.method,
    body: (request as SrfMessage).body ?? '',
    get cancelled() {
      return cancelled;
    },
    header: (name) => headerOf(request, name),
    respond: (status, phrase, options) => {
      const sending: { headers: Record<string, string>; body?: string } = {
        headers: plain(options?.headers),
      };
      if (options?.body !== undefined) sending.body = options.body;
      sendSafely(response, status, phrase, sending);
    },
  };
};

/** The library throws on a second final response and on a connection that is gone; neither is news here. */
export const sendSafely = (
  response: SrfResponse,
  status: number,
  phrase: string,
  options: { headers?: Record<string, string>; body?: string },
): boolean => {
  if (response.finalResponseSent) return false;
  try {
    response.send(status, phrase, options);
    return true;
  } catch {
    return false;
  }
};
