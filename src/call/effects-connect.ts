import type { CallEvent } from '../core/call.js';
import type { Connectable, Monitored, Private } from '../core/decision.js';
import type { Ending } from '../core/ending.js';
import { alarm, closing, failed, noteDown, timed } from './bounded.js';
import type { CallRun } from './call-run.js';
import { codeOf, withDeadline } from './deadline.js';
import { listen, stopListening } from './hear.js';
import { mediaEnding } from './media-ending.js';
import { answerRedirect, meetOther, meetRedirect } from './other-party.js';
import { type Anchor, type Armed, type DialOutcome, MediaError, type Sdp } from './ports.js';
import type { SpokenPrivateAnchor, SpokenRecordedAnchor, Voice } from './talk.js';

export const anchor = async (run: CallRun, decision: Connectable): Promise<CallEvent> => {
  const { media, bounds } = run.parts;
  const { offer } = run.caller;
  const release = (made: Anchor): void => {
    const work = async (): Promise<void> => void (await made.release());
    void closing(run, 'release-media', work);
  };
  try {
    let made: SpokenPrivateAnchor | SpokenRecordedAnchor;
    // The pool follows from the decision's type: no value can send a private call to a node that records.
    if (decision.verdict === 'monitored') {
      const work = media.anchorRecorded(run.callId, decision, offer, { between: run.between });
      made = run.recorded = await timed(run, 'anchor', bounds.anchorMs, work, release);
    } else {
      made = await anchorPrivate(run, decision, release);
    }
    run.anchor = made;
    made.onLost((why) => {
      run.parts.stoodStill(run.callId);
      run.feed({ type: 'node-lost', detail: why });
    });
    made.onSilent?.((why) => run.feed({ type: 'media-silent', detail: why }));
    run.record.node = made.node;
    run.cameTo(made.node);
    noteDown(run, 'node', { node: made.node });
    return { type: 'anchored' };
  } catch (error) {
    failed(run, 'anchor', error);
    // An anchor that was made and cannot be watched is none: it is released here, for the call now has no media.
    if (run.anchor !== null) release(run.anchor);
    run.anchor = run.recorded = null;
    return { type: 'anchor-failed', ending: mediaEnding(error, 'offer-unusable') };
  }
};

/** A caller who is in the lobby stays on its node: it cannot record, and becomes the private call's. */
const anchorPrivate = async (
  run: CallRun,
  decision: Private,
  release: (made: Anchor) => void,
): Promise<SpokenPrivateAnchor> => {
  const { lobby, parts } = run;
  if (lobby !== null) {
    const made = lobby.becomePrivate(decision);
    // Not before: a lobby that did not become the call's is still to be released.
    run.lobby = null;
    run.record.times.anchor = run.elapsed();
    return made;
  }
  const work = parts.media.anchorPrivate(run.callId, decision, run.caller.offer, { between: run.between });
  return timed(run, 'anchor', parts.bounds.anchorMs, work, release);
};

/**
 * Lets the caller be spoken to from its call's own node before anyone is dialled: answers its INVITE there, or moves it
 * out of the lobby by a re-INVITE.
 */
export const greetCaller = async (run: CallRun): Promise<CallEvent> => {
  const { anchor, lobby, caller, parts } = run;
  const { bounds } = parts;
  if (anchor === null) return { type: 'caller-connect-failed', detail: 'no-anchor' };
  try {
    if (!run.record.answered) {
      const answer = await withDeadline('greet-caller', bounds.anchorMs, anchor.receive());
      const late = (): void =>
        void closing(run, 'hang-up-caller', () => caller.hangUp({ code: 'internal-error' }));
      await timed(run, 'greet-caller', bounds.connectMs, caller.connect(answer), late);
      noteCaller(run);
      run.answerForCaller = answer;
      run.record.answered = true;
    } else if (lobby !== null) {
      const answer = await withDeadline('greet-caller', bounds.anchorMs, anchor.receive());
      const moved = caller.reinvite(answer).then((sdp) => anchor.readdress('caller', sdp));
      await timed(run, 'greet-caller', bounds.moveMs, moved);
      run.answerForCaller = answer;
      // Given back by the end of the call, where that came first.
      run.lobby = null;
      await closing(run, 'release-media', async () => void (await lobby.release()));
      run.released(lobby);
    }
    // Nobody is listened to on a call that has ended meanwhile.
    if (run.isOver) return { type: 'caller-connected' };
    listen(run);
    return { type: 'caller-connected' };
  } catch (error) {
    return { type: 'caller-connect-failed', detail: failed(run, 'greet-caller', error) };
  }
};

/** Dials until there is an outcome. Feeds `answered` itself, for nobody may listen for the hang-up before that. */
export const dial = async (run: CallRun, decision: Connectable): Promise<readonly CallEvent[]> => {
  try {
    const outcome = await dialled(run, decision);
    if (outcome.state === 'failed') return [{ type: 'dial-failed', ending: outcome.ending }];
    const { called } = outcome;
    answerRedirect(run, null);
    if (run.dialAbandoned) {
      await closing(run, 'hang-up-called', () => called.hangUp({ code: 'called-no-answer' }));
      return [];
    }
    run.record.times.dial = run.elapsed();
    run.record.trunk = outcome.trunk;
    // Whoever was named up to here is decided first. Each decision is bounded by its look-up and its row.
    await Promise.allSettled([...run.judging]);
    if (run.state.phase === 'cancelling') {
      // One of them ended the call: nobody was connected, and the caller is still to hear why.
      await closing(run, 'hang-up-called', () => called.hangUp({ code: 'forwarded' }));
      return [{ type: 'dial-failed', ending: { code: 'forwarded' } }];
    }
    run.called = called;
    run.answerOfCalled = outcome.answer;
    run.feed({ type: 'answered' });
    // A called party that has gone already says so here, at once: before `answered` that would be a stray, and the
    // caller would be connected to nobody.
    called.onGone((how) =>
      run.feed(how === undefined ? { type: 'called-gone' } : { type: 'called-gone', how }),
    );
    called.onOther((other) => meetOther(run, other));
    return [];
  } catch (error) {
    const detail = failed(run, 'dial', error);
    // Answered, and nobody would hear it hang up: no dialling that failed, and no call either.
    if (run.called !== null) return [{ type: 'fault', detail }];
    return [{ type: 'dial-failed', ending: { code: 'internal-error', detail } }];
  }
};

const dialled = (run: CallRun, decision: Connectable): Promise<DialOutcome> => {
  const { anchor } = run;
  if (anchor === null) {
    return Promise.resolve({ state: 'failed', ending: { code: 'internal-error', detail: 'no-anchor' } });
  }
  run.after(run.parts.policy.maxRingMs, () => run.feed({ type: 'ring-limit-reached' }));
  // The leg as it came: the dialer knows its trunk by it, and a PIN or a claim has made another of `run.leg` since.
  const dialling = run.parts.dialer.dial(run.caller.leg, decision, anchor, {
    rang: () => {
      run.record.times.rang ??= run.elapsed();
      run.feed({ type: 'rang' });
    },
    sent: (trace) => noteDown(run, 'dialling', { trace }),
    answered: (trace, trunk) => noteDown(run, 'called', { trace, trunk }),
    other: (other) => meetOther(run, other),
    redirect: (other) => meetRedirect(run, other),
  });
  run.dialling = dialling;
  run.record.attempts = dialling.attempts;
  return dialling.outcome;
};

/** Cancels, and gives the dialling up where no outcome comes of it: a call must come to its CDR. */
export const cancelDial = (run: CallRun): void => {
  run.after(run.parts.bounds.cancelMs, () => {
    run.dialAbandoned = true;
    run.feed({ type: 'dial-failed', ending: { code: 'carrier-failed', detail: 'cancel-unanswered' } });
  });
  answerRedirect(run, null);
  run.dialling?.cancel();
};

export const arm = async (run: CallRun, decision: Monitored): Promise<CallEvent> => {
  const { recorded, answerOfCalled } = run;
  if (recorded === null || answerOfCalled === null) {
    return { type: 'arm-failed', ending: { code: 'internal-error', detail: 'no-anchor' } };
  }
  try {
    // A called party that was spoken to has its answer at the node already; else both are one command.
    const work = run.record.answered
      ? run.parts.recorder.armAnswered(decision, recorded)
      : run.parts.recorder.arm(decision, recorded, answerOfCalled);
    const armed = await timed(run, 'arm', run.parts.bounds.armMs, work);
    run.armed = armed;
    run.answerForCaller ??= armed.answerForCaller;
    run.record.armed = armed.proof;
    run.parts.emit({ event: 'recording-armed', callId: run.callId, ms: run.elapsed() });
    return await journalArming(run, armed);
  } catch (error) {
    failed(run, 'arm', error);
    // Whatever else went wrong, a deadline included: the recording is not proved.
    const ending: Ending =
      error instanceof MediaError
        ? mediaEnding(error, 'called-media-unusable')
        : { code: 'recording-unproved', detail: codeOf(error) };
    if (ending.code === 'recording-unproved') alarm(run, 'recording-unproved', ending.detail ?? '');
    return { type: 'arm-failed', ending };
  }
};

/** An arming is evidence of its own (design I8), and what a crash leaves in the spool is finished from this row. */
const journalArming = async (run: CallRun, armed: Armed): Promise<CallEvent> => {
  const { journal, bounds } = run.parts;
  const row = { callId: run.callId, proof: armed.proof };
  try {
    await withDeadline('arm', bounds.journalMs, journal.append('armed', row));
    return { type: 'armed' };
  } catch (error) {
    alarm(run, 'journal-unhealthy', codeOf(error));
    return { type: 'arm-failed', ending: { code: 'journal-unavailable', detail: failed(run, 'arm', error) } };
  }
};

/** Takes the called party's answer to the node: it can be spoken to, and the two do not hear each other yet. */
export const answerMedia = async (run: CallRun, decision: Connectable): Promise<CallEvent> => {
  const { anchor, recorded, answerOfCalled } = run;
  const none = {
    type: 'media-answer-failed',
    ending: { code: 'internal-error', detail: 'no-anchor' },
  } as const;
  if (anchor === null || answerOfCalled === null) return none;
  try {
    let work: Promise<string>;
    if (decision.verdict === 'monitored') {
      if (recorded === null) return none;
      work = recorded.answer(decision, answerOfCalled);
    } else {
      if (anchor.pool !== 'private') return none;
      work = anchor.answer(decision, answerOfCalled);
    }
    const forCaller = await timed(run, 'answer-media', run.parts.bounds.armMs, work);
    // A caller who was received already has a description, and the node keeps to it.
    run.answerForCaller ??= forCaller;
    const correction = anchor.correction ?? null;
    if (correction !== null) await tellOfText(run, anchor, correction);
    if (run.record.answered) listen(run);
    return { type: 'media-answered' };
  } catch (error) {
    failed(run, 'answer-media', error);
    return { type: 'media-answer-failed', ending: mediaEnding(error, 'called-media-unusable') };
  }
};

/**
 * The called party takes no text, or another form of it than the caller was promised: the caller is told before
 * anything is opened. Where it cannot be told, no text passes, and the two can speak all the same.
 */
const tellOfText = async (
  run: CallRun,
  anchor: Anchor & Pick<Voice, 'readdress'>,
  forCaller: Sdp,
): Promise<void> => {
  const { bounds } = run.parts;
  try {
    const told = run.caller.reinvite(forCaller).then((sdp) => anchor.readdress('caller', sdp));
    await timed(run, 'answer-media', bounds.moveMs, told);
    run.answerForCaller = forCaller;
  } catch (error) {
    failed(run, 'answer-media', error);
    await withDeadline('answer-media', bounds.armMs, anchor.withdrawText?.() ?? Promise.resolve());
  }
};

/** The caller has its 200: from now on it must be told the end by a BYE. */
export const noteCaller = (run: CallRun): void => {
  const trace = run.caller.trace?.() ?? null;
  if (trace !== null) noteDown(run, 'caller', { trace });
};

export const connectCaller = async (run: CallRun): Promise<CallEvent> => {
  const { answerForCaller } = run;
  if (answerForCaller === null) return { type: 'caller-connect-failed', detail: 'no-answer' };
  try {
    // A dialog that comes after the deadline is one nobody would ever hang up.
    const late = (): void =>
      void closing(run, 'hang-up-caller', () => run.caller.hangUp({ code: 'internal-error' }));
    const work = run.caller.connect(answerForCaller);
    await timed(run, 'connect-caller', run.parts.bounds.connectMs, work, late);
    noteCaller(run);
    run.record.answered = true;
    return { type: 'caller-connected' };
  } catch (error) {
    return { type: 'caller-connect-failed', detail: failed(run, 'connect-caller', error) };
  }
};

export const openMedia = async (run: CallRun): Promise<CallEvent> => {
  const { anchor, called, caller } = run;
  if (anchor === null || called === null) return { type: 'media-open-failed', detail: 'no-anchor' };
  try {
    stopListening(run);
    run.joined = run.parts.bridge.join(caller, called, anchor);
    run.mayHaveFlowed = true;
    noteDown(run, 'opened', { at: run.parts.clock.wall() });
    await timed(run, 'open-media', run.parts.bounds.connectMs, anchor.open());
    run.place?.connected();
    return { type: 'media-opened' };
  } catch (error) {
    return { type: 'media-open-failed', detail: failed(run, 'open-media', error) };
  }
};
