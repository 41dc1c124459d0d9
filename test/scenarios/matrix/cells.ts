import type { PrivilegedClass } from '../../../src/core/lists.js';
import { type ListWords, numbers } from '../../site/site.js';

/** The crossing of the matrix as data: which call, by which message somebody else comes in, and who that is. */

export type Verdict = 'monitored' | 'private';

/** Who the other party is, as seen from the call: `other` is privileged for a monitored call, ordinary for a private one. */
export const targets = [
  'same',
  'other',
  'blocked',
  'pending',
  'unlisted',
  'unreadable',
  'emergency',
] as const;
export type Target = (typeof targets)[number];

export const manners = [
  '302',
  '181 + Diversion',
  '181 + History-Info',
  '200 + identity',
  'INVITE + Diversion',
  'UPDATE + identity',
  're-INVITE + identity',
  'REFER',
] as const;
export type Manner = (typeof manners)[number];

/** How the product calls each of them in its journal and its CDR. */
export const howOf: Readonly<Record<Manner, string>> = {
  '302': 'redirect',
  '181 + Diversion': 'diversion',
  '181 + History-Info': 'forwarded',
  '200 + identity': 'connected-identity',
  'INVITE + Diversion': 'diversion',
  'UPDATE + identity': 'connected-identity',
  're-INVITE + identity': 'connected-identity',
  REFER: 'refer',
};

/** The message comes when the two talk already. */
export const isUp = (manner: Manner): boolean =>
  manner === 'UPDATE + identity' || manner === 're-INVITE + identity' || manner === 'REFER';

export interface Cell {
  readonly verdict: Verdict;
  readonly manner: Manner;
  readonly target: Target;
  readonly name: string;
  /** Each cell has a caller and numbers of its own, so that many can be under way at once. */
  readonly caller: string;
  readonly dialled: string;
  readonly number: string;
}

const decisionOf: Readonly<Record<Verdict, Readonly<Record<Target, string>>>> = {
  monitored: {
    same: 'monitored',
    other: 'private',
    blocked: 'refused',
    pending: 'refused',
    unlisted: 'refused',
    unreadable: 'unreadable',
    emergency: 'refused',
  },
  private: {
    same: 'private',
    other: 'monitored',
    blocked: 'refused',
    pending: 'refused',
    unlisted: 'refused',
    unreadable: 'unreadable',
    emergency: 'refused',
  },
};

/** What a forward comes to where the policy flags: the same for both kinds of call. */
const forwarded: Readonly<Record<Target, 'same' | 'flag' | 'end'>> = {
  same: 'same',
  other: 'end',
  blocked: 'end',
  pending: 'end',
  unlisted: 'flag',
  unreadable: 'flag',
  emergency: 'end',
};

/** What the parties and the disk must have seen of a cell. */
export interface Shown {
  /** The decision on the other party. */
  readonly decided: string;
  readonly outcome: string | null;
  /** The other party's row was on the disk when the first thing was done about it; null where nobody could be read. */
  readonly rowFirst: boolean | null;
  readonly ending: string;
  readonly status: number;
  readonly callerHeard: string;
  readonly calledHeard: string;
  /** The phone that spoke: the number dialled, or the one redirected to. */
  readonly spokeWith: 'dialled' | 'target' | 'nobody';
  readonly pool: 'recorded' | 'private';
  readonly spool: 'recording' | 'sealed' | 'nothing';
}

const noOne = 'nothing';

/** What must come of a cell: written down here, not taken from the product. `forwardEnds`: the policy ends on a flag. */
export const expected = ({ verdict, manner, target }: Cell, forwardEnds = false): Shown => {
  const decided = decisionOf[verdict][target];
  const pool = verdict === 'monitored' ? 'recorded' : 'private';
  const rowFirst = target === 'unreadable' ? null : true;
  const recording = verdict === 'monitored' ? 'recording' : 'nothing';
  const talked = {
    callerHeard: 'called',
    calledHeard: 'caller',
    status: 200,
    pool,
    spool: recording,
  } as const;
  const silent = { callerHeard: noOne, calledHeard: noOne, status: 403, pool, spool: 'nothing' } as const;
  const went = { decided, rowFirst, ending: 'caller-hung-up', spokeWith: 'dialled', ...talked } as const;
  if (manner === '302') {
    return target === 'same'
      ? { ...went, outcome: 'same', spokeWith: 'target' }
      : { decided, rowFirst, outcome: 'end', ending: 'called-redirected', spokeWith: 'nobody', ...silent };
  }
  if (manner === 'REFER') return { ...went, outcome: 'flag' };
  const outcome = forwarded[target] === 'flag' && forwardEnds ? 'end' : forwarded[target];
  if (outcome !== 'end') return { ...went, outcome };
  if (!isUp(manner)) {
    return { decided, rowFirst, outcome, ending: 'forwarded', spokeWith: 'nobody', ...silent };
  }
  // They have talked with somebody whose calls must not be recorded: what there is of it is nobody's to hear.
  const spool = verdict === 'monitored' && decided === 'private' ? 'sealed' : recording;
  return { ...went, outcome, ending: 'forwarded', spool };
};

export const cellsOf = (
  from: number,
  wanted: (verdict: Verdict, manner: Manner, target: Target) => boolean = () => true,
): readonly Cell[] =>
  (['monitored', 'private'] as const)
    .flatMap((verdict) =>
      manners.flatMap((manner) => targets.map((target) => ({ verdict, manner, target }) as const)),
    )
    .filter(({ verdict, manner, target }) => wanted(verdict, manner, target))
    .map((cell, index) => ({
      ...cell,
      name: `${cell.verdict}, ${cell.manner}, ${cell.target}`,
      caller: `mx${from + index}`,
      dialled: `+1212556${from + index}`,
      number: `+1212557${from + index}`,
    }));

/** The URI by which the other party is named. */
export const uriOf = ({ target, number }: Pick<Cell, 'target' | 'number'>): string => {
  switch (target) {
    case 'unreadable':
      return 'sip:operator@carrier.invalid';
    case 'emergency':
      return 'sip:911@carrier.invalid';
    default:
      return `sip:${number}@carrier.invalid;user=phone`;
  }
};

/** Numbers of one kind, beside those of the cells. */
export interface More {
  readonly monitored?: readonly string[];
  readonly privileged?: Readonly<Record<string, PrivilegedClass>>;
}

export const listsOf = (cells: readonly Cell[], more: More = {}): ListWords => {
  const allowed: string[] = [numbers.allowed, ...(more.monitored ?? [])];
  const privileged: Record<string, PrivilegedClass> = { ...more.privileged };
  const block: Record<string, 'facility'> = {};
  const pending: string[] = [];
  for (const { verdict, target, dialled, number } of cells) {
    if (verdict === 'monitored') allowed.push(dialled);
    else privileged[dialled] = 'attorney';
    const isPrivileged = (verdict === 'monitored') === (target === 'other');
    if (target === 'blocked') block[number] = 'facility';
    if (target === 'pending') pending.push(number);
    if (target === 'same' || target === 'other') {
      if (isPrivileged) privileged[number] = 'attorney';
      else allowed.push(number);
    }
    // On the allow list too: it is the block or the review alone that speaks against them.
    if (target === 'blocked' || target === 'pending') allowed.push(number);
  }
  return { allow: { '*': allowed }, privileged, block, pending };
};
