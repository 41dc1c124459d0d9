import { isIP } from 'node:net';
import { type AnchorFor, type Between, type Clock, type Emit, MediaError, type Sdp } from '../call/ports.js';
import type { SpokenMedia } from '../call/talk.js';
import type { Monitored, Private } from '../core/decision.js';
import type { CallId, WallMs } from '../core/leg.js';
import type { AnchoredCall } from './anchored-call.js';
import type { NodeAttestation, Pool } from './attestation.js';
import { isPromptsRoot } from './closed-commands.js';
import { DrainedNodes } from './drained.js';
import { Keypad, type KeypadCounters, type KeypadOptions } from './keypad.js';
import { LobbyCall } from './lobby-call.js';
import type { MediaNode } from './node.js';
import { defaultTiming, type MediaNodeOptions, type NodeTiming } from './node-options.js';
import { Notices, type NoticesOptions } from './notices.js';
import { PrivateCall } from './private-call.js';
import { PrivateNode } from './private-node.js';
import { plain } from './protection.js';
import { RecordedCall } from './recorded-call.js';
import { RecordedNode } from './recorded-node.js';
import { checkStreams, peerRules } from './sdp-in.js';
import { withoutText } from './sdp-text.js';

export type { NodeAttestation, Pool } from './attestation.js';
export type { KeypadCounters, KeypadOptions } from './keypad.js';
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
  /** Called when a call that ended while its node did not answer is deleted there at last. Must not throw. */
  readonly onReaped?: (callId: CallId) => void;
  /** Says whether a recorded node's spool can take a recording now; a node whose spool cannot gets no new call. */
  readonly spoolUsable?: (node: string) => boolean;
  readonly timing?: Partial<NodeTiming>;
  /** Where nodes report what parties press (their `--dtmf-log-dest`). Without it, keys go unseen. */
  readonly keypad?: KeypadOptions;
  /** Where nodes say that they gave a call up (their `--b2b-url`). Without it, that is found by polling alone. */
  readonly notices?: NoticesOptions;
  /**
   * Address of this host that recorded nodes and supervisors' phones reach: there a supervisor's sound is mixed.
   * Default: the media address of the call's node, which is right where the node is on this host.
   */
  readonly earAddress?: string;
  /** File in which it is kept which nodes are drained; without it, a restart forgets that. */
  readonly drainedFile?: string;
}

export interface NodeStatus {
  readonly name: string;
  readonly pool: Pool;
  readonly up: boolean;
  readonly attested: boolean;
  /** It takes no new calls, by order. */
  readonly drained: boolean;
  readonly weight: number;
  readonly calls: number;
}

export interface MediaStatus {
  readonly nodes: readonly NodeStatus[];
  /** Whether each pool has a node that takes calls. */
  readonly ready: { readonly private: boolean; readonly recorded: boolean };
}

/** Also a `Media`: the anchors of a spoken call can all that those of a plain one can. */
export interface MediaPools extends SpokenMedia {
  /**
   * Looks at every node once; resolves also where none is usable. Rejects where the keypad's address cannot be had.
   */
  start(): Promise<void>;
  status(): MediaStatus;
  /**
   * Gives a node no new calls, or lets it take calls again; the calls it has go on. False where there is no such node.
   * Throws where the order cannot be kept.
   */
  drain(node: string, drained: boolean): boolean;
  /** The latest attestation of each node that was looked at. */
  attestations(): readonly NodeAttestation[];
  /** Hands in a key's report that another process received; only where the keypad is `elsewhere`. */
  keyReport(bytes: Buffer, from: string): void;
  /** Where keys are received and what came of them; null without a keypad. The address is null before `start`. */
  keypad(): {
    readonly address: { host: string; port: number } | null;
    readonly counters: KeypadCounters;
  } | null;
  /** Where notices are received; null without them, and before `start`. */
  notices(): { readonly host: string; readonly port: number } | null;
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
  for (const { name, pool, spool, mediaAddress, promptsRoot, weight = 1 } of nodes) {
    if (!(Number.isInteger(weight) && weight >= 1 && weight <= 1000))
      throw new RangeError(`node ${name}: a weight is 1 to 1000`);
    if (pool === 'private' && spool !== undefined) throw new RangeError(`private node ${name} has a spool`);
    if (pool === 'recorded' && spool === undefined)
      throw new RangeError(`recorded node ${name} has no spool`);
    if (isIP(mediaAddress) === 0) throw new RangeError(`node ${name}: media address is not an IP address`);
    if (promptsRoot !== undefined && !isPromptsRoot(promptsRoot))
      throw new RangeError(`node ${name}: the prompts' directory is no absolute path`);
  }
};

/** What is opened once the nodes are known: checked here, because it would be found out at the first call only. */
const checkAddresses = ({ keypad, earAddress }: MediaOptions): void => {
  if (keypad !== undefined && isIP(keypad.host) === 0) throw new RangeError('the keypad has no IP address');
  // Whoever reaches it can press keys, but for the check of where they come from.
  if (keypad?.host === '0.0.0.0' || keypad?.host === '::')
    throw new RangeError('the keypad would listen on every address');
  if (earAddress !== undefined && isIP(earAddress) === 0)
    throw new RangeError('the address for supervisors is not an IP address');
};

/**
 * Errors that say something about the node and nothing about the call: the next node of the pool may do. What the offer
 * itself is to blame for has a code of its own.
 */
const nextMayDo = (error: unknown): boolean =>
  error instanceof MediaError && ['node-timeout', 'node-refused', 'node-error'].includes(error.code);

/**
 * The least loaded usable node first, for its weight: the one that would have the smallest share of what it can take
 * with one call more. `pool` holds nodes of one kind only, so there is no way from here to another
 * pool: a private call finds a private node or none.
 */
const inOrder = <Node extends MediaNode>(pool: readonly Node[], usable: (node: Node) => boolean): Node[] =>
  pool.filter(usable).sort((left, right) => (left.load + 1) / left.weight - (right.load + 1) / right.weight);

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
  checkAddresses(options);
  const circumstances = {
    emit: options.emit,
    clock: options.clock ?? systemClock,
    timing: { ...defaultTiming, ...options.timing },
    onAttestation: options.onAttestation ?? (() => undefined),
    onReaped: options.onReaped ?? (() => undefined),
  };
  const control = options.nodes.flatMap(({ ng, cli }) => (cli === undefined ? [ng] : [ng, cli]));
  if (options.keypad !== undefined && options.keypad.port !== 0) control.push(options.keypad);
  if (options.notices !== undefined && options.notices.port !== 0) control.push(options.notices);
  const rules = peerRules(options.peerNetworks ?? null, control);
  const reporters = options.nodes.map(({ keysFrom, ng }) => keysFrom ?? ng.host);
  const keypad =
    options.keypad === undefined
      ? null
      : new Keypad(options.keypad, reporters, options.emit, () => circumstances.clock.mono());
  const parts = { rules, keypad, earAddress: options.earAddress ?? null, emit: options.emit };
  const of = (pool: Pool): readonly MediaNodeOptions[] => options.nodes.filter((node) => node.pool === pool);
  const privateNodes = of('private').map((node) => new PrivateNode(node, circumstances));
  const recordedNodes = of('recorded').map((node) => new RecordedNode(node, circumstances));
  const nodes: readonly MediaNode[] = [...privateNodes, ...recordedNodes];
  const notices =
    options.notices === undefined
      ? null
      : new Notices(options.notices, reporters, (callId) => {
          for (const node of nodes) if (node.has(callId)) void node.lookForSilence();
        });
  const spoolUsable = options.spoolUsable ?? (() => true);
  const drained = new DrainedNodes(options.drainedFile ?? null, options.emit);
  const takesCalls = (node: MediaNode): boolean => node.usable && !drained.has(node.name);
  const recordedUsable = (node: RecordedNode): boolean => takesCalls(node) && spoolUsable(node.name);

  const begun = async <Node extends MediaNode, Call extends AnchoredCall<Node>>(
    call: Call,
  ): Promise<Call> => {
    await call.begin();
    return call;
  };
  const onPrivate = (callId: CallId, offer: Sdp, between: Between): Promise<PrivateCall> => {
    checkStreams(offer, 'offer', rules, between.caller);
    const nodes = inOrder(privateNodes, takesCalls);
    return onFirst(nodes, (node) => begun(new PrivateCall(node, callId, offer, between, parts)));
  };

  return {
    async anchorLobby(callId: CallId, offer: Sdp, { between = plain }: AnchorFor = {}): Promise<LobbyCall> {
      return new LobbyCall(await onPrivate(callId, offer, between));
    },
    async anchorPrivate(
      callId: CallId,
      decision: Private,
      offer: Sdp,
      { text = true, between = plain }: AnchorFor = {},
    ): Promise<PrivateCall> {
      if (decision.verdict !== 'private') throw new MediaError('node-error', 'wrong-decision');
      return onPrivate(callId, text ? offer : withoutText(offer), between);
    },
    async anchorRecorded(
      callId: CallId,
      decision: Monitored,
      offer: Sdp,
      { between = plain }: AnchorFor = {},
    ): Promise<RecordedCall> {
      if (decision.verdict !== 'monitored') throw new MediaError('node-error', 'wrong-decision');
      checkStreams(offer, 'offer', rules, between.caller);
      const nodes = inOrder(recordedNodes, recordedUsable);
      return onFirst(nodes, (node) => begun(new RecordedCall(node, callId, offer, between, parts)));
    },
    keyReport: (bytes, from) => keypad?.report(bytes, from),
    keypad: () => (keypad === null ? null : { address: keypad.address, counters: keypad.counters }),
    notices: () => notices?.address ?? null,
    async start(): Promise<void> {
      drained.start();
      await keypad?.open();
      await notices?.open();
      await Promise.all(nodes.map((node) => node.start()));
    },
    status: () => ({
      nodes: nodes.map((node) => ({
        name: node.name,
        pool: node.pool,
        up: node.up,
        attested: node.attester.attested,
        drained: drained.has(node.name),
        weight: node.weight,
        calls: node.load,
      })),
      ready: {
        private: privateNodes.some(takesCalls),
        recorded: recordedNodes.some(recordedUsable),
      },
    }),
    drain: (name, state) => {
      if (!nodes.some((node) => node.name === name)) return false;
      drained.set(name, state);
      return true;
    },
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
      keypad?.close();
      notices?.close();
      drained.close();
    },
  };
};
