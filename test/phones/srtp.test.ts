import t from 'tap';
import { buildRtp } from '../../src/phones/rtp-packet.js';
import { deriveKeys, newMasterKey, SrtpReceiver, SrtpSender } from '../../src/phones/srtp.js';

const master = Buffer.from('E1F97A0D3E018BE0D64FA32C06DE41390EC675AD498AFEEBB6960B3AABE6', 'hex').toString(
  'base64',
);

t.test('session keys as in RFC 3711, appendix B.3', async (t) => {
  const { cipher, salt, auth } = deriveKeys(master);
  t.equal(cipher.toString('hex').toUpperCase(), 'C61E7A93744F39EE10734AFE3FF7A087');
  t.equal(salt.toString('hex').toUpperCase(), '30CBBC08863D8C85D49DB34A9AE1');
  t.equal(auth.toString('hex').toUpperCase(), 'CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4');
  t.throws(() => deriveKeys(master.slice(4)), RangeError);
});

t.test('a packet as libsrtp protects it', async (t) => {
  // srtp_driver.c, srtp_validate(): the reference packet of AES_CM_128_HMAC_SHA1_80 with the keys above.
  const plain = Buffer.from(`800f1234decafbadcafebabe${'ab'.repeat(16)}`, 'hex');
  const sealed = Buffer.from(
    '800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb',
    'hex',
  );
  t.equal(new SrtpSender(master).protect(plain).toString('hex'), sealed.toString('hex'));
  t.equal(new SrtpReceiver(master).unprotect(sealed)?.toString('hex'), plain.toString('hex'));
});

const packet = (sequence: number, ssrc = 7): Buffer =>
  buildRtp({
    payloadType: 0,
    marker: false,
    sequence: sequence & 0xffff,
    timestamp: sequence,
    ssrc,
    payload: Buffer.alloc(160, sequence),
  });

t.test('sequence numbers begin anew, packets come late, twice, changed, or are of another key', async (t) => {
  const key = newMasterKey();
  const [sender, receiver] = [new SrtpSender(key), new SrtpReceiver(key)];
  const numbers = Array.from({ length: 40 }, (_, i) => 65_520 + i);
  const sealed = numbers.map((number) => sender.protect(packet(number)));
  // Two by two the wrong way round, over the point where the numbers begin anew.
  const order = numbers.map((_, i) => (i === 0 || i === 39 ? i : i % 2 === 1 ? i + 1 : i - 1));
  for (const i of order) {
    const bytes = sealed[i] ?? Buffer.alloc(0);
    t.equal(receiver.unprotect(bytes)?.equals(packet(numbers[i] ?? 0)), true, `${numbers[i]}`);
    t.equal(receiver.unprotect(bytes), undefined, 'once');
  }
  const next = sender.protect(packet(65_560));
  for (const at of [1, 3, 9, 20, next.length - 1]) {
    const changed = Buffer.from(next);
    changed[at] = (changed[at] ?? 0) ^ 1;
    t.equal(receiver.unprotect(changed), undefined, `changed at ${at}`);
  }
  t.equal(new SrtpReceiver(newMasterKey()).unprotect(next), undefined);
  t.equal(receiver.unprotect(packet(65_560)), undefined, 'a plain one');
  t.equal(receiver.unprotect(next.subarray(0, 15)), undefined);
  t.equal(receiver.unprotect(next)?.length, 172, 'and none of that moved the window');
});
