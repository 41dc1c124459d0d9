import t from 'tap';
import { axeFaults, openConsoleSite, shot } from './console-site.js';

const house = await openConsoleSite(t);

t.test('signing in', async (t) => {
  const page = await house.open('operator');
  t.same(await axeFaults(page), []);
  await shot(page, 'first');
  const nobody = await house.visit({ scheme: 'dark' });
  await nobody.locator('h1').waitFor();
  await shot(nobody, 'sign-in');
  t.same(await axeFaults(nobody), []);
});
