/** Recordings are filed by the day their call came in, in UTC: `2026/11/21`. */
export const dayOf = (at: number): string => {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? '1970/01/01' : date.toISOString().slice(0, 10).replaceAll('-', '/');
};

export const dayBefore = (day: string): string => dayOf(Date.parse(day.replaceAll('/', '-')) - 86_400_000);
