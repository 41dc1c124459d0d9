/** Bytes of a page: a chunk of an encrypted file (age.md, "Payload"), and what is read at a time. */
export const PAGE = 65_536;

/** 3 MiB: three for each recording that is under way at a time in the thread that makes them. */
const MOST_SPARE = 48;

/** Pages of this thread that nobody needs just now, all zero. */
const spare: Buffer[] = [];

/** A page of zeros, to be given back by whoever took it, once. One that never is given back is garbage, and no harm. */
export const takePage = (): Buffer => spare.pop() ?? Buffer.alloc(PAGE);

/** From now on it is another's. What was in it, plain sound perhaps, is gone. */
export const givePage = (page: Buffer): void => {
  page.fill(0);
  if (spare.length < MOST_SPARE) spare.push(page);
};
