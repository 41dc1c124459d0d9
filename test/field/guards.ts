/** A change of one compiled file of the product, from `dist`: the text must be there, once. */
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
      edit('src/lists/redis-lists.js', 'if (epoch.head.epoch < this.#arming.highestEpoch)', 'if (false)'),
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
      edit('src/lists/redis-lists.js', "if (snapshot.state !== 'listed')\n            return false;", 'return false;'),
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
    edits: [
      edit('src/lists/file-rows.js', "this.#fault('class-unknown', row, 'class');", 'void 0;'),
    ],
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
    edits: [edit('src/lists/redis-lists.js', 'if (!reading.canariesSing(view))', 'if (false)')],
  },
  {
    test: 'a removal of long ago takes no number away that was entered again since',
    guard: 'a tombstone counts in newer epochs only',
    edits: [edit('src/lists/snapshot.js', 'filter(({ epoch: id }) => id > epoch.head.epoch)', 'filter(() => true)')],
  },
];

/** Guards of the tests that carry calls. */
export const callGuards: readonly Guard[] = [];

export const guards: readonly Guard[] = [...fastGuards, ...callGuards];
