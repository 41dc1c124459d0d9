import { createHash } from 'node:crypto';
import { type Case, countOf, objectOf, textOf } from './verify/case.js';
import { verdictOf } from './verify/finding.js';
import { filesOf } from './verify/findings-recording.js';

/**
 * A call as a vCon (draft-ietf-vcon-vcon-core-04), without any media: who, when, what came of it, the digests of the
 * encrypted files where it was recorded, and its evidence byte for byte. The vCon itself is not signed; what is
 * in the evidence is.
 */

type Members = Readonly<Record<string, unknown>>;

/** Positions in `parties`. */
const CALLER = 0;
const CALLED = 1;
const CONTROLLER = 2;

export const vconOf = (call: Case, node: string, evidence: Buffer): Members => {
  const dialog = dialogOf(call);
  const file = {
    mediatype: 'application/json',
    filename: `${call.callId}.evidence.json`,
    encoding: 'base64url',
    body: evidence.toString('base64url'),
  };
  return {
    uuid: uuidOf(evidence),
    created_at: call.cdr.at,
    parties: partiesOf(call, node),
    dialog,
    // An attachment belongs to a dialog. A private call has none to show, so its evidence is a report on the call.
    ...(dialog.length > 0
      ? {
          attachments: [
            { purpose: 'evidence of the call', start: call.cdr.at, party: CONTROLLER, dialog: 0, ...file },
          ],
        }
      : {
          analysis: [{ type: 'report', vendor: 'Sallyport', schema: 'sallyport-evidence 1', ...file }],
        }),
  };
};

/** Version 8 (RFC 9562 section 5.8), out of the evidence: the same evidence is the same vCon. */
const uuidOf = (evidence: Buffer): string => {
  const hex = createHash('sha256').update(evidence).digest('hex');
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 0x3) | 0x8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
};

const partiesOf = ({ cdr }: Case, node: string): Members[] => {
  const { caller, facility, dialled } = cdr.body;
  const { number } = objectOf(dialled);
  return [
    // A caller is known by the facility’s number for the person, which is no telephone number.
    { ...(typeof caller === 'string' ? { name: caller } : {}), org: textOf(facility) },
    typeof number === 'string' ? { tel: telOf(number) } : {},
    { name: node, type: 'controller' },
  ];
};

/** RFC 3966: an extension is a parameter. */
const telOf = (number: string): string => {
  const match = /^(\+\d+)(?:\D+(\d+))?$/.exec(number);
  if (match === null) return number;
  return `tel:${match[1]}${match[2] === undefined ? '' : `;ext=${match[2]}`}`;
};

const dialogOf = (call: Case): Members[] => {
  const { body } = call.cdr;
  const arrived = Date.parse(textOf(body.arrivedAt));
  const parties = { parties: [CALLER, CALLED], originator: CALLER };
  const connectedMs = countOf(body.connectedMs);
  if (connectedMs === 0) {
    const start = Number.isNaN(arrived) ? call.cdr.at : new Date(arrived).toISOString();
    return [{ type: 'incomplete', start, ...parties, disposition: dispositionOf(body) }];
  }
  if (verdictOf(call) !== 'monitored') return [];
  const began = arrived + countOf(body.durationMs) - connectedMs;
  const start = Number.isNaN(began) ? call.cdr.at : new Date(began).toISOString();
  return filesOf(call)
    .files.filter(({ bytes }) => bytes >= 0)
    .map(({ name, sha256 }) => ({
      type: 'recording',
      start,
      duration: connectedMs / 1000,
      ...parties,
      // As it is stored: encrypted to keys that are not here.
      mediatype: 'application/octet-stream',
      filename: name,
      content_hash: `sha256-${Buffer.from(sha256, 'hex').toString('base64url')}`,
    }));
};

const dispositionOf = ({ disposition, ending }: Members): string => {
  switch (disposition) {
    case 'busy':
      return 'busy';
    case 'no-answer':
      return 'no-answer';
    case 'cancelled':
      return 'hung-up';
    default:
      return ending === 'overloaded' ? 'congestion' : 'failed';
  }
};
