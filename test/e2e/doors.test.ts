import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DOORS } from '../../infra/local/doors/index.ts';
import { demoTelegramId } from '../../infra/local/telegram.ts';
import { ask } from './ask.ts';
import { openPlatform, type RunningPlatform } from './running-platform.ts';

const ALICE = { id: demoTelegramId('alice'), first_name: 'Alice', username: 'alice' };

let running: RunningPlatform;
beforeAll(async () => {
  running = await openPlatform();
}, 300_000);
afterAll(() => running?.close());

describe('every door', () => {
  it('leads the same person to the same member, identity and row of work', async () => {
    const identities: unknown[] = [];
    for (const [name, enter] of Object.entries(DOORS)) {
      const { proof } = await enter(running.platform, ALICE);
      const credentials =
        'cookie' in proof
          ? { cookie: proof.cookie }
          : { headers: { authorization: `Bearer ${proof.bearer}` } };
      const { json } = await ask(running.platform, 'GET', '/api/auth/session', credentials);
      const { member, pds } = json.data;
      identities.push([name, member.id, member.username, pds.pnptv_uuid]);
    }
    const [row] = await running.sql<{ pnptv_uuid: string }[]>`SELECT pnptv_uuid FROM user_pds_mapping`;
    expect(identities).toEqual(
      Object.keys(DOORS).map((name) => [name, String(ALICE.id), 'alice', row?.pnptv_uuid]),
    );
    expect(await running.sql`SELECT FROM users`).toHaveLength(1);
    const work = await running.sql`SELECT action FROM pds_provisioning_queue WHERE action <> 'verify'`;
    expect(work).toEqual([{ action: 'create' }]);
  });

  it('lets one member in twice at the same time, though Telegram signs one login a second', async () => {
    const twice = [DOORS.widget, DOORS.widget].map((enter) => enter(running.platform, ALICE));
    const [first, second] = await Promise.all(twice);
    expect(first?.proof).not.toEqual(second?.proof);
  });

  it('of OpenID Connect sends back who says no', async () => {
    const begun = await ask(running.platform, 'GET', '/api/auth/telegram/start?return_to=/there');
    const dialog = await fetch(String(begun.headers.location));
    expect(await dialog.text()).toContain('Log in as…');
    const refused = await fetch(String(begun.headers.location), {
      ...{ method: 'POST', redirect: 'manual', body: new URLSearchParams({ cancel: 'yes' }) },
    });
    const back = new URL(refused.headers.get('location') ?? '');
    const cookie = begun.headers['set-cookie']?.[0]?.split(';', 1)[0];
    const { status, headers } = await ask(running.platform, 'GET', back.pathname + back.search, { cookie });
    expect([status, headers.location]).toEqual([302, '/there?login_error=LOGIN_REFUSED']);
  });
});
