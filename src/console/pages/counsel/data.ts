/** What the counsel portal's routes answer (http/routes/counsel.ts). */

export interface OwnNumber {
  readonly id: string;
  readonly number: string;
  readonly class: 'attorney' | 'public-defender';
  readonly state: 'unproved' | 'proved' | 'lapsed' | 'contested' | 'yielded';
  readonly addedAt: string;
  readonly provedAt: string | null;
  readonly provedUntil: string | null;
  readonly endsSoon: boolean;
  readonly protection: {
    readonly answer: 'protected' | 'pending' | 'not-protected';
    readonly since: string | null;
    readonly until: string | null;
  } | null;
  readonly proposal: 'proposed' | 'waiting' | 'applied' | 'rejected' | 'withdrawn' | null;
  readonly code: OwnCode | null;
  readonly recorded: { readonly calls: number; readonly last: string | null } | null;
}

export interface OwnCode {
  readonly askedAt: string;
  readonly expires: string;
  readonly triesLeft: number;
  readonly stands: boolean;
  readonly call: 'under-way' | 'over';
  readonly answered: boolean;
}

export interface OwnCall {
  readonly callId: string;
  readonly at: string;
  readonly facility: string;
  readonly verdict: string;
  readonly verdictText: string;
  readonly connectedMs: number;
  readonly recorded: boolean;
  readonly evidence: boolean;
}

export interface Me {
  readonly account: string;
  readonly name: string;
  readonly jurisdiction: string;
  readonly barNumber: string;
  readonly notices: readonly { readonly number: string; readonly kind: string; readonly at: string }[];
}

/** What everybody may know: `GET /v1/counsel`. */
export interface Portal {
  readonly registration: 'open' | 'invited' | 'closed';
  readonly calls: boolean;
  readonly proofDays: number | null;
}

/** A number in groups, as people read it aloud; one of another plan stays as it is. */
export const grouped = (number: string): string => {
  const [, area, office, line, extension] = /^\+1(\d{3})(\d{3})(\d{4})(?:;ext=(\d+))?$/.exec(number) ?? [];
  if (area === undefined) return number.replace(';ext=', ' ext. ');
  return `(${area}) ${office}-${line}${extension === undefined ? '' : ` ext. ${extension}`}`;
};
