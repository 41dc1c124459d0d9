/** What something means. Each has a sign of its own beside its colour. */
export type Tone = 'plain' | 'good' | 'note' | 'warn' | 'bad';
