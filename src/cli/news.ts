/** Waits for conditions that events bring about; a look every 50 ms covers those that come without one. */
export class News {
  readonly #waiting = new Set<() => void>();

  tell(): void {
    for (const look of [...this.#waiting]) look();
  }

  until(
    what: string,
    condition: () => boolean,
    state = (): string => '',
    deadlineMs = 30_000,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error?: Error): void => {
        clearInterval(every);
        clearTimeout(timer);
        this.#waiting.delete(look);
        if (error === undefined) resolve();
        else reject(error);
      };
      const look = (): void => {
        if (condition()) done();
      };
      const every = setInterval(look, 50);
      const timer = setTimeout(
        () => done(new Error(`waited in vain until ${what} (${state()})`)),
        deadlineMs,
      );
      this.#waiting.add(look);
      look();
    });
  }
}
