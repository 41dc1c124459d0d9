/** Where in a journal somebody reads on; the first row's is `theStart`. */
export interface Place {
  readonly segment: number;
  readonly offset: number;
  readonly seq: number;
  readonly hash: string;
}

/** One row of a journal as it is read, with the place after it. */
export interface PlacedRow {
  readonly row: {
    readonly seq: number;
    readonly node: string;
    /** RFC 3339 in UTC. */
    readonly at: string;
    readonly kind: string;
    readonly body: Readonly<Record<string, unknown>>;
  };
  readonly place: Place;
}

/** The journals, played to this house by whoever wires it. */
export interface RowSource {
  readonly start: Place;
  /**
   * The rows from a place to the journal's end as it is now, in batches; none where it is not there yet. Throws
   * JournalMoved where the place is not in it any more, and any other error where it cannot be read.
   */
  from(journal: string, place: Place): AsyncIterable<readonly PlacedRow[]>;
}

/** The journal was cut back below the place, or begun anew: what was read of it is read again. */
export class JournalMoved extends Error {
  constructor() {
    super('the journal does not go on from the row read last');
    this.name = 'JournalMoved';
  }
}
