/** What a recording is, for how long it is kept: the folder of the vault it lies in says it. */
export const recordingClasses = ['ordinary', 'sealed', 'quarantined'] as const;
export type RecordingClass = (typeof recordingClasses)[number];

/** The folder of the vault below which the days of each class lie. */
export const classRoots: Readonly<Record<RecordingClass, string>> = {
  ordinary: '',
  sealed: 'sealed',
  quarantined: 'quarantine',
};

/** Whole days after the call began, or for ever. */
export type Keep = number | 'forever';

/** `recording.retention` of the configuration. */
export interface RetentionRules {
  readonly keepDays: Readonly<Record<RecordingClass, Keep>>;
  readonly facilities: Readonly<
    Record<string, { readonly [one in RecordingClass]?: Keep | undefined } | undefined>
  >;
  readonly guard: { readonly percent: number; readonly recordings: number };
  readonly maxClockGapHours: number;
  readonly overdueHours: number;
}

/** The rule that applies to a recording, by the key of the configuration it stands under. */
export interface AppliedRule {
  readonly name: string;
  readonly keep: Keep;
}

export const DAY_MS = 86_400_000;
export const HOUR_MS = 3_600_000;

export const ruleOf = (rules: RetentionRules, facility: string, of: RecordingClass): AppliedRule => {
  const own = Object.hasOwn(rules.facilities, facility) ? rules.facilities[facility]?.[of] : undefined;
  return own === undefined
    ? { name: `keepDays.${of}`, keep: rules.keepDays[of] }
    : { name: `facilities.${facility}.${of}`, keep: own };
};

/** When a recording may be removed, in ms since 1970; null for never. */
export const dueAt = ({ keep }: AppliedRule, receivedAt: number): number | null =>
  keep === 'forever' ? null : receivedAt + keep * DAY_MS;

/** The shortest time any facility keeps recordings of a class: nothing younger can be due. */
export const shortest = (rules: RetentionRules, of: RecordingClass): Keep => {
  const said = [rules.keepDays[of], ...Object.values(rules.facilities).map((one) => one?.[of])];
  const days = said.filter((one) => typeof one === 'number');
  return days.length === 0 ? 'forever' : Math.min(...days);
};

/** Whether a removal is so large that a person must confirm its number. */
export const needsConfirming = ({ guard }: RetentionRules, due: number, all: number): boolean =>
  due > guard.recordings && due * 100 > guard.percent * all;
