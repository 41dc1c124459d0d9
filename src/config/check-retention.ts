import type { Config } from './schema.js';

/** Rules name facilities that there are: a mistyped name would leave a facility to the default rule. */
export const checkRetention = (config: Config): { path: PropertyKey[]; message: string }[] => {
  const { retention } = config.recording;
  if (retention === undefined) return [];
  return Object.entries(retention.facilities).flatMap(([facility, rules]) => {
    const path = ['recording', 'retention', 'facilities', facility];
    if (!Object.hasOwn(config.facilities, facility)) return [{ path, message: 'is not under facilities' }];
    const said = Object.values(rules).some((rule) => rule !== undefined);
    return said ? [] : [{ path, message: 'says nothing: it has no class' }];
  });
};
