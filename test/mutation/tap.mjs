// What the tests of the mutated parts use of tap, without a process of its own: a test that fails throws at once,
// because one noticed change is enough. Each load of the test files has its own instance, told apart by the URL's query.
import { createRequire } from 'node:module';
import { inspect } from 'node:util';

// As tap compares, by the library tap brings along.
const { match, same, strict } = createRequire(createRequire(import.meta.url).resolve('tap'))('tcompare');

class Failed extends Error {}

class Test {
  name;
  tests = [];
  failure = null;
  #teardowns = [];
  #running = Promise.resolve();

  constructor(name) {
    this.name = name;
  }

  #judge(good, message, detail = '') {
    if (good) return true;
    const failure = new Failed(`${message ?? 'not as expected'} ${detail}`);
    this.failure ??= failure;
    throw failure;
  }

  ok = (value, message) => this.#judge(value, message);
  notOk = (value, message) => this.#judge(!value, message);
  equal = (found, wanted, message) =>
    this.#judge(Object.is(found, wanted), message, `${inspect(found)} is not ${inspect(wanted)}`);
  not = (found, wanted, message) => this.#judge(!Object.is(found, wanted), message);
  same = (found, wanted, message) => this.#compare(same(found, wanted), message);
  strictSame = (found, wanted, message) => this.#compare(strict(found, wanted), message);
  match = (found, wanted, message) => this.#compare(match(found, wanted), message);
  notMatch = (found, wanted, message) => this.#judge(!match(found, wanted).match, message);
  pass = () => true;
  fail = (message) => this.#judge(false, message);
  comment = () => {};
  end = () => {};

  #compare({ match: good, diff }, message) {
    return this.#judge(good, message, diff);
  }

  async rejects(what, ...rest) {
    const wanted = typeof rest[0] === 'string' ? undefined : rest[0];
    const message = typeof rest[0] === 'string' ? rest[0] : rest[1];
    let rejected = null;
    try {
      await (typeof what === 'function' ? what() : what);
    } catch (error) {
      rejected = { error };
    }
    this.#judge(rejected !== null, message, 'was expected to be rejected');
    if (wanted !== undefined) this.match(rejected.error, wanted, message);
  }

  teardown(undo) {
    this.#teardowns.unshift(undo);
  }

  /** At the top a test is kept for later; within a test it runs at once, after those before it. */
  test(name, body) {
    const test = new Test(name);
    if (this.name === null) {
      this.tests.push({ name, run: () => test.run(body) });
      return Promise.resolve();
    }
    this.#running = this.#running.then(() => test.run(body));
    return this.#running;
  }

  async run(body) {
    this.failure = null;
    try {
      await body(this);
      await this.#running;
    } finally {
      await this.undo();
    }
    // An assertion inside a listener throws into what called it, and must fail the test all the same.
    if (this.failure !== null) throw this.failure;
  }

  async undo() {
    for (const undo of this.#teardowns.splice(0)) await undo();
  }
}

const top = new Test(null);
globalThis.mutationTests ??= new Map();
globalThis.mutationTests.set(new URL(import.meta.url).search, top);
export default top;
