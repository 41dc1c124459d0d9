import type { Test } from 'tap';
import { type LoggedMessage, withoutRepetitions } from './message-log.js';
import type { Details, Item, OneMessage } from './scenario-file.js';

const short = (message: LoggedMessage): string => `${message.direction} ${message.title}`;

const nameOf = (one: OneMessage): string => (typeof one === 'string' ? one : (Object.keys(one)[0] ?? ''));
const detailsOf = (one: OneMessage): Details =>
  typeof one === 'string' ? {} : (Object.values(one)[0] ?? {});

/** A pattern is a text that must be met exactly, or a /regular expression/. */
const meets = (value: string | undefined, pattern: string | null): boolean => {
  if (pattern === null || value === undefined) return pattern === null && value === undefined;
  return pattern.length > 1 && pattern.startsWith('/') && pattern.endsWith('/')
    ? new RegExp(pattern.slice(1, -1), 's').test(value)
    : value === pattern;
};

const lookAt = (t: Test, who: string, message: LoggedMessage, details: Details): void => {
  for (const [name, pattern] of Object.entries(details)) {
    const value =
      name === 'uri'
        ? message.uri
        : name === 'reason'
          ? message.reason
          : name === 'sdp'
            ? message.body || undefined
            : message.header(name)[0];
    t.ok(meets(value, pattern), `${who} ${short(message)}: ${name} is ${pattern}`, { found: value ?? null });
  }
};

/** The messages of one side, in their order, against what the scenario wants. */
export const expectMessages = (
  t: Test,
  who: string,
  logged: readonly LoggedMessage[],
  wanted: readonly Item[],
): void => {
  const messages = withoutRepetitions(logged);
  const items = wanted.map((item) => (Array.isArray(item) ? item : [item]));
  let at = 0;
  const flow: string[] = [];
  const expected: string[] = [];
  for (const group of items) {
    const found = messages.slice(at, at + group.length);
    at += group.length;
    const names = group.map(nameOf);
    const seen = found.map(short);
    // Within a group any order will do.
    flow.push(...(group.length > 1 ? seen.sort() : seen));
    expected.push(...(group.length > 1 ? names.sort() : names));
    for (const one of group) {
      const message = found.find((candidate) => short(candidate) === nameOf(one));
      if (message !== undefined) lookAt(t, who, message, detailsOf(one));
    }
  }
  flow.push(...messages.slice(at).map(short));
  t.same(flow, expected, `${who}: the messages, in their order`);
};

/** A description of ours may name the node and nobody else (I9). */
export const foreignAddresses = (message: LoggedMessage, nodeAddress: string): readonly string[] =>
  [...message.body.matchAll(/(?:IN IP[46] |raddr |a=candidate:\S+ \d+ \S+ \d+ )(\S+)/g)]
    .map((match) => match[1] ?? '')
    .filter((address) => address !== nodeAddress);

/** Those keys of what was found that the expectation has, at every depth; lists are taken whole. */
export const onlyWhatIsAsked = (found: unknown, asked: unknown): unknown => {
  if (Array.isArray(asked) && Array.isArray(found)) {
    return found.map((one, index) => (index < asked.length ? onlyWhatIsAsked(one, asked[index]) : one));
  }
  if (asked === null || typeof asked !== 'object' || found === null || typeof found !== 'object')
    return found;
  return Object.fromEntries(
    Object.entries(asked).map(([key, value]) => [
      key,
      onlyWhatIsAsked((found as Record<string, unknown>)[key], value),
    ]),
  );
};
