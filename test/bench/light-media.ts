import type { Config } from '../../src/config/schema.js';
import type { Address } from './stack.js';

/**
 * The configuration with a private node that answers and does nothing, of `test/bench/overload-media.ts`. With every
 * call to the privileged number, media costs what our own side of it costs and no more.
 */
export const withLightNode = (
  config: Config,
  at: { readonly ng: Address; readonly cli: Address },
): Config => {
  const nodes = config.media.nodes.map((node) => {
    if (node.pool !== 'private') return node;
    const { pid: _pid, pidFile: _pidFile, ...rest } = node;
    return { ...rest, ng: at.ng, cli: at.cli };
  });
  return { ...config, media: { ...config.media, nodes } };
};
