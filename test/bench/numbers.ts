/** Who calls whom in the benchmark, and in the lists of all its subjects. */
export const monitoredNumber = '+12125550142';
export const privilegedNumber = '+12125550111';
const firstCaller = 100_000;
const callers = 20_000;

/** The caller of the so-manieth call: each call is another caller's, for one caller may have one call at a time. */
export const callerId = (call: number): string => String(firstCaller + (call % callers));
export const callerIds = (): string[] => Array.from({ length: callers }, (_, i) => callerId(i));
