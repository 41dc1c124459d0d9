import type { JSX } from 'preact';
import { PageFrame } from '../../ui/page.js';

const WhyPage = (): JSX.Element => <PageFrame title="Why">{null}</PageFrame>;
export default WhyPage;
