import type { JsonObject } from '../call/ports.js';
import type { SrfDialog, SrfInstance, SrfMessage, SrfRequest } from './drachtio-types.js';

/**
 * What is kept of a dialog, or of an INVITE of ours, so that a later run of the controller can end it: with the
 * embedded agent, which dies with the controller, everything RFC 3261 section 12.2.1.1 (BYE) or 9.1 (CANCEL) asks for;
 * with a drachtio-server, which does not, the server's own name of it (facts: drachtio 4).
 */

/** What came of telling a side: `gone`: it knew of no such call any more. */
export type Told = 'told' | 'gone' | 'unanswered' | 'unsent';

/** Values of a header that holds a list, whatever is quoted or in brackets. */
const values = (text: string): string[] => text.match(/(?:"(?:[^"\\]|\\.)*"|<[^>]*>|[^,"<])+/g) ?? [];

const maxText = 4096;
const bounded = (text: string | undefined): string => (text ?? '').slice(0, maxText).trim();
const sequenceOf = (message: SrfMessage): number => Number.parseInt(message.get('CSeq') ?? '0', 10) || 0;

/**
 * So far ahead of the sequence of the INVITE that no request of the dialog's life came near it, since a gap is allowed
 * and going back is not (RFC 3261 section 12.2.2).
 */
const aheadBy = 1_000_000;

export const traceOfDialog = (dialog: SrfDialog): JsonObject | null => {
  try {
    const { req, res, sip, type, remote, id } = dialog;
    const ours = type === 'uac' ? bounded(req.get('From')) : `${bounded(req.get('To'))};tag=${sip.localTag}`;
    const theirs = type === 'uac' ? bounded(res.get('To')) : bounded(req.get('From'));
    const recorded = bounded((type === 'uac' ? res : req).get('Record-Route'));
    const routes = type === 'uac' ? values(recorded).reverse() : values(recorded);
    return {
      id,
      callId: sip.callId,
      local: ours,
      remote: theirs,
      target: bounded(remote.uri),
      route: routes.map((one) => one.trim()).join(', '),
      seq: (type === 'uac' ? sequenceOf(req) : 0) + aheadBy,
    };
  } catch {
    // A trace is for the case of a crash: a call must not fail for want of it.
    return null;
  }
};

export const traceOfInvite = (request: SrfRequest, proxy: string): JsonObject => ({
  id: request.stackTxnId,
  uri: bounded(request.uri),
  via: bounded(request.get('Via')),
  local: bounded(request.get('From')),
  remote: bounded(request.get('To')),
  callId: bounded(request.get('Call-ID')),
  route: bounded(request.get('Route')),
  seq: sequenceOf(request),
  proxy,
});

const text = (trace: JsonObject, name: string): string => {
  const value = trace[name];
  return typeof value === 'string' && !/[\r\n\0]/.test(value) ? value : '';
};

const isNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value);

const noDialog = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENODIALOG';

const outcomeOf = (status: number): Told => {
  if (status >= 200 && status < 300) return 'told';
  // 408 and 503 are what the agent itself says where nothing came (facts: drachtio 4).
  return status === 408 || status === 503 ? 'unanswered' : 'gone';
};

/** Runs one exchange with the agent, no longer than the bound. */
const within = (deadlineMs: number, run: (done: (told: Told) => void) => void): Promise<Told> =>
  new Promise((resolve) => {
    const timer = setTimeout(() => resolve('unanswered'), deadlineMs);
    const done = (told: Told): void => {
      clearTimeout(timer);
      resolve(told);
    };
    try {
      run(done);
    } catch {
      done('unsent');
    }
  });

/** BYE: in the dialog the agent still has, or else with everything a dialog is made of. */
export const endLeftDialog = (
  srf: SrfInstance,
  trace: JsonObject,
  reason: string,
  deadlineMs: number,
): Promise<Told> =>
  within(deadlineMs, (done) => {
    const answered = (error: unknown, request: SrfRequest | undefined): void => {
      if (request === undefined || (error !== null && error !== undefined)) done('unsent');
      else request.on('response', ({ status }) => status >= 200 && done(outcomeOf(status)));
    };
    const anew = (): void => {
      const route = text(trace, 'route');
      const headers = {
        'Call-ID': text(trace, 'callId'),
        From: text(trace, 'local'),
        To: text(trace, 'remote'),
        CSeq: `${isNumber(trace.seq) ? trace.seq : aheadBy} BYE`,
        Reason: reason,
        ...(route === '' ? {} : { Route: route }),
      };
      srf.request(text(trace, 'target'), { method: 'BYE', headers }, answered);
    };
    const known = { method: 'BYE', stackDialogId: text(trace, 'id'), headers: { Reason: reason } };
    srf._app.client.request(known, (error, request) => {
      if (!noDialog(error)) answered(error, request);
      else anew();
    });
  });

/** CANCEL. The agent acknowledges whatever comes of it and tells nobody, so it is told once it was sent. */
export const endLeftInvite = (
  srf: SrfInstance,
  trace: JsonObject,
  reason: string,
  deadlineMs: number,
): Promise<Told> =>
  within(deadlineMs, (done) => {
    const route = text(trace, 'route');
    const headers = {
      Via: text(trace, 'via'),
      'Call-ID': text(trace, 'callId'),
      From: text(trace, 'local'),
      To: text(trace, 'remote'),
      CSeq: `${isNumber(trace.seq) ? trace.seq : 1} CANCEL`,
      Reason: reason,
      ...(route === '' ? {} : { Route: route }),
    };
    const sending = {
      method: 'CANCEL',
      uri: text(trace, 'uri'),
      stackTxnId: text(trace, 'id'),
      proxy: text(trace, 'proxy'),
      headers,
    };
    srf._app.client.request(sending, (error) =>
      done(error === null || error === undefined ? 'told' : 'unsent'),
    );
  });
