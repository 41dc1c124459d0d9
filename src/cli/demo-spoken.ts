import type { AppEvent } from '../call/events.js';
import type { Language, PromptId } from '../core/prompt.js';
import type { IncomingCall } from '../phones/incoming-call.js';
import { pressInfoKeys } from '../phones/info-keys.js';
import type { Phone } from '../phones/sip-phone.js';
import { Ear, type KeyForm, type SideEvent } from './demo-ear.js';
import { type DemoRecording, recordingAt } from './demo-recording.js';
import type { FileWatch } from './demo-watch.js';
import type { News } from './news.js';
import { standingRows } from './standing-rows.js';

/** What the called party does: each key after it has heard so many seconds of a prompt, or all of it. */
export interface Press {
  readonly after: PromptId;
  readonly heard: number | 'all';
  readonly language?: Language;
  readonly key: string;
  readonly by: KeyForm;
}

export interface SpokenAct {
  readonly name: string;
  readonly title: string;
  readonly caller: string;
  /** As a person writes it. */
  readonly shown: string;
  readonly presses: readonly Press[];
  /** The caller hangs up once it has heard this. */
  readonly hangsUpAfter?: PromptId;
  readonly expected: SpokenExpected;
}

export interface SpokenExpected {
  readonly verdict: 'monitored' | 'private' | 'refused';
  readonly reason: string;
  readonly ending: string;
  /** Prompts in their order, hold tones left out; those in Spanish end in ` (es)`. Null: the phone never rang. */
  readonly caller: readonly string[];
  readonly called: readonly string[] | null;
  /** Both heard each other, and only after all that was said to them before. */
  readonly talk: boolean;
  readonly recorded: boolean;
}

/** One spoken call as its outside saw it. */
export interface SpokenCall {
  readonly name: string;
  readonly caller: string;
  readonly dialled: string;
  readonly verdict: string;
  readonly reasons: readonly string[];
  readonly ending: string;
  readonly sipStatus: number;
  readonly heard: { readonly caller: readonly SideEvent[]; readonly called: readonly SideEvent[] | null };
  /** Keys that came through to the other side: those pressed before both are connected must not. */
  readonly keysPassed: { readonly caller: string; readonly called: string };
  readonly recording: DemoRecording | null;
  readonly spoolFilesForCall: readonly string[];
  /** The call's rows in the journal, in order: `decision 31`. */
  readonly rows: readonly string[];
}

export interface SpokenStage {
  readonly caller: Phone;
  readonly called: Phone;
  readonly sip: { readonly host: string; readonly port: number };
  readonly journal: string;
  readonly watch: FileWatch;
  readonly identity: string;
  readonly events: readonly AppEvent[];
  readonly news: News;
  readonly talkMs: number;
}

/** The parties' voices: a tone each, so that nobody can be taken for the other. */
export const voices = { caller: 440, called: 1000 } as const;

const rest = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const digitsOf = (shown: string): string => shown.replaceAll(/[^0-9*+]/g, '');

/**
 * Places all these calls at once and settles when the last one is over. One after another only until each has
 * arrived, so that it is known which call of the controller is whose.
 */
export const placeSpoken = async (
  acts: readonly SpokenAct[],
  stage: SpokenStage,
): Promise<readonly SpokenCall[]> => {
  const playing: Promise<Ended>[] = [];
  for (const act of acts) {
    const seen = stage.events.length;
    const arrival = (): string | undefined => {
      for (const event of stage.events.slice(seen)) if (event.event === 'call-arrived') return event.callId;
      return undefined;
    };
    const known = new Set(stage.called.incoming);
    const began = performance.now();
    const call = await stage.caller.call({
      to: `sip:${encodeURI(digitsOf(act.shown))}@${stage.sip.host}:${stage.sip.port}`,
      via: stage.sip,
      from: `<sip:${act.caller}@${stage.caller.host}>`,
    });
    await stage.news.until(`the call ${act.name} arrived`, () => arrival() !== undefined);
    const callId = arrival() ?? '';
    playing.push(play(act, stage, { call, callId, began, known }));
  }
  const calls: SpokenCall[] = [];
  for (const over of await Promise.all(playing)) calls.push(await lookedAt(over, stage));
  return calls;
};

interface Placed {
  readonly call: Awaited<ReturnType<Phone['call']>>;
  readonly callId: string;
  readonly began: number;
  /** The calls the called party's phone had before this one. */
  readonly known: ReadonlySet<IncomingCall>;
}

/** A call that is over, and what was heard of it. */
interface Ended {
  readonly act: SpokenAct;
  readonly placed: Placed;
  readonly caller: Ear;
  readonly called: Ear | null;
}

const play = async (act: SpokenAct, stage: SpokenStage, placed: Placed): Promise<Ended> => {
  const { call, callId, began, known } = placed;
  const over = (): boolean =>
    stage.events.some((event) => event.event === 'call-ended' && event.callId === callId);
  const callerEar = new Ear(call, began);
  const rung = (): IncomingCall | undefined =>
    stage.called.incoming.find(
      (one) => !known.has(one) && one.invite.uri.includes(digitsOf(act.shown).slice(-10)),
    );
  if (act.hangsUpAfter !== undefined && (await callerEar.untilPrompt(act.hangsUpAfter, { heard: 'all' }))) {
    if (call.ending === undefined) await call.hangUp();
  }
  await stage.news.until(
    `${act.name} rings or is over`,
    () => rung() !== undefined || over(),
    undefined,
    60_000,
  );
  const incoming = rung();
  const calledEar = incoming === undefined ? null : new Ear(incoming, began);
  if (incoming !== undefined && calledEar !== null) {
    for (const press of act.presses) {
      const { after, heard, language = 'en' } = press;
      if (!(await calledEar.untilPrompt(after, { language, heard }))) break;
      calledEar.pressed(press.key, press.by);
      await pressKey(incoming, press);
    }
    if (act.expected.talk && (await callerEar.untilVoice(voices.called))) {
      await rest(stage.talkMs);
      if (call.ending === undefined) await call.hangUp();
    }
  }
  // Who else is not connected hears why and is hung up on.
  await stage.news.until(`${act.name} has ended`, over, undefined, 60_000);
  callerEar.close();
  calledEar?.close();
  return { act, placed, caller: callerEar, called: calledEar };
};

const lookedAt = async (
  { act, placed, caller, called }: Ended,
  { journal, watch, identity }: SpokenStage,
): Promise<SpokenCall> => {
  const { file, ...journalled } = await rowsOf(journal, placed.callId);
  return {
    name: act.name,
    caller: act.caller,
    dialled: act.shown,
    ...journalled,
    sipStatus: placed.call.final?.status ?? 0,
    heard: {
      caller: caller.timeline(voices.called),
      called: called?.timeline(voices.caller) ?? null,
    },
    keysPassed: { caller: caller.keysHeard, called: called?.keysHeard ?? '' },
    recording: file === null ? null : await recordingAt(file, identity),
    spoolFilesForCall: watch.named(placed.callId),
  };
};

const pressKey = async (call: IncomingCall, { key, by }: Press): Promise<void> => {
  if (by === 'SIP INFO') await pressInfoKeys(call, key);
  else await call.audio.pressKeys(key);
};

interface Body {
  readonly verdict?: string;
  readonly reasons?: readonly { readonly code: string }[];
  readonly ending?: string;
  readonly spool?: { readonly file?: string } | null;
}

/** What the journal on the disk says of the call. */
const rowsOf = async (
  journal: string,
  callId: string,
): Promise<
  Pick<SpokenCall, 'verdict' | 'reasons' | 'ending' | 'rows'> & { readonly file: string | null }
> => {
  let [verdict, ending, file] = ['undecided', 'none', null as string | null];
  let reasons: readonly string[] = [];
  const rows: string[] = [];
  for await (const row of standingRows(journal, { callId })) {
    rows.push(`${row.kind} ${row.seq}`);
    const body = row.body as unknown as Body;
    if (row.kind === 'decision' && verdict === 'undecided') {
      // The first one: what is decided again later may end a call, and never is what it was connected on.
      verdict = body.verdict ?? verdict;
      reasons = body.reasons?.map((one) => one.code) ?? [];
    } else if (row.kind === 'cdr') {
      ending = body.ending ?? ending;
      file = body.spool?.file ?? null;
    }
  }
  return { verdict, reasons, ending, rows, file };
};
