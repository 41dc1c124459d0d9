/** One SIP message as sipp wrote it into its message log. */
export interface LoggedMessage {
  readonly direction: 'sent' | 'received';
  /** 'INVITE', or the status and the method it answers: '200 INVITE'. */
  readonly title: string;
  /** Request-URI; '' for a response. */
  readonly uri: string;
  /** Reason phrase; '' for a request. */
  readonly reason: string;
  readonly body: string;
  readonly text: string;
  /** The values of a header, in any case of its name. */
  header(name: string): readonly string[];
}

const headOf = /^-{40,} [^\n]*\n(?:UDP|TCP) message (?:sent \((\d+) bytes\)|received \[(\d+)\] bytes ):\n\n/;

/** Reads a whole message log. Throws where it does not understand a line: a message that is skipped proves nothing. */
export const parseMessageLog = (log: string): readonly LoggedMessage[] => {
  const messages: LoggedMessage[] = [];
  // sipp counts bytes; latin1 makes a character of each.
  let rest = Buffer.from(log, 'latin1').toString('latin1');
  while (rest.trim() !== '') {
    // sipp complains in here of TCP reads that found nothing yet, and of messages outside its one call, which it logs.
    rest = rest.replace(
      /^(?:\n|(?:(?:Problem EAGAIN|Exit problem event) on socket|Discarded message for new calls)[^\n]*\n)+/,
      '',
    );
    // What comes for a call sipp has finished is logged as received first, and then once more with this remark.
    const dead = /^-{40,}\nDead call [^\n]* received a (?:UDP|TCP) message:\n\n[\s\S]*?(?=\n-{40,}|$)/.exec(
      rest,
    );
    if (dead !== null) {
      rest = rest.slice(dead[0].length);
      continue;
    }
    const head = headOf.exec(rest);
    if (head === null) throw new Error(`not a sipp message log: ${JSON.stringify(rest.slice(0, 200))}`);
    const length = Number(head[1] ?? head[2]);
    const text = rest.slice(head[0].length, head[0].length + length);
    messages.push(readMessage(head[1] === undefined ? 'received' : 'sent', text));
    rest = rest.slice(head[0].length + length);
  }
  return messages;
};

const readMessage = (direction: 'sent' | 'received', text: string): LoggedMessage => {
  const end = text.indexOf('\r\n\r\n');
  const [start = '', ...lines] = text.slice(0, end < 0 ? text.length : end).split('\r\n');
  const headers = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  const header = (name: string): readonly string[] =>
    headers.flatMap(([known, value]) => (known === name.toLowerCase() ? [value] : []));
  const status = /^SIP\/2\.0 (\d{3}) ?(.*)$/.exec(start);
  const method = /\s([A-Z]+)\s*$/.exec(header('CSeq')[0] ?? '')?.[1] ?? '?';
  const [verb = '?', uri = ''] = start.split(' ');
  return {
    direction,
    title: status === null ? verb : `${status[1]} ${method}`,
    uri: status === null ? uri : '',
    reason: status?.[2] ?? '',
    body: end < 0 ? '' : text.slice(end + 4),
    text,
    header,
  };
};

/** The messages without the repetitions of a transport that loses packets: the same bytes in the same direction. */
export const withoutRepetitions = (messages: readonly LoggedMessage[]): readonly LoggedMessage[] => {
  const seen = new Set<string>();
  return messages.filter((message) => {
    const key = `${message.direction} ${message.text}`;
    return !seen.has(key) && seen.add(key);
  });
};
