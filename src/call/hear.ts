import type { CallRun } from './call-run.js';

/** Keys as the node hears them in the audio path, and as the legs send them in INFO: both are keys. */
export const listen = (run: CallRun): void => {
  run.voice?.onKey((party, key) => run.pressed(party, key));
  run.caller.onKey((key) => run.pressed('caller', key));
  run.called?.onKey((key) => run.pressed('called', key));
};

/** Nobody looks at what is pressed while the two talk. */
export const stopListening = (run: CallRun): void => {
  run.voice?.onKey(null);
  run.caller.onKey(null);
  run.called?.onKey(null);
};
