import { MediaError } from '../call/ports.js';
import type { BencodeDict } from './bencode.js';
import { assertPrivate } from './closed-commands.js';
import { MediaNode } from './node.js';
import type { MediaNodeOptions, NodeCircumstances } from './node-options.js';

/**
 * A node of the private pool. It has no method that records, forks, subscribes or takes a flag, and whatever is sent
 * passes a closed list first (I1): among the rest, that a party is played one of our own sounds.
 */
export class PrivateNode extends MediaNode {
  readonly pool = 'private';
  readonly #emit: NodeCircumstances['emit'];

  constructor(options: MediaNodeOptions, circumstances: NodeCircumstances) {
    super(options, circumstances, (message) => assertPrivate(message, options.promptsRoot));
    this.#emit = circumstances.emit;
  }

  /** A private node that names a recording is not one: the call is torn down and the node not used again. */
  protected override async command(message: BencodeDict): Promise<BencodeDict> {
    const reply = await super.command(message);
    if (!('recordings' in reply)) return reply;
    this.#emit({
      event: 'alarm',
      alarm: 'attestation-failed',
      callId: null,
      detail: `${this.name}: unexpected-recording`,
    });
    this.attester.poison();
    if (message.command !== 'delete') {
      const remove = { command: 'delete', 'call-id': String(message['call-id']), 'delete-delay': 0 };
      await super.command(remove).catch(() => undefined);
    }
    this.loseCalls('unexpected-recording');
    throw new MediaError('unexpected-recording', 'private-node-recorded');
  }

  protected override attestationLost(why: string): void {
    this.loseCalls(why);
  }
}
