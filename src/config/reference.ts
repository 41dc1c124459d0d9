import { z } from 'zod';
import { configSchema } from './schema.js';

/** One key of the configuration, for the generated reference. */
export interface ConfigKey {
  readonly key: string;
  readonly type: string;
  /** Default as JSON, or null where the key is required or has none. */
  readonly fallback: string | null;
  readonly required: boolean;
  readonly description: string;
}

interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly additionalProperties?: JsonSchema | boolean;
}

/** Every key there is, depth first, in the schema's order. */
export const configKeys = (): readonly ConfigKey[] => {
  const root = z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  const keys: ConfigKey[] = [];
  walk(root, '', keys);
  return keys;
};

const walk = (schema: JsonSchema, prefix: string, keys: ConfigKey[]): void => {
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    const key = prefix === '' ? name : `${prefix}.${name}`;
    keys.push({
      key,
      type: typeText(child),
      fallback: child.default === undefined ? null : JSON.stringify(child.default),
      required: schema.required?.includes(name) === true,
      description: child.description ?? '',
    });
    below(child, key, keys);
  }
};

const below = (schema: JsonSchema, key: string, keys: ConfigKey[]): void => {
  walk(schema, key, keys);
  if (schema.items !== undefined) below(schema.items, `${key}[]`, keys);
  if (typeof schema.additionalProperties === 'object')
    below(schema.additionalProperties, `${key}.<name>`, keys);
  // Several alternatives may share keys (`caller.from`): each key is told once.
  for (const alternative of schema.anyOf ?? []) {
    const more: ConfigKey[] = [];
    below(alternative, key, more);
    for (const one of more) if (!keys.some((known) => known.key === one.key)) keys.push(one);
  }
};

const typeText = (schema: JsonSchema): string => {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((one) => JSON.stringify(one)).join(' | ');
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(typeText))].join(' | ');
  if (schema.type === 'array')
    return `list of ${schema.items === undefined ? 'anything' : typeText(schema.items)}`;
  return schema.type ?? 'anything';
};

/** The table of docs/configuration.md. */
export const configReference = (): string => {
  const cell = (text: string): string => text.replaceAll('|', '\\|');
  const rows = configKeys().map((key) => {
    const fallback = key.required ? '**required**' : key.fallback === null ? '' : `\`${cell(key.fallback)}\``;
    return `| \`${key.key}\` | ${cell(key.type)} | ${fallback} | ${cell(key.description)} |`;
  });
  return ['| key | type | default | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
};
