import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Verified } from '../../../../evidence/verify/check.js';
import type { Finding } from '../../../../evidence/verify/finding.js';
import { useCell } from '../../../app/cell.js';
import { language } from '../../../app/settings.js';
import { useWords } from '../../../app/words.js';
import { Badge } from '../../../ui/badge.js';
import { Busy, Notice } from '../../../ui/notice.js';
import { Table } from '../../../ui/table.js';
import type { Tone } from '../../../ui/tone.js';
import { numberText, Time } from '../../../ui/value.js';
import { toldOf } from '../row-told.js';
import { plainWords } from '../shapes.js';
import { timelineWords } from '../timeline-words.js';
import { knownKeys } from './keys.js';
import { KeysPanel } from './keys-panel.js';
import { type Said, verdictOf } from './verdict.js';
import { evidenceWords } from './words.js';

type Words = (typeof evidenceWords)['en'];

const tones: Readonly<Record<Finding['state'], Tone>> = {
  proved: 'good',
  told: 'note',
  missing: 'warn',
  contrary: 'bad',
};

const named = (of: Readonly<Record<string, string>>, code: string): string =>
  Object.hasOwn(of, code) ? (of[code] ?? code) : plainWords(code);

const Headline = ({
  verified,
  words,
}: {
  readonly verified: Verified;
  readonly words: Words;
}): JSX.Element => {
  const of = useCell(language);
  const { code, verdict, head, genuine } = verified;
  return (
    <Notice
      tone={code === null ? 'good' : code === 'evidence-contrary' ? 'bad' : 'warn'}
      title={code === null ? words.proved : words.genuineBut}
      loud
    >
      <p>{code === null ? words.headlines[verdict] : named(words.codes, code)}</p>
      <p class="small">
        {words.signedHead(genuine.rows.length, numberText(head.size, of), head.number, head.node)}{' '}
        <Time at={head.at} />
      </p>
      {code !== null && (
        <p class="notice-code">
          <code>{code}</code>
        </p>
      )}
    </Notice>
  );
};

const Details = ({
  verified,
  words,
}: {
  readonly verified: Verified;
  readonly words: Words;
}): JSX.Element => {
  const told = useWords(timelineWords);
  return (
    <div class="stack">
      <Table
        caption={words.checks}
        rows={verified.findings.map((finding, at) => ({ ...finding, at }))}
        rowKey={({ at }) => String(at)}
        columns={[
          {
            key: 'state',
            head: words.result,
            cell: ({ state }) => <Badge tone={tones[state]}>{words.states[state]}</Badge>,
          },
          { key: 'check', head: words.check, rowHead: true, cell: ({ code }) => named(words.findings, code) },
          {
            key: 'what',
            head: words.what,
            wrap: true,
            cell: ({ words: text }) => <span lang="en">{text}</span>,
          },
          { key: 'rows', head: words.rowsOf, numeric: true, cell: ({ rows }) => rows.join(', ') },
        ]}
      />
      <details>
        <summary>{words.rows}</summary>
        <Table
          caption={words.rows}
          hideCaption
          rows={verified.genuine.rows}
          rowKey={({ seq }) => String(seq)}
          columns={[
            { key: 'seq', head: words.row, numeric: true, rowHead: true, cell: ({ seq }) => seq },
            { key: 'at', head: words.at, cell: ({ at }) => <Time at={at} /> },
            { key: 'said', head: words.said, cell: (row) => toldOf(row, told).title },
            {
              key: 'hash',
              head: 'SHA-256',
              wrap: true,
              cell: ({ hash }) => <code class="small">{hash}</code>,
            },
          ]}
        />
      </details>
      <details>
        <summary>{words.limits}</summary>
        <ul class="plain-list">
          {words.limitList.map((limit) => (
            <li key={limit}>{limit}</li>
          ))}
        </ul>
      </details>
    </div>
  );
};

const Shown = ({ said, words }: { readonly said: Said; readonly words: Words }): JSX.Element => {
  switch (said.state) {
    case 'cannot':
      return <Notice tone="warn" title={words.noCrypto} loud />;
    case 'not-genuine':
      return (
        <Notice tone="bad" title={words.notGenuine} loud>
          <p>{named(words.codes, said.code)}</p>
          <p class="notice-code">
            <code>{said.code}</code> <span lang="en">{said.detail}</span>
          </p>
        </Notice>
      );
    case 'verified':
      return (
        <>
          <Headline verified={said.verified} words={words} />
          <Details verified={said.verified} words={words} />
        </>
      );
    default: {
      const never: never = said;
      return never;
    }
  }
};

/** What a file of evidence comes to under the keys that this browser knows; anew when these change. */
export const Outcome = ({ bytes }: { readonly bytes: Uint8Array }): JSX.Element => {
  const words = useWords(evidenceWords);
  const keys = useCell(knownKeys);
  const [said, setSaid] = useState<Said | null>(null);
  const hasKey = keys.some(({ use }) => use === 'journal');
  useEffect(() => {
    let left = false;
    setSaid(null);
    if (hasKey)
      void verdictOf(bytes, keys).then((one) => {
        if (!left) setSaid(one);
      });
    return () => {
      left = true;
    };
  }, [bytes, keys, hasKey]);
  return (
    <div class="stack evidence">
      {!hasKey && <Notice tone="note" title={words.noKeys} />}
      {hasKey && said === null && <Busy what={words.verifying} />}
      {said !== null && <Shown said={said} words={words} />}
      <KeysPanel />
    </div>
  );
};
