import { whole } from './figures.js';
import { goalsText } from './goals.js';
import { goalRate } from './plan.js';
import {
  besideKamailio,
  cpuTable,
  idleText,
  ladderTable,
  latencyTable,
  loadedTable,
  loopTable,
  secondTries,
  warmUpText,
} from './report-load.js';
import { policySection } from './report-policy.js';
import { burstText, heldText, leftoverText, mishapText, partsTable, stepsTable } from './report-rest.js';
import type { Results } from './results.js';

/** The page of one run. Every figure is of that run; the ratios are what may be compared with another one. */

const subjectsText = ({
  peer,
}: Results): string => `- **phone to phone**: the load generators call each other; what is left when nothing stands between.
- **plain B2BUA**: some 100 lines on drachtio-srf and the embedded agent (\`test/bench/plain-b2bua.ts\`). No lists, no journal,
  no media: the least any controller on this stack can cost.
- **Sallyport**: the whole job. Lists in Redis, decision and CDR each journalled durably, media anchored on rtpengine
  and blocked until connected, nine calls in ten recorded, proved, and made into a WAV with its manifest, one in ten
  private on the private node. Log level \`info\`.
${
  peer === null
    ? ''
    : `- **Kamailio** (${peer}): a dialog-stateful proxy with the same media on nodes of its own, recorded unless private, and
  two look-ups in a Redis of its own in one round trip (\`test/bench/kamailio/kamailio.cfg\`). It writes no journal, proves
  no recording, makes no WAV and encrypts nothing.
`
}`;

const introduction = (results: Results): string => {
  const { machine, plan, policy } = results;
  const rungs = [...results.rungs, ...results.warmUp, ...(policy?.rungs ?? []), ...(policy?.warmUp ?? [])];
  const calls = [...rungs, ...results.bursts].reduce((sum, rung) => sum + rung.calls, 0);
  const load = machine.load.map((one) => one.toFixed(1)).join(', ');
  return `One run of \`${results.command}\`: ${whole(calls)} calls in ${Math.round(results.seconds)} s. Figures are medians of ${plan.rounds} interleaved rounds, with the
smallest and the largest round in parentheses. **Absolute figures are those of one run on one machine; compare the
ratios.** The command writes this page anew.

Machine: ${machine.cores} cores (${machine.cpu}), ${machine.memoryGiB} GiB, Node ${machine.node}, everything on loopback, the phones on the same cores.
One-minute load average before the first call and after each round: ${load}. The benchmark itself loads the machine; what
is there before the first call is other people's work, and it is in the figures, in the p99 above all.`;
};

export const reportPage = (results: Results): string => `# Benchmarks

${introduction(results)}

## Goals

${goalsText(results)}

## What is compared

${subjectsText(results)}
Each call is answered at once, held ${results.plan.holdMs / 1000} s and hung up by the caller; each party sends four RTP packets. Calls start at an even rate,
whether earlier ones were answered or not. ${warmUpText(results)}

## Calls a second

A ladder of rates up to the first that shows a failed call or a message sent twice, by whichever side, in each of two
tries; a round that ran out of time or of rates climbed no further ("at least"). ${secondTries(results)}

${ladderTable(results)}

## At ${goalRate} calls a second, clean or not

The goals for CPU and latency are set for this rate, so it is run though a lower one was not clean. What was refused cost little: an
INVITE is then cheaper than a call.

${loadedTable(results, goalRate)}

## From INVITE to 200

Clean rungs alone, here and below.

${latencyTable(results)}

## CPU a call

User and system time in µs a call by process, from \`/proc/PID/stat\`, over the run of a rate until its last CDR. It
includes what a process does while idle (${idleText(results)}), and at
low rates the waking of an idle core: compare equal rates only.

${cpuTable(results, ['redis', 'rtpengine', 'caller', 'called'])}

## Beside Kamailio

${
  results.peer === null
    ? 'Kamailio was not measured in this run.'
    : `${besideKamailio(results)}\n\nThese are ratios of medians; those of the goals above are medians of each round's.`
}

${results.policy === null ? '' : `${policySection(results.policy)}\n`}## A burst

${burstText(results)}

## The event loop

How late a timer of 10 ms was in the subject's process, and how long after the last hang-up its last call was closed
(recording converted, CDR durable).

${loopTable(results)}

${mishapText(results)}

## Where the time of a call goes

Each phase of Sallyport's calls, and what was waited for in it, side by side: a wait is longer than the work by the time until
the process has its turn again, so what is long everywhere is a machine that is short of processors.

${stepsTable(results)}

## Memory of a held call

${heldText(results)}
${results.parts.length === 0 ? '' : `\n## Steps alone\n\nOne after another on the idle stack.\n\n${partsTable(results.parts)}\n`}
## Left behind

${leftoverText(results)}
`;
