import type { JSX } from 'preact';
import type { PageProps } from '../../pages.js';
import { OneCallPage } from './call.js';
import { VerifyFilePage } from './evidence/verify-file.js';
import { CallList } from './list.js';
import './calls.css';

/** `/calls`, `/calls/verify` and `/calls/cabc…`. */
const CallsPage = ({ rest: [one] }: PageProps): JSX.Element => {
  if (one === undefined) return <CallList />;
  return one === 'verify' ? <VerifyFilePage /> : <OneCallPage key={one} callId={one} />;
};
export default CallsPage;
