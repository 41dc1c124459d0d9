import type { CallEvent, Effect, Speech } from '../core/call.js';
import { failed } from './bounded.js';
import type { CallRun } from './call-run.js';
import { withDeadline } from './deadline.js';
import type { Party } from './ports.js';
import type { Sound } from './talk.js';

/** Speaking to the parties. Every prompt that was begun is in the CDR, by its name and never by its sound. */

const of = (run: CallRun) => ({ facility: run.leg.origin.facility, caller: run.leg.caller });

/**
 * The sounds of a speech, and their names for the CDR. A name nobody recorded is left out; a prompt is not, for what
 * is not said is not told. A caller's name is named as that: the file's name says who it is.
 */
const soundsOf = (
  run: CallRun,
  { clips, language }: Speech,
): { readonly sounds: readonly Sound[]; readonly said: readonly string[] } => {
  const sounds: Sound[] = [];
  const said: string[] = [];
  for (const clip of clips) {
    const found = run.parts.prompts.sounds([clip], language, of(run));
    if (found.length === 0 && clip.kind === 'prompt') throw new Silence();
    sounds.push(...found);
    said.push(...found.map((sound) => (clip.kind === 'prompt' ? sound.file : `name of ${clip.of}`)));
  }
  return { sounds, said };
};

class Silence extends Error {
  readonly code = 'prompt-missing';
}

const lengthOf = (sounds: readonly Sound[]): number => sounds.reduce((sum, sound) => sum + sound.ms, 0);

/** Says it to the end: rejects where the node does not play, says 'hushed' where something cut it short. */
export const speak = async (
  run: CallRun,
  effect: Effect['type'],
  to: Party,
  speech: Speech,
): Promise<'said' | 'hushed'> => {
  const { voice, parts } = run;
  const { sounds, said } = soundsOf(run, speech);
  if (sounds.length === 0) return 'said';
  if (voice === null) throw new Error('there is nothing to speak with');
  run.utterances[to] += 1;
  run.note({ to, said });
  return withDeadline(effect, lengthOf(sounds) + parts.bounds.speakMs, voice.say(to, sounds));
};

export const say = async (
  run: CallRun,
  effect: Extract<Effect, { type: 'say' }>,
): Promise<readonly CallEvent[]> => {
  const { to, turn } = effect;
  try {
    const saying = speak(run, 'say', to, effect.speech);
    const mine = run.utterances[to];
    if ((await saying) === 'said') return [{ type: 'said', turn }];
    // Cut short by what was said next: nobody waits for the end of this any more. By nothing of ours: it was not said.
    return run.utterances[to] === mine ? [{ type: 'say-failed', turn, detail: 'hushed' }] : [];
  } catch (error) {
    return [{ type: 'say-failed', turn, detail: failed(run, 'say', error) }];
  }
};

export const awaitKey = (run: CallRun, effect: Extract<Effect, { type: 'await-key' }>): void => {
  run.after(effect.ms, () => run.feed({ type: 'key-timeout', turn: effect.turn }));
};

/** The caller waits: told so, then a tone until something else is said. That nobody hears it ends no call. */
export const holdCaller = (run: CallRun, { language }: Extract<Effect, { type: 'hold-caller' }>): void => {
  const clip = (id: 'please-hold' | 'hold-tone'): Speech => ({ clips: [{ kind: 'prompt', id }], language });
  const play = async (): Promise<void> => {
    const holding = speak(run, 'hold-caller', 'caller', clip('please-hold'));
    const mine = run.utterances.caller;
    const how = await holding;
    // What was begun at this very moment must not lose its voice to the tone.
    if (how === 'hushed' || run.utterances.caller !== mine || run.isOver) return;
    await run.voice?.say('caller', soundsOf(run, clip('hold-tone')).sounds, true);
  };
  play().catch((error: unknown) => failed(run, 'hold-caller', error));
};

/** Both are told before they can speak to each other; what one of them did not hear to its end was not told. */
export const tell = async (run: CallRun, effect: Extract<Effect, { type: 'tell' }>): Promise<CallEvent> => {
  try {
    const [caller, called] = await Promise.all([
      speak(run, 'tell', 'caller', effect.caller),
      speak(run, 'tell', 'called', effect.called),
    ]);
    if (caller !== 'said' || called !== 'said') return { type: 'tell-failed', detail: 'hushed' };
    run.record.times.tell = run.elapsed();
    return { type: 'told' };
  } catch (error) {
    return { type: 'tell-failed', detail: failed(run, 'tell', error) };
  }
};

/** An announcement to both in the midst of a call: they do not hear each other meanwhile. */
export const interlude = async (
  run: CallRun,
  effect: Extract<Effect, { type: 'interlude' }>,
): Promise<readonly CallEvent[]> => {
  const { anchor, parts } = run;
  run.interludes += 1;
  const mine = run.interludes;
  try {
    if (anchor === null) return [{ type: 'interlude-failed', detail: 'no-anchor' }];
    if (effect.caller.clips.length > 0) {
      await withDeadline('interlude', parts.bounds.connectMs, anchor.shut());
      // Half an announcement is better than none, and none is no reason to end a call.
      if (isUp(run)) {
        await Promise.allSettled([
          speak(run, 'interlude', 'caller', effect.caller),
          speak(run, 'interlude', 'called', effect.called),
        ]);
      }
    }
    // Whatever changed the call meanwhile has shut the media, and says itself when it is opened again.
    if (run.interludes !== mine || !isUp(run)) return [];
    await withDeadline('interlude', parts.bounds.connectMs, anchor.open());
    return run.interludes === mine ? [{ type: 'interlude-over' }] : [];
  } catch (error) {
    const detail = failed(run, 'interlude', error);
    return run.interludes === mine ? [{ type: 'interlude-failed', detail }] : [];
  }
};

const isUp = (run: CallRun): boolean => run.state.phase === 'connected';

/** The last words, within a bound: who does not hear them out is hung up all the same. */
export const sayFarewell = async (
  run: CallRun,
  effect: Extract<Effect, { type: 'say-farewell' }>,
): Promise<CallEvent> => {
  if (run.mayStillRecord) return { type: 'farewell-said' };
  try {
    const words = async (): Promise<void> => {
      // A caller who is still in the lobby hears nobody through the call's own node, which may be what has failed.
      if (run.lobby === null) await run.anchor?.shut();
      // Hung up meanwhile: what is not begun any more is not in the record either.
      if (run.state.phase !== 'parting') return;
      const said: Promise<unknown>[] = [];
      if (effect.caller !== null) said.push(speak(run, 'say-farewell', 'caller', effect.caller));
      if (effect.called !== null) said.push(speak(run, 'say-farewell', 'called', effect.called));
      await Promise.allSettled(said);
    };
    await withDeadline('say-farewell', effect.ms, words());
  } catch (error) {
    failed(run, 'say-farewell', error);
  }
  return { type: 'farewell-said' };
};
