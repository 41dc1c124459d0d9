import { readFileSync } from 'node:fs';
import t from 'tap';
import { parseDocument } from 'yaml';
import { ConfigError, parseConfig } from '../../src/config/load.js';
import { fromRoot } from '../../src/root.js';

t.test('what docs/canaries.md tells to write fits the example configuration', async (t) => {
  const block =
    /```yaml\n([\s\S]*?)```/.exec(readFileSync(fromRoot('docs', 'canaries.md'), 'utf8'))?.[1] ?? '';
  const { trunks, canaries } = parseDocument(block).toJS();
  const example = parseDocument(readFileSync(fromRoot('config', 'sallyport.yaml'), 'utf8'));
  example.addIn(['trunks', 'carriers'], example.createNode(trunks.carriers[0]));
  example.setIn(['canaries'], example.createNode(canaries));
  const parse = () => parseConfig(String(example), 'sallyport.yaml');
  t.equal(parse().canaries?.facilities.north?.caller, 'canary-north');
  example.deleteIn(['trunks', 'carriers', 1, 'only', 2]);
  t.throws(parse, ConfigError, 'and what does not fit is told');
});
