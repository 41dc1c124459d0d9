import { randomInt } from 'node:crypto';
import { isCodeTrunk } from '../core/leg.js';
import {
  type Attorney,
  type Claim,
  CODE_TRIES,
  type CodeAsked,
  type CodeLimits,
  type Counsel,
} from '../registry/counsel/counsel.js';
import { RegistryError } from '../registry/errors.js';
import type { Change, Registry } from '../registry/registry.js';
import type { NumberFound, RegistrySearch } from '../registry/search.js';
import type { CallLog, PastCall } from './call-log.js';
import { partProblem } from './part-problem.js';
import { checkPassword, hashPassword, TooBusy } from './password.js';
import type { ControllerPort, OwnJournal } from './ports.js';
import { Problem } from './problems.js';

export interface CounselSettings {
  readonly registration: 'open' | 'invited';
  readonly signUpsPerHour: number;
  readonly numbersEach: number;
  readonly proofDays: number;
  readonly warnDays: number;
  /** Null: no calls are made, and no number can be proved. */
  readonly calls: CodeLimits | null;
}

/** What is known of one's own number. */
export interface OwnNumber {
  readonly claim: Claim;
  readonly state: Claim['state'] | 'lapsed';
  readonly provedUntil: Date | null;
  /** The proof ends soon. */
  readonly endsSoon: boolean;
  /** Null where nothing of it is shown: it is not proved, or not any more. */
  readonly protection: Protection | null;
  readonly proposal: Change['state'] | null;
  readonly code: OwnCode | null;
  /** Calls that were recorded although the number was protected; null where nothing of it is shown. */
  readonly recorded: { readonly calls: number; readonly last: string | null } | null;
}

export interface Protection {
  readonly answer: 'protected' | 'pending' | 'not-protected';
  readonly since: Date | null;
  readonly until: Date | null;
}

export interface OwnCode {
  readonly askedAt: Date;
  readonly expires: Date;
  readonly triesLeft: number;
  /** Whether it can still be entered. */
  readonly stands: boolean;
  readonly call: 'under-way' | 'over';
  readonly answered: boolean;
}

export interface CounselDeskOptions {
  readonly settings: CounselSettings | null;
  readonly counsel: Counsel;
  readonly registry: Registry;
  readonly search: RegistrySearch;
  readonly log: CallLog;
  readonly controller: ControllerPort;
  readonly journal: OwnJournal;
  readonly numberDigest: (number: string) => Promise<string>;
  readonly wall: () => number;
}

const DAY_MS = 86_400_000;
/** Ringing and all that is said: a call that has no closing record by then never will. */
const CALL_MS = 240_000;
/**
 * Before this nobody is told that the call is over: who could see that a number is refused at once could find out which
 * numbers are blocked, one account and three tries an hour at a time.
 */
const HIDDEN_MS = 20_000;
const MOST_SHOWN = 200;

/** What the closing record of a call says of a disk on which nothing of it was. */
const leftNothing: ReadonlySet<string> = new Set(['nothing-found', 'absent', 'recording-missing', 'unknown']);

/** Whether sound of a call was recorded, as its closing record tells. Connected and monitored counts, whatever is left. */
export const wasRecorded = ({ verdict, connectedMs, recording }: PastCall): boolean =>
  (verdict === 'monitored' && connectedMs > 0) || (recording !== null && !leftNothing.has(recording));

/**
 * What attorneys do with their own numbers. Whoever asks is part of every question; what is somebody else's is not
 * there, and looks like what was never there.
 */
export class CounselDesk {
  readonly #options: CounselDeskOptions;
  constructor(options: CounselDeskOptions) {
    this.#options = options;
  }

  /** Throws Problem `not-configured`. */
  get settings(): CounselSettings {
    const { settings } = this.#options;
    if (settings === null) throw new Problem('not-configured', 'there is no counsel portal here');
    return settings;
  }

  /** Throws Problem `unknown`. */
  async claim(account: string, id: string): Promise<Claim> {
    const found = await this.#options.counsel.claim(account, id);
    if (found === null) throw new Problem('unknown');
    return found;
  }

  async attorney(account: string): Promise<Attorney> {
    const found = await this.#options.counsel.attorney(account);
    if (found === null) throw new Problem('unknown');
    return found;
  }

  /** Calls the number with a new code. Throws Problem `not-configured`, `too-many-requests`, `busy`, `controller-…`. */
  async call(claim: Claim, language: 'en' | 'es'): Promise<void> {
    const { counsel, controller, journal, numberDigest } = this.#options;
    const { calls } = this.settings;
    if (calls === null) throw new Problem('not-configured', 'no calls with a code are made here');
    if (claim.state === 'yielded')
      throw new Problem('conflict', 'it was decided that this number is somebody else’s');
    const code = String(randomInt(1_000_000)).padStart(6, '0');
    const asked = await counsel.askCode(claim, await slow(() => hashPassword(code)), calls);
    if (asked === null) throw new Problem('too-many-requests', null, 3600);
    await journal.append('http-code-asked', {
      ...{ by: claim.account, number: await numberDigest(claim.number), language },
    });
    try {
      const callId = await controller.codeCall({ number: claim.number, code, language }, claim.account);
      await counsel.codeCalled(asked.id, callId, true);
    } catch (error) {
      await counsel.codeCalled(asked.id, null, false);
      if (error instanceof Error && 'code' in error && error.code === 'code-calls-busy')
        throw new Problem('busy', null, 30);
      partProblem(error);
    }
  }

  /** Throws Problem `code-wrong`, `code-over`, `busy`. */
  async enter(claim: Claim, code: string): Promise<Claim> {
    const { counsel, journal, numberDigest } = this.#options;
    const standing = await counsel.code(claim.id);
    const tried = await counsel.tryCode(claim.id);
    if (tried === null || standing === null) throw new Problem('code-over');
    const right = await slow(() => checkPassword(code, tried.hash));
    await journal.append('http-code-entered', {
      ...{ by: claim.account, number: await numberDigest(claim.number), outcome: right ? 'right' : 'wrong' },
    });
    if (!right) throw new Problem('code-wrong', `${tried.left} tries are left`);
    const callId = standing.callId ?? (await this.#callOf(claim, standing))?.callId;
    if (callId === undefined)
      throw new Problem('conflict', 'the call is still under way: hang up, and enter the code then');
    const proved = await counsel.prove(claim, tried.id, callId);
    if (proved === null) throw new Problem('code-over');
    await this.#propose(proved, true);
    return (await counsel.claim(claim.account, claim.id)) ?? proved;
  }

  async numbers(account: string): Promise<readonly OwnNumber[]> {
    await this.#refresh();
    const claims = await this.#options.counsel.claims(account);
    return await Promise.all(claims.map((claim) => this.#own(claim)));
  }

  async number(claim: Claim): Promise<OwnNumber> {
    await this.#refresh();
    return await this.#own(claim);
  }

  /** Calls to the number since it was proved, the newest first. Throws Problem `proof-needed`. */
  async calls(claim: Claim): Promise<readonly PastCall[]> {
    await this.#refresh();
    const { firstProvedAt } = claim;
    if (this.#state(claim) !== 'proved' || firstProvedAt === null) throw new Problem('proof-needed');
    const since = firstProvedAt.toISOString();
    return this.#to(claim.number)
      .filter(({ endedAt, arrivedAt }) => (arrivedAt ?? endedAt) >= since)
      .reverse()
      .slice(0, MOST_SHOWN);
  }

  #state(claim: Claim): OwnNumber['state'] {
    const until = this.#until(claim);
    return claim.state === 'proved' && until !== null && until.getTime() <= this.#options.wall()
      ? 'lapsed'
      : claim.state;
  }

  #until({ provedAt }: Claim): Date | null {
    return provedAt === null ? null : new Date(provedAt.getTime() + this.settings.proofDays * DAY_MS);
  }

  async #own(claim: Claim): Promise<OwnNumber> {
    const { counsel, registry, search, wall } = this.#options;
    const state = this.#state(claim);
    const provedUntil = this.#until(claim);
    const code = await counsel.code(claim.id);
    const open = { claim, state, provedUntil, code: code === null ? null : await this.#code(claim, code) };
    const endsSoon =
      state === 'proved' &&
      provedUntil !== null &&
      provedUntil.getTime() - wall() <= this.settings.warnDays * DAY_MS;
    if (state !== 'proved' && state !== 'contested')
      return { ...open, endsSoon, protection: null, proposal: null, recorded: null };
    // What a proof was to bring about and could not, as with a database that went away meanwhile, is made up for here.
    const change = state === 'proved' ? await this.#propose(claim, false) : claim.change;
    const protection = protectionIn(await search.number(claim.number, 'all'), wall());
    return {
      ...open,
      endsSoon,
      protection,
      proposal: change === null ? null : (await registry.change(change)).state,
      recorded: state === 'proved' ? this.#recorded(claim, protection) : null,
    };
  }

  #recorded(claim: Claim, { answer, since }: Protection): OwnNumber['recorded'] {
    if (answer !== 'protected' || since === null) return { calls: 0, last: null };
    const from = since.toISOString();
    const recorded = this.#to(claim.number).filter(
      (call) => (call.arrivedAt ?? call.endedAt) >= from && wasRecorded(call),
    );
    return { calls: recorded.length, last: recorded.at(-1)?.endedAt ?? null };
  }

  /** Our own calls with codes are no calls to an attorney, and that a hotline was called is nobody's to know. */
  #to(number: string): readonly PastCall[] {
    return this.#options.log.calls.filter(
      (call) => call.number === number && call.class !== 'hotline' && !isCodeTrunk(call.trunk),
    );
  }

  async #code(claim: Claim, code: CodeAsked): Promise<OwnCode> {
    const now = this.#options.wall();
    const call = await this.#callOf(claim, code);
    const age = now - code.askedAt.getTime();
    const over = (call !== null && age >= HIDDEN_MS) || age >= CALL_MS;
    return {
      askedAt: code.askedAt,
      expires: code.expires,
      triesLeft: Math.max(0, CODE_TRIES - code.tries),
      stands: code.overAt === null && code.expires.getTime() > now && code.tries < CODE_TRIES,
      call: over ? 'over' : 'under-way',
      answered: over && (call?.connectedMs ?? 0) > 0,
    };
  }

  /** The closing record of the call with a code; null where it is not there. */
  async #callOf(claim: Claim, { callId, askedAt }: CodeAsked): Promise<PastCall | null> {
    const { log } = this.#options;
    if (callId !== null) return log.find(callId);
    await this.#refresh();
    const asked = new Date(askedAt.getTime() - 1000).toISOString();
    const found = log.calls.findLast(
      (call) =>
        call.number === claim.number && isCodeTrunk(call.trunk) && (call.arrivedAt ?? call.endedAt) >= asked,
    );
    return found ?? null;
  }

  async #refresh(): Promise<void> {
    await this.#options.log.refresh().catch(partProblem);
  }

  /**
   * Puts the number before those who approve, and lets nobody be recorded meanwhile: control of a number was shown, and
   * not that somebody is an attorney. `anew`: also where it was rejected before.
   */
  async #propose(claim: Claim, anew: boolean): Promise<string | null> {
    const { counsel, registry, search, wall } = this.#options;
    if (claim.state !== 'proved') return claim.change;
    if (claim.change !== null) {
      const { state } = await registry.change(claim.change);
      const rejected = state === 'rejected' || state === 'withdrawn';
      if (!rejected || !anew) return claim.change;
    }
    const found = await search.number(claim.number, 'all');
    if (protectionIn(found, wall()).answer === 'protected') return claim.change;
    const { name, jurisdiction, barNumber } = await this.attorney(claim.account);
    const proof = `control proved ${claim.provedAt?.toISOString() ?? ''} by call ${claim.provedCall ?? ''}`;
    const says = `says to be ${name}, ${jurisdiction} bar no. ${barNumber} (account ${claim.account})`;
    const why = `counsel portal: ${proof}`;
    if (found.pending.every(({ number }) => number !== claim.number))
      await registry
        .propose(claim.account, why, [{ op: 'pending-add', number: claim.number, note: `${proof}; ${says}` }])
        .catch((error: unknown) => {
          if (!(error instanceof RegistryError) || error.code !== 'entry-exists') throw error;
        });
    const target = { form: 'number', number: claim.number } as const;
    const op = { op: 'privileged-add', class: claim.class, target, evidence: `${proof}; ${says}` } as const;
    const { id } = await registry.propose(claim.account, why, [op], { atLeast: 1 });
    await counsel.proposed(claim.id, id);
    return id;
  }
}

/** How a number stands: what protects it, whatever its class and whoever entered it. */
const protectionIn = ({ privileged, pending }: NumberFound, now: number): Protection => {
  const standing = privileged.filter(
    ({ match, validFrom, validTo }) =>
      match !== 'extension' &&
      (validFrom === null || validFrom.getTime() <= now) &&
      (validTo === null || validTo.getTime() > now),
  );
  if (standing.length > 0) {
    const begins = standing.map(({ effectiveFrom, validFrom, entered }) =>
      (effectiveFrom ?? validFrom ?? entered).getTime(),
    );
    const ends = standing.map(({ validTo }) => validTo?.getTime() ?? Number.POSITIVE_INFINITY);
    const last = Math.max(...ends);
    return {
      answer: 'protected',
      since: new Date(Math.min(...begins)),
      until: Number.isFinite(last) ? new Date(last) : null,
    };
  }
  return { answer: pending.length > 0 ? 'pending' : 'not-protected', since: null, until: null };
};

const slow = <T>(work: () => Promise<T>): Promise<T> =>
  work().catch((error: unknown) => {
    if (error instanceof TooBusy) throw new Problem('busy', null, 2);
    throw error;
  });
