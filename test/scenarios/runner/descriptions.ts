/** What sipp describes of itself unless a scenario says otherwise; [media_ip] and [rtpstream_audio_port] are filled in by sipp. */
const description = (name: string, id: number): string =>
  [
    'v=0',
    `o=- ${id} 1 IN IP4 [local_ip]`,
    `s=${name}`,
    'c=IN IP4 [media_ip]',
    't=0 0',
    'm=audio [rtpstream_audio_port] RTP/AVP 0 8 101',
    'a=rtpmap:0 PCMU/8000',
    'a=rtpmap:8 PCMA/8000',
    'a=rtpmap:101 telephone-event/8000',
    'a=fmtp:101 0-16',
    'a=ptime:20',
    'a=sendrecv',
    '',
  ].join('\n');

export const offer = description('caller-secret', 10_001);
export const answer = description('carrier-secret', 20_001);
