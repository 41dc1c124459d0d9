import type { JSX } from 'preact';
import { PageFrame } from '../../ui/page.js';

const NowPage = (): JSX.Element => <PageFrame title="Now">{null}</PageFrame>;
export default NowPage;
