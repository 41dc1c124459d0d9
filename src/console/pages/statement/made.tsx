import type { JSX } from 'preact';
import { useWords } from '../../app/words.js';
import { Badge } from '../../ui/badge.js';
import { Icon } from '../../ui/icon.js';
import { Panel } from '../../ui/page.js';
import { Table } from '../../ui/table.js';
import type { Tone } from '../../ui/tone.js';
import { type Job, momentText } from './shapes.js';
import { statementWords } from './words.js';

const files = [
  ['pdf', 'statement.pdf'],
  ['json', 'statement.json'],
  ['signature', 'statement.json.sig'],
] as const;

const tones: Readonly<Record<Job['state'], Tone>> = {
  waiting: 'plain',
  running: 'note',
  done: 'good',
  failed: 'bad',
};

const day = (at: string): string => at.slice(0, 10);

/** The statements that were made here, with their files. */
export const Made = ({ jobs }: { readonly jobs: readonly Job[] }): JSX.Element => {
  const words = useWords(statementWords);
  return (
    <Panel title={words.made}>
      <p class="soft">{words.madeLead}</p>
      <Table
        caption={words.made}
        hideCaption
        rows={jobs}
        rowKey={({ id }) => id}
        empty={words.noneMade}
        columns={[
          {
            key: 'period',
            head: words.period,
            rowHead: true,
            cell: ({ period }) => `${momentText(period.from)} – ${momentText(period.to)}`,
          },
          { key: 'facility', head: words.facility, cell: ({ facility }) => facility ?? words.all },
          { key: 'by', head: words.by, cell: ({ by }) => by ?? '–' },
          {
            key: 'state',
            head: words.state,
            cell: ({ state, code }) => (
              <span>
                <Badge tone={tones[state]}>{words.states[state]}</Badge>{' '}
                {code !== null && <code class="small">{code}</code>}
              </span>
            ),
          },
          {
            key: 'files',
            head: words.files,
            cell: ({ id, state, period }) =>
              state !== 'done' ? (
                '–'
              ) : (
                <span class="actions">
                  {files.map(([name, file]) => (
                    <a
                      key={file}
                      class="button button-small"
                      href={`/v1/statements/${id}/files/${file}`}
                      download={`${id}-${file}`}
                      aria-label={words.file(words[name], day(period.from), day(period.to))}
                    >
                      <Icon name="download" />
                      <span>{words[name]}</span>
                    </a>
                  ))}
                </span>
              ),
          },
          {
            key: 'digest',
            head: words.digest,
            wrap: true,
            cell: ({ digests }) => <code class="small">{digests['statement.json'] ?? '–'}</code>,
          },
        ]}
      />
    </Panel>
  );
};
