import { open } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { PublicKey } from '../../journal/verify/ask.js';
import { readPublicKey } from '../../journal/verify/program.js';
import { MAX_BUNDLE_BYTES } from './bundle.js';
import { EvidenceError, genuineCodes } from './codes.js';
import { verifyEvidence } from './verify.js';
import { verifiedJson, verifiedText } from './words.js';

/**
 * The verifier as a program of its own: it needs Node.js, these files and those of `journal/verify/`, and no
 * configuration, no package and nothing of what writes a journal or makes a bundle.
 */
export const usage = `evidence-verify FILE --public-key KEY [options]

  --public-key FILE     public key (PEM) that signs the journal's heads; may be given several times
  --countersigner FILE  public key (PEM) of a second party that must have countersigned; several times: one of them
  --recording DIR       compare the recording's encrypted files below DIR with those that are named
  --json                print JSON for programs

Exit code 0: genuine, and it shows what such a call's evidence is to show.
1: genuine, and something is missing or was not as it should be. 2: not genuine, or not understood.`;

export interface Output {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

export interface VerifyFlags {
  readonly publicKeys: readonly string[];
  readonly countersigners: readonly string[];
  readonly recording: string | null;
  readonly json: boolean;
}

const keysFrom = (files: readonly string[]): readonly PublicKey[] =>
  files.map((file) => {
    try {
      return readPublicKey(file);
    } catch (error) {
      throw new EvidenceError('key-missing', error instanceof Error ? error.message : file);
    }
  });

/** Never more than the bound, whatever the file is. */
const bytesOf = async (path: string): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    const file = await open(path, 'r');
    try {
      for (;;) {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(65_536), 0, 65_536, null);
        if (bytesRead === 0) break;
        chunks.push(buffer.subarray(0, bytesRead));
        length += bytesRead;
        if (length > MAX_BUNDLE_BYTES) throw new EvidenceError('bundle-beyond-bounds', 'bytes');
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    throw error instanceof EvidenceError ? error : new EvidenceError('bundle-unreadable', path);
  }
  return Buffer.concat(chunks);
};

/** Verifies a file and prints what it shows. Throws EvidenceError where it does not show what it should. */
export const checkEvidence = async (file: string, flags: VerifyFlags, output: Output): Promise<void> => {
  const verified = await verifyEvidence(await bytesOf(file), {
    keys: keysFrom(flags.publicKeys),
    countersigners: keysFrom(flags.countersigners),
    recording: flags.recording,
  });
  output.out(flags.json ? JSON.stringify(verifiedJson(verified)) : verifiedText(file, verified));
  if (verified.code !== null) throw new EvidenceError(verified.code);
};

/** 1 for what is genuine all the same, else 2. */
export const exitCodeOf = ({ code }: EvidenceError): 1 | 2 => (genuineCodes.has(code) ? 1 : 2);

/** The command line. Gives the exit code. */
export const program = async (args: readonly string[], output: Output): Promise<number> => {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        'public-key': { type: 'string', multiple: true },
        countersigner: { type: 'string', multiple: true },
        recording: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
    const [file, another] = positionals;
    if (values.help === true || file === undefined || another !== undefined) {
      output.err(usage);
      return values.help === true ? 0 : 2;
    }
    await checkEvidence(
      file,
      {
        publicKeys: values['public-key'] ?? [],
        countersigners: values.countersigner ?? [],
        recording: values.recording ?? null,
        json: values.json === true,
      },
      output,
    );
    return 0;
  } catch (error) {
    if (!(error instanceof EvidenceError)) {
      output.err(error instanceof Error ? error.message : String(error));
      return 2;
    }
    output.err(`evidence-verify: ${error.message} [${error.code}]`);
    return exitCodeOf(error);
  }
};
