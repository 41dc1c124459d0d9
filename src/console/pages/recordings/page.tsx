import type { JSX } from 'preact';
import type { PageProps } from '../../pages.js';
import { RecordingList } from './list.js';
import { OneRecording } from './recording.js';
import './recordings.css';

/** `/recordings` and `/recordings/cabc…`. */
const RecordingsPage = ({ rest: [one] }: PageProps): JSX.Element =>
  one === undefined ? <RecordingList /> : <OneRecording key={one} callId={one} />;
export default RecordingsPage;
