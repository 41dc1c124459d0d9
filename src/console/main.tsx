import { render } from 'preact';
import { lookWhoIsIn } from './api/client.js';
import { sessionState } from './api/session.js';
import { watchPlace } from './app/place.js';
import { applySettings } from './app/settings.js';
import { Shell } from './app/shell.js';
import './style/tokens.css';
import './style/base.css';
import './style/parts.css';
import './style/shell.css';

applySettings();
watchPlace();
const root = document.getElementById('console');
if (root === null) throw new Error('there is no place for the console on this page');
render(<Shell />, root);
// Where the server does not answer, whoever signs in is told so there.
lookWhoIsIn().catch(() => sessionState.set({ state: 'nobody', ended: false }));
