import type { JSX } from 'preact';
import { PageFrame } from '../../ui/page.js';

const SystemPage = (): JSX.Element => <PageFrame title="System">{null}</PageFrame>;
export default SystemPage;
