import { ensureValidHandle } from '@atproto/syntax';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isMemberLabel } from '../../lib/identity/handle.ts';
import { ask } from './ask.ts';
import { call, type IdentityInfo, logIn } from './member-journey.ts';
import { expectNoDoublesNorOrphans, expectWorkingIdentities } from './prove-members.ts';
import { newcomer, openPlatform, type RunningPlatform, untilActive } from './running-platform.ts';

const GENERATED = /^[a-z]+-[a-z]+-\d{4}$/;
/** Usernames, among them ones that Telegram would not give out, and which names may come of them. */
const USERNAMES: Record<string, [username: string | undefined, label: RegExp]> = {
  plain: ['Plain_Jane', /^plain-jane$/],
  taken: ['plain__jane', /^plain-jane-2$/],
  'taken twice': ['PLAIN_JANE_', /^plain-jane-3$/],
  reserved: ['admin', GENERATED],
  "reserved, a word of the protocol's": ['well_known', GENERATED],
  'too short': ['ab', GENERATED],
  'as long as Telegram allows': ['a_very_long_name_that_goes_on_32', /^a-very-long-name$/],
  'long without a word in it': ['x'.repeat(32), /^x{18}$/],
  'far too long': ['y'.repeat(255), /^y{18}$/],
  'underscores only': ['_____', GENERATED],
  'digits only': ['1234567', GENERATED],
  punycode: ['xn--e1afmkfd', /^xn-e1afmkfd$/],
  "with another alphabet's letter": ['аlice', GENERATED],
  'that tries to be a host': ['evil.example', GENERATED],
  empty: ['', GENERATED],
  absent: [undefined, GENERATED],
};
const KINDS = Object.keys(USERNAMES);

/** Everybody logs in while provisioning is switched off; then it is switched on, on the same data. */
describe('provisioning that is disabled at first', () => {
  let running: RunningPlatform;
  const cookies = new Map<string, string>();
  const ids = new Map<string, string>();

  beforeAll(async () => {
    running = await openPlatform({ settings: { PDS_PROVISIONING_ENABLED: 'false' } });
  });
  afterAll(() => running?.close());

  const infoOf = async (kind: string) => {
    const cookie = cookies.get(kind);
    if (cookie === undefined) throw new Error(`nobody with a username ${kind} has logged in`);
    return (await call<IdentityInfo>(running.platform, 'GET', '/api/pds/info', { cookie })).data;
  };

  it('lets everybody in, says that it is disabled, and makes nothing', async () => {
    for (const [kind, [username]] of Object.entries(USERNAMES)) {
      const user = newcomer(username);
      const { cookie, pds } = await logIn(running.platform, user);
      cookies.set(kind, cookie);
      ids.set(kind, String(user.id));
      expect(pds).toMatchObject({ status: 'disabled', pds_did: null, pds_handle: null, error: null });
    }
    const [cookie] = cookies.values();
    const retry = await ask(running.platform, 'POST', '/api/pds/retry-provision', { cookie });
    expect([retry.status, retry.json.data.status]).toEqual([200, 'disabled']);
    expect((await infoOf('plain')).status).toBe('disabled');
    const begun = await running.sql`
      SELECT FROM pds_provisioning_queue WHERE status <> 'pending' OR claims > 0 OR attempt_count > 0`;
    expect(begun).toHaveLength(0);
  });

  it('makes up for it once it is enabled: everybody gets a working identity', async () => {
    await running.restart({ settings: {} });
    await untilActive(running, { timeoutMs: 150_000 });
    await expectWorkingIdentities(running, [...ids.values()]);
    await expectNoDoublesNorOrphans(running);
  }, 300_000);

  it.each(KINDS)('gives a member whose username is %s a valid handle that resolves', async (kind) => {
    const { status, pds_handle: shown, pds_did: did } = await infoOf(kind);
    expect(status).toBe('active');
    const handle = shown?.slice(1) ?? '';
    expect(shown).toBe(`@${handle}`);
    ensureValidHandle(handle);
    const [label = '', ...domain] = handle.split('.');
    expect(domain.join('.')).toBe(running.platform.domain);
    expect(isMemberLabel(label)).toBe(true);
    // Who asks first among those with one name is chance: any of them may have the plain one.
    const expected =
      kind === 'plain' || kind.startsWith('taken') ? /^plain-jane(-[23])?$/ : USERNAMES[kind]?.[1];
    expect(label).toMatch(expected ?? /^$/);
    const resolved = await ask(running.platform, 'GET', '/.well-known/atproto-did', { host: handle });
    expect([resolved.status, resolved.text]).toEqual([200, did]);
  });

  it('gives no two members one handle', async () => {
    const handles = await Promise.all(KINDS.map(async (kind) => (await infoOf(kind)).pds_handle));
    expect(new Set(handles).size).toBe(KINDS.length);
  });
});
