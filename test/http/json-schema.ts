/** As much of JSON Schema 2020-12 as our OpenAPI document uses; a keyword that it does not know is a fault of this file. */
export interface Schema {
  readonly [keyword: string]: unknown;
}

const known = new Set([
  ...[
    '$schema',
    'type',
    'properties',
    'required',
    'additionalProperties',
    'items',
    'anyOf',
    'oneOf',
    'allOf',
    'enum',
  ],
  ...['const', 'pattern', 'format', 'minLength', 'maxLength', 'minimum', 'maximum', 'minItems', 'maxItems'],
  ...[
    'exclusiveMinimum',
    'description',
    'default',
    'propertyNames',
    'prefixItems',
    'contentEncoding',
    'examples',
    'title',
  ],
]);

const typeOf = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;

/** What is wrong, with its place; none where the value fits. */
export const misfits = (schema: Schema, value: unknown, at = '$'): readonly string[] => {
  const unknown = Object.keys(schema).filter((keyword) => !known.has(keyword));
  if (unknown.length > 0) throw new Error(`unknown keywords ${unknown} at ${at}`);
  const wrong: string[] = [];
  const { type, enum: values, pattern, anyOf, oneOf, allOf } = schema;
  const actual = typeOf(value);
  const types = (type === undefined ? [] : Array.isArray(type) ? type : [type]) as readonly string[];
  if (
    types.length > 0 &&
    !types.includes(actual) &&
    !(types.includes('integer') && Number.isSafeInteger(value))
  )
    return [`${at} is ${actual} and not ${types}`];
  if (Array.isArray(values) && !values.includes(value)) wrong.push(`${at} is none of its values`);
  if ('const' in schema && schema.const !== value) wrong.push(`${at} is not ${String(schema.const)}`);
  if (typeof pattern === 'string' && typeof value === 'string' && !new RegExp(pattern, 'u').test(value))
    wrong.push(`${at} does not match`);
  const some = (anyOf ?? oneOf) as readonly Schema[] | undefined;
  if (some?.every((one) => misfits(one, value, at).length > 0))
    wrong.push(`${at} fits none of ${some.length}`);
  for (const one of (allOf ?? []) as readonly Schema[]) wrong.push(...misfits(one, value, at));
  if (actual === 'object') wrong.push(...ofObject(schema, value as Record<string, unknown>, at));
  if (Array.isArray(value) && schema.items !== undefined)
    for (const [index, one] of value.entries())
      wrong.push(...misfits(schema.items as Schema, one, `${at}[${index}]`));
  return wrong;
};

const ofObject = (schema: Schema, value: Record<string, unknown>, at: string): readonly string[] => {
  const wrong: string[] = [];
  const properties = (schema.properties ?? {}) as Readonly<Record<string, Schema>>;
  for (const name of (schema.required ?? []) as readonly string[])
    if (!Object.hasOwn(value, name)) wrong.push(`${at} lacks ${name}`);
  for (const [name, one] of Object.entries(value)) {
    const own = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (own !== undefined) wrong.push(...misfits(own, one, `${at}.${name}`));
    else if (schema.additionalProperties === false) wrong.push(`${at} has ${name} besides`);
    else if (typeof schema.additionalProperties === 'object')
      wrong.push(...misfits(schema.additionalProperties as Schema, one, `${at}.${name}`));
  }
  return wrong;
};
