import { type Case, countOf, listOf, objectOf, textOf } from './case.js';
import { type Finding, found, seqsOf, type Verdict } from './finding.js';

/** What the rows show of a recording, or of there being none. */

export const recordingFindings = (one: Case, verdict: Verdict): Finding[] => {
  if (verdict === 'monitored') return ofMonitored(one);
  return [...neverArmed(one), ...ofSealed(one), ...ofAbsence(one)];
};

/** A file of a recording as it is stored, encrypted. */
export interface NamedFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** The files the CDR names, the manifest last; none where nothing was kept. `sealed`: of before it became private. */
export const filesOf = ({
  cdr,
  callId,
}: Case): { readonly sealed: boolean; readonly files: readonly NamedFile[] } => {
  const sealed = objectOf(cdr.body.sealed);
  const spool = objectOf(cdr.body.spool);
  const evidence = sealed.manifestSha256 === undefined ? spool : sealed;
  const files = listOf(evidence.files).map((file) => {
    const { name, bytes, sha256 } = objectOf(file);
    return { name: textOf(name), bytes: countOf(bytes), sha256: textOf(sha256) };
  });
  const manifest = textOf(evidence.manifestSha256);
  return {
    sealed: evidence === sealed,
    files: manifest === '' ? files : [...files, { name: `${callId}.json`, bytes: -1, sha256: manifest }],
  };
};

const ofMonitored = (one: Case): Finding[] => {
  const { cdr, armed } = one;
  const spool = objectOf(cdr.body.spool);
  const state = textOf(spool.state);
  const [proof] = armed;
  const findings: Finding[] = [];
  if (proof !== undefined) {
    const { file, heldOpen, size } = objectOf(proof.body.proof);
    const held =
      heldOpen === true ? 'and the node held it open' : 'and whether the node held it open was not seen';
    const words = `armed before the two could speak: ${textOf(file)} was there with ${countOf(size)} bytes, ${held}`;
    findings.push(found('proved', 'armed', words, proof.seq));
  }
  switch (state) {
    case 'recording-finished': {
      const { files } = filesOf(one);
      if (proof === undefined)
        findings.push(
          found('missing', 'arming-not-told', 'there is a recording, and no row of its arming', cdr.seq),
        );
      const names = files.map(({ name, sha256 }) => `${name} ${sha256}`).join('; ');
      const { seconds, missingPackets } = spool;
      findings.push(
        found(
          files.length > 1 ? 'proved' : 'missing',
          'recording-named',
          `${countOf(seconds)} s recorded, ${missingPackets === null ? 'an unknown number of' : countOf(missingPackets)} packets missing; SHA-256 of what is stored: ${names}`,
          cdr.seq,
        ),
      );
      break;
    }
    case 'nothing-found':
      findings.push(
        countOf(cdr.body.connectedMs) > 0
          ? found('contrary', 'recording-missing', 'the two spoke and nothing of it was kept', cdr.seq)
          : found(
              'proved',
              'nothing-kept',
              `it never came about, and nothing of it was kept; looked in ${lookedIn(spool)}`,
              cdr.seq,
            ),
      );
      break;
    case '':
    case 'unknown':
      if (spool.state === undefined && cdr.body.spool === null && nowhereToRecord(one)) {
        findings.push(
          found(
            'proved',
            'nowhere-to-record',
            'it never came about: no node that can record had it',
            cdr.seq,
          ),
        );
        break;
      }
      findings.push(
        found('missing', 'recording-not-told', 'what became of its recording is not known', cdr.seq),
      );
      break;
    default:
      findings.push(
        found('contrary', state, `of its recording the CDR says: ${state} ${textOf(spool.code)}`, cdr.seq),
      );
  }
  return findings;
};

const neverArmed = ({ armed, cdr, decisions }: Case): Finding[] => {
  const wasMonitored = decisions.some(({ body }) => body.verdict === 'monitored');
  if (armed.length === 0 && (cdr.body.armed === null || cdr.body.armed === undefined))
    return [found('proved', 'never-armed', 'no recording was ever armed', cdr.seq)];
  if (!wasMonitored)
    return [
      found(
        'contrary',
        'armed',
        'a recording was armed of a call that was never monitored',
        ...seqsOf(armed),
      ),
    ];
  return [
    found(
      'told',
      'armed-before',
      'it was monitored and armed before it was decided to be private',
      ...seqsOf(armed),
    ),
  ];
};

/** What was recorded before the call became private. */
const ofSealed = (one: Case): Finding[] => {
  const { cdr } = one;
  if (cdr.body.sealed === undefined) return [];
  const state = textOf(objectOf(cdr.body.sealed).state);
  if (state === 'nothing-found')
    return [
      found(
        'proved',
        'nothing-sealed',
        'nobody had spoken when it became private: nothing was kept',
        cdr.seq,
      ),
    ];
  if (state !== 'recording-sealed')
    return [found('contrary', 'not-sealed', `what was recorded before: ${state}`, cdr.seq)];
  const names = filesOf(one).files.map(({ name, sha256 }) => `${name} ${sha256}`);
  return [found('told', 'sealed', `what was recorded before is sealed: ${names.join('; ')}`, cdr.seq)];
};

const lookedIn = (spool: Readonly<Record<string, unknown>>): string => {
  const names = objectOf(spool.names);
  return listOf(spool.looked)
    .map(textOf)
    .map((place) => (names[place] === undefined ? place : `${place} (${countOf(names[place])} names)`))
    .join(', ');
};

/** Nothing that records ever had the call: it was refused, or ended, on private nodes or before any. */
const nowhereToRecord = ({ cdr, named, attestations, armed }: Case): boolean => {
  const nodes = Object.keys(named?.nodes ?? {});
  const isPrivate = (node: string): boolean =>
    attestations.some(({ body }) => body.node === node) &&
    attestations.every(({ body }) => body.node !== node || body.pool === 'private');
  return named !== null && armed.length === 0 && cdr.body.node === null && nodes.every(isPrivate);
};

const ofAbsence = (one: Case): Finding[] => {
  const { cdr } = one;
  const spool = objectOf(cdr.body.spool);
  const { state, found: files } = spool;
  if (state === 'nothing-found' && listOf(files).length === 0 && listOf(spool.looked).length > 0)
    return [
      found('proved', 'nothing-on-disk', `after the call no file of it was in ${lookedIn(spool)}`, cdr.seq),
    ];
  if (state === 'violation' || listOf(files).length > 0)
    return [found('contrary', 'file-found', `${listOf(files).length} file(s) of it were found`, cdr.seq)];
  if ((cdr.body.spool === null || cdr.body.spool === undefined) && nowhereToRecord(one))
    return [found('proved', 'nowhere-to-record', 'no node that can record ever had the call', cdr.seq)];
  return [
    found('missing', 'absence-not-seen', 'it could not be looked whether a file of it was left', cdr.seq),
  ];
};
