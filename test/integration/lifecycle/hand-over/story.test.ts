import { AtpAgent } from '@atproto/api';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Plc, startPlc } from '../../../../infra/local/atproto/plc.ts';
import { verifyMember } from '../../../../lib/audit/verify.ts';
import { welcome } from '../../../../lib/auth/login/log-in.ts';
import { findIdentity } from '../../../../lib/pds/info.ts';
import { readPlcLog } from '../../../../lib/pds/plc/read-log.ts';
import { TIMES } from '../../../../lib/provisioning/times.ts';
import { k256, plc as reference } from '../../../unit/identity/plc/judge.ts';
import { type Bench, identityOf, openBench } from '../../provisioning/stage.ts';
import { openTwoPds, type TwoPds } from '../../provisioning/two-pds.ts';
import { type Desk, HOUR, openDesk } from './desk.ts';
import {
  loggedIn,
  newLeaver,
  newRecoveryKey,
  openAccountAt,
  seenByTheWorld,
  verifiedRecords,
  write,
} from './leaver.ts';

let plc: Plc;
let plcUrl: string;
let two: TwoPds;
let bench: Bench;
let desk: Desk;
beforeAll(async () => {
  plc = await startPlc();
  plcUrl = plc.url.replace('127.0.0.1', 'localhost'); // a PDS resolves no DID at an IP address
  two = await openTwoPds({ plcUrl });
  bench = await openBench(two, { times: TIMES.local });
  desk = await openDesk(bench);
});
afterAll(async () => {
  await desk.close();
  await bench.close();
  await two.close();
  await plc.stop();
});

it('a member leaves for a PDS of his own choice, with everything, and changes what he named later', async () => {
  const leaver = await newLeaver(bench);
  const { did, handle, userId } = leaver;
  await desk.listen(leaver);
  const old = await loggedIn(two.pds.url, leaver);
  const { blob } = (await old.uploadBlob(new Uint8Array([137, 80, 78, 71]), { encoding: 'image/png' })).data;
  for (const text of ['one', 'two']) await write(old, did, { text });
  const embed = { $type: 'app.bsky.embed.images', images: [{ image: blob, alt: '' }] };
  await write(old, did, { text: 'three', embed });

  // He moves his data himself: README, "Leaving for any PDS".
  const { agent, key } = await openAccountAt(two, leaver);
  const car = await old.com.atproto.sync.getRepo({ did });
  await agent.com.atproto.repo.importRepo(car.data, { encoding: 'application/vnd.ipld.car' });
  for (const { cid } of (await agent.com.atproto.repo.listMissingBlobs()).data.blobs) {
    const found = await old.com.atproto.sync.getBlob({ did, cid });
    await agent.uploadBlob(found.data, { encoding: found.headers['content-type'] ?? '' });
  }
  expect((await agent.com.atproto.repo.listMissingBlobs()).data.blobs).toEqual([]);

  const to = { endpoint: two.remote.url, atprotoKey: key, handle: null, rotationKeys: [] };
  const { change_id, due_at } = await desk.handOver(leaver, to);
  expect(Date.parse(due_at) - desk.now().getTime()).toBeGreaterThan(71 * HOUR);
  expect(await desk.handOver(leaver, to)).toEqual({ change_id, due_at, missing: [] });
  expect(await desk.work(leaver)).toBe('waiting');
  await desk.pass(48 * HOUR);
  expect(await desk.work(leaver)).toBe('parked');
  expect(await desk.work(leaver)).toBe('waiting');
  await write(old, did, { text: 'until the last moment' });
  await desk.pass(24 * HOUR);
  expect(await desk.work(leaver)).toBe('done');
  expect(await desk.change(change_id)).toMatchObject({ outcome: 'done', step: 'old_account_closed' });
  expect(await desk.told(leaver)).toEqual(['leaving requested', 'leaving tomorrow', 'leaving left']);

  // Never two that take writes.
  await expect(write(old, did, { text: 'too late' })).rejects.toThrow(/deactivated/i);
  await agent.com.atproto.server.activateAccount();
  await write(agent, did, { text: 'here now' });
  const seen = await seenByTheWorld(bench, two, did);
  expect(seen).toEqual({ pds: two.remote.url, signingKey: key, handle, resolvedHandle: did });
  expect(await verifiedRecords(seen, did)).toBe(4);
  const image = await new AtpAgent({ service: seen.pds }).com.atproto.sync.getBlob({
    did,
    cid: blob.ref.toString(),
  });
  expect(image.data).toEqual(new Uint8Array([137, 80, 78, 71]));

  // He is gone here, and says so; nothing makes him a second identity.
  const identity = await identityOf(bench, userId);
  expect(identity).toMatchObject({ status: 'revoked', pds_refresh_token: null, lease_until: null });
  expect(await findIdentity({ sql: bench.sql, provisioningEnabled: true }, userId)).toMatchObject({
    status: 'revoked',
    pds_did: did,
    pds_endpoint: two.remote.url,
    left_at: expect.any(String),
  });
  const login = { adminIds: [], provisioningEnabled: true };
  const profile = { id: Number(userId), first_name: 'Alice' };
  const { queued } = await desk.deps.sql.begin((tx) => welcome(tx, login, profile));
  expect(queued).toBeUndefined();

  // Later he names another key and handle, with the same notice; the old account is not asked again.
  await expect(desk.handOver(leaver, { ...to, handle: 'bob.elsewhere.test' })).resolves.toBeDefined();
  await desk.pass(72 * HOUR);
  expect(await desk.work(leaver)).toBe('parked');
  expect(await desk.told(leaver)).toContain('leaving waiting HANDLE_NOT_YOURS');
  await desk.pass(8 * 24 * HOUR);
  expect(await desk.work(leaver)).toBe('done');
  expect(await desk.told(leaver)).toContain('leaving failed HANDLE_NOT_YOURS');
  expect(await seenByTheWorld(bench, two, did)).toEqual(seen);
  await desk.handOver(leaver, { ...to, handle });
  await desk.pass(72 * HOUR);
  expect(await desk.work(leaver)).toBe('done');
  expect(await seenByTheWorld(bench, two, did)).toEqual(seen);
  expect(await verifyMember(bench.sql, identity.pnptv_uuid)).toMatchObject({ intact: true });

  // Back to the PDS that he has left, by the account that he has there: it is his own now.
  await agent.com.atproto.server.deactivateAccount({});
  const there = (await old.com.atproto.identity.getRecommendedDidCredentials()).data.verificationMethods;
  const back = { ...to, endpoint: two.pds.url, atprotoKey: String((there as { atproto: string }).atproto) };
  expect((await desk.handOver(leaver, back)).missing).toEqual([]);
  await desk.pass(72 * HOUR);
  expect(await desk.work(leaver)).toBe('done');
  await old.com.atproto.server.activateAccount();
  await write(old, did, { text: 'home again' });
  const home = await seenByTheWorld(bench, two, did);
  expect(home).toMatchObject({ pds: two.pds.url, resolvedHandle: did });
  expect(await verifiedRecords(home, did)).toBe(5);
  await desk.deleteNow(leaver);
  expect((await old.com.atproto.sync.getRepoStatus({ did })).data.active).toBe(true);
});

it('with a did:plc by one operation, whatever the directory does, or by his own; and lives on when he is deleted here', async () => {
  const { naming } = bench.deps;
  bench.deps.naming = { ...naming, didMethod: 'plc' };
  const leaver = await newLeaver(bench);
  bench.deps.naming = naming;
  const { did, userId } = leaver;
  const log = () => readPlcLog({ fetch, plcUrl }, did);
  const operations = async () => (await new reference.Client(plcUrl).getOperationLog(did)).length;
  const { agent, key, rotationKeys } = await openAccountAt(two, leaver);
  const to = { endpoint: two.remote.url, atprotoKey: key, handle: null, rotationKeys };
  const { change_id } = await desk.handOver(leaver, to);
  await desk.pass(72 * HOUR);

  /** A directory that does this when an operation is handed in. */
  const via = (submit: (send: () => Promise<Response>) => Promise<Response>, down = false) => ({
    fetch: ((...[input, init]: Parameters<typeof fetch>) => {
      const send = () => fetch(input, { ...init, signal: null });
      const isPlc = String(input).startsWith(plcUrl);
      if (isPlc && down) return Promise.reject(new TypeError('fetch failed'));
      return isPlc && init?.method === 'POST' ? submit(send) : send();
    }) as typeof fetch,
  });
  const refuse = async () =>
    Response.json({ message: 'Too many operations within last hour' }, { status: 400 });
  const loseAnswer = (send: () => Promise<Response>) =>
    send().then(() => Promise.reject(new TypeError('fetch failed')));
  const before = await operations();
  expect(await desk.work(leaver, via(refuse, true))).toBe('parked');
  expect(await desk.change(change_id)).toMatchObject({ step: 'requested' });
  for (const trouble of [refuse, loseAnswer]) {
    await desk.pass(2 * HOUR);
    expect(await desk.work(leaver, via(trouble))).toBe('parked');
    expect(await desk.change(change_id)).toMatchObject({ step: 'old_account_closed', outcome: null });
  }
  await desk.pass(2 * HOUR);
  expect(await desk.work(leaver)).toBe('done');
  expect(await operations()).toBe(before + 1);
  const ours = `did:key:${(await identityOf(bench, userId)).rotation_public_key}`;
  expect((await log()).data?.rotationKeys).toEqual([ours, ...rotationKeys]);
  await agent.com.atproto.server.activateAccount();
  await write(agent, did, { text: 'here now' });
  const seen = await seenByTheWorld(bench, two, did);
  expect(seen).toMatchObject({ pds: two.remote.url, signingKey: key, resolvedHandle: did });
  expect(await verifiedRecords(seen, did)).toBe(1);

  // With a key of his own above ours he signs himself; ours then only follows.
  const own = await k256();
  const mine = { did: own.did(), sign: async (text: string) => base64url(await own.sign(Buffer.from(text))) };
  expect(await desk.setKey(leaver, mine)).toMatchObject({ changed: true, recovery_key: mine.did });
  const next = (await newRecoveryKey()).did;
  await new reference.Client(plcUrl).updateAtprotoKey(did, own as never, next);
  const asked = await desk.recover(leaver, mine, { ...to, atprotoKey: next });
  await expect(desk.cancel(leaver, asked.change_id)).rejects.toMatchObject({
    code: 'CHANGE_OF_RECOVERY_KEY',
  });
  await desk.pass(72 * HOUR);
  const signed = await operations();
  expect(await desk.work(leaver)).toBe('done');
  expect(await operations()).toBe(signed);

  await desk.deleteNow(leaver);
  expect((await log()).data).toMatchObject({
    rotationKeys: [mine.did, ...rotationKeys],
    services: { atproto_pds: { endpoint: two.remote.url } },
  });
  expect((await agent.com.atproto.sync.getRepoStatus({ did })).data.active).toBe(true);
  expect(await identityOf(bench, userId)).toBeUndefined();
});

const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');
