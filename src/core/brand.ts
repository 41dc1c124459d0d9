declare const brand: unique symbol;

/** A string or number that only its own parser or maker may produce, so that two kinds of id cannot be swapped. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** An array known to hold at least one element. */
export type NonEmpty<T> = readonly [T, ...T[]];
