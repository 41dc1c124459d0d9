import type { JsonObject } from '../../src/call/ports.js';
import type { FakeCall, World } from './fakes.js';

const before = (whats: readonly string[], first: string, then: string): boolean => {
  const at = whats.indexOf(then);
  const was = whats.indexOf(first);
  return at < 0 || (was >= 0 && was < at);
};

interface Looked {
  readonly whats: readonly string[];
  readonly cdr: JsonObject;
  readonly fail: (what: string) => never;
  readonly did: (what: string) => boolean;
  readonly needs: (then: string, ...firsts: string[]) => void;
}

/** What is true of the trace of every call, whatever its parts did. Throws with the trace where it is not. */
export const checkInvariants = (world: World): void => {
  for (const call of world.calls.values()) checkCall(world, call);
  if (world.controller.size !== 0) throw new Error(`${world.controller.size} calls left`);
  const left = world.leftOpen();
  if (left.length > 0) throw new Error(`left open: ${left.join(', ')}\n${world.whats().join('\n')}`);
  if (world.violations.length > 0) {
    throw new Error(`${world.violations.join(', ')}\n${world.whats().join('\n')}`);
  }
  // The PIN of every test: it may be keyed in and checked, and be nowhere else (I11).
  const written = JSON.stringify([world.events, world.rows]);
  if (/4711918273|918273/.test(written)) throw new Error(`a PIN is written: ${written}`);
};

const checkCall = (world: World, call: FakeCall): void => {
  const id = call.caller.leg.callId;
  const whats = world.whats(call);
  const cdrs = world.cdrs().filter((cdr) => cdr.callId === id);
  const fail = (what: string): never => {
    throw new Error(`${what}\n${whats.join('\n')}\n${JSON.stringify(cdrs)}`);
  };
  const needs = (then: string, ...firsts: string[]): void => {
    for (const first of firsts) if (!before(whats, first, then)) fail(`${then} without ${first}`);
  };
  if (cdrs.length !== 1) fail(`${cdrs.length} CDRs`);
  const cdr = cdrs[0] as JsonObject;
  const did = (what: string): boolean => whats.includes(what);
  const looked: Looked = { whats, cdr, fail, did, needs };
  // I2 and I4: nothing of the other party before the decision is durable.
  for (const what of [
    'anchor recorded',
    'anchor private',
    'become private',
    'dial',
    'arm',
    'arm answered',
    'open',
  ]) {
    needs(what, 'append decision ok');
    if (what !== 'open' && whats.filter((one) => one === what).length > 1) fail(`${what} twice`);
    if ((cdr.verdict === 'refused' || cdr.verdict === 'undecided') && did(what))
      fail(`${what} on a ${String(cdr.verdict)} call`);
  }
  const here = (cdr.conversation as JsonObject | undefined)?.held === 'here';
  if (!here) needs('connect', 'append decision ok');
  if (whats.filter((one) => one === 'connect').length > 1) fail('connect twice');
  if (here) checkSpoken(world, call, looked);
  if (cdr.verdict === 'monitored') checkMonitored(looked, here);
  if (cdr.verdict === 'private') {
    if (did('anchor recorded')) checkMoved(looked);
    else checkPrivate(looked, here);
  }
  for (const look of ['finish', 'seal']) needs(look, 'release');
  for (const look of ['discard', 'verify-absence']) {
    if (!before(whats, 'release', look) && !before(whats, 'release lobby', look))
      fail(`${look} before the release`);
  }
  if (did('open') && did('release') && !before(whats, 'open', 'release')) fail('opened after the release');
  if (Number(cdr.connectedMs) < 0 || Number(cdr.durationMs) < 0) fail('a negative duration');
  if (Number(cdr.connectedMs) > 0 && !did('open ok')) fail('connected without open');
  for (const [name, ms] of Object.entries(cdr.delay ?? {})) {
    if (typeof ms === 'number' && ms < 0) fail(`a negative delay: ${name}`);
  }
  if (call.caller.endings.length === 0 && !did('caller gone')) fail('the caller was told nothing');
  const lastCdr = whats.indexOf('append cdr');
  if (did('say') && whats.lastIndexOf('say') > lastCdr) fail('something said after the CDR');
};

const checkMonitored = ({ whats, cdr, fail, did, needs }: Looked, here: boolean): void => {
  needs('dial', 'anchor recorded ok');
  const arm = here ? 'arm answered' : 'arm';
  if (did(here ? 'arm' : 'arm answered')) fail('armed the other way');
  if (!here) needs('connect', 'arm ok', 'append armed ok');
  needs('open', `${arm} ok`, 'append armed ok', 'connect ok');
  for (const what of ['anchor private', 'become private']) if (did(what)) fail(what);
  if (did('stop')) checkSealed({ whats, cdr, fail, did, needs });
  else {
    if (did('seal')) fail('seal');
    if (did('open') ? did('discard') : did('finish')) fail('finished or discarded wrongly');
    if (did('anchor recorded ok') && !did('finish') && !did('discard') && cdr.node !== null)
      fail('spool not looked at');
  }
  if (cdr.status === 200 && !whats.includes('connect')) fail('answered without a 200');
};

/** Somebody privileged came into a recorded call, which ended for it: what was recorded is sealed and nowhere else. */
const checkSealed = ({ whats, cdr, fail, did, needs }: Looked): void => {
  if (cdr.otherParties === undefined && cdr.ending !== 'became-private') fail('stop');
  for (const what of ['finish', 'discard']) if (did(what)) fail(`${what} of a call with a privileged party`);
  if (cdr.sealed === undefined) fail('not sealed');
  needs('seal', 'stop', 'release');
  needs('verify-absence', 'seal');
  if (whats.filter((one) => one === 'seal').length !== 1) fail('sealed more than once');
};

const checkPrivate = ({ cdr, fail, did, needs }: Looked, here: boolean): void => {
  if (!did('become private')) needs('dial', 'anchor private ok');
  else needs('dial', 'become private');
  if (!here) needs('connect', 'answer ok');
  needs('open', 'answer ok', 'connect ok');
  for (const what of [
    'arm',
    'arm answered',
    'append armed',
    'finish',
    'discard',
    'watch',
    'observe',
    'listen',
    'seal',
  ])
    if (did(what)) fail(what);
  if (cdr.node !== null && !did('verify-absence')) fail('absence not verified');
};

/** Recorded once, and private now: the recording stopped before anything else, and is sealed and nowhere else. */
const checkMoved = ({ whats, cdr, fail, did, needs }: Looked): void => {
  for (const what of ['finish', 'discard']) if (did(what)) fail(`${what} of a call that became private`);
  if (cdr.sealed === undefined) fail('not sealed');
  needs('anchor private', 'stop ok', 'shut');
  needs('reinvite called', 'stop ok');
  needs('seal', 'release');
  needs('verify-absence', 'seal');
  if (!did('verify-absence')) fail('absence not verified');
  if (whats.filter((one) => one === 'seal').length !== 1) fail('sealed more than once');
  if (whats.lastIndexOf('watch') > whats.indexOf('stop') && did('stop')) fail('watched after it stopped');
  const rows = whats.filter((one) => one === 'append decision').length;
  if (rows < 2) fail('the second decision has no row');
};

/** Both heard the truth before they heard each other, and the words are the verdict's alone. */
const checkSpoken = (world: World, call: FakeCall, { cdr, fail, did }: Looked): void => {
  if (!did('open')) return;
  const id = call.caller.leg.callId;
  const opened = world.trace.find((entry) => entry.call === id && entry.what === 'open')?.at ?? 0;
  const told = world.heard.filter((one) => one.call === id && one.at <= opened && one.how === 'said');
  const toldTo = (party: string, what: string): boolean =>
    told.some((one) => one.to === party && one.what.split(' ').includes(what));
  const recorded = did('anchor recorded');
  const machine = cdr.class === 'hotline' || cdr.class === 'relay';
  // Where a machine was told nothing, the caller does not hear that it was.
  const truth = recorded ? 'told-recorded' : machine ? 'notice-private' : 'told-private';
  if (!toldTo('caller', truth)) fail('the caller was not told');
  const asked = toldTo('called', recorded ? 'notice-recorded' : 'notice-private');
  if (!asked && (recorded || !machine)) fail('the called party was not told');
};
