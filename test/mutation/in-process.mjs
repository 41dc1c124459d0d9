// A test runner for Stryker that runs the tests named to it in its own process: a process for each change would cost
// more than the tests. Only a change of what runs once, when a file is loaded, needs the files loaded again.
import { register } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';

const changed = () => {
  globalThis.__stryker__ ??= {};
  return globalThis.__stryker__;
};

class InProcess {
  #files;
  #everFresh;
  #propertyMs;
  #leftOut;
  #loads = 0;
  #top = null;

  constructor(options) {
    this.#files = options.inProcess.testFiles.map((file) => pathToFileURL(resolve(file)).href);
    this.#leftOut = new Set(options.inProcess.leftOut);
    this.#propertyMs = options.inProcess.propertyMs;
    this.#everFresh = options.inProcess.everFresh === true;
  }

  capabilities() {
    return { reloadEnvironment: true };
  }

  init() {
    const dist = `${pathToFileURL(resolve('dist')).href}/`;
    register(new URL('hooks.mjs', import.meta.url), {
      data: { dist, tap: new URL('tap.mjs', import.meta.url).href },
    });
    // Properties stop after a while, and always try the same: what they find by luck is no test of a change.
    fc.configureGlobal({ seed: 20, interruptAfterTimeLimit: this.#propertyMs });
    // What is thrown where nobody waits for it must not end the process: the test that hangs or fails tells.
    process.on('unhandledRejection', () => {});
    process.on('uncaughtException', () => {});
  }

  async #load() {
    await this.dispose();
    const query = `?load=${++this.#loads}`;
    for (const file of this.#files) await import(file + query);
    this.#top = globalThis.mutationTests.get(query);
    this.#top.tests = this.#top.tests.filter(({ name }) => !this.#leftOut.has(name));
    globalThis.mutationTests.delete(query);
  }

  async dispose() {
    await this.#top?.undo();
    this.#top = null;
  }

  async dryRun({ coverageAnalysis }) {
    const counted = changed();
    counted.activeMutant = undefined;
    counted.currentTestId = undefined;
    await this.#load();
    const tests = [];
    for (const { name, run } of this.#top.tests) {
      if (coverageAnalysis === 'perTest') counted.currentTestId = name;
      const from = performance.now();
      const failure = await run().then(() => null, String);
      const timeSpentMs = performance.now() - from;
      tests.push({
        id: name,
        name,
        timeSpentMs,
        status: failure === null ? 0 : 1,
        failureMessage: failure ?? '',
      });
    }
    counted.currentTestId = undefined;
    return { status: 'complete', tests, mutantCoverage: counted.mutantCoverage };
  }

  async mutantRun({ activeMutant, hitLimit, testFilter, mutantActivation, reloadEnvironment }) {
    const counted = changed();
    counted.mutantCoverage = undefined;
    counted.hitCount = hitLimit === undefined ? undefined : 0;
    // Ten times as often as in all tests without a change, where Stryker has a hundred times.
    counted.hitLimit = hitLimit === undefined ? undefined : hitLimit / 10;
    counted.activeMutant = mutantActivation === 'static' ? activeMutant.id : undefined;
    let failure = null;
    if (this.#top === null || reloadEnvironment || this.#everFresh)
      failure = await this.#load().then(() => null, String);
    counted.activeMutant = activeMutant.id;
    let nrOfTests = 0;
    const tests = failure === null ? this.#top.tests : [];
    let killedBy = 'loading';
    for (const { name, run } of tests) {
      if (testFilter !== undefined && !testFilter.includes(name)) continue;
      nrOfTests++;
      killedBy = name;
      failure = await run().then(() => null, String);
      if (failure !== null) break;
    }
    counted.activeMutant = undefined;
    if (counted.hitCount > counted.hitLimit)
      return { status: 'timeout', reason: `more than ${counted.hitLimit} times` };
    if (failure === null) return { status: 'survived', nrOfTests };
    return { status: 'killed', killedBy: [killedBy], failureMessage: failure, nrOfTests };
  }
}

const create = (options) => new InProcess(options);
create.inject = ['options'];

/** `default: { const never: never = x; … }`: the compiler has proved that nothing comes there, so nothing can notice. */
const isExhausted = ({ node }) => {
  if (node.type !== 'SwitchCase' || node.test !== null) return false;
  const [declared] = node.consequent[0]?.body ?? [];
  return declared?.declarations?.[0]?.id.typeAnnotation?.typeAnnotation.type === 'TSNeverKeyword';
};
const ignorer = () => ({
  shouldIgnore: (path) => (isExhausted(path) ? 'a case that cannot be' : undefined),
});

export const strykerPlugins = [
  { kind: 'TestRunner', name: 'in-process', factory: create },
  { kind: 'Ignore', name: 'what-cannot-be', factory: ignorer },
];
