import assert from 'node:assert/strict';
import { forwardOutcome, mayFollow } from '../../src/core/forward.js';
import { aMonitored, aPrivate } from '../core/samples.js';
import { allowed, FieldHouse, number } from './house.js';
import type { Named } from './named.js';

/** Numbers that were on the list and were recorded all the same, because what was dialled was written otherwise. */

const digits = (n: number): string => number(n).slice(2);
const spaced = (n: number): string => digits(n).replace(/^(...)(...)(....)$/, '($1) $2-$3');
const written = [
  (n: number) => number(n),
  (n: number) => digits(n),
  (n: number) => `1${digits(n)}`,
  (n: number) => spaced(n),
  (n: number) => `1-${digits(n).replace(/^(...)(...)/, '$1.$2.')}`,
  (n: number) => `tel:${number(n)}`,
  (n: number) => `"${spaced(n)} ext. 7"`,
] as const;
const dialled = [
  (n: number) => number(n),
  (n: number) => digits(n),
  (n: number) => `1${digits(n)}`,
  (n: number) => `9${digits(n)}`,
  (n: number) => `91${digits(n)}`,
  (n: number) => `011${number(n).slice(1)}`,
  (n: number) => `9011${number(n).slice(1)}`,
  (n: number) => digits(n).slice(3),
  (n: number) => `9${digits(n).slice(3)}`,
  (n: number) => `(${digits(n).slice(0, 3)})${digits(n).slice(3, 6)}-${digits(n).slice(6)}`,
  (n: number) => `+1.${digits(n).replace(/^(...)(...)/, '$1.$2.')}`,
  (n: number) => `tel:${number(n)};ext=7`,
  (n: number) => `sip:${number(n)}@example.net;user=phone`,
  (n: number) => [...digits(n)].map((c) => `%3${c}`).join(''),
] as const;

const formats: Named = {
  cause: 7,
  name: 'however a number is written in the list and however it is dialled, it is one number',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    const privileged = written.map((write, n) => `${write(100 + n)},,,,,attorney,global`);
    // Nothing but the privileged list speaks against recording it.
    await house.published({ privileged, allow: written.map((_, n) => allowed(number(100 + n))) });
    const eyes = await house.eyes();
    for (const [n] of written.entries()) {
      for (const dial of dialled) await eyes.isPrivate(dial(100 + n));
    }
  },
};

const extensions: Named = {
  cause: 7,
  name: 'an attorney behind a switchboard is private by extension and by the main number, and every extension of a whole firm is',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    const [one, firm] = [number(200), number(201)];
    await house.published({
      privileged: [`${one} ext. 12,,,,,attorney,global`, `${firm},,,,,attorney,global`],
      allow: [allowed(one), allowed(firm)],
    });
    const eyes = await house.eyes();
    for (const dial of [`${one};ext=12`, one, firm, `${firm};ext=1`, `${firm};ext=99`])
      await eyes.isPrivate(dial);
    assert.equal(await eyes.says(`${one};ext=13`), 'monitored allowed-by-facility-list');
  },
};

const branchLines: Named = {
  cause: 7,
  name: 'every line of a listed office range or prefix is private, its branch lines too',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    const lines = Array.from({ length: 60 }, (_, n) => number(320 + n));
    await house.published({
      privileged: [
        `,${number(320)} - ${number(379)},,,,public-defender,global`,
        ',,+1212556*,,,court,global',
      ],
      allow: [...lines, number(319), number(380), '+12125561234'].map((one) => allowed(one)),
    });
    const eyes = await house.eyes();
    for (const line of [...lines, '+12125561234']) await eyes.isPrivate(line);
    for (const beside of [number(319), number(380)]) {
      assert.equal(await eyes.says(beside), 'monitored allowed-by-facility-list');
    }
  },
};

const aliases: Named = {
  cause: 7,
  name: 'a second line or a mobile entered as an alias is private as the number it stands for',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    const [office, mobile] = [number(400), '+13105550123'];
    await house.published({
      privileged: [`${office},,,,,attorney,global`, `,,,${mobile},${office},,global`],
      allow: [allowed(office), allowed(mobile)],
    });
    const eyes = await house.eyes();
    await eyes.isPrivate(office);
    await eyes.isPrivate('1 310 555 0123');
  },
};

const relay: Named = {
  cause: 7,
  name: 'a relay centre is private, for the attorney’s own number is never dialled',
  run: async (scope) => {
    const house = await FieldHouse.open(scope);
    const centre = number(500);
    const run = await house.publish(
      house.files({ privileged: [`${centre},,,,,relay,global`], allow: [allowed(centre)] }),
    );
    assert.equal(run.code, 0, 'a relay centre is a class of the list');
    const eyes = await house.eyes();
    const decision = await eyes.decided(centre);
    assert.equal(decision.verdict === 'private' ? decision.class : decision.verdict, 'relay');
  },
};

const forwarded: Named = {
  cause: 7,
  name: 'a recorded call that is forwarded to an attorney ends there, and a redirect to one is not followed',
  run: async () => {
    const [monitored, privileged] = [aMonitored(), aPrivate()];
    assert.equal(forwardOutcome(monitored, privileged), 'end');
    assert.equal(mayFollow(monitored, privileged), false);
    assert.equal(forwardOutcome(privileged, monitored), 'end', 'nor the other way round');
    assert.equal(mayFollow(privileged, monitored), false);
  },
};

export const matchCases: readonly Named[] = [formats, extensions, branchLines, aliases, relay, forwarded];
