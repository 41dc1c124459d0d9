import t from 'tap';
import { numbers, openSite } from '../site/site.js';
import { promptsHeard } from '../site/spoken.js';

t.test('a monitored call is announced, accepted with a key, recorded and told', async (t) => {
  const site = await openSite(t, { conversation: 'here' });
  const call = await site.call(numbers.allowed.slice(1));
  await call.answered();
  const other = await site.called.incomingCall({});
  const asking = await site.event('call-phase', (event) => event.phase === 'asking');
  t.ok(asking);
  await new Promise((resolve) => setTimeout(resolve, 20_000));
  await other.audio.pressKeys('1');
  await site.event('call-phase', (event) => event.phase === 'connected');
  await call.audio.untilHears(1000, { forMs: 300 });
  await other.audio.untilHears(440, { forMs: 300 });
  await call.hangUp();
  await site.ended(1);
  t.same(promptsHeard(other), []);
  t.same(promptsHeard(call), []);
  const cdr = await site.cdr(site.callIds()[0] ?? '');
  console.error(JSON.stringify(cdr, null, 1));
  console.error(
    site.events
      .filter((e) => e.event !== 'ng-command' && e.event !== 'journal-append')
      .map((e) => JSON.stringify(e))
      .join('\n'),
  );
});
