import type { JsonObject } from '../call/ports.js';
import type { SrfDialog, SrfInstance, SrfMessage, SrfProvisional, SrfRequest } from './drachtio-types.js';
import { partNameAddr } from './name-addr.js';

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

/**
 * The dialog that a 2xx to an INVITE of ours makes (RFC 3261 section 12.1.2), from the messages alone: there is no dialog
 * yet, and it has to be kept before the 2xx is acknowledged. Null where it does not say where the far end is.
 */
export const traceOfAnswer = (request: SrfMessage, response: SrfMessage): JsonObject | null => {
  const [contact = ''] = values(bounded(response.get('Contact')));
  const target = partNameAddr(contact.trim())?.uri;
  const [callId, local] = [bounded(request.get('Call-ID')), bounded(request.get('From'))];
  const tag = /;[ \t]*tag=([^;,\s]{1,256})/i.exec(partNameAddr(local)?.params ?? '')?.[1];
  if (target === undefined || tag === undefined) return null;
  const routes = values(bounded(response.get('Record-Route'))).reverse();
  return {
    id: `${callId};from-tag=${tag}`,
    callId,
    local,
    remote: bounded(response.get('To')),
    target,
    route: routes.map((one) => one.trim()).join(', '),
    seq: sequenceOf(request) + aheadBy,
  };
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

/**
 * The same once it has been answered provisionally: the agent may have sent it again since, with a password or to another
 * server of its carrier's name, and a CANCEL must repeat what it was sent with and go where it went (RFC 3261 section
 * 9.1). The trace itself where nothing has changed.
 */
export const traceOfProgress = (trace: JsonObject, response: SrfProvisional): JsonObject => {
  const via = bounded(response.get('Via'));
  const branch = branchOf(via);
  if (branch === undefined || branch === branchOf(text(trace, 'via'))) return trace;
  const { protocol, source_address: address, source_port: port } = response;
  const host = address?.includes(':') ? `[${address}]` : address;
  // Over TLS a server has to prove the name it was asked for by, so there it is found by that again.
  const known = host !== undefined && port !== undefined && (protocol === 'udp' || protocol === 'tcp');
  const proxy = known ? `sip:${host}:${port};transport=${protocol}` : text(trace, 'proxy');
  return { ...trace, via: sentVia(via), seq: sequenceOf(response), proxy };
};

const branchOf = (via: string): string | undefined => /;[ \t]*branch=([^;,\s]{1,256})/i.exec(via)?.[1];

/** As we sent it: what the far end adds to a Via stands behind it, and is no part of the request. */
const sentVia = (via: string): string =>
  via.replace(/;[ \t]*received=[^;,\s]*/i, '').replace(/;[ \t]*rport=[^;,\s]*/i, ';rport');

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
