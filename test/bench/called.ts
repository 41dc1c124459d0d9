/** The called side of the benchmark: one phone that rings and answers every call at once. */
import { createPhone, type Phone } from '../../src/phones/sip-phone.js';
import { serve } from './ask.js';
import { countSent, Sound } from './load.js';

interface Side {
  readonly phone: Phone;
  readonly sound: Sound;
  readonly sent: Map<string, number>;
}

export interface CalledReport {
  readonly calls: number;
  readonly retransmissions: number;
  readonly liveCalls: number;
  readonly rtp: { readonly sent: number; readonly received: number };
}

let side: Side | null = null;
let invites = 0;

const open = async (): Promise<Side> => {
  if (side !== null) return side;
  const host = '127.0.2.1';
  const phone = await createPhone({
    name: 'called',
    transport: 'udp',
    host,
    audio: 'sink',
    keepMessages: 0,
    lingerMs: 5000,
  });
  const sound = await Sound.open(host);
  phone.answerWith((invite) => {
    invites++;
    sound.speak(invite.request.body, { ended: () => false });
    return { do: 'answer', sdp: sound.sdp() };
  });
  side = { phone, sound, sent: countSent(phone) };
  return side;
};

const report = async (): Promise<CalledReport> => {
  const { phone, sound, sent } = await open();
  let retransmissions = 0;
  // Each call is one 100, 180 and 200, and one 200 for its BYE; more means that something came or went twice.
  for (const times of sent.values()) retransmissions += Math.max(0, times - invites);
  return {
    calls: invites,
    retransmissions,
    liveCalls: phone.liveCalls,
    rtp: { sent: sound.sent, received: sound.received },
  };
};

serve({
  open: async () => (await open()).phone.address,
  reset: async () => {
    const { sound, sent } = await open();
    sent.clear();
    invites = 0;
    sound.sent = 0;
    sound.received = 0;
  },
  report,
  stop: async () => {
    side?.sound.close();
    await side?.phone.close({ abrupt: true });
  },
});
