import { isIP } from 'node:net';
import { type Clock, type Emit, type Media, MediaError, type Sdp } from '../call/ports.js';
import type { Monitored, Private } from '../core/decision.js';
import type { CallId, WallMs } from '../core/leg.js';
import { PrivateCall, RecordedCall } from './anchor.js';
import type { NodeAttestation, Pool } from './attestation.js';
import type { MediaNode } from './node.js';
import { defaultTiming, type MediaNodeOptions, type NodeTiming } from './node-options.js';
import { PrivateNode } from './private-node.js';
import { RecordedNode } from './recorded-node.js';
import { checkSdp, peerRules } from './sdp-in.js';

export type { NodeAttestation, Pool } from './attestation.js';
export type { MediaNodeOptions, NodeTiming } from './node-options.js';

export interface MediaOptions {
  readonly nodes: readonly MediaNodeOptions[];
  readonly emit: Emit;
  readonly clock?: Clock;
  /**
   * Networks ("192.0.2.0/24") a party's media may come from. Without it: any unicast address but loopback and
   * link-local, since RTP sent to our own host could reach a control port there.
   */
  readonly peerNetworks?: readonly string[];
  /** Called with each attestation that differs from the one before, for the journal. */
  readonly onAttestation?: (attestation: NodeAttestation) => void;
  /** Says whether a recorded node's spool can take a recording now; a node whose spool cannot gets no new call. */
  readonly spoolUsable?: (node: string) => boolean;
  readonly timing?: Partial<NodeTiming>;
}

export interface NodeStatus {
  readonly name: string;
  readonly pool: Pool;
  readonly up: boolean;
  readonly attested: boolean;
  readonly calls: number;
}

export interface MediaStatus {
  readonly nodes: readonly NodeStatus[];
  /** Whether each pool has a node that takes calls. */
  readonly ready: { readonly private: boolean; readonly recorded: boolean };
}

export interface MediaPools extends Media {
  /** Looks at every node once; resolves also where none is usable. */
  start(): Promise<void>;
  status(): MediaStatus;
  /** The latest attestation of each node that was looked at. */
  attestations(): readonly NodeAttestation[];
  /**
   * Deletes a call that an earlier run of the controller left on a node. False where the node is not known or did
   * not answer; then it is tried again when it does. A call the node does not know is deleted.
   */
  endLeftover(node: string, callId: CallId): Promise<boolean>;
  /** Stops looking and closes the sockets. Calls on the nodes are not ended: release them first. */
  close(): void;
}

const systemClock: Clock = { wall: () => Date.now() as WallMs, mono: () => performance.now() };

/** Refuses configurations in which a private call could reach a recorder under another name. */
const checkNodes = (nodes: readonly MediaNodeOptions[]): void => {
  const names = new Set(nodes.map(({ name }) => name));
  if (names.size !== nodes.length) throw new RangeError('two media nodes have the same name');
  const addresses = new Set(nodes.map(({ ng }) => `${ng.host}:${ng.port}`));
  if (addresses.size !== nodes.length) throw new RangeError('two media nodes have the same NG address');
  for (const { name, pool, spool, mediaAddress } of nodes) {
    if (pool === 'private' && spool !== undefined) throw new RangeError(`private node ${name} has a spool`);
    if (pool === 'recorded' && spool === undefined)
      throw new RangeError(`recorded node ${name} has no spool`);
    if (isIP(mediaAddress) === 0) throw new RangeError(`node ${name}: media address is not an IP address`);
  }
};

/** Errors that say something about the node and nothing about the call: the next node of the pool may do. */
const nextMayDo = (error: unknown): boolean =>
  error instanceof MediaError && (error.code === 'node-timeout' || error.code === 'node-refused');

/**
 * The least loaded usable node first. `pool` holds nodes of one kind only, so there is no way from here to another
 * pool: a private call finds a private node or none.
 */
const inOrder = <Node extends MediaNode>(pool: readonly Node[], usable: (node: Node) => boolean): Node[] =>
  pool.filter(usable).sort((left, right) => left.load - right.load);

const onFirst = async <Node, Call>(
  nodes: readonly Node[],
  anchor: (node: Node) => Promise<Call>,
): Promise<Call> => {
  let last: unknown = new MediaError('no-node', 'no-usable-node');
  for (const node of nodes) {
    try {
      return await anchor(node);
    } catch (error) {
      last = error;
      if (!nextMayDo(error)) break;
    }
  }
  throw last;
};

/** The media role of a call over two pools of rtpengine nodes. Throws RangeError on a configuration it refuses. */
export const createMedia = (options: MediaOptions): MediaPools => {
  checkNodes(options.nodes);
  const circumstances = {
    emit: options.emit,
    clock: options.clock ?? systemClock,
    timing: { ...defaultTiming, ...options.timing },
    onAttestation: options.onAttestation ?? (() => undefined),
  };
  const control = options.nodes.flatMap(({ ng, cli }) => (cli === undefined ? [ng] : [ng, cli]));
  const rules = peerRules(options.peerNetworks ?? null, control);
  const of = (pool: Pool): readonly MediaNodeOptions[] => options.nodes.filter((node) => node.pool === pool);
  const privateNodes = of('private').map((node) => new PrivateNode(node, circumstances));
  const recordedNodes = of('recorded').map((node) => new RecordedNode(node, circumstances));
  const nodes: readonly MediaNode[] = [...privateNodes, ...recordedNodes];
  const spoolUsable = options.spoolUsable ?? (() => true);
  const recordedUsable = (node: RecordedNode): boolean => node.usable && spoolUsable(node.name);

  return {
    async anchorPrivate(callId: CallId, decision: Private, offer: Sdp): Promise<PrivateCall> {
      if (decision.verdict !== 'private') throw new MediaError('node-error', 'wrong-decision');
      checkSdp(offer, 'offer', rules);
      return onFirst(
        inOrder(privateNodes, (node) => node.usable),
        async (node) => {
          const call = new PrivateCall(node, callId, offer, rules);
          await call.begin();
          return call;
        },
      );
    },
    async anchorRecorded(callId: CallId, decision: Monitored, offer: Sdp): Promise<RecordedCall> {
      if (decision.verdict !== 'monitored') throw new MediaError('node-error', 'wrong-decision');
      checkSdp(offer, 'offer', rules);
      return onFirst(inOrder(recordedNodes, recordedUsable), async (node) => {
        const call = new RecordedCall(node, callId, offer, rules);
        await call.begin();
        return call;
      });
    },
    async start(): Promise<void> {
      await Promise.all(nodes.map((node) => node.start()));
    },
    status: () => ({
      nodes: nodes.map((node) => ({
        name: node.name,
        pool: node.pool,
        up: node.up,
        attested: node.attester.attested,
        calls: node.load,
      })),
      ready: {
        private: privateNodes.some((node) => node.usable),
        recorded: recordedNodes.some(recordedUsable),
      },
    }),
    endLeftover: async (name, callId) => {
      const node = nodes.find((each) => each.name === name);
      if (node === undefined) return false;
      return node.remove(callId).then(
        () => true,
        () => false,
      );
    },
    attestations: () => nodes.flatMap(({ attester }) => attester.latest ?? []),
    close: () => {
      for (const node of nodes) node.close();
    },
  };
};
