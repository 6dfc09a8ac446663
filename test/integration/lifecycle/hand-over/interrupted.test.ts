import type { AtpAgent } from '@atproto/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyMember } from '../../../../lib/audit/verify.ts';
import type { Did } from '../../../../lib/brands.ts';
import { requestChange } from '../../../../lib/lifecycle/changes/request.ts';
import { backUpCredentials } from '../../../../lib/lifecycle/custody/backup.ts';
import { destroySecretsOfWhoLeft } from '../../../../lib/lifecycle/hand-over/destroy-secrets.ts';
import type { Destination } from '../../../../lib/lifecycle/recovery-key/words.ts';
import { getRepoStatus } from '../../../../lib/pds/client/accounts.ts';
import { didOfEndpoint } from '../../../../lib/pds/strangers.ts';
import { TIMES } from '../../../../lib/provisioning/times.ts';
import { mortal } from '../../provisioning/mortal.ts';
import { type Bench, identityOf, openBench } from '../../provisioning/stage.ts';
import { openTwoPds, type TwoPds } from '../../provisioning/two-pds.ts';
import { expectWorkingIdentity } from '../../provisioning/working-identity.ts';
import { type Desk, HOUR, openDesk } from './desk.ts';
import { type Leaver, loggedIn, newLeaver, openAccountAt } from './leaver.ts';

let two: TwoPds;
let bench: Bench;
let desk: Desk;
let leaver: Leaver;
let to: Destination;
beforeAll(async () => {
  two = await openTwoPds();
  bench = await openBench(two, { times: TIMES.local });
  desk = await openDesk(bench);
  leaver = await newLeaver(bench);
  await desk.listen(leaver);
  const { key } = await openAccountAt(two, leaver);
  to = { endpoint: two.remote.url, atprotoKey: key, handle: null, rotationKeys: [] };
});
afterAll(async () => {
  await desk.close();
  await bench.close();
  await two.close();
});

const NOTICE = 72 * HOUR;
const refusal = (code: string) => expect.objectContaining({ code });
/** Asked for, and its notice is over. */
async function due() {
  const { change_id } = await desk.handOver(leaver, to);
  await desk.pass(NOTICE);
  return change_id;
}
/** A PDS that answers this, to this method or to all. */
const strange = (answer: () => Promise<Response>, method = '') => ({
  ...desk.deps.strangers,
  fetch: ((...args: Parameters<typeof fetch>) =>
    String(args[0]).includes(`/xrpc/com.atproto.${method}`) ? answer() : fetch(...args)) as typeof fetch,
});
const gone = () => Promise.reject(new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } }));
const statusAt = async (endpoint: string) =>
  getRepoStatus({ fetch, endpoint, timeoutMs: 5_000, now: () => new Date() }, leaver.did);

describe('a PDS that a member names', () => {
  const LIES: [string, string, () => Promise<Response>][] = [
    [
      'goes by another DID',
      'TARGET_NOT_A_PDS',
      async () => Response.json({ did: didOfEndpoint(two.pds.url), availableUserDomains: [] }),
    ],
    ['shows HTML', 'TARGET_NOT_A_PDS', async () => new Response('<h1>Welcome</h1>')],
    [
      'redirects',
      'TARGET_NOT_A_PDS',
      async () => new Response('', { status: 302, headers: { location: two.remote.url } }),
    ],
    ['does not answer', 'TARGET_UNREACHABLE', gone],
  ];
  it.each(LIES)('and that %s is refused when he asks: %s', async (_, code, answer) => {
    const changes = { strangers: strange(answer) };
    await expect(desk.handOver(leaver, to, changes)).rejects.toEqual(refusal(code));
  });

  it('and where the account is ours is refused: his home, and one that he has moved away from', async () => {
    const home = { ...to, endpoint: two.pds.url };
    await expect(desk.handOver(leaver, home)).rejects.toEqual(refusal('TARGET_IS_OURS'));
    const { pnptv_uuid, data_key_id } = await identityOf(bench, leaver.userId);
    await desk.db`
      INSERT INTO pds_providers (id, endpoint) VALUES ('remote:before', ${to.endpoint})`;
    await desk.db`
      INSERT INTO pds_possible_orphans
        (user_id, pnptv_uuid, provider_id, pds_did, account_password_sealed, data_key_id, create_started_at)
      VALUES (${leaver.userId}, ${pnptv_uuid}, 'remote:before', ${leaver.did}, 'sealed', ${data_key_id}, now())`;
    await expect(desk.handOver(leaver, to)).rejects.toEqual(refusal('TARGET_IS_OURS'));
    await desk.db`DELETE FROM pds_possible_orphans`;
    await desk.db`DELETE FROM pds_providers WHERE id = 'remote:before'`;
  });

  it('and a handle of our domain that is not his are refused at once', async () => {
    const wrong = { ...to, handle: 'somebody-else.pnptv.test' };
    await expect(desk.handOver(leaver, wrong)).rejects.toEqual(
      expect.objectContaining({ code: 'TARGET_INVALID', fields: ['handle'] }),
    );
  });

  it('hears at once what he has not done yet: the account, and the handle of another domain, wherever that leads', async () => {
    const handle = 'bob.elsewhere.test';
    /** Where the handle's well-known path leads: over so many hosts to his DID. */
    const leading = (hops: number, scheme = 'https'): typeof fetch =>
      (async (input: Parameters<typeof fetch>[0], init?: RequestInit) => {
        const { hostname } = new URL(String(input));
        if (!hostname.endsWith('elsewhere.test')) return fetch(input, init);
        const [, hop = '0'] = /^hop-(\d+)/.exec(hostname) ?? [];
        if (Number(hop) === hops) return new Response(`${leaver.did}\n`);
        const location = `${scheme}://hop-${Number(hop) + 1}.elsewhere.test/.well-known/atproto-did`;
        return new Response('', { status: 302, headers: { location } });
      }) as typeof fetch;
    const { strangers } = desk.deps;
    const nobody = { ...strangers, resolveTxt: () => Promise.reject(new Error('ENOTFOUND')) };
    const none = strange(async () => Response.json({ error: 'RepoNotFound' }, { status: 400 }), 'sync.get');
    const wish = { ...to, handle };
    const asked = await desk.handOver(leaver, wish, { strangers: { ...nobody, fetch: none.fetch } });
    expect(asked.missing).toEqual(['ACCOUNT_NOT_THERE', 'HANDLE_NOT_YOURS']);
    for (const [fetch, missing] of [
      [leading(0), []],
      [leading(3), []],
      [leading(4), ['HANDLE_NOT_YOURS']],
      [leading(1, 'http'), ['HANDLE_NOT_YOURS']],
    ] as const)
      expect(await desk.handOver(leaver, wish, { strangers: { ...nobody, fetch } })).toEqual({
        ...asked,
        missing,
      });
    const txt = async () => [['did=', leaver.did]];
    const found = await desk.handOver(leaver, wish, { strangers: { ...nobody, resolveTxt: txt } });
    expect(found.missing).toEqual([]);
    // Somebody who has left before bears it, though it led to him once only.
    const other = await newLeaver(bench);
    await desk.db`UPDATE user_pds_mapping SET pds_handle = ${handle} WHERE user_id = ${other.userId}`;
    const stranger = { strangers: { ...nobody, resolveTxt: txt } };
    expect((await desk.handOver(leaver, wish, stranger)).missing).toEqual(['HANDLE_TAKEN']);
    await desk.pass(NOTICE);
    expect(await desk.work(leaver, stranger)).toBe('parked');
    expect(await desk.change(asked.change_id)).toMatchObject({ progress: { waits_for: 'HANDLE_TAKEN' } });
    await desk.cancel(leaver, asked.change_id);
  });

  it('is another one with a notice of his own, once the first is taken back', async () => {
    const first = await desk.handOver(leaver, to);
    await desk.pass(71 * HOUR);
    const other = { ...to, handle: leaver.handle };
    await expect(desk.handOver(leaver, other)).rejects.toEqual(refusal('CHANGE_IN_PROGRESS'));
    await desk.cancel(leaver, first.change_id);
    const second = await desk.handOver(leaver, other);
    expect(Date.parse(second.due_at) - desk.now().getTime()).toBeGreaterThan(71.9 * HOUR);
    expect(await desk.work(leaver)).toBe('waiting');
    await desk.cancel(leaver, second.change_id);
  });

  it('in a private network is refused where only the public internet is allowed', async () => {
    const strangers = { ...desk.deps.strangers, privateAllowed: false };
    const asked = desk.handOver(leaver, to, { strangers });
    await expect(asked).rejects.toMatchObject({ code: 'TARGET_INVALID', fields: ['endpoint'] });
  });

  it.each(LIES.slice(1))('and that %s when it is due is waited for', async (_, code, answer) => {
    const changeId = await due();
    expect(await desk.work(leaver, { strangers: strange(answer) })).toBe('parked');
    expect(await desk.change(changeId)).toMatchObject({ step: 'requested', progress: { waits_for: code } });
    expect((await desk.told(leaver)).at(-1)).toBe(`leaving waiting ${code}`);
    expect(await desk.cancel(leaver, changeId)).toEqual({ cancelled: true });
    expect((await desk.told(leaver)).at(-1)).toBe('leaving cancelled');
  });

  it('and that goes by another DID when it is due is not gone to: everything is as it was', async () => {
    const changeId = await due();
    const [[, , lie] = []] = LIES;
    expect(await desk.work(leaver, { strangers: strange(lie ?? gone) })).toBe('done');
    expect(await desk.change(changeId)).toMatchObject({ outcome: 'failed', error_code: 'TARGET_NOT_A_PDS' });
    await expectWorkingIdentity(two, bench, leaver.userId);
  });

  it('and that never has his account is given up after a week, of which he hears once a day', async () => {
    const changeId = await due();
    const strangers = strange(
      async () => Response.json({ error: 'RepoNotFound' }, { status: 400 }),
      'sync.getRepoStatus',
    );
    const before = (await desk.told(leaver)).length;
    for (let hours = 0; hours < 48; hours += 12) {
      expect(await desk.work(leaver, { strangers })).toBe('parked');
      expect(await desk.change(changeId)).toMatchObject({ progress: { waits_for: 'ACCOUNT_NOT_THERE' } });
      await desk.pass(12 * HOUR);
    }
    expect((await desk.told(leaver)).slice(before)).toEqual(
      Array.from({ length: 2 }, () => 'leaving waiting ACCOUNT_NOT_THERE'),
    );
    await desk.pass(6 * 24 * HOUR);
    expect(await desk.work(leaver, { strangers })).toBe('done');
    expect(await desk.change(changeId)).toMatchObject({ outcome: 'failed', error_code: 'ACCOUNT_NOT_THERE' });
    await expectWorkingIdentity(two, bench, leaver.userId);
  });
});

describe('a worker', () => {
  /** As if he had never left, for another try. */
  async function backAgain(old: AtpAgent, before: Awaited<ReturnType<typeof identityOf>>) {
    const {
      id: _,
      epoch: __,
      created_at: ___,
      updated_at: ____,
      ...columns
    } = before as never as object & {
      [name: string]: unknown;
    };
    await desk.db`
      UPDATE user_pds_mapping SET ${desk.db({ ...columns, lease_until: null } as never)}
      WHERE user_id = ${leaver.userId}`;
    await old.com.atproto.server.activateAccount();
  }

  it('that dies at any moment leaves it to the next one, and nothing is done twice', async () => {
    const before = await identityOf(bench, leaver.userId);
    const old = await loggedIn(two.pds.url, leaver);
    let moment = 0;
    for (let died = true; died; ) {
      moment += 1;
      const changeId = await due();
      const doomed = mortal(bench.deps, moment);
      const strangers = { ...bench.deps.strangers, fetch: doomed.deps.fetch };
      await desk.work(leaver, { ...doomed.deps, strangers }).catch(() => {});
      died = doomed.life.dead;
      for (let runs = 0; runs < 3 && (await desk.change(changeId)).outcome === null; runs += 1) {
        await desk.pass(HOUR);
        await desk.work(leaver);
      }
      expect(await desk.change(changeId), `moment ${moment}`).toMatchObject({ outcome: 'done' });
      const after = await identityOf(bench, leaver.userId);
      expect(after).toMatchObject({ status: 'revoked', pds_endpoint: to.endpoint, lease_until: null });
      expect(await statusAt(two.pds.url)).toMatchObject({ active: false });
      expect((await desk.told(leaver)).at(-1)).toBe('leaving left');
      if (died) await backAgain(old, before);
    }
    expect(moment).toBeGreaterThan(20);
    const handed = await desk.db`
      SELECT count(*)::int AS count FROM pds_provisioning_log
      WHERE user_id = ${leaver.userId} AND action = 'handed_over' AND status = 'success'`;
    expect([...handed]).toEqual([{ count: moment }]);
    expect(await verifyMember(bench.sql, before.pnptv_uuid)).toMatchObject({ intact: true });
  }, 120_000);

  it('is followed by nothing that is for who lives here', async () => {
    const { userId } = leaver;
    const of = ['active', 'revoked'] as const;
    for (const kind of ['rotate_keys', 'rename', 'revoke', 'come_back', 'move'] as const) {
      const asked = desk.deps.sql.begin((tx) =>
        requestChange(tx, { userId, kind, by: userId, of, now: desk.now() }),
      );
      await expect(asked, kind).rejects.toEqual(refusal('IDENTITY_NOT_READY'));
    }
    const { vault } = bench.deps;
    await expect(bench.sql.begin((tx) => backUpCredentials({ tx, vault }, userId, 'manual'))).rejects.toEqual(
      refusal('IDENTITY_NOT_READY'),
    );
  });

  it('destroys what we hold of him, and nothing before his 30 days are over', async () => {
    expect(await destroySecretsOfWhoLeft(bench.sql)).toBe(0);
    // What is left of a move of long ago, at a PDS that lets us delete nothing.
    const { pnptv_uuid, data_key_id } = await identityOf(bench, leaver.userId);
    await desk.db`INSERT INTO pds_providers (id, endpoint) VALUES ('remote:before', 'https://before.example')`;
    await desk.db`
      INSERT INTO pds_possible_orphans (user_id, pnptv_uuid, provider_id, pds_did, account_password_sealed, data_key_id,
        create_started_at, moved_at, state)
      VALUES (${leaver.userId}, ${pnptv_uuid}, 'remote:before', ${leaver.did}, 'sealed', ${data_key_id},
        now(), now(), 'deactivated')`;
    await desk.pass(31 * 24 * HOUR);
    expect(await destroySecretsOfWhoLeft(bench.sql)).toBe(1);
    expect(await destroySecretsOfWhoLeft(bench.sql)).toBe(0);
    expect(await identityOf(bench, leaver.userId)).toMatchObject({
      pds_private_key_encrypted: null,
      account_password_sealed: null,
      data_key_id: null,
      pds_did: leaver.did,
    });
    const backups = await desk.db`SELECT FROM pds_credential_backups WHERE user_id = ${leaver.userId}`;
    expect(backups.count).toBe(0);
    expect(await desk.db`SELECT FROM pds_possible_orphans WHERE user_id = ${leaver.userId}`).toHaveLength(0);
  });
});

describe('an old PDS', () => {
  it('that has died is asked for a day, then he leaves all the same, and operators are told', async () => {
    leaver = await newLeaver(bench);
    const { key } = await openAccountAt(two, leaver);
    to = { ...to, atprotoKey: key };
    const changeId = await due();
    const dead = ((...args: Parameters<typeof fetch>) =>
      String(args[0]).startsWith(two.pds.url) ? gone() : fetch(...args)) as typeof fetch;
    expect(await desk.work(leaver, { fetch: dead })).toBe('parked');
    expect(await desk.change(changeId)).toMatchObject({ step: 'closing_old_account', outcome: null });
    await desk.pass(25 * HOUR);
    expect(await desk.work(leaver, { fetch: dead })).toBe('done');
    expect(await desk.change(changeId)).toMatchObject({ outcome: 'done', progress: { left_open: true } });
    const notices = await desk.db`SELECT FROM operator_notices WHERE kind = 'account_left_open'`;
    expect(notices.count).toBe(1);
    expect((await identityOf(bench, leaver.userId)).pds_did).toBe(leaver.did as Did);
  });

  it('that loses its answer, or errs, is asked again; what may have closed the account cannot be taken back', async () => {
    leaver = await newLeaver(bench);
    const { key } = await openAccountAt(two, leaver);
    to = { ...to, atprotoKey: key };
    const changeId = await due();
    const closing = (answer: (send: () => Promise<Response>) => Promise<Response>) =>
      ((...args: Parameters<typeof fetch>) =>
        String(args[0]).endsWith('.deactivateAccount')
          ? answer(() => fetch(...args))
          : fetch(...args)) as typeof fetch;
    for (let times = 0; times < 5; times += 1) {
      const errs = closing(async () => Response.json({ error: 'InternalServerError' }, { status: 500 }));
      expect(await desk.work(leaver, { fetch: errs })).toBe('parked');
      await desk.pass(HOUR);
    }
    const lost = closing((send) => send().then(gone));
    expect(await desk.work(leaver, { fetch: lost })).toBe('parked');
    expect(await statusAt(two.pds.url)).toMatchObject({ active: false });
    await expect(desk.cancel(leaver, changeId)).rejects.toEqual(refusal('CHANGE_NOT_CANCELLABLE'));
    await desk.pass(HOUR);
    expect(await desk.work(leaver)).toBe('done');
    expect(await desk.change(changeId)).toMatchObject({ outcome: 'done' });
  });
});
