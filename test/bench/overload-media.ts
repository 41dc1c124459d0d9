/** A media node that answers and does nothing, in a process of its own: for measuring what is ours alone. */
import { openFakeNode } from '../media/fake-node.js';
import { serve } from './ask.js';

let node: Awaited<ReturnType<typeof openFakeNode>> | null = null;

serve({
  open: async () => {
    node = await openFakeNode();
    const { ng, cli, commands } = node;
    // A call is opened only where the node holds both parties under the protocol they were told.
    const held = { medias: [{ protocol: 'RTP/AVP' }] };
    node.answer = ({ command }, reply) =>
      command === 'query' ? { ...reply, tags: { caller: held, called: held } } : reply;
    // It remembers every command it was given; over thousands of calls that would be its main work.
    setInterval(() => commands.splice(0), 100).unref();
    return { ng, cli };
  },
  stop: () => node?.close(),
});
