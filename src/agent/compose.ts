import { type HeaderLine, labelOf } from './header-names.js';
import type { SipMessage } from './message.js';
import type { Flow } from './transport.js';
import { stampVia, type Via } from './via.js';

export const toBytes = (text: string): Buffer => Buffer.from(text, 'latin1');

const reasons: Readonly<Record<number, string>> = {
  100: 'Trying',
  200: 'OK',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  414: 'Request-URI Too Long',
  416: 'Unsupported URI Scheme',
  420: 'Bad Extension',
  481: 'Call/Transaction Does Not Exist',
  482: 'Loop Detected',
  483: 'Too Many Hops',
  487: 'Request Terminated',
  488: 'Not Acceptable Here',
  491: 'Request Pending',
  500: 'Server Internal Error',
  501: 'Not Implemented',
  504: 'Server Time-out',
  503: 'Service Unavailable',
  505: 'Version Not Supported',
  513: 'Message Too Large',
};

export const reasonOf = (status: number): string => reasons[status] ?? 'Unknown';

/** What every response to one request repeats of it (RFC 3261 section 8.2.6.2); `to` is without a tag we add. */
export interface ResponseHead {
  /** Via lines, From, Call-ID and CSeq, each with its line end. */
  readonly lines: string;
  readonly to: string;
}

/** NUL, CR and LF never leave the agent, whatever a malformed request held. */
const clean = (value: string): string => value.replace(/[\0\r\n]/g, '');

/**
 * Takes the head of the responses from a request. `via` is its topmost Via, or undefined if that is malformed;
 * `dirty` if the request was malformed and may hold characters that must not be repeated.
 */
export function responseHead(
  request: SipMessage,
  via: Via | undefined,
  flow: Flow,
  dirty: boolean,
): ResponseHead {
  const pass = dirty ? clean : (value: string): string => value;
  let lines = '';
  let first = true;
  for (const line of request.headers) {
    if (line.name !== 'via') continue;
    const stamped =
      first && via !== undefined ? stampVia(line.value, via, flow.address, flow.port) : line.value;
    lines += `Via: ${pass(stamped)}\r\n`;
    first = false;
  }
  const from = pass(request.get('from') ?? '');
  const callId = pass(request.get('call-id') ?? '');
  const cseq = pass(request.get('cseq') ?? '');
  return {
    lines: `${lines}From: ${from}\r\nCall-ID: ${callId}\r\nCSeq: ${cseq}\r\n`,
    to: pass(request.get('to') ?? ''),
  };
}

/** A response without a body. `tag` is added to the To header; `extra` are whole header lines with their line ends. */
export function shortResponse(
  head: ResponseHead,
  status: number,
  tag: string,
  extra = '',
  reason?: string,
): string {
  const to = tag === '' ? head.to : `${head.to};tag=${tag}`;
  return `SIP/2.0 ${status} ${reason ?? reasonOf(status)}\r\n${head.lines}To: ${to}\r\n${extra}Content-Length: 0\r\n\r\n`;
}

/** Header lines as text. */
export function headerText(lines: readonly HeaderLine[]): string {
  let text = '';
  for (const line of lines) text += `${labelOf(line)}: ${line.value}\r\n`;
  return text;
}

/** The head of a request the agent sends; kept as long as a CANCEL or an ACK may have to be built from it. */
export interface RequestHead {
  readonly uri: string;
  /** The Via header line with its line end. */
  readonly via: string;
  /** Route header lines with their line ends. */
  readonly routes: string;
  readonly from: string;
  readonly to: string;
  readonly callId: string;
  readonly seq: number;
}

/** A request: the head, then `extra` (whole header lines), then the body. */
export function requestText(
  method: string,
  head: RequestHead,
  extra: string,
  body: string,
  maxForwards = '70',
): string {
  return (
    `${method} ${head.uri} SIP/2.0\r\n${head.via}Max-Forwards: ${maxForwards}\r\n${head.routes}` +
    `From: ${head.from}\r\nTo: ${head.to}\r\nCall-ID: ${head.callId}\r\nCSeq: ${head.seq} ${method}\r\n` +
    `${extra}Content-Length: ${body.length}\r\n\r\n${body}`
  );
}

/** A response the agent makes up for its application, when none came from the network (facts page, section 4). */
export function fabricated(status: number, method: string, head: RequestHead): string {
  return (
    `SIP/2.0 ${status} ${reasonOf(status)}\r\n${head.via}From: ${head.from}\r\nTo: ${head.to}\r\n` +
    `Call-ID: ${head.callId}\r\nCSeq: ${head.seq} ${method}\r\nContent-Length: 0\r\n\r\n`
  );
}
