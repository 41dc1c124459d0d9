import { nowUs } from './waiting.js';

/** One message as it went over the wire. */
export interface PhoneMessage {
  /** Monotonic microseconds. */
  readonly atUs: number;
  readonly direction: 'sent' | 'received';
  /** The other side, 'host:port'. */
  readonly peer: string;
  /** Undefined for what could not be read. */
  readonly callId: string | undefined;
  /** 'INVITE', or the status and the method it answers: '200 INVITE'; 'unreadable' for what is not SIP. */
  readonly title: string;
  /** The message exactly as sent or received. */
  readonly text: string;
}

/** What to look for in the log; everything given has to fit. */
export interface MessageMatch {
  readonly direction?: 'sent' | 'received';
  /** The start of the title: 'BYE', '200 BYE', '18'. */
  readonly title?: string;
  readonly callId?: string;
}

export function matches(message: PhoneMessage, match: MessageMatch): boolean {
  if (match.direction !== undefined && match.direction !== message.direction) return false;
  if (match.callId !== undefined && match.callId !== message.callId) return false;
  return match.title === undefined || message.title.startsWith(match.title);
}

/** The last messages of a phone, bounded; the oldest fall out. */
export class MessageLog {
  readonly #limit: number;
  #messages: PhoneMessage[] = [];
  /** Called after each message. */
  onMessage: () => void = () => undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  record(
    direction: 'sent' | 'received',
    peer: string,
    callId: string | undefined,
    title: string,
    text: string,
  ): void {
    if (this.#limit === 0) return;
    this.#messages.push({ atUs: nowUs(), direction, peer, callId, title, text });
    // Cut in halves, so that the cost of one message stays constant.
    if (this.#messages.length >= 2 * this.#limit) this.#messages = this.#messages.slice(-this.#limit);
    this.onMessage();
  }

  all(match: MessageMatch = {}): PhoneMessage[] {
    return this.#messages.slice(-this.#limit).filter((message) => matches(message, match));
  }

  /** The last messages, one a line with the milliseconds since the first shown, for errors. */
  tail(match: MessageMatch = {}, count = 12): string {
    const last = this.all(match).slice(-count);
    const start = last[0]?.atUs ?? 0;
    const lines = last.map((message) => {
      const ms = ((message.atUs - start) / 1000).toFixed(1).padStart(8);
      const firstLine = message.text.slice(0, message.text.indexOf('\r\n'));
      return `${ms} ms ${message.direction.padEnd(8)} ${message.peer} ${firstLine}`;
    });
    return lines.length === 0 ? 'no messages at all' : `last messages:\n${lines.join('\n')}`;
  }
}
