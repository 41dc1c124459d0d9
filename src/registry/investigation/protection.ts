import { sql } from 'kysely';
import { type Database, told } from '../database.js';

/** What the registry says of numbers at this moment, for what is about to leave. Of a number it cannot read it says yes. */
export type Standing = 'privileged' | 'claimed' | 'free';

/** Each number with the ids of the privileged entries it is under, at the time of a call. Rejects with RegistryError. */
export const standingOf = async (
  db: Database,
  numbers: readonly string[],
  at: Date,
): Promise<ReadonlyMap<string, Standing>> => {
  try {
    const { rows } = await sql<{ number: string; privileged: boolean; claimed: boolean }>`select n as number,
        number_privileged(n, ${at}) or number_privileged(n, now()) as privileged,
        exists (select 1 from pending p where p.settled_by is null and split_part(p.number, ';', 1) = split_part(n, ';', 1)) as claimed
      from unnest(${[...numbers]}::text[]) n`.execute(db);
    return new Map(
      rows.map(({ number, privileged, claimed }) => [
        number,
        privileged ? 'privileged' : claimed ? 'claimed' : 'free',
      ]),
    );
  } catch (error) {
    throw told(error);
  }
};
