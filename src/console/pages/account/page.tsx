import type { JSX } from 'preact';
import { PageFrame } from '../../ui/page.js';

const AccountPage = (): JSX.Element => <PageFrame title="Account">{null}</PageFrame>;
export default AccountPage;
