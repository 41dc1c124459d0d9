import type { MediaTotals, Party, Sdp } from '../../src/call/ports.js';
import type {
  Ear,
  LobbyAnchor,
  Sound,
  SpokenArmed,
  SpokenPrivateAnchor,
  SpokenRecordedAnchor,
} from '../../src/call/talk.js';
import type { Key } from '../../src/core/key.js';
import type { CallId } from '../../src/core/leg.js';
import { type PromptId, prompts } from '../../src/core/prompt.js';
import { CodedError } from './coded-error.js';
import type { World } from './fakes.js';

/** One thing said to one party: what, where, and how it came to its end. */
export interface Heard {
  readonly call: string;
  readonly to: Party;
  /** Names of the prompts without language and ending, in order. */
  readonly what: string;
  readonly language: string;
  how: 'saying' | 'said' | 'hushed' | 'failed';
  readonly at: number;
}

const totals: MediaTotals = { packets: { caller: 10, called: 20 }, lost: { caller: 1, called: 2 } };

interface Speaking {
  readonly heard: Heard;
  readonly end: (how: 'said' | 'hushed') => void;
}

/** What all calls on a node can do, and what is true of them: one voice per party, a gate, keys, an end. */
export class FakeVoice {
  readonly callId: CallId;
  readonly pool: 'private' | 'recorded';
  /** As what it is open: it changes when a lobby becomes a private call. */
  kind: string;
  recording = false;
  released = false;
  lost: (why: string) => void = () => undefined;
  keys: ((party: Party, key: Key) => void) | null = null;
  readonly world: World;
  readonly #now: Record<Party, Speaking | null> = { caller: null, called: null };

  constructor(world: World, callId: CallId, pool: 'private' | 'recorded', kind: string) {
    this.world = world;
    this.callId = callId;
    this.pool = pool;
    this.kind = kind;
    world.opens(kind, callId);
    world.voices.push(this);
  }

  #live(): void {
    if (this.released) throw new CodedError('released');
  }

  say(to: Party, sounds: readonly Sound[], repeat = false): Promise<'said' | 'hushed'> {
    const { world, callId } = this;
    const ids = sounds.map(({ file }) => file.replace(/^.*\/|\.wav$/g, ''));
    world.beforeSay(ids.join(' '));
    world.actNow('say', callId);
    const behaviour = world.behave('say', callId);
    const heard: Heard = {
      call: callId,
      to,
      what: ids.join(' '),
      language: sounds[0]?.file.split('/')[0] ?? '',
      how: 'saying',
      at: world.time.now,
    };
    if (this.released) return Promise.reject(new CodedError('released'));
    this.#checkTruth(ids);
    world.heard.push(heard);
    const before = this.#now[to];
    return new Promise((resolve, reject) => {
      let over = false;
      const end = (how: 'said' | 'hushed' | 'failed', error?: unknown): void => {
        if (over) return;
        over = true;
        heard.how = how;
        if (this.#now[to] === speaking) this.#now[to] = null;
        if (how === 'failed') reject(error);
        else resolve(how);
      };
      const speaking: Speaking = { heard, end };
      this.#now[to] = speaking;
      before?.end('hushed');
      const call = world.calls.get(callId);
      if (call !== undefined) world.onHeard(heard, call);
      if (behaviour.ends === 'hangs') return;
      const ms = behaviour.ends === 'well' || behaviour.ends === 'fails' ? (behaviour.ms ?? 0) : 0;
      if (behaviour.ends === 'fails') {
        setTimeout(() => end('failed', behaviour.error ?? new CodedError('failed')), ms);
      } else if (behaviour.ends === 'well' && behaviour.hushed === true) {
        setTimeout(() => end('hushed'), 10);
      } else if (!repeat) {
        setTimeout(() => end('said'), ms + sounds.reduce((sum, sound) => sum + sound.ms, 0));
      }
    });
  }

  /** The prompt that speaks of recording must be what is the case, at this moment and on this node (design I6). */
  #checkTruth(ids: readonly string[]): void {
    for (const id of ids) {
      const says = prompts[id as PromptId] ?? 'nothing';
      if (says === 'recorded' && this.pool !== 'recorded') this.world.violation(`${id} on a private node`);
      if (id === 'told-recorded' && this.recording)
        this.world.violation('told-recorded after the recording had begun');
      if (says === 'not-recorded' && (this.pool !== 'private' || this.world.recordingRuns(this.callId))) {
        this.world.violation(`${id} while recording is possible`);
      }
    }
  }

  hush(to: Party): Promise<void> {
    return this.world.act('hush', this.callId, () => this.#now[to]?.end('hushed'));
  }

  onKey(listener: ((party: Party, key: Key) => void) | null): void {
    this.keys = listener;
  }

  ask(): void {}

  open(): Promise<void> {
    const { world, callId } = this;
    const phase = world.phaseOf(callId);
    if (phase !== 'opening' && phase !== 'connected') world.violation(`open while ${phase}`);
    const recorded = this.pool === 'recorded' && !this.recording;
    if (recorded) world.violation('open on a recorded node without a recording');
    return world.act('open', callId, () => undefined);
  }

  shut(): Promise<void> {
    return this.world.act('shut', this.callId, () => undefined);
  }

  receive(): Promise<Sdp> {
    return this.world.act('receive', this.callId, () => 'node-answer');
  }

  readdress(party: Party, _sdp: Sdp): Promise<void> {
    return this.world.act(`readdress ${party}`, this.callId, () => this.#live());
  }

  release(): Promise<MediaTotals | null> {
    this.world.closes(this.kind, this.callId);
    this.released = true;
    this.recording = false;
    this.keys = null;
    for (const party of ['caller', 'called'] as const) this.#now[party]?.end('hushed');
    return this.world.act(this.kind === 'lobby' ? 'release lobby' : 'release', this.callId, () => totals);
  }

  onLost(lost: (why: string) => void): void {
    this.lost = (why) => {
      if (!this.released) lost(why);
    };
    this.world.actNow('on-lost', this.callId);
  }
}

/** What both pools' anchors share beyond the voice. */
const anchored = (voice: FakeVoice) => ({
  callId: voice.callId,
  offerForCalled: 'node-offer',
  say: voice.say.bind(voice),
  hush: voice.hush.bind(voice),
  onKey: voice.onKey.bind(voice),
  ask: voice.ask.bind(voice),
  open: voice.open.bind(voice),
  shut: voice.shut.bind(voice),
  receive: voice.receive.bind(voice),
  readdress: voice.readdress.bind(voice),
  release: voice.release.bind(voice),
  onLost: voice.onLost.bind(voice),
  reoffer: () => Promise.resolve('node-offer'),
  reanswer: () => Promise.resolve('node-answer'),
  restore: () => Promise.resolve(),
  packets: () => Promise.resolve(30),
});

const privateOf = (voice: FakeVoice): SpokenPrivateAnchor => ({
  ...anchored(voice),
  pool: 'private',
  node: 'private-1',
  answer: () => voice.world.act('answer', voice.callId, () => 'answer-for-caller'),
});

export const privateAnchor = (world: World, callId: CallId): SpokenPrivateAnchor =>
  privateOf(new FakeVoice(world, callId, 'private', 'anchor'));

export const lobbyAnchor = (world: World, callId: CallId): LobbyAnchor => {
  const voice = new FakeVoice(world, callId, 'private', 'lobby');
  let left = false;
  const still = <A extends unknown[], R>(work: (...args: A) => R): ((...args: A) => R) => {
    return (...args) => {
      if (left) throw new CodedError('lobby-left');
      return work.apply(voice, args);
    };
  };
  return {
    callId,
    node: 'private-1',
    say: still(voice.say),
    hush: still(voice.hush),
    onKey: still(voice.onKey),
    ask: voice.ask.bind(voice),
    shut: still(voice.shut),
    receive: still(voice.receive),
    readdress: still(voice.readdress),
    onLost: still(voice.onLost),
    release: () => (left ? Promise.resolve(null) : voice.release()),
    becomePrivate: () => {
      world.actNow('become private', callId);
      left = true;
      world.closes('lobby', callId);
      voice.kind = 'anchor';
      world.opens('anchor', callId);
      return privateOf(voice);
    },
  };
};

export class FakeRecorded extends FakeVoice {
  readonly anchor: SpokenRecordedAnchor;

  constructor(world: World, callId: CallId) {
    super(world, callId, 'recorded', 'anchor');
    this.anchor = {
      ...anchored(this),
      pool: 'recorded',
      node: 'recorded-1',
      sources: () => ({ caller: [], called: [] }),
      answer: () => world.act('answer', callId, () => 'answer-for-caller'),
      answerAndRecord: () => Promise.reject(new Error('the fake recorder does not come here')),
      record: () => Promise.reject(new Error('the fake recorder does not come here')),
      stopRecording: () => Promise.reject(new Error('the fake recorder does not come here')),
      listen: () => world.act('listen', callId, () => this.#ear()),
    };
    world.recordedVoices.set(this.anchor, this);
  }

  #ear(): Ear {
    const { world, callId } = this;
    world.opens('ear', callId);
    return {
      offer: 'ear-offer',
      answer: () => Promise.resolve(),
      end: () => {
        world.closes('ear', callId);
        return world.act('end ear', callId, () => undefined);
      },
    };
  }

  /** A recording that was proved: it runs until it is stopped, or its node lets the call go. */
  armed(): SpokenArmed {
    const { world, callId } = this;
    const call = world.calls.get(callId);
    if (!this.released) this.recording = true;
    return {
      answerForCaller: 'answer-for-caller',
      proof: { inode: 5 },
      watch: (lost) => {
        if (call !== undefined) call.loseRecording = lost;
        world.actNow('watch', callId);
      },
      observe: (listener) => {
        if (call !== undefined) {
          call.suspect = (score) =>
            listener({ score, signs: [{ sign: 'hook-flash', party: 'called', atMs: 5 }] });
        }
        world.actNow('observe', callId);
      },
      stop: () =>
        world.act('stop', callId, () => {
          this.recording = false;
        }),
    };
  }
}
