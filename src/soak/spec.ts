export type SpecErrorCode = 'mix-malformed' | 'faults-malformed' | 'soak-bounds';

/** A specification that cannot be followed; the message says what can. */
export class SpecError extends Error {
  readonly code: SpecErrorCode;
  constructor(code: SpecErrorCode, message: string) {
    super(message);
    this.name = 'SpecError';
    this.code = code;
  }
}

const MAX_WEIGHT = 1_000_000;

/**
 * `name=weight,name,…`: weights by name, 1 where none is given. Throws SpecError for unknown or repeated names, for
 * weights that are none, and where nothing is left to choose from.
 */
export const parseWeights = <Name extends string>(
  text: string,
  names: readonly Name[],
  code: SpecErrorCode,
): Readonly<Partial<Record<Name, number>>> => {
  const weights: Partial<Record<Name, number>> = {};
  for (const part of text.split(',').map((one) => one.trim())) {
    const [given = '', value = '1', more] = part.split('=').map((one) => one.trim());
    const name = names.find((one) => one === given);
    const weight = Number(value);
    if (name === undefined || more !== undefined)
      throw new SpecError(code, `"${part}": write name=weight, the names are ${names.join(', ')}`);
    if (weights[name] !== undefined) throw new SpecError(code, `${name} stands there twice`);
    if (value === '' || !(weight >= 0 && weight <= MAX_WEIGHT))
      throw new SpecError(code, `"${part}": a weight is a number from 0 to ${MAX_WEIGHT}`);
    weights[name] = weight;
  }
  if (!Object.values<number>(weights as Record<string, number>).some((weight) => weight > 0))
    throw new SpecError(code, 'nothing has a weight above 0');
  return weights;
};
