import type { Facilities } from '../registry/accounts/facilities.js';
import type { CallQuery, FoundCall } from '../registry/investigation/call-query.js';
import { type GatePort, PartError } from './ports.js';

/** What may leave at this moment, and what may not. Why stands nowhere. */
export interface Gated {
  readonly free: readonly FoundCall[];
  readonly withheld: readonly string[];
}

/**
 * Asks about every number of every call at this moment: the registry, and the lists as a controller has them, with what was
 * ordered since. What is privileged or sealed is withheld, and its recording sealed where that was not done yet; what is
 * claimed is withheld until somebody decided. A call that is not known, or is of another facility, is withheld like the others. Rejects with PartError
 * `lists-unknown` where the lists do not say: then nothing leaves.
 */
export const gated = async (
  callIds: readonly string[],
  query: CallQuery,
  gate: GatePort,
  within: Facilities,
  progress: (done: number) => void = () => undefined,
): Promise<Gated> => {
  const known = await query.anyOf(callIds, within);
  const toSeal: { callId: string; facility: string; began: Date }[] = [];
  const passed = new Set<string>();
  for (const [at, call] of known.entries()) {
    progress(at);
    const standing = await query.standing(call.numbers, call.began);
    const listed = await gate.listed(call.numbers, call.facility);
    if (listed.length !== call.numbers.length || listed.includes('unknown'))
      throw new PartError('lists-unknown', 'the lists do not say what may leave: nothing does', {
        unreachable: true,
      });
    const words = [...call.numbers.map((number) => standing.get(number) ?? 'privileged'), ...listed];
    if (words.includes('privileged'))
      toSeal.push({ callId: call.callId, facility: call.facility, began: call.began });
    else if (words.every((one) => one === 'free') && !(await gate.sealing(call.callId)))
      passed.add(call.callId);
  }
  if (toSeal.length > 0) await gate.seal(toSeal);
  // Last: what custody sealed and what somebody entered while this was asked counts too.
  const free = (await query.some([...passed], within)).filter(({ callId }) => passed.has(callId));
  const ids = new Set(free.map(({ callId }) => callId));
  return { free, withheld: callIds.filter((id) => !ids.has(id)) };
};
