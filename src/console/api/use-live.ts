import { useEffect, useRef, useState } from 'preact/hooks';
import { lookWhoIsIn } from './client.js';

export type LiveState = 'connecting' | 'open' | 'lost';

const AGAIN_MS = 3_000;

/**
 * Follows a stream of server-sent events while the page is there. `on` holds who is told of which event. The browser
 * itself comes back after a break and says what it saw last; where it was refused, we look who is signed in and try
 * again until the page is left.
 */
export const useLive = (
  path: string | null,
  on: Readonly<Record<string, (data: unknown) => void>>,
): LiveState => {
  const [state, setState] = useState<LiveState>('connecting');
  const told = useRef(on);
  told.current = on;
  const names = Object.keys(on).sort().join(' ');
  useEffect(() => {
    if (path === null) return;
    let source: EventSource | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let left = false;
    const open = (): void => {
      const own = new EventSource(path);
      source = own;
      own.onopen = () => setState('open');
      own.onerror = () => {
        setState('lost');
        if (own.readyState !== EventSource.CLOSED || left) return;
        void lookWhoIsIn()
          .catch(() => undefined)
          .finally(() => {
            if (!left) timer = setTimeout(open, AGAIN_MS);
          });
      };
      for (const name of names.split(' '))
        own.addEventListener(name, (event) => {
          let data: unknown;
          try {
            data = JSON.parse((event as MessageEvent<string>).data);
          } catch {
            return;
          }
          told.current[name]?.(data);
        });
    };
    open();
    return () => {
      left = true;
      clearTimeout(timer);
      source?.close();
    };
  }, [path, names]);
  return state;
};
