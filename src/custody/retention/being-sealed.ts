/** The mark of a recording that waits to be sealed: it is kept until it is, and then for as long as sealed ones are. */
export const markOf = (callId: string): string => `sealing/${callId}.json`;
