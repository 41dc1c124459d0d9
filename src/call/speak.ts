import type { CallEvent, Effect, Speech } from '../core/call.js';
import { failed } from './bounded.js';
import type { CallRun } from './call-run.js';
import { codeOf, withDeadline } from './deadline.js';
import type { Party } from './ports.js';
import type { Sound } from './talk.js';

/** Speaking to the parties. Every prompt that was begun is in the CDR, by its name and never by its sound. */

const soundsOf = (run: CallRun, { clips, language }: Speech): readonly Sound[] =>
  run.parts.prompts.sounds(clips, language, { facility: run.leg.origin.facility, caller: run.leg.caller });

const lengthOf = (sounds: readonly Sound[]): number => sounds.reduce((sum, sound) => sum + sound.ms, 0);

/** Says it to the end: rejects where the node does not play, says 'hushed' where something cut it short. */
export const speak = async (
  run: CallRun,
  effect: Effect['type'],
  to: Party,
  speech: Speech,
): Promise<'said' | 'hushed'> => {
  const { voice, parts } = run;
  const sounds = soundsOf(run, speech);
  if (sounds.length === 0) return 'said';
  if (voice === null) throw new Error('there is nothing to speak with');
  run.note({ to, said: sounds.map((sound) => sound.file) });
  return withDeadline(effect, lengthOf(sounds) + parts.bounds.speakMs, voice.say(to, sounds));
};

export const say = async (
  run: CallRun,
  effect: Extract<Effect, { type: 'say' }>,
): Promise<readonly CallEvent[]> => {
  try {
    const how = await speak(run, 'say', effect.to, effect.speech);
    // Cut short by what was said next: nobody waits for the end of this any more.
    return how === 'said' ? [{ type: 'said', turn: effect.turn }] : [];
  } catch (error) {
    return [{ type: 'say-failed', turn: effect.turn, detail: failed(run, 'say', error) }];
  }
};

export const awaitKey = (run: CallRun, effect: Extract<Effect, { type: 'await-key' }>): void => {
  run.after(effect.ms, () => run.feed({ type: 'key-timeout', turn: effect.turn }));
};

/** The caller waits: told so, then a tone until something else is said. That nobody hears it ends no call. */
export const holdCaller = (run: CallRun, { language }: Extract<Effect, { type: 'hold-caller' }>): void => {
  const play = async (): Promise<void> => {
    const clip = (id: 'please-hold' | 'hold-tone') => ({
      clips: [{ kind: 'prompt', id } as const],
      language,
    });
    if ((await speak(run, 'hold-caller', 'caller', clip('please-hold'))) === 'hushed') return;
    await run.voice?.say('caller', soundsOf(run, clip('hold-tone')), true);
  };
  play().catch((error: unknown) => failed(run, 'hold-caller', error));
};

/** Both are told before they can speak to each other; what one of them did not hear to its end was not told. */
export const tell = async (run: CallRun, effect: Extract<Effect, { type: 'tell' }>): Promise<CallEvent> => {
  try {
    const [caller] = await Promise.all([
      speak(run, 'tell', 'caller', effect.caller),
      speak(run, 'tell', 'called', effect.called),
    ]);
    return caller === 'said' ? { type: 'told' } : { type: 'tell-failed', detail: 'hushed' };
  } catch (error) {
    return { type: 'tell-failed', detail: failed(run, 'tell', error) };
  }
};

/** An announcement to both in the midst of a call: they do not hear each other meanwhile. */
export const interlude = async (
  run: CallRun,
  effect: Extract<Effect, { type: 'interlude' }>,
): Promise<CallEvent> => {
  const { anchor } = run;
  try {
    if (anchor === null) return { type: 'interlude-failed', detail: 'no-anchor' };
    if (effect.caller.clips.length > 0) {
      await anchor.shut();
      // Half an announcement is better than none, and none is no reason to end a call.
      await Promise.allSettled([
        speak(run, 'interlude', 'caller', effect.caller),
        speak(run, 'interlude', 'called', effect.called),
      ]);
    }
    // Whatever ended the call meanwhile has shut the media, and it stays shut.
    if (run.state.phase !== 'connected' || run.anchor !== anchor) return { type: 'interlude-over' };
    await withDeadline('interlude', run.parts.bounds.connectMs, anchor.open());
    return { type: 'interlude-over' };
  } catch (error) {
    return { type: 'interlude-failed', detail: failed(run, 'interlude', error) };
  }
};

/** The last words, within a bound: who does not hear them out is hung up all the same. */
export const sayFarewell = async (
  run: CallRun,
  effect: Extract<Effect, { type: 'say-farewell' }>,
): Promise<CallEvent> => {
  try {
    const words = async (): Promise<void> => {
      await run.anchor?.shut();
      const said: Promise<unknown>[] = [];
      if (effect.caller !== null) said.push(speak(run, 'say-farewell', 'caller', effect.caller));
      else if (run.voice !== null) said.push(run.voice.hush('caller'));
      if (effect.called !== null) said.push(speak(run, 'say-farewell', 'called', effect.called));
      await Promise.allSettled(said);
    };
    await withDeadline('say-farewell', effect.ms, words());
  } catch (error) {
    run.parts.emit({
      event: 'call-effect-failed',
      callId: run.callId,
      effect: 'say-farewell',
      code: codeOf(error),
    });
  }
  return { type: 'farewell-said' };
};
