import { readdirSync, statSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AppEvent } from '../../src/call/events.js';
import type { Sound } from '../../src/call/talk.js';
import { createMedia, type MediaNodeOptions, type MediaPools } from '../../src/media/media.js';
import { NgSocket } from '../../src/media/ng-socket.js';
import { holdPortRange } from '../../src/stack/free-ports.js';
import { type RunningRtpengine, startRtpengine } from '../../src/stack/rtpengine.js';
import { RtpPhone, toneWav } from './rtp-phone.js';

/** What the tests of spoken calls share: a node of each pool, sounds they can play, a keypad and phones. */

/** Sounds by their frequency: what is heard says which it was. */
const sounds = [
  [600, 400],
  [800, 400],
  [700, 5000],
] as const;

export const sound = (hz: 600 | 800 | 700): Sound => ({
  file: `en/tone-${hz}.wav`,
  ms: sounds.find(([each]) => each === hz)?.[1] ?? 0,
});

export interface SpokenSite {
  readonly private: RunningRtpengine;
  readonly recorded: RunningRtpengine;
  readonly nodes: readonly MediaNodeOptions[];
  readonly promptsRoot: string;
  readonly keypadPort: number;
  media(more?: Partial<Parameters<typeof createMedia>[0]>): Promise<Talking>;
  phone(hz: number, codec?: 'PCMU' | 'PCMA'): Promise<RtpPhone>;
  stop(): Promise<void>;
}

export interface Talking {
  readonly media: MediaPools;
  readonly events: AppEvent[];
  alarms(): string[];
}

export const quick = { commandMs: 5000, pingMs: 150, pingDeadlineMs: 3000, lossThreshold: 3, attestMs: 150 };

export const startSpokenSite = async (logLevel = 5): Promise<SpokenSite> => {
  const dir = await mkdtemp(join(tmpdir(), 'sallyport-spoken-'));
  // So that the servers' own user gets there.
  await chmod(dir, 0o755);
  const promptsRoot = join(dir, 'prompts');
  await mkdir(join(promptsRoot, 'en'), { recursive: true });
  for (const [hz, ms] of sounds) await writeFile(join(promptsRoot, `en/tone-${hz}.wav`), toneWav(hz, ms));
  const keypad = await holdPortRange('127.0.0.1', 16);
  const start = (kind: 'private' | 'recorded'): Promise<RunningRtpengine> =>
    startRtpengine({
      kind,
      dir,
      name: kind,
      portCount: 256,
      logLevel,
      dtmfLog: { host: '127.0.0.1', port: keypad.min },
    });
  const [secret, recorded] = [await start('private'), await start('recorded')];
  const nodes = [secret, recorded].map(
    (node): MediaNodeOptions => ({
      name: node.kind,
      pool: node.kind,
      ng: node.ng,
      cli: node.cli,
      pid: node.pid,
      mediaAddress: node.mediaAddress,
      promptsRoot,
      ...(node.spool === undefined ? {} : { spool: node.spool }),
    }),
  );
  const phones: RtpPhone[] = [];
  const open: MediaPools[] = [];
  return {
    private: secret,
    recorded,
    nodes,
    promptsRoot,
    keypadPort: keypad.min,
    media: async (more = {}) => {
      const events: AppEvent[] = [];
      const media = createMedia({
        nodes,
        emit: (event) => events.push(event),
        peerNetworks: ['127.0.0.0/8'],
        timing: quick,
        ...more,
      });
      open.push(media);
      await media.start();
      const alarms = (): string[] =>
        events.flatMap((event) => (event.event === 'alarm' ? `${event.alarm} ${event.detail}` : []));
      return { media, events, alarms };
    },
    phone: async (hz, codec) => {
      const phone = await new RtpPhone({ hz, ...(codec === undefined ? {} : { codec }) }).open();
      phones.push(phone);
      return phone;
    },
    stop: async () => {
      for (const phone of phones) phone.close();
      for (const media of open) media.close();
      await Promise.all([secret.stop(), recorded.stop(), keypad.release()]);
      await rm(dir, { recursive: true, force: true });
    },
  };
};

/** Another NG client, as any process on the host could be one. */
export const foreignTo = (node: RunningRtpengine): NgSocket =>
  new NgSocket({ node: 'x', ...node.ng, emit: () => undefined });

export const sessionsOn = async (node: RunningRtpengine): Promise<number> => {
  const ng = foreignTo(node);
  const reply = JSON.stringify(await ng.ask({ command: 'statistics' }));
  ng.close();
  return Number(/"sessionsown":(\d+)/.exec(reply)?.[1]);
};

export interface SpoolFile {
  readonly name: string;
  readonly path: string;
  readonly size: number;
}

export const spoolOf = (node: RunningRtpengine): SpoolFile[] =>
  readdirSync(node.spool ?? '', { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return { name: entry.name, path, size: statSync(path).size };
    });
