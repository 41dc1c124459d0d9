/**
 * How a call ended, as a value. One table maps each ending to what the caller's side is told (SIP status, Q.850
 * cause in a Reason header, RFC 3326) and to the disposition in the CDR. docs/endings.md holds the same table,
 * and a test proves it.
 */
export type Disposition = 'completed' | 'refused' | 'no-answer' | 'busy' | 'cancelled' | 'failed';
/** Whose doing the ending was. `ours` feeds alarms. */
export type Fault = 'none' | 'caller' | 'called' | 'policy' | 'network' | 'ours';

export interface EndingRow {
  /** Final response to the caller while the call is not yet connected. */
  readonly status: number;
  readonly phrase: string;
  /** Q.850 cause for the Reason header of refusals and BYEs. */
  readonly cause: number;
  readonly disposition: Disposition;
  readonly fault: Fault;
  /** True where trying again soon can help: the response carries Retry-After. */
  readonly retry: boolean;
}

const row = (
  status: number,
  phrase: string,
  cause: number,
  disposition: Disposition,
  fault: Fault,
  retry = false,
): EndingRow => ({ status, phrase, cause, disposition, fault, retry });

export const endings = {
  // The call was up.
  'caller-hung-up': row(487, 'Request Terminated', 16, 'completed', 'none'),
  'called-hung-up': row(480, 'Temporarily Unavailable', 16, 'completed', 'none'),
  'time-limit': row(480, 'Temporarily Unavailable', 16, 'completed', 'policy'),
  'ended-by-staff': row(480, 'Temporarily Unavailable', 16, 'completed', 'policy'),
  'became-private': row(480, 'Temporarily Unavailable', 16, 'completed', 'policy'),
  'three-way': row(480, 'Temporarily Unavailable', 16, 'completed', 'policy'),
  'recording-lost': row(503, 'Service Unavailable', 41, 'failed', 'ours', true),
  'node-lost': row(503, 'Service Unavailable', 41, 'failed', 'ours', true),
  'agent-lost': row(503, 'Service Unavailable', 41, 'failed', 'ours', true),
  'ack-missing': row(408, 'Request Timeout', 102, 'failed', 'network'),
  'session-expired': row(408, 'Request Timeout', 102, 'completed', 'network'),
  'media-timeout': row(408, 'Request Timeout', 102, 'completed', 'network'),
  'controller-crashed': row(503, 'Service Unavailable', 41, 'failed', 'ours', true),
  shutdown: row(503, 'Service Unavailable', 41, 'failed', 'ours', true),
  // The caller left before the call was up.
  'caller-cancelled': row(487, 'Request Terminated', 16, 'cancelled', 'caller'),
  // The called side.
  'called-busy': row(486, 'Busy Here', 17, 'busy', 'called'),
  'called-no-answer': row(480, 'Temporarily Unavailable', 19, 'no-answer', 'called'),
  'called-rejected': row(603, 'Decline', 21, 'failed', 'called'),
  'called-unavailable': row(480, 'Temporarily Unavailable', 20, 'failed', 'called'),
  'called-number-unknown': row(404, 'Not Found', 1, 'failed', 'called'),
  'called-redirected': row(403, 'Forbidden', 21, 'failed', 'called'),
  'called-media-unusable': row(488, 'Not Acceptable Here', 65, 'failed', 'called'),
  'called-declined': row(603, 'Decline', 21, 'failed', 'called'),
  'called-no-key': row(480, 'Temporarily Unavailable', 19, 'no-answer', 'called'),
  'called-protected': row(403, 'Forbidden', 21, 'refused', 'called'),
  'called-blocked-us': row(603, 'Decline', 21, 'refused', 'called'),
  forwarded: row(403, 'Forbidden', 21, 'failed', 'policy'),
  'called-hung-up-early': row(480, 'Temporarily Unavailable', 31, 'failed', 'called'),
  'carrier-failed': row(503, 'Service Unavailable', 38, 'failed', 'network', true),
  // Refused before any decision.
  'trunk-unknown': row(403, 'Forbidden', 21, 'refused', 'caller'),
  'request-malformed': row(400, 'Bad Request', 111, 'refused', 'caller'),
  'extension-required': row(420, 'Bad Extension', 111, 'refused', 'caller'),
  'caller-unidentified': row(403, 'Forbidden', 21, 'refused', 'caller'),
  'transfer-refused': row(403, 'Forbidden', 21, 'refused', 'policy'),
  'offer-missing': row(488, 'Not Acceptable Here', 65, 'refused', 'caller'),
  'offer-unusable': row(488, 'Not Acceptable Here', 65, 'refused', 'caller'),
  // Refused by the decision.
  'number-unparseable': row(484, 'Address Incomplete', 28, 'refused', 'caller'),
  'emergency-number': row(403, 'Forbidden', 21, 'refused', 'policy'),
  'service-barred': row(403, 'Forbidden', 21, 'refused', 'policy'),
  'lists-unavailable': row(503, 'Service Unavailable', 41, 'refused', 'ours', true),
  'review-pending': row(403, 'Forbidden', 21, 'refused', 'policy'),
  lockdown: row(480, 'Temporarily Unavailable', 21, 'refused', 'policy'),
  blocked: row(603, 'Decline', 21, 'refused', 'policy'),
  'not-allowed': row(403, 'Forbidden', 21, 'refused', 'policy'),
  'caller-suspended': row(403, 'Forbidden', 21, 'refused', 'policy'),
  'recording-disarmed': row(503, 'Service Unavailable', 47, 'refused', 'ours', true),
  'not-now': row(480, 'Temporarily Unavailable', 21, 'refused', 'policy'),
  'too-many-calls': row(486, 'Busy Here', 17, 'refused', 'policy'),
  'too-often': row(480, 'Temporarily Unavailable', 21, 'refused', 'policy'),
  // Refused in the conversation with the caller.
  'pin-wrong': row(403, 'Forbidden', 21, 'refused', 'caller'),
  'pin-locked': row(403, 'Forbidden', 21, 'refused', 'policy'),
  'pin-missing': row(403, 'Forbidden', 21, 'refused', 'caller'),
  'pin-unasked': row(503, 'Service Unavailable', 47, 'refused', 'ours', true),
  // Refused because a part of ours could not do its duty.
  'journal-unavailable': row(503, 'Service Unavailable', 41, 'refused', 'ours', true),
  'media-unavailable': row(503, 'Service Unavailable', 47, 'refused', 'ours', true),
  'recording-unproved': row(503, 'Service Unavailable', 47, 'refused', 'ours', true),
  overloaded: row(503, 'Service Unavailable', 42, 'refused', 'ours', true),
  shed: row(503, 'Service Unavailable', 42, 'refused', 'ours', true),
  'trunk-over-rate': row(503, 'Service Unavailable', 42, 'refused', 'caller', true),
  'internal-error': row(500, 'Server Internal Error', 41, 'failed', 'ours'),
} as const satisfies Record<string, EndingRow>;

export type EndingCode = keyof typeof endings;
export const endingCodes = Object.keys(endings) as EndingCode[];

export interface Ending {
  readonly code: EndingCode;
  /** A stable detail code (an error's own code, the carrier's status); never a number or a name. */
  readonly detail?: string;
}

export const endingRow = (code: EndingCode): EndingRow => endings[code];

/** Which ending a carrier's final response is (RFC 3261 section 21; Q.850 by RFC 3398 section 8.2.6). */
export const endingOfStatus = (status: number): EndingCode => {
  if (status >= 300 && status < 400) return 'called-redirected';
  switch (status) {
    case 404:
    case 410:
    case 484:
    case 485:
    case 604:
      return 'called-number-unknown';
    case 408:
    case 480:
    case 487:
      return 'called-unavailable';
    case 486:
    case 600:
      return 'called-busy';
    case 403:
    case 433:
    case 603:
    case 607:
    case 608:
      return 'called-rejected';
    case 415:
    case 488:
    case 606:
      return 'called-media-unusable';
    default:
      return 'carrier-failed';
  }
};

/** True where another carrier trunk may succeed: nothing was said about the called party itself. */
export const triesNextTrunk = (status: number): boolean =>
  status === 408 || status === 500 || status === 502 || status === 503 || status === 504;
