import { type BencodeDict, dictAt, integerAt } from './bencode.js';

/**
 * The commands a node counts that could fork, record or replace a call's audio. Some of them are our own: prompts on
 * both pools, a supervisor's ear on recorded nodes. Whatever a node counted beyond what we sent came from somebody
 * else. A node counts a command once however often its datagram came, and counts one that failed too (measured).
 *
 * Several controllers that share a node would take each other's commands for foreign ones: each has nodes of its own.
 */
const counters = {
  'start recording': 'totalstartreccount',
  'start forwarding': 'totalstartfwdcount',
  publish: 'totalpubcount',
  'subscribe request': 'totalsubreqcount',
  'subscribe answer': 'totalsubanscount',
  'play media': 'totalplaymediacount',
  'play DTMF': 'totalplaydtmfcount',
} as const;
type Counted = keyof typeof counters;
const counted = Object.keys(counters) as Counted[];
const isCounted = (command: string): command is Counted => Object.hasOwn(counters, command);

/** Our own commands of one kind, since this process of the node was first seen. */
interface Own {
  sent: number;
  /** Those that were answered: the node has certainly counted them. */
  answered: number;
  waiting: number;
}

interface Kind {
  own: Own;
  /** The most that foreign commands can have been at the last look; null before the first. */
  foreign: number | null;
}

/** How a command of ours ended. 'unknown': the node may or may not have counted it. */
export type Settled = 'answered' | 'unsent' | 'unknown';

type Counts = Readonly<Record<Counted, number>>;

/** What was known before a node was asked. */
export interface Before {
  readonly answered: Counts;
  readonly sent: Counts;
  readonly life: number;
}

export interface Compared {
  /** Foreign commands since the node was first looked at, those of its earlier processes too. */
  readonly seen: number;
  readonly isNew: boolean;
  readonly foreign: Counts;
  /** Of ours, those that never came to the node. */
  readonly lost: Counts;
  readonly life: number;
}

const each = <Value>(value: (command: Counted) => Value): Record<Counted, Value> =>
  Object.fromEntries(counted.map((command) => [command, value(command)])) as Record<Counted, Value>;

/**
 * Tells the foreign commands of one node from our own. While commands are under way, the exact number is not known,
 * only that it lies between two bounds: more than the upper bound of before is foreign beyond doubt. A foreign
 * command that such a moment hides shows at the next look without one.
 */
export class ForeignCommands {
  #kinds = each((): Kind => ({ own: { sent: 0, answered: 0, waiting: 0 }, foreign: null }));
  /** Rises when the node becomes another process, whose counters start from nothing. */
  #life = 0;
  /** Commands that ended unknown, and how many of them there were at the last look. */
  #unknown = 0;
  #unknownThen = 0;
  #found = 0;

  /** Counts one of our commands, just before it is sent. What it gives is to be called once, with how it ended. */
  sending(command: string): (settled: Settled) => void {
    if (!isCounted(command)) return () => undefined;
    this.#kinds[command].own.sent++;
    this.#kinds[command].own.waiting++;
    return (settled) => {
      // Those of now, and not of then: a command may outlive the process it was sent to.
      const { own } = this.#kinds[command];
      own.waiting--;
      if (settled === 'answered') own.answered++;
      else if (settled === 'unsent') own.sent--;
      else this.#unknown++;
    };
  }

  /** To be called before the node is asked for its statistics. */
  begin(): Before {
    return {
      answered: each((command) => this.#kinds[command].own.answered),
      sent: each((command) => this.#kinds[command].own.sent),
      life: this.#life,
    };
  }

  /** Compares what the node said with what we sent. Null where it did not say. Changes nothing. */
  compare(statistics: BencodeDict | null, before: Before): Compared | null {
    const control = dictAt(dictAt(statistics, 'statistics'), 'controlstatistics');
    if (before.life !== this.#life) return null;
    const settled = this.#unknown === this.#unknownThen;
    const foreign = each(() => 0);
    const lost = each(() => 0);
    let found = 0;
    for (const command of counted) {
      const total = integerAt(control, counters[command]);
      if (total === null) return null;
      const { own, foreign: known } = this.#kinds[command];
      const least = total - own.sent;
      const most = total - before.answered[command];
      const risen = known !== null && least > known;
      if (risen) found += least - known;
      foreign[command] = known === null || risen ? most : Math.min(known, most);
      const quiet =
        own.waiting === 0 && own.sent === before.sent[command] && own.answered === before.answered[command];
      // Fewer than we sent, and nothing is under way: some of ours never came there. Were they not forgotten, they
      // would hide as many foreign ones.
      if (quiet && settled) lost[command] = Math.max(0, foreign[command] - least);
    }
    return { seen: this.#found + found, isNew: found > 0, foreign, lost, life: this.#life };
  }

  /** Takes a comparison for the state the next one starts from. */
  take(compared: Compared): void {
    if (compared.life !== this.#life) return;
    this.#unknownThen = this.#unknown;
    this.#found = compared.seen;
    for (const command of counted) {
      const kind = this.#kinds[command];
      kind.foreign = compared.foreign[command];
      kind.own.sent -= compared.lost[command];
    }
  }

  /** The node is another process now. What is still under way may yet come to the new one. */
  forget(): void {
    const waiting = each((command) => this.#kinds[command].own.waiting);
    this.#life++;
    this.#kinds = each((command) => ({
      own: { sent: waiting[command], answered: 0, waiting: waiting[command] },
      foreign: null,
    }));
  }
}
