/** Mulberry32: a failing run can be had again by its seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = state;
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  };
}

const junk = [
  '\r\n',
  '\r',
  '\n',
  '\0',
  '\r\n\r\n',
  '"',
  '<',
  '>',
  ';',
  ',',
  ':',
  '@',
  '%',
  '%00',
  '|',
  '\\',
  '[',
  ']',
  '*',
  ' ',
  '\t',
  'sip:',
  'tag=',
  ';tag=',
  'z9hG4bK',
  '-1',
  '4294967296',
  '99999999999999999999',
  '\xff\xfe',
  '\u00e9',
  '__proto__: x\r\n',
  'constructor: x\r\n',
  'Content-Length: 5\r\n',
  'l: 0\r\n',
  'Via: SIP/2.0/UDP x\r\n',
  'Require: a\r\n',
  ' '.repeat(3000),
  '<'.repeat(3000),
  'a '.repeat(3000),
  ';x'.repeat(2000),
  '"\\'.repeat(2000),
  ','.repeat(3000),
  'X: y\r\n'.repeat(300),
  'Contact: <sip:a@b>\r\n',
  'Route: <sip:a@b>\r\n',
  'To: <sip:a@b>;tag=x\r\n',
  '\r\n folded',
  'BYE',
  'CANCEL',
  'ACK',
  'INVITE',
];

/** One to four changes of a text: bytes, cuts, junk, repetitions, lines that change places. */
export function mutate(text: string, random: () => number): string {
  let out = text;
  const pick = (n: number): number => Math.floor(random() * n);
  for (let i = 1 + pick(4); i > 0; i--) {
    const at = pick(out.length + 1);
    const length = pick(12);
    switch (pick(6)) {
      case 0:
        out = out.slice(0, at) + String.fromCharCode(pick(256)) + out.slice(at + 1);
        break;
      case 1:
        out = out.slice(0, at) + out.slice(at + length);
        break;
      case 2:
        out = out.slice(0, at) + (junk[pick(junk.length)] ?? '') + out.slice(at);
        break;
      case 3:
        out = out.slice(0, at) + out.slice(at, at + 10 * length) + out.slice(at);
        break;
      case 4:
        out = out.slice(0, at);
        break;
      default: {
        // Two lines change places.
        const lines = out.split('\r\n');
        const [a, b] = [pick(lines.length), pick(lines.length)];
        [lines[a], lines[b]] = [lines[b] ?? '', lines[a] ?? ''];
        out = lines.join('\r\n');
      }
    }
  }
  return out;
}
