import type { JSX } from 'preact';
import { useMay } from '../../api/session.js';
import { useApi } from '../../api/use-api.js';
import { go, Link } from '../../app/place.js';
import { useWords } from '../../app/words.js';
import { Badge } from '../../ui/badge.js';
import { Button } from '../../ui/button.js';
import { Busy, ProblemNotice } from '../../ui/notice.js';
import { PageFrame, Panel } from '../../ui/page.js';
import { Table } from '../../ui/table.js';
import { Facts, Time } from '../../ui/value.js';
import { BackToLists, FieldChanges, FieldValue, GoButton, NumberText, wordFor } from './parts.js';
import { setSought } from './search-tab.js';
import type { CallerRecord, EntryEvent, EntryRecord } from './shapes.js';
import { words as pageWords } from './words.js';

const PROPOSE = 'POST /v1/changes';

const subjectOf = (record: EntryRecord): string => {
  const { value, number } = record.raw;
  return typeof value === 'string' ? value : typeof number === 'string' ? number : record.id;
};

/** One entry of a list, and all that became of it. */
export const RecordView = ({ list, id }: { readonly list: string; readonly id: string }): JSX.Element => {
  const words = useWords(pageWords);
  const mayPropose = useMay(PROPOSE);
  const { data, problem, busy, again } = useApi<EntryRecord>(
    `/v1/lists/entries/${encodeURIComponent(list)}/${encodeURIComponent(id)}`,
  );
  return (
    <PageFrame
      title={data === null ? words.record : subjectOf(data)}
      {...(data === null ? {} : { lead: wordFor(words.lists, data.list) })}
    >
      <BackToLists />
      <ProblemNotice problem={problem} onAgain={() => void again()} />
      {busy && <Busy />}
      {data !== null && (
        <>
          <Panel
            title={words.record}
            aside={
              <Badge tone={data.stands ? 'good' : 'plain'} icon={data.stands ? 'good' : 'close'}>
                {data.stands ? words.stands : words.gone}
              </Badge>
            }
          >
            <Facts
              facts={data.fields.map(({ field, value }) => [
                wordFor(words.fields, field),
                <FieldValue field={field} value={value} />,
              ])}
            />
            {mayPropose && data.stands && <Actions record={data} />}
          </Panel>
          {data.open.length > 0 && (
            <Panel title={words.openAbout}>
              <ul class="lists-plain">
                {data.open.map((one) => (
                  <li key={one.id}>
                    <Link to={`/lists/proposal/${one.id}`}>{one.reason}</Link>{' '}
                    <span class="soft small">
                      {words.eventBy(one.maker)} · {wordFor(words.states, one.state)}
                    </span>
                  </li>
                ))}
              </ul>
            </Panel>
          )}
          <Panel title={words.history}>
            <ol class="lists-timeline">
              {data.history.map((event) => (
                <Event key={event.change + event.what} event={event} />
              ))}
            </ol>
          </Panel>
        </>
      )}
    </PageFrame>
  );
};

const Actions = ({ record }: { readonly record: EntryRecord }): JSX.Element => {
  const words = useWords(pageWords);
  const to = (op: string): string => `/lists/new?op=${op}&list=${record.list}&entry=${record.id}`;
  switch (record.list) {
    case 'privileged':
      return (
        <div class="actions">
          <GoButton to={to('privileged-amend')}>{words.amend}</GoButton>
          <GoButton to={to('privileged-remove')}>{words.remove}…</GoButton>
        </div>
      );
    case 'blocked':
      return (
        <div class="actions">
          <GoButton to={to('block-remove')}>{words.lift}…</GoButton>
        </div>
      );
    case 'pending':
      return (
        <div class="actions">
          <GoButton to={to('pending-settle')}>{words.settle}…</GoButton>
        </div>
      );
    case 'allowed':
      return (
        <div class="actions">
          <GoButton to={to('allow-remove')}>{words.takeOff}…</GoButton>
        </div>
      );
    default: {
      const never: never = record.list;
      return never;
    }
  }
};

const Event = ({ event }: { readonly event: EntryEvent }): JSX.Element => {
  const words = useWords(pageWords);
  const { approvers, epoch } = event;
  return (
    <li>
      <strong>{words.events[event.what]}</strong> <Time at={event.doneAt ?? event.proposedAt} />
      <p>
        <Link to={`/lists/proposal/${event.change}`}>{event.reason}</Link>
      </p>
      <p class="soft small">
        {words.eventBy(event.maker)}
        {', '}
        {approvers.length === 0 ? words.eventAlone : words.eventApproved(approvers.join(', '))}
        {' · '}
        {epoch === null ? words.notLive : <Link to={`/lists/publication/${epoch}`}>{words.live(epoch)}</Link>}
      </p>
      {event.what === 'amended' && <FieldChanges changes={event.fields} caption={words.whatChanges} />}
    </li>
  );
};

/** One caller: where they are and were, and the way to their numbers. */
export const CallerView = ({ id }: { readonly id: string }): JSX.Element => {
  const words = useWords(pageWords);
  const mayPropose = useMay(PROPOSE);
  const { data, problem, busy, again } = useApi<CallerRecord>(`/v1/callers/${encodeURIComponent(id)}`);
  const to = (op: string): string => `/lists/new?op=${op}&caller=${encodeURIComponent(id)}`;
  const { bookingHeads: heads } = words;
  const here = data?.bookings.some(({ closed }) => closed === null) === true;
  return (
    <PageFrame title={id} lead={words.caller}>
      <BackToLists />
      <ProblemNotice problem={problem} onAgain={() => void again()} />
      {busy && <Busy />}
      {data !== null && (
        <>
          <Panel title={words.caller}>
            <Facts
              facts={[
                [words.heads.since, <Time at={data.since} />],
                [words.fields.language, <FieldValue field="language" value={data.language} />],
                [
                  words.lists.allowed,
                  <>
                    {words.numbersOf(data.numbers)}{' '}
                    {data.numbers > 0 && (
                      <Button
                        small
                        onPress={() => {
                          setSought('allowed', data.id);
                          go('/lists');
                        }}
                      >
                        {words.seeNumbers}
                      </Button>
                    )}
                  </>,
                ],
              ]}
            />
            {mayPropose && (
              <div class="actions">
                <GoButton to={to('allow-add')}>{words.allowFor}</GoButton>
                {here ? (
                  <>
                    <GoButton to={to('booking-move')}>{words.transfer}</GoButton>
                    <GoButton to={to('booking-close')}>{words.release}…</GoButton>
                  </>
                ) : (
                  <GoButton to={to('booking-open')}>{words.bookIn}</GoButton>
                )}
              </div>
            )}
          </Panel>
          <Panel title={words.bookings}>
            <Table
              caption={words.bookings}
              hideCaption
              columns={[
                {
                  key: 'booking',
                  head: heads.booking,
                  rowHead: true,
                  cell: ({ booking }) => <NumberText text={booking} />,
                },
                {
                  key: 'where',
                  head: heads.where,
                  cell: ({ facility, unit }) => (unit === null ? facility : `${facility} / ${unit}`),
                },
                { key: 'opened', head: heads.opened, cell: ({ opened }) => <Time at={opened} /> },
                {
                  key: 'closed',
                  head: heads.closed,
                  cell: ({ closed }) =>
                    closed === null ? <Badge tone="good">{words.here}</Badge> : <Time at={closed} />,
                },
              ]}
              rows={data.bookings}
              rowKey={(row) => row.booking + row.opened}
            />
          </Panel>
        </>
      )}
    </PageFrame>
  );
};
