import type { JSX } from 'preact';
import { PageFrame } from '../../ui/page.js';

const LockdownPage = (): JSX.Element => <PageFrame title="Lockdown">{null}</PageFrame>;
export default LockdownPage;
