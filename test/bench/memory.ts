/** Turns of collecting: what is kept by a finaliser or by a task that is still to run goes with a later one. */
const turns = 4;

/** Memory of this process after its garbage is gone. */
export const liveMemory = async (): Promise<NodeJS.MemoryUsage> => {
  for (let turn = 0; turn < turns; turn++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  globalThis.gc?.();
  return process.memoryUsage();
};
