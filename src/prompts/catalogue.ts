import type { Prompts, Sound } from '../call/talk.js';
import type { CallerId, FacilityId } from '../core/leg.js';
import type { Clip, Language, PromptId } from '../core/prompt.js';
import { fromRoot } from '../root.js';
import {
  type Manifest,
  type ManifestSound,
  readManifest,
  readSound,
  soundFile,
  versionOf,
} from './manifest.js';
import { PromptError } from './prompt-error.js';
import { RecordedNames } from './recorded-names.js';

/** The prompts that come with Sallyport. */
export const ownPrompts: string = fromRoot('config', 'prompts');

export interface PromptsOptions {
  /** Holds manifest.json, `<language>/<id>.wav` and, where there are any, `names/`. Complete in itself. */
  readonly directory: string;
  /** A recorded name that is left out, told once for each state of its file. Default: nobody is told. */
  readonly onProblem?: (problem: PromptError) => void;
}

/**
 * Everything that can be said, checked to the last byte. A whole announcement is put together of clips as
 *
 *     greeting, from-facility, <name of the facility>, from-caller, <name of the caller>
 *
 * "Hello. This is a call from / a correctional facility. / Harbor County Jail / The caller is a person held there. /
 * John Miller": it is a sentence whichever of the names are recorded.
 */
export class Catalogue implements Prompts {
  readonly version: string;
  readonly manifest: Manifest;
  readonly directory: string;
  readonly #sounds: ReadonlyMap<string, ManifestSound>;
  readonly #names: RecordedNames;

  constructor(directory: string, manifest: Manifest, names: RecordedNames) {
    this.directory = directory;
    this.manifest = manifest;
    this.version = versionOf(manifest);
    this.#sounds = new Map(manifest.sounds.map((sound) => [soundFile(sound.id, sound.language), sound]));
    this.#names = names;
  }

  /** What the manifest says of a prompt: its words, sha256 and length. */
  spoken(id: PromptId, language: Language): ManifestSound {
    const file = soundFile(id, language);
    const sound = this.#sounds.get(file);
    // Cannot happen to a caller that type-checks: the catalogue was complete when it was loaded.
    if (sound === undefined) throw new PromptError('prompt-unknown', file, 'no such prompt');
    return sound;
  }

  sounds(
    clips: readonly Clip[],
    language: Language,
    of: { readonly facility: FacilityId; readonly caller: CallerId | null },
  ): readonly Sound[] {
    return clips.flatMap((clip): readonly Sound[] => {
      const sound = this.#sound(clip, language, of);
      return sound === null ? [] : [sound];
    });
  }

  #sound(
    clip: Clip,
    language: Language,
    of: { readonly facility: FacilityId; readonly caller: CallerId | null },
  ): Sound | null {
    switch (clip.kind) {
      case 'prompt':
        return { file: soundFile(clip.id, language), ms: this.spoken(clip.id, language).ms };
      case 'name':
        if (clip.of === 'facility') return this.#names.facility(of.facility);
        return of.caller === null ? null : this.#names.caller(of.caller);
      default: {
        const never: never = clip;
        return never;
      }
    }
  }
}

/**
 * Loads a directory of prompts and proves it: every prompt in every language is there, is a WAV that any phone can be
 * played, and holds the very bytes the manifest was made of. Throws PromptError at the first thing that is not so: a
 * catalogue with a hole would leave somebody without a notice. Bad recorded names are reported and left out.
 */
export const loadPrompts = async ({ directory, onProblem }: PromptsOptions): Promise<Catalogue> => {
  const manifest = await readManifest(directory);
  for (const row of manifest.sounds) {
    const file = soundFile(row.id, row.language);
    const { sha256, ms } = await readSound(directory, row);
    if (sha256 !== row.sha256)
      throw new PromptError(
        'prompt-corrupt',
        file,
        `its sha256 is ${sha256}, the manifest says ${row.sha256}`,
      );
    if (ms !== row.ms)
      throw new PromptError('prompt-length', file, `it lasts ${ms} ms, the manifest says ${row.ms}`);
  }
  const names = new RecordedNames(directory, onProblem ?? (() => undefined));
  names.audit();
  return new Catalogue(directory, manifest, names);
};
