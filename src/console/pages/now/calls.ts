import { useEffect, useRef, useState } from 'preact/hooks';
import { type LiveState, useLive } from '../../api/use-live.js';

/** A call as the stream tells of it. */
export interface LiveCall {
  readonly callId: string;
  readonly trunk: string;
  readonly facility: string;
  readonly phase: string;
  readonly verdict: string;
  readonly elapsedMs: number;
}

export interface ShownCall extends LiveCall {
  /** When it arrived, on the browser's monotonic clock. */
  readonly since: number;
  /** How it ended, and when, where it has. */
  readonly over: { readonly how: string; readonly at: number } | null;
}

export interface LiveAlarm {
  readonly at: string;
  readonly callId: string | null;
  readonly alarm: string;
  readonly text: string;
}

export interface LiveView {
  /** Our connection to the stream. */
  readonly stream: LiveState;
  /** The stream's own to the controller. */
  readonly connected: boolean;
  /** In the order they arrived; those that just ended are still among them. */
  readonly calls: readonly ShownCall[];
  /** How many alarms came since the page was opened. */
  readonly alarms: number;
}

/** An ended call stays so long, so that people see how it ended. */
const STAYS_MS = 12_000;
const MOST_OVER = 50;

type Calls = ReadonlyMap<string, ShownCall>;

const shown = (call: LiveCall, known: ShownCall | undefined, now: number): ShownCall => ({
  ...call,
  since: known?.since ?? now - call.elapsedMs,
  over: null,
});

const withAll = (was: Calls, all: readonly LiveCall[], now: number): Calls => {
  const over = [...was].filter(([, call]) => call.over !== null);
  const next = new Map(over);
  for (const call of all) next.set(call.callId, shown(call, was.get(call.callId), now));
  return next;
};

const withOne = (was: Calls, call: LiveCall, what: string, detail: string | null, now: number): Calls => {
  const next = new Map(was);
  const one = shown(call, was.get(call.callId), now);
  next.set(call.callId, what === 'ended' ? { ...one, over: { how: detail ?? '', at: now } } : one);
  const over = [...next.values()].filter((each) => each.over !== null);
  for (const old of over.slice(0, -MOST_OVER)) next.delete(old.callId);
  return next;
};

const withoutOld = (was: Calls, now: number): Calls => {
  const old = [...was.values()].filter(({ over }) => over !== null && now - over.at > STAYS_MS);
  if (old.length === 0) return was;
  const next = new Map(was);
  for (const { callId } of old) next.delete(callId);
  return next;
};

/** The calls under way as they change, as long as the page is there. `onAlarm` is told of each alarm. */
export const useLiveCalls = (onAlarm: (alarm: LiveAlarm) => void): LiveView => {
  const [calls, setCalls] = useState<Calls>(new Map());
  const [connected, setConnected] = useState(true);
  const [alarms, setAlarms] = useState(0);
  const tell = useRef(onAlarm);
  tell.current = onAlarm;
  const stream = useLive('/v1/calls/live', {
    calls: (data) => {
      const { connected: on, calls: all } = data as {
        readonly connected: boolean;
        readonly calls: readonly LiveCall[];
      };
      setConnected(on);
      setCalls((was) => withAll(was, all, performance.now()));
    },
    call: (data) => {
      const { what, call, detail } = data as {
        readonly what: string;
        readonly call: LiveCall;
        readonly detail: string | null;
      };
      setCalls((was) => withOne(was, call, what, detail, performance.now()));
    },
    alarm: (data) => {
      setAlarms((count) => count + 1);
      tell.current(data as LiveAlarm);
    },
  });
  useEffect(() => {
    const timer = setInterval(() => setCalls((was) => withoutOld(was, performance.now())), 1000);
    return () => clearInterval(timer);
  }, []);
  return { stream, connected, calls: [...calls.values()], alarms };
};
