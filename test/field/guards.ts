/** A change of one compiled file of the product below dist, or of a source where it ends in .ts. The text must be there, once. */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** A guard, and how it is taken away. Its test must fail without it. */
export interface Guard {
  /** The name of the test. */
  readonly test: string;
  readonly guard: string;
  readonly edits: readonly Edit[];
}

const edit = (file: string, find: string, replace: string): Edit => ({ file, find, replace });

/** Guards of the tests that need no call. */
export const fastGuards: readonly Guard[] = [
  {
    test: '1,300 protected numbers that became 72 are not published by one person',
    guard: 'the shrink guard',
    edits: [edit('src/lists/publish-manifest.js', 'shrink !== null && names.length < 2', 'false')],
  },
  {
    test: '1,300 protected numbers that became 72 are not published by one person',
    guard: 'two approvers are two people',
    edits: [
      edit(
        'src/lists/publish-manifest.js',
        'names.map((name) => [name.trim().toLowerCase(), name.trim()])',
        'names.map((name) => [name, name])',
      ),
    ],
  },
  {
    test: 'a list cut short is refused too where Redis was lost with the old one',
    guard: 'the publisher’s own memory',
    edits: [
      edit(
        'src/lists/publish-before.js',
        "const state = loaded?.state === 'loaded' ? loaded.content : null;",
        'const state = null;',
      ),
    ],
  },
  {
    test: 'an older image of Redis that is put back takes no protection away',
    guard: 'no epoch below the one served',
    edits: [edit('src/lists/arming.js', 'if (head.epoch < verified.head.epoch)', 'if (false)')],
  },
  {
    test: 'an older image of Redis that is put back takes no protection away',
    guard: 'the snapshot protects too',
    edits: [edit('src/core/decide.js', 'const kept = find(answers.snapshot);', 'const kept = undefined;')],
  },
  {
    test: 'a controller that starts over an older image does not take it into use',
    guard: 'the highest epoch is remembered on the disk',
    edits: [
      edit('src/lists/list-shard.js', 'if (epoch.head.epoch < this.#arming.highestEpoch)', 'if (false)'),
    ],
  },
  {
    test: 'a number taken out of Redis behind everybody’s back stays private, and the first call to it tells',
    guard: 'the snapshot protects too',
    edits: [edit('src/core/decide.js', 'const kept = find(answers.snapshot);', 'const kept = undefined;')],
  },
  {
    test: 'a number taken out of Redis behind everybody’s back stays private, and the first call to it tells',
    guard: 'the snapshot is held against Redis at each look-up',
    edits: [
      edit(
        'src/lists/list-shard.js',
        "if (snapshot.state !== 'listed')\n            return false;",
        'return false;',
      ),
    ],
  },
  {
    test: 'a “do not record” column is refused, and never imported as an ordinary number',
    guard: 'an unknown column is an error',
    edits: [edit('src/lists/files-csv.js', 'if (!columnsOf(kind).includes(name))', 'if (false)')],
  },
  {
    test: 'a class nobody knows refuses the whole import, and drops no row silently',
    guard: 'an unknown class is an error',
    edits: [edit('src/lists/file-rows.js', "this.#fault('class-unknown', row, 'class');", 'void 0;')],
  },
  {
    test: 'a second list of another name is refused, and not passed over',
    guard: 'a file of no known kind is an error',
    edits: [edit('src/lists/files.js', "return refuse('kind-unknown');", 'return 0;')],
  },
  {
    test: 'a number entered under one facility is private from every other',
    guard: 'scope never narrows',
    edits: [
      edit(
        'src/lists/match.js',
        'const match = matchKind({ at, row }, asked);',
        "const match = row.scope !== 'global' && row.scope !== asked.facility ? null : matchKind({ at, row }, asked);",
      ),
    ],
  },
  {
    test: 'a controller acknowledges which list it took: digest, counts and who approved it',
    guard: 'the acknowledgement names the digest',
    edits: [
      edit('src/lists/manifest.js', '        digest,\n        publishedAt: new', '        publishedAt: new'),
    ],
  },
  {
    test: 'a list carried to another provider decides every call as before, and both can prove that it is the same',
    guard: 'extensions are carried',
    edits: [edit('src/lists/export.js', "extension === null ? '' :", "true ? '' :")],
  },
  {
    test: 'a list carried to another provider decides every call as before, and both can prove that it is the same',
    guard: 'ranges are carried whole',
    edits: [edit('src/lists/export.js', 'piece.to = to;', '{}')],
  },
  {
    test: 'a list carried to another provider decides every call as before, and both can prove that it is the same',
    guard: 'what is carried away is what was signed',
    edits: [edit('src/lists/export.js', 'if (differs !== null)', 'if (false)')],
  },
  {
    test: 'before any list was published nothing is recorded, and no ordinary call connected',
    guard: 'row 4: unknown is a third answer',
    edits: [edit('src/core/decide.js', 'match: knowledge,', 'match: () => null,')],
  },
  {
    test: 'a list without a single protected number is not published by one person',
    guard: 'a list without protected numbers takes two people',
    edits: [edit('src/lists/commands.js', 'if (read.lists.privileged.length === 0 &&', 'if (false &&')],
  },
  {
    test: 'a list that nobody trusted has signed is no list',
    guard: 'the signature is checked',
    edits: [edit('src/lists/signed.js', 'if (!verify(', 'if (false && !verify(')],
  },
  {
    test: 'a list older than a minute records nobody, and still protects',
    guard: 'the heartbeat’s age, in the lists and in the decision',
    edits: [
      edit('src/lists/arming.js', 'if (!(ageMs <= this.#options.maxListAgeMs))', 'if (false)'),
      edit('src/core/decide.js', 'if (age === null || !(age <= policy.maxListAgeMs))', 'if (false)'),
    ],
  },
  {
    test: 'Redis emptied in mid-run records nobody, and protected numbers stay private',
    guard: 'the snapshot protects too',
    edits: [edit('src/core/decide.js', 'const kept = find(answers.snapshot);', 'const kept = undefined;')],
  },
  {
    test: 'a number of each class must come back privileged with every single look-up',
    guard: 'the canaries',
    edits: [edit('src/lists/list-shard.js', 'if (!reading.canariesSing(view))', 'if (false)')],
  },
  {
    test: 'a removal of long ago takes no number away that was entered again since',
    guard: 'a tombstone counts in newer epochs only',
    edits: [
      edit('src/lists/snapshot.js', 'filter(({ epoch: id }) => id > epoch.head.epoch)', 'filter(() => true)'),
    ],
  },
  {
    test: 'a number that waits for review is refused, and never connected and recorded meanwhile',
    guard: 'row 5: review',
    edits: [edit('src/core/decide.js', "if (input.answers.pending.state === 'listed')", 'if (false)')],
  },
  {
    test: 'a private call to a number nobody registered is refused, and never connected and recorded',
    guard: 'row 5: a claim is no reason to record',
    edits: [edit('src/core/decide.js', 'if (input.leg.claimsPrivate)', 'if (false)')],
  },
  {
    test: 'a line of a law office that nobody registered is shown, with how often it was recorded',
    guard: 'lines of an office with privileged numbers',
    edits: [edit('src/review/near-index.js', 'const officeNumbers = 2;', 'const officeNumbers = 1000;')],
  },
  {
    test: 'last month’s calls, made again under a list cut short, show every private call it would record',
    guard: 'the replay ends in failure',
    edits: [edit('src/cli/what-if.js', 'if (recorded + maybe > 0)', 'if (false)')],
  },
  {
    test: 'no second field, flag, list, order or policy makes a privileged number recorded',
    guard: 'row 3: privileged wins',
    edits: [edit('src/core/decide.js', 'match: privileged,', 'match: () => null,')],
  },
  {
    test: 'no second field, flag, list, order or policy makes a privileged number recorded',
    guard: 'the snapshot protects too',
    edits: [edit('src/core/decide.js', 'const kept = find(answers.snapshot);', 'const kept = undefined;')],
  },
  {
    test: 'however a number is written in the list and however it is dialled, it is one number',
    guard: 'the outside line’s digit is no part of the number',
    edits: [
      edit(
        'src/core/number/resolve.js',
        'return after === null ? whole : oneOf(whole, bare(after, plan));',
        'return whole;',
      ),
    ],
  },
  {
    test: 'an attorney behind a switchboard is private by extension and by the main number, and every extension of a whole firm is',
    guard: 'the main number of an extension',
    edits: [edit('src/lists/match.js', "return 'main-number-of-extension';", 'return null;')],
  },
  {
    test: 'an attorney behind a switchboard is private by extension and by the main number, and every extension of a whole firm is',
    guard: 'an entry without an extension covers them all',
    edits: [
      edit(
        'src/lists/match.js',
        'if (row.extension === null)\n                return row.how;',
        'if (row.extension === null)\n                return asked.extension === null ? row.how : null;',
      ),
    ],
  },
  {
    test: 'every line of a listed office range or prefix is private, its branch lines too',
    guard: 'ranges are numbers',
    edits: [edit('src/lists/match.js', "return row.length === length ? 'range' : null;", 'return null;')],
  },
  {
    test: 'every line of a listed office range or prefix is private, its branch lines too',
    guard: 'prefixes are numbers',
    edits: [edit('src/lists/match.js', "return 'prefix';", 'return null;')],
  },
  {
    test: 'a second line or a mobile entered as an alias is private as the number it stands for',
    guard: 'an alias protects',
    edits: [edit('src/lists/match.js', 'return row.how;', "return row.how === 'alias' ? null : row.how;")],
  },
  {
    test: 'a relay centre is private, for the attorney’s own number is never dialled',
    guard: 'a relay is a class of its own',
    edits: [edit('src/core/lists.js', "    'relay',\n", '')],
  },
  {
    test: 'a recorded call that is forwarded to an attorney ends there, and a redirect to one is not followed',
    guard: 'another class ends the call',
    edits: [
      edit(
        'src/core/forward.js',
        "return target.verdict === current.verdict ? 'same' : 'end';",
        "return 'same';",
      ),
    ],
  },
  {
    test: 'a recorded call that is forwarded to an attorney ends there, and a redirect to one is not followed',
    guard: 'a redirect keeps the class',
    edits: [edit('src/core/forward.js', '    target.verdict === current.verdict &&\n', '')],
  },
  {
    test: 'no setting of the configuration asks for a recording, hides one, or overrules privilege',
    guard: 'there is no such setting',
    edits: [
      edit(
        'src/config/schema-policy.js',
        '    barredNumberTypes: z',
        "    recordAlways: z.boolean().default(false).describe('Seeded.'),\n    barredNumberTypes: z",
      ),
    ],
  },
  {
    test: 'a “hide recording” or “record anyway” key refuses to start, wherever it is put',
    guard: 'objects are strict',
    edits: [
      edit(
        'src/config/schema-policy.js',
        '.strictObject({\n    barredNumberTypes',
        '.object({\n    barredNumberTypes',
      ),
    ],
  },
  {
    test: 'a private call stays private whatever is decided about it again',
    guard: 'the ratchet',
    edits: [
      edit(
        'src/core/again.js',
        "case 'monitored':\n            return { does: 'nothing' };",
        "case 'monitored':\n            return { does: 'become-monitored', decision: again };",
      ),
    ],
  },
  {
    test: 'whoever takes the recordings away has noise: nothing opens without a key that is not there',
    guard: 'it is encrypted',
    edits: [
      edit(
        'src/vault/age-stream.js',
        'const sealed = cipher.update(plain);',
        'cipher.update(plain); const sealed = Buffer.from(plain);',
      ),
    ],
  },
  {
    test: 'where there is no key to encrypt it to, nothing is kept at all',
    guard: 'no key, no recording',
    edits: [edit('src/vault/vault.js', 'if (own === undefined || own.length === 0)', 'if (false)')],
  },
  {
    test: 'who listens, and why, is durable before a byte of the recording is read',
    guard: 'the row comes first',
    edits: [
      edit(
        'src/cli/recordings.js',
        "await readings.append('recording-read', {",
        "void ((..._) => undefined)('', {",
      ),
    ],
  },
  {
    test: 'where a reading cannot be written down, nothing is read',
    guard: 'no journal of readings, no reading',
    edits: [
      edit(
        'src/cli/recordings.js',
        'return await openJournal({ dir, nodeId: READINGS, appendDeadlineMs: UNHURRIED_MS });',
        'return await openJournal({ dir, nodeId: READINGS, appendDeadlineMs: UNHURRIED_MS }).catch(() => ({ append: async () => ({}), close: async () => {} }));',
      ),
    ],
  },
  {
    test: 'how many calls ever went to a number, and how many of them were recorded, is one question',
    guard: 'recordings are counted',
    edits: [edit('src/review/what-if.js', 'group.recordings += 1;', 'group.recordings += 0;')],
  },
  {
    test: 'a statement counts every call with what was recorded, and is not made of a journal that lacks one',
    guard: 'the chain is followed',
    edits: [
      edit('src/statement/read-node.js', 'if (seq !== this.#seq + 1)', 'if (false)'),
      edit('src/statement/read-node.js', 'if (prev !== this.#hash)', 'if (false)'),
    ],
  },
  {
    test: 'what the parties are told follows from the decision: no path of the dialogue tells a private call that it is recorded',
    guard: 'one decision for words and recorder: the notice',
    edits: [
      edit(
        'src/core/accept.js',
        "export const noticeOf = (decision) => decision.verdict === 'monitored' ?",
        'export const noticeOf = () => true ?',
      ),
    ],
  },
  {
    test: 'what the parties are told follows from the decision: no path of the dialogue tells a private call that it is recorded',
    guard: 'one decision for words and recorder: what the caller is told',
    edits: [
      edit(
        'src/core/accept.js',
        "export const toldOf = (decision) => decision.verdict === 'monitored' ?",
        'export const toldOf = () => true ?',
      ),
    ],
  },
  {
    test: 'recording a private call does not compile, nor does making up the decision to record one',
    guard: 'the recorder takes a monitored decision and nothing else',
    edits: [
      edit(
        'src/call/ports.ts',
        'arm(decision: Monitored, anchor: RecordedAnchor,',
        'arm(decision: Monitored | Private, anchor: RecordedAnchor,',
      ),
    ],
  },
  {
    test: 'recording a private call does not compile, nor does making up the decision to record one',
    guard: 'decide alone makes decisions',
    edits: [edit('src/core/decision.ts', '  readonly [decided]: V;\n', '')],
  },
  {
    test: 'recording a private call does not compile, nor does making up the decision to record one',
    guard: 'a decision’s mark names its verdict',
    edits: [edit('src/core/decision.ts', '  readonly [decided]: V;\n', '  readonly [decided]: true;\n')],
  },
];

/** Guards of the tests that carry calls. */
export const callGuards: readonly Guard[] = [
  {
    test: 'an attorney nobody registered presses a key: the call ends unrecorded, and the number waits for review from then on',
    guard: 'the called party’s key',
    edits: [edit('src/core/accept.js', "'3': 'protected'", "'3': 'accepted'")],
  },
  {
    test: 'an attorney nobody registered presses a key: the call ends unrecorded, and the number waits for review from then on',
    guard: 'row 5: review',
    edits: [edit('src/core/decide.js', "if (input.answers.pending.state === 'listed')", 'if (false)')],
  },
  {
    test: 'a caller who is moved to another facility is private to the same attorney as before, whatever the facility’s PBX asks for',
    guard: 'scope never narrows',
    edits: [
      edit(
        'src/lists/match.js',
        'const match = matchKind({ at, row }, asked);',
        "const match = row.scope !== 'global' && row.scope !== asked.facility ? null : matchKind({ at, row }, asked);",
      ),
    ],
  },
  {
    test: 'a controller that starts before its list refuses with “try again”, and one whose Redis is emptied records nobody',
    guard: 'row 4: unknown is a third answer',
    edits: [edit('src/core/decide.js', 'match: knowledge,', 'match: () => null,')],
  },
  {
    test: 'a controller that starts before its list refuses with “try again”, and one whose Redis is emptied records nobody',
    guard: 'the snapshot protects too',
    edits: [edit('src/core/decide.js', 'const kept = find(answers.snapshot);', 'const kept = undefined;')],
  },
  {
    test: 'nothing tells an address from which a recording could be fetched, and nothing lets in whoever carries a token',
    guard: 'a record names files, and no address',
    edits: [
      edit(
        'src/call/cdr.js',
        '        spool: record.spool,\n        ...(record.sealed',
        '        spool: record.spool,\n        url: "https://recordings.example/" + leg.callId,\n        ...(record.sealed',
      ),
    ],
  },
  {
    test: 'neither party of a private call hears that it is recorded: both hear that it is not',
    guard: 'one decision for words and recorder: what the caller is told',
    edits: [
      edit(
        'src/core/accept.js',
        "export const toldOf = (decision) => decision.verdict === 'monitored' ?",
        'export const toldOf = () => true ?',
      ),
    ],
  },
  {
    test: 'neither party of a private call hears that it is recorded: both hear that it is not',
    guard: 'one decision for words and recorder: the notice',
    edits: [
      edit(
        'src/core/accept.js',
        "export const noticeOf = (decision) => decision.verdict === 'monitored' ?",
        'export const noticeOf = () => true ?',
      ),
    ],
  },
];

export const guards: readonly Guard[] = [...fastGuards, ...callGuards];
