import { Unusable } from './sdp-unusable.js';

/**
 * Real-time text in a session description (RFC 4103): what of it may pass. The node passes text streams on as they
 * are, whatever codecs it is told to strip (measured), so nothing but text may be named here, in offers neither.
 */

export type TextCodec = 't140' | 'red';

/** Payload types of a text stream and what they stand for. */
export type TextFormats = Readonly<Record<number, TextCodec>>;

/** One that carries what is typed, and perhaps one more that repeats it. */
const MAX_FORMATS = 2;
/** RFC 4103 section 4 asks for two repetitions; more than five are of no use to anybody. */
const textLine = /^m=text (\d{1,5}) (?:RTP\/S?AVP|UDP\/TLS\/RTP\/SAVP)((?: \d{1,3})+)$/;
const redundancy = /^(\d{1,3})((?:\/\d{1,3}){1,5})$/;
const rate = /^cps=\d{1,3}$/;

/** The lines of each media section as they are, its m= line first. */
const sectionsOf = (text: string): string[][] => {
  const sections: string[][] = [];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('m=')) sections.push([line]);
    else sections.at(-1)?.push(line);
  }
  return sections;
};

const refusedLine = /^m=[a-z]+ 0+ /;

/** Number of the section that holds text which is not refused, or null. */
export const textSection = (text: string): number | null => {
  const index = sectionsOf(text).findIndex(
    ([line = '']) => line.startsWith('m=text ') && !refusedLine.test(line),
  );
  return index < 0 ? null : index;
};

/** The same description with its text refused (RFC 3264 section 6), and nothing else changed. */
export const withoutText = (text: string): string => text.replace(/^m=text \d+(?= )/gm, 'm=text 0');

/** The line that refuses the stream of this m= line. */
const refusalOf = (line: string): string => {
  const found = /^m=([a-z]{1,20}) \d+(?:\/\d+)? ([A-Za-z/]{1,30}) ([A-Za-z0-9.-]{1,32})/.exec(line);
  return found === null ? 'm=text 0 RTP/AVP 0' : `m=${found[1]} 0 ${found[2]} ${found[3]}`;
};

/** The lines that refuse every stream of a description from this section on. */
const refusalsOf = (text: string, from: number): string[] =>
  sectionsOf(text)
    .slice(from)
    .map(([line = '']) => refusalOf(line));

/** How many streams a description speaks of, those it refuses too. */
export const streamsIn = (text: string): number => sectionsOf(text).length;

/** A text section taken as it was offered, with every format, at this port. */
const takenText = (section: readonly string[], port: number): string[] => {
  const formats = (textLine.exec(section[0] ?? '')?.[2] ?? '').trim();
  const known = new Set(formats.split(' '));
  const said = section.filter((line) => known.has(/^a=(?:rtpmap|fmtp):(\d{1,3}) /.exec(line)?.[1] ?? ''));
  return [`m=text ${port} RTP/AVP ${formats}`, ...said];
};

/**
 * An answer to every stream of an offer but the first: its text is taken at this port, all else refused. The offer must
 * have passed `checkStreams`.
 */
export const standIns = (offer: string, port: number): string[] => {
  const text = textSection(offer);
  return sectionsOf(offer).flatMap((section, index) => {
    if (index === 0) return [];
    return index === text ? takenText(section, port) : [refusalOf(section[0] ?? '')];
  });
};

/** A description with its text as another one of the same streams has it, and nothing else changed. */
export const withTextOf = (text: string, other: string): string => {
  const index = textSection(text);
  if (index === null) return text;
  const now = sectionsOf(other)[index];
  const taken = now !== undefined && textSection(other) === index;
  const sections = sectionsOf(text);
  const head = text.split(/\r?\n(?=m=)/, 1);
  sections[index] = taken ? now : [refusalOf(sections[index]?.[0] ?? '')];
  return [...head, ...sections.flat().filter((line) => line !== ''), ''].join('\r\n');
};

/**
 * A description that speaks of every stream the other one has: those it leaves out are refused. Where an answer says
 * nothing of a stream, the node passes on what anybody sends to its port (measured).
 */
export const completed = (text: string, other: string): string => {
  const missing = refusalsOf(other, streamsIn(text));
  if (missing.length === 0) return text;
  return [...text.split(/\r?\n/).filter((line) => line !== ''), ...missing, ''].join('\r\n');
};

/** An answer to all that its offer holds, and to no more: text that was not offered in that place is refused. */
export const answerTo = (offer: string, answer: string): string =>
  completed(textSection(offer) === textSection(answer) ? answer : withoutText(answer), offer);

const codecs: Readonly<Record<string, TextCodec>> = { 't140/1000': 't140', 'red/1000': 'red' };

/** What `a=rtpmap` or `a=fmtp` lines say of each payload type. Said twice, two parsers may choose differently. */
const saidOf = (section: readonly string[], kind: 'rtpmap' | 'fmtp'): Map<number, string> => {
  const said = new Map<number, string>();
  for (const line of section.filter((each) => each.startsWith(`a=${kind}:`))) {
    const [, payload = '', value = ''] = /^a=[a-z]+:(\d{1,3}) (\S+)$/.exec(line) ?? [];
    if (payload === '' || said.has(Number(payload))) throw new Unusable('sdp-malformed');
    said.set(Number(payload), value);
  }
  return said;
};

const checkParameters = (said: ReadonlyMap<number, string>, formats: TextFormats, t140: number): void => {
  for (const [payload, value] of said) {
    const codec = formats[payload];
    const repeats = redundancy.exec(value);
    const same = repeats !== null && value.split('/').every((part) => Number(part) === t140);
    const fine = codec === 'red' ? same : codec === 't140' && rate.test(value);
    if (!fine) throw new Unusable('codec-not-allowed');
  }
};

/**
 * The formats of the text section with this number. Throws Unusable for anything but T.140, plain and repeated, over
 * RTP at dynamic payload types. Whether it is protected as it must be is looked at before.
 */
export const readTextFormats = (text: string, index: number): TextFormats => {
  // Streams that share a port (RFC 9143) could not be told apart in a recording.
  if (/^a=(?:group|bundle-only)/m.test(text)) throw new Unusable('stream-not-allowed');
  const section = sectionsOf(text)[index] ?? [];
  const [, , list = ''] = textLine.exec(section[0] ?? '') ?? [];
  if (list === '') throw new Unusable('protocol-not-allowed');
  const payloads = list.trim().split(' ').map(Number);
  if (payloads.length > MAX_FORMATS || new Set(payloads).size !== payloads.length)
    throw new Unusable('codec-not-allowed');
  const maps = saidOf(section, 'rtpmap');
  const formats: { [payload: number]: TextCodec } = {};
  for (const payload of payloads) {
    const codec = codecs[(maps.get(payload) ?? '').toLowerCase()];
    if (codec === undefined || payload < 96 || payload > 127) throw new Unusable('codec-not-allowed');
    formats[payload] = codec;
  }
  const plain = payloads.filter((payload) => formats[payload] === 't140');
  const [t140] = plain;
  if (t140 === undefined || plain.length !== 1) throw new Unusable('codec-not-allowed');
  checkParameters(saidOf(section, 'fmtp'), formats, t140);
  return formats;
};
