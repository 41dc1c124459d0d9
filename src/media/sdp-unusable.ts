/** Details of `offer-unusable` and `answer-unusable`: stable, fit for a Warning header. */
export const sdpDetails = [
  'sdp-too-long',
  'sdp-malformed',
  'audio-missing',
  'audio-rejected',
  'stream-not-allowed',
  'protocol-not-allowed',
  'encryption-not-allowed',
  'encryption-required',
  'encryption-missing',
  'encryption-unsupported',
  'encryption-weak',
  'address-missing',
  'address-malformed',
  'address-not-allowed',
  'port-not-allowed',
  'codec-not-allowed',
  'offer-pending',
] as const;
export type SdpDetail = (typeof sdpDetails)[number];

/** Thrown while a description is looked through; what leaves `checkSdp` is a MediaError. */
export class Unusable extends Error {
  readonly detail: SdpDetail;
  constructor(detail: SdpDetail) {
    super(detail);
    this.detail = detail;
  }
}
