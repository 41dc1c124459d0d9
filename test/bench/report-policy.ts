import { goalRate } from './plan.js';
import {
  cpuTable,
  idleText,
  ladderTable,
  latencyTable,
  loadedTable,
  secondTries,
  warmUpText,
} from './report-load.js';
import type { Climbed } from './results.js';

/** The section on the decision alone. `run` says with what it was measured, in a sentence. */
export const policySection = (policy: Climbed, run = ''): string => `## The decision without media

${run}No sound, and no media node for anybody: what a decision and two legs cost. Each side has a Redis of its own.

- **plain B2BUA** asks two look-ups of Redis in one round trip (ioredis), and refuses what is not allowed.
- **Kamailio** asks the same two (ndb_redis), dialog-stateful, without rtpengine; the session descriptions pass as they are.
- **Sallyport** does what it always does but for recording: every call is private, on a stand-in for a media node that answers and
  does nothing. That is more than the others do: lists whose age and signature are checked, the call's place in the counts,
  the decision durable on disk before the call goes on and the CDR after it, media commands written, sent and
  their answers believed, and two legs of its own where Kamailio passes one on.

The phones are lighter here (\`test/bench/light-phones.ts\`: both in one process, from templates), so that a high rate is not theirs; "phone to phone" is
what is left of the machine. Calls are held ${policy.plan.holdMs / 1000} s. ${warmUpText(policy)}

### Calls a second without media

${secondTries(policy)}

${ladderTable(policy)}

### INVITE to 200 without media

Clean rungs alone, here and below.

${latencyTable(policy)}

### CPU a call without media

In µs a call; \`media\` is the stand-in, \`phones\` are both. Idle: ${idleText(policy)}.

${cpuTable(policy, ['redis', 'media', 'phones'])}

### At ${goalRate} calls a second without media, clean or not

${loadedTable(policy, goalRate)}
`;
