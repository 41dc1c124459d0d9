import type { NodeView, OnOff } from '../api/control.js';
import type { Desk, Signature } from './control.js';
import { askController, plain } from './control-client.js';
import { columns } from './output.js';

/** What the media nodes of a running controller do, and taking one out of service without ending its calls. */

export const showNodes = async (desk: Desk): Promise<void> => {
  const { nodes } = (await askController(desk.socket, { command: 'nodes' })) as {
    readonly nodes: readonly NodeView[];
  };
  if (desk.json) {
    desk.terminal.out(JSON.stringify({ nodes }));
    return;
  }
  const stateOf = ({ up, attested, drained }: NodeView): string => {
    if (!up) return 'down';
    if (!attested) return 'not attested';
    return drained ? 'drained' : 'takes calls';
  };
  const rows = nodes.map((node) => [
    plain(node.name),
    node.pool,
    stateOf(node),
    `${node.calls}`,
    `${node.weight}`,
  ]);
  desk.terminal.out(columns([['node', 'pool', 'state', 'calls', 'weight'], ...rows]));
};

export const drainNode = async (
  node: string,
  state: OnOff,
  signature: Signature,
  desk: Desk,
): Promise<void> => {
  const done = (await askController(desk.socket, { command: 'drain', node, state, ...signature })) as {
    readonly note: string | null;
  };
  if (desk.json) desk.terminal.out(JSON.stringify({ ok: true, ...done }));
  else {
    const said = state === 'on' ? `${plain(node)} takes no new calls` : `${plain(node)} takes calls again`;
    desk.terminal.out(done.note === null ? said : `${said}; ${plain(done.note)}`);
  }
};
