import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { fromRoot } from '../../../src/root.js';

/**
 * A scenario: who plays what, and everything that must be seen. Each folder beside this one with a scenario.yaml is
 * one; keys nobody knows are refused, for an expectation that is mistyped would prove nothing.
 */
const headerPattern = z.union([z.string(), z.null()]);

/** What a message must be: its headers, Request-URI (`uri`), reason phrase (`reason`) and description (`sdp`). */
const details = z.record(z.string(), headerPattern);

const oneMessage = z.union([z.string(), z.record(z.string(), details)]);

/** A message, or several whose order does not matter. */
const item = z.union([oneMessage, z.array(oneMessage)]);

const played = z.strictObject({
  /** A sipp scenario of this folder or of shared/, without its ending. */
  play: z.string(),
  with: z.record(z.string(), z.union([z.string(), z.number()])).default({}),
});

const schema = z.strictObject({
  Summary: z.string().min(10),
  trunk: z.enum(['one', 'two', 'tcp', 'silent', 'header', 'stranger']).default('one'),
  transport: z.enum(['udp', 'tcp']).default('udp'),
  dialled: z.string().default('2125550142'),
  caller: played,
  carriers: z
    .partialRecord(z.enum(['c1', 'c2', 't1', 's1']), z.union([played, z.literal('silent')]))
    .default({}),
  messages: z.partialRecord(z.enum(['caller', 'c1', 'c2', 't1', 's1']), z.array(item)),
  /** Messages that must have come more than once. */
  repeated: z.partialRecord(z.enum(['caller', 'c1', 'c2', 't1', 's1']), z.array(z.string())).default({}),
  /** The verdict of the one decision; `none` where there must be none. */
  decision: z.enum(['monitored', 'private', 'refused', 'none']),
  /** Other parties that came into sight: each has a decision row of its own after the call's (design I7). */
  others: z.coerce.number().int().min(0).default(0),
  /** What the one CDR must hold; `none` where the agent itself turns the request away. */
  cdr: z.union([z.record(z.string(), z.unknown()), z.literal('none')]),
  spool: z.enum(['untouched', 'discarded', 'recording-finished']),
  alarms: z.array(z.string()).default([]),
  /** Patterns that no message of ours may match. */
  never: z.array(z.string()).default([]),
});

export type Scenario = z.infer<typeof schema> & { readonly name: string; readonly row: string };
export type Played = z.infer<typeof played>;
export type Item = z.infer<typeof item>;
export type OneMessage = z.infer<typeof oneMessage>;
export type Details = z.infer<typeof details>;

const home = fromRoot('test', 'scenarios');

/** `each` makes a scenario of every row: its values go into the {{placeholders}} of the rest of the file. */
const variants = z.looseObject({
  each: z.array(z.record(z.string(), z.union([z.string(), z.number()]))).optional(),
});

const readScenario = (name: string): readonly Scenario[] => {
  const text = readFileSync(join(home, name, 'scenario.yaml'), 'utf8');
  const { each = [{}], ...rest } = variants.parse(parse(text));
  return each.map((row) => {
    const read = schema.safeParse(filledIn(rest, row));
    if (!read.success) throw new Error(`${name}/scenario.yaml: ${z.prettifyError(read.error)}`);
    return { ...read.data, name, row: Object.values(row)[0]?.toString() ?? '' };
  });
};

type Row = Readonly<Record<string, string | number>>;

const filledIn = (value: unknown, row: Row): unknown => {
  if (typeof value === 'string') {
    // A value that is a placeholder and nothing else stays what it is in the row: a number, or a text.
    const whole = /^\{\{([a-z][A-Za-z0-9-]*)\}\}$/.exec(value)?.[1];
    return (whole === undefined ? undefined : row[whole]) ?? fill(value, row);
  }
  if (Array.isArray(value)) return value.map((one) => filledIn(one, row));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [fill(key, row), filledIn(one, row)]));
};

/** All scenarios, in the order of their names. */
export const readScenarios = (): readonly Scenario[] =>
  readdirSync(home, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(home, entry.name, 'scenario.yaml')))
    .map((entry) => entry.name)
    .sort()
    .flatMap(readScenario);

/** The sipp scenario somebody plays, with every {{placeholder}} filled in. */
export const xmlOf = (scenario: Scenario, who: Played, facts: Readonly<Record<string, string>>): string => {
  const own = join(home, scenario.name, `${who.play}.xml`);
  const file = existsSync(own) ? own : join(home, 'shared', `${who.play}.xml`);
  const values: Record<string, string> = { ...facts };
  for (const [name, value] of Object.entries(who.with))
    values[name] = withBreak(name, fill(String(value), facts));
  return fill(readFileSync(file, 'utf8'), values);
};

// Headers begin on a line of their own, so that none of them leaves no empty line behind.
const withBreak = (name: string, value: string): string => (name === 'headers' ? `\n${value.trim()}` : value);

/** `{{name}}`, or `{{name:what stands there otherwise}}`. */
const fill = (text: string, values: Row): string =>
  text.replace(/\{\{([a-z][A-Za-z0-9-]*)(?::([^}]*))?\}\}/g, (_, name: string, otherwise?: string) => {
    const value = values[name] ?? otherwise;
    if (value === undefined) throw new Error(`nothing to put in the place of {{${name}}}`);
    return String(value);
  });
