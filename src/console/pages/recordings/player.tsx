import type { JSX } from 'preact';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { useCell } from '../../app/cell.js';
import { theme } from '../../app/settings.js';
import { useWords } from '../../app/words.js';
import { Button } from '../../ui/button.js';
import type { Sound } from './opening.js';
import { type Heard, SoundPlayer } from './sound.js';
import { drawWaveform, type Look } from './waveform.js';
import { recordingWords } from './words.js';

const clock = (seconds: number): string => {
  const whole = Math.floor(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number): string => String(value).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
};

/** The colours of now: a canvas knows no variables. */
const lookOf = (element: HTMLElement): Look => {
  const probe = document.createElement('span');
  probe.hidden = true;
  element.append(probe);
  const colour = (name: string): string => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const look: Look = {
    ground: colour('--sunken'),
    line: colour('--line'),
    sides: [colour('--plot-1'), colour('--plot-2')],
    faded: colour('--line-strong'),
    head: colour('--ink'),
  };
  probe.remove();
  return look;
};

/** Both sides of a recording drawn under each other; a press, or keys, lead to a place in it. */
const Waveform = ({
  sound,
  heard,
  muted,
  onSeek,
  onToggle,
}: {
  readonly sound: Sound;
  readonly heard: Heard;
  readonly muted: readonly [boolean, boolean];
  readonly onSeek: (at: number) => void;
  readonly onToggle: () => void;
}): JSX.Element => {
  const words = useWords(recordingWords);
  const shown = useCell(theme);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const length = sound.frames / sound.rate;
  useEffect(() => {
    const { current: element } = canvas;
    if (element === null) return;
    const fit = new ResizeObserver(() => setWidth(element.clientWidth));
    fit.observe(element);
    return () => fit.disconnect();
  }, []);
  useEffect(() => {
    const { current: element } = canvas;
    if (element === null || width === 0 || element.parentElement === null) return;
    element.width = Math.round(width * devicePixelRatio);
    element.height = Math.round(element.clientHeight * devicePixelRatio);
    drawWaveform(element, sound.peaks, lookOf(element.parentElement), {
      part: length === 0 ? 0 : heard.at / length,
      muted,
    });
  }, [sound, heard.at, muted, width, shown, length]);
  const atOf = (event: PointerEvent): number => {
    const box = canvas.current?.getBoundingClientRect();
    return box === undefined || box.width === 0 ? 0 : ((event.clientX - box.left) / box.width) * length;
  };
  const keyed = (event: KeyboardEvent): void => {
    const step = event.shiftKey ? 30 : 5;
    const to: Readonly<Record<string, number>> = {
      ArrowLeft: heard.at - step,
      ArrowDown: heard.at - step,
      ArrowRight: heard.at + step,
      ArrowUp: heard.at + step,
      PageDown: heard.at - 60,
      PageUp: heard.at + 60,
      Home: 0,
      End: length,
    };
    const at = to[event.key];
    if (at === undefined && event.key !== ' ') return;
    event.preventDefault();
    if (at === undefined) onToggle();
    else onSeek(at);
  };
  return (
    <div
      class="waveform"
      role="slider"
      tabIndex={0}
      aria-label={words.position}
      aria-valuemin={0}
      aria-valuemax={Math.round(length)}
      aria-valuenow={Math.round(heard.at)}
      aria-valuetext={words.positionText(clock(heard.at), clock(length))}
      onKeyDown={keyed}
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        onSeek(atOf(event));
      }}
      onPointerMove={(event) => {
        if (event.currentTarget.hasPointerCapture(event.pointerId)) onSeek(atOf(event));
      }}
    >
      <canvas ref={canvas} />
      <span class="lane lane-caller" aria-hidden="true">
        {words.sides[0]}
      </span>
      <span class="lane lane-called" aria-hidden="true">
        {words.sides[1]}
      </span>
    </div>
  );
};

/** Plays what was opened: nothing of it is anywhere but in this page. */
export const Player = ({ sound }: { readonly sound: Sound }): JSX.Element => {
  const words = useWords(recordingWords);
  const [heard, setHeard] = useState<Heard>({ at: 0, playing: false });
  const [muted, setMuted] = useState<readonly [boolean, boolean]>([false, false]);
  const player = useRef<SoundPlayer | null>(null);
  const length = sound.frames / sound.rate;
  useEffect(() => {
    const made = new SoundPlayer(sound, setHeard);
    player.current = made;
    return () => {
      player.current = null;
      made.close();
    };
  }, [sound]);
  useEffect(() => {
    // Between the looks of the player the line goes on with the sound.
    if (!heard.playing) return;
    let frame = requestAnimationFrame(function turn() {
      const { current } = player;
      if (current !== null) setHeard({ at: current.at, playing: current.playing });
      frame = requestAnimationFrame(turn);
    });
    return () => cancelAnimationFrame(frame);
  }, [heard.playing]);
  const toggle = useCallback(() => {
    const { current } = player;
    if (current === null) return;
    if (current.playing) current.pause();
    else void current.play();
  }, []);
  const seek = useCallback((at: number) => player.current?.seek(at), []);
  const mute = (side: 0 | 1): void => {
    const next: readonly [boolean, boolean] = side === 0 ? [!muted[0], muted[1]] : [muted[0], !muted[1]];
    player.current?.mute(side, next[side]);
    setMuted(next);
  };
  return (
    <section class="player" aria-label={words.player}>
      <Waveform sound={sound} heard={heard} muted={muted} onSeek={seek} onToggle={toggle} />
      <div class="player-foot">
        <Button kind="main" onPress={toggle}>
          {heard.playing ? words.pause : words.play}
        </Button>
        <Button onPress={() => seek(heard.at - 10)} icon="left">
          {words.back10}
        </Button>
        <Button onPress={() => seek(heard.at + 10)} icon="right">
          {words.on10}
        </Button>
        <output class="player-time" aria-live="off">
          {clock(heard.at)} / {clock(length)}
        </output>
        <span class="player-sides">
          {([0, 1] as const).map((side) => (
            <Button key={side} small pressed={muted[side]} onPress={() => mute(side)}>
              {words.mute(words.sides[side] ?? '')}
            </Button>
          ))}
        </span>
      </div>
      <p class="soft small">{words.keysHint}</p>
    </section>
  );
};
