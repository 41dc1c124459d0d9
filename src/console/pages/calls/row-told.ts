import type { Tone } from '../../ui/tone.js';
import { countOf, type Fields, fieldsOf, listOf, plainWords, type Row, textOf } from './shapes.js';
import type { timelineWords } from './timeline-words.js';

type Words = (typeof timelineWords)['en'];

/** A row of a journal in words: what happened, and what of it is worth a look before the row itself. */
export interface Told {
  readonly title: string;
  readonly tone: Tone;
  /** Of a decision or a closing record. */
  readonly verdict: string | null;
  readonly facts: readonly (readonly [name: string, value: string])[];
}

type Facts = readonly (readonly [string, string])[];

/** Facts that are there: what a row does not tell, or who looks may not see, is left out. */
const given = (facts: readonly (readonly [string, string | null])[]): Facts =>
  facts.filter((one): one is readonly [string, string] => one[1] !== null && one[1] !== '');

const join = (values: readonly string[]): string => values.filter((one) => one !== '').join(', ');
const texts = (value: unknown): readonly string[] => listOf(value).map(textOf);
const number = (value: unknown): string | null => (typeof value === 'number' ? String(value) : null);
const seconds = (value: unknown): string | null =>
  typeof value === 'number' ? `${(value / 1000).toFixed(value < 10_000 ? 2 : 0)} s` : null;

const answerOf = (answer: Fields, words: Words): string | null => {
  const state = textOf(answer.state);
  if (state !== 'listed' && state !== 'absent' && state !== 'unknown') return null;
  const more = listOf(answer.entries).map((entry) => {
    const { class: of, match, cause, scope } = fieldsOf(entry);
    return join([textOf(of), textOf(match), textOf(cause), textOf(scope)].map(plainWords));
  });
  const why = textOf(answer.why);
  const detail = join([...more, why]);
  return detail === '' ? words.answers[state] : `${words.answers[state]} (${detail})`;
};

const decisionFacts = (body: Fields, words: Words): Facts => {
  const lists = fieldsOf(body.lists);
  const { usage, ...rest } = fieldsOf(body.circumstances);
  const { caller, number: called } = fieldsOf(usage);
  const epoch = fieldsOf(body.epoch);
  return given([
    [
      words.reasons,
      join(
        listOf(body.reasons).map((reason) => {
          const { code, detail } = fieldsOf(reason);
          return textOf(detail) === ''
            ? plainWords(textOf(code))
            : `${plainWords(textOf(code))} (${textOf(detail)})`;
        }),
      ),
    ],
    [words.tableRow, number(body.row)],
    ...(['privileged', 'snapshot', 'pending', 'block', 'allow'] as const).map(
      (name) => [words.lists[name], answerOf(fieldsOf(lists[name]), words)] as const,
    ),
    [
      words.epoch,
      epoch.id === undefined ? null : `${countOf(epoch.id)} · ${textOf(epoch.digest).slice(0, 12)}…`,
    ],
    [words.heartbeat, seconds(lists.heartbeatAgeMs)],
    [words.policy, textOf(body.policy)],
    [words.claims, body.claimsPrivate === true ? words.yes : null],
    ...Object.entries(rest).map(
      ([name, value]) => [plainWords(name), typeof value === 'string' ? value : null] as const,
    ),
    [
      words.usage,
      usage === undefined
        ? null
        : words.concurrent(countOf(fieldsOf(caller).concurrent), countOf(fieldsOf(called).concurrent)),
    ],
  ]);
};

const attestationFacts = (body: Fields, words: Words): Facts => {
  const { recordingDir, maxFileBytes, pid } = fieldsOf(body.seen);
  const pool = textOf(body.pool);
  return given([
    [words.pool, pool === 'private' || pool === 'recorded' ? words.pools[pool] : pool],
    [words.result, plainWords(textOf(body.verdict))],
    [words.recordingDir, recordingDir === null ? words.none : textOf(recordingDir)],
    [words.fileBytes, maxFileBytes === 'unlimited' ? words.unlimited : textOf(maxFileBytes)],
    [words.process, number(pid)],
    [words.failures, join(texts(body.failures).map(plainWords))],
    [words.notSeen, join(texts(body.notSeen).map(plainWords))],
  ]);
};

const armedFacts = (body: Fields, words: Words): Facts => {
  const { file, heldOpen, size, keys } = fieldsOf(body.proof);
  return given([
    [words.file, textOf(file)],
    [words.heldOpen, typeof heldOpen === 'boolean' ? (heldOpen ? words.yes : words.no) : null],
    [words.bytes, number(size)],
    [words.keys, join(texts(keys))],
  ]);
};

const courseOf = (conversation: Fields, words: Words): string | null => {
  if (conversation.held === 'elsewhere') return words.elsewhere;
  const party = (value: unknown): string => {
    const name = textOf(value);
    return name === 'caller' || name === 'called' || name === 'both' ? words.parties[name] : name;
  };
  return listOf(conversation.course)
    .map((each) => {
      const { party: who, key, to, said } = fieldsOf(each);
      return key === undefined
        ? words.heard(party(to), texts(said).join(' + '))
        : words.pressed(party(who), textOf(key));
    })
    .join('; ');
};

const cdrFacts = (body: Fields, words: Words): Facts => {
  const spool = fieldsOf(body.spool);
  const packets = fieldsOf(fieldsOf(body.media).packets);
  const attempts = listOf(body.attempts).map((attempt) => {
    const { trunk, status, ms } = fieldsOf(attempt);
    return words.attempt(textOf(trunk), String(status ?? '–'), String(Math.round(countOf(ms))));
  });
  const replies = listOf(body.replies).map((reply) => {
    const { node, commands, recordings } = fieldsOf(reply);
    const told = Object.entries(fieldsOf(commands)).map(([name, count]) => `${name} ${countOf(count)}`);
    return words.reply(textOf(node), join(told), countOf(recordings));
  });
  return given([
    [words.ending, plainWords(textOf(body.ending))],
    [words.lasted, seconds(body.durationMs)],
    [words.talked, seconds(body.connectedMs)],
    [words.sip, typeof body.status === 'number' ? `SIP ${body.status}, Q.850 ${String(body.cause)}` : null],
    [words.attempts, Array.isArray(body.attempts) ? join(attempts) || words.nobodyDialled : null],
    [words.replies, replies.join(' · ')],
    [
      words.packets,
      packets.caller === undefined ? null : words.packetsOf(countOf(packets.caller), countOf(packets.called)),
    ],
    [words.said, courseOf(fieldsOf(body.conversation), words)],
    [words.disk, plainWords(textOf(spool.state))],
    [words.looked, join(texts(spool.looked))],
    [
      words.files,
      join(
        listOf(spool.files).map((file) => {
          const { name, sha256 } = fieldsOf(file);
          return `${textOf(name)} (SHA-256 ${textOf(sha256).slice(0, 16)}…)`;
        }),
      ),
    ],
  ]);
};

/** Whatever of a row of another kind is a word or a number. */
const plainFacts = (body: Fields): Facts =>
  Object.entries(body).flatMap(([name, value]) =>
    name === 'callId' || (typeof value !== 'string' && typeof value !== 'number')
      ? []
      : [[plainWords(name), plainWords(String(value))] as const],
  );

export const toldOf = ({ kind, body }: Row, words: Words): Told => {
  const verdict = textOf(body.verdict);
  switch (kind) {
    case 'decision': {
      const title =
        body.other !== undefined
          ? words.kinds.other(plainWords(textOf(body.other)))
          : body.again === true
            ? words.kinds.again
            : words.kinds.decision;
      return { title, tone: 'note', verdict, facts: decisionFacts(body, words) };
    }
    case 'attestation':
      return {
        title: words.kinds.attested(textOf(body.node)),
        tone: verdict === 'attested' ? 'good' : verdict === 'unseen' ? 'warn' : 'bad',
        verdict: null,
        facts: attestationFacts(body, words),
      };
    case 'armed':
      return { title: words.kinds.armed, tone: 'note', verdict: null, facts: armedFacts(body, words) };
    case 'cdr':
      return { title: words.kinds.cdr, tone: 'plain', verdict, facts: cdrFacts(body, words) };
    case 'alarm':
      return {
        title: `${words.kinds.alarm}: ${plainWords(textOf(body.alarm))}`,
        tone: 'bad',
        verdict: null,
        facts: plainFacts(body),
      };
    case 'claim':
    case 'answer':
    case 'supervision':
    case 'abandoned':
      return { title: words.kinds[kind], tone: 'note', verdict: null, facts: plainFacts(body) };
    default:
      return { title: plainWords(kind), tone: 'plain', verdict: null, facts: plainFacts(body) };
  }
};
