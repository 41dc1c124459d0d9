import t from 'tap';
import { type Bundle, bundleText } from '../../src/evidence/verify/bundle.js';
import { concluded, proveEvidence } from '../../src/evidence/verify/check.js';
import { verifiedJson } from '../../src/evidence/verify/words.js';
import type { PublicKey } from '../../src/journal/verify/ask.js';
import { inTime } from '../../src/journal/verify/in-time.js';
import { publicKeyOf } from '../../src/journal/verify/signed.js';
import { keyPair } from '../journal/signed.js';
import { coded, type EvidencePlace, ids, openPlace } from './fixture.js';

t.setTimeout(120_000);

/** A browser’s way to a verdict: WebCrypto and nothing of Node.js. */
const inBrowser = async (bytes: Buffer, keys: readonly PublicKey[], second: readonly PublicKey[] = []) =>
  await coded(async () =>
    JSON.stringify(
      verifiedJson(concluded(await inTime(proveEvidence(new Uint8Array(bytes), keys)), [], second)),
    ),
  );
const byProgram = async (place: EvidencePlace, bytes: Buffer, second: readonly PublicKey[] = []) =>
  await coded(async () =>
    JSON.stringify(verifiedJson(await place.verify(bytes, { countersigners: second }))),
  );

t.test('a browser comes to the verdicts of the program', async (t) => {
  const place = await openPlace(t);
  await place.threeCalls();
  const known = await inTime(publicKeyOf(place.place.known.text));
  t.same(known, place.place.known);
  const stranger = keyPair().known;
  for (const name of ['monitored', 'private', 'refused'] as const) {
    const bytes = await place.make(ids[name]);
    const verdict = await inBrowser(bytes, [place.place.known]);
    t.equal(verdict, await byProgram(place, bytes));
    t.match(JSON.parse(verdict), { ok: true, code: null, verdict: name });
    t.equal(await inBrowser(bytes, []), 'key-missing');
    t.equal(await inBrowser(bytes, [stranger]), 'head-unproved');
    t.match(JSON.parse(await inBrowser(bytes, [place.place.known], [stranger])), {
      code: 'countersignature-missing',
    });
  }
  const bytes = await place.make(ids.private);
  const seen = new Set<string>();
  for (let at = 0; at < bytes.length; at += 7) {
    const forged = Buffer.from(bytes);
    forged[at] = (forged[at] ?? 0) ^ (1 << (at % 5));
    const verdict = await inBrowser(forged, [place.place.known]);
    if (verdict !== (await byProgram(place, forged))) t.fail(`byte ${at}: ${verdict}`);
    seen.add(verdict);
  }
  t.notOk(
    [...seen].some((verdict) => verdict.startsWith('{')),
    'none of them is genuine',
  );
  t.ok(seen.has('row-unproved') && seen.has('head-unproved') && seen.has('bundle-malformed'));
  const { rows, ...rest } = JSON.parse(bytes.toString('utf8')) as Bundle;
  for (const [left] of rows.entries()) {
    const without = Buffer.from(bundleText({ ...rest, rows: rows.toSpliced(left, 1) }));
    t.equal(await inBrowser(without, [place.place.known]), await byProgram(place, without));
  }
});

t.test('keys as people have them', async (t) => {
  const { known, publicPem, privatePem } = keyPair();
  t.same(await inTime(publicKeyOf(publicPem)), known);
  t.same(await inTime(publicKeyOf(`from the court:\r\n${publicPem.replaceAll('\n', '\r\n')}`)), known);
  for (const text of ['', 'x', privatePem, known.text.slice(0, -2), `${known.text}AA`, publicPem.slice(20)])
    t.equal(await inTime(publicKeyOf(text)), undefined, JSON.stringify(text.slice(0, 20)));
  // X25519 has the same length and another name.
  t.equal(await inTime(publicKeyOf(known.text.replace('MCowBQYDK2Vw', 'MCowBQYDK2Vu'))), undefined);
});
