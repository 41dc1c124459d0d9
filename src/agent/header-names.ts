/** One header line: its canonical name, the name as it was written, and its unfolded value. */
export interface HeaderLine {
  /** Lower case, compact forms expanded. */
  readonly name: string;
  readonly label: string;
  readonly value: string;
}

/** RFC 3261 section 7.3.3 and the IANA registry of compact forms. */
const compactForms: Readonly<Record<string, string>> = {
  a: 'accept-contact',
  b: 'referred-by',
  c: 'content-type',
  d: 'request-disposition',
  e: 'content-encoding',
  f: 'from',
  i: 'call-id',
  j: 'reject-contact',
  k: 'supported',
  l: 'content-length',
  m: 'contact',
  n: 'identity-info',
  o: 'event',
  r: 'refer-to',
  s: 'subject',
  t: 'to',
  u: 'allow-events',
  v: 'via',
  x: 'session-expires',
  y: 'identity',
};

/** Names seen before, so that most headers need no case mapping. Bounded: unknown names are not remembered. */
const knownNames = new Map<string, string>();
const labels = new Map<string, string>();
for (const label of [
  ...[
    'Via',
    'From',
    'To',
    'Call-ID',
    'CSeq',
    'Contact',
    'Max-Forwards',
    'Content-Type',
    'Content-Length',
    'Route',
  ],
  ...[
    'Record-Route',
    'Allow',
    'Supported',
    'Require',
    'Proxy-Require',
    'Unsupported',
    'User-Agent',
    'Server',
    'Expires',
  ],
  ...[
    'Authorization',
    'Proxy-Authorization',
    'WWW-Authenticate',
    'Proxy-Authenticate',
    'Accept',
    'Allow-Events',
  ],
  ...[
    'Event',
    'Subscription-State',
    'Refer-To',
    'Referred-By',
    'Replaces',
    'Reason',
    'Retry-After',
    'Date',
    'RSeq',
  ],
  ...[
    'RAck',
    'Session-Expires',
    'Min-SE',
    'P-Asserted-Identity',
    'P-Preferred-Identity',
    'Privacy',
    'Diversion',
  ],
  ...[
    'History-Info',
    'Remote-Party-ID',
    'Subject',
    'Timestamp',
    'Warning',
    'MIME-Version',
    'Content-Disposition',
  ],
  ...[
    'Content-Encoding',
    'Content-Language',
    'Accept-Encoding',
    'Accept-Language',
    'Alert-Info',
    'Call-Info',
  ],
  ...[
    'Error-Info',
    'In-Reply-To',
    'Info-Package',
    'Recv-Info',
    'Organization',
    'Path',
    'Priority',
    'Service-Route',
  ],
]) {
  const name = label.toLowerCase();
  knownNames.set(label, name);
  knownNames.set(name, name);
  labels.set(name, label);
}
for (const [compact, name] of Object.entries(compactForms)) {
  knownNames.set(compact, name);
  knownNames.set(compact.toUpperCase(), name);
}

/** The canonical name of a header as it was written. */
export const canonicalName = (label: string): string => knownNames.get(label) ?? label.toLowerCase();

/** The usual spelling of a header the agent writes; names it does not know stay as they were written, compact forms are spelt out. */
export const labelOf = (line: HeaderLine): string =>
  labels.get(line.name) ?? (line.label.length === 1 ? line.name : line.label);
