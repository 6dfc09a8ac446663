import { AtpAgent } from '@atproto/api';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { verifyMember } from '../../../../lib/audit/verify.ts';
import { welcome } from '../../../../lib/auth/login/log-in.ts';
import { findIdentity } from '../../../../lib/pds/info.ts';
import { type Bench, identityOf, openBench } from '../../provisioning/stage.ts';
import { openTwoPds, type TwoPds } from '../../provisioning/two-pds.ts';
import { type Desk, HOUR, openDesk } from './desk.ts';
import { loggedIn, newLeaver, openAccountAt, seenByTheWorld, verifiedRecords, write } from './leaver.ts';

let two: TwoPds;
let bench: Bench;
let desk: Desk;
beforeAll(async () => {
  two = await openTwoPds();
  bench = await openBench(two);
  desk = await openDesk(bench);
});
afterAll(async () => {
  await desk.close();
  await bench.close();
  await two.close();
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

  const to = { endpoint: two.remote.url, atprotoKey: key, handle: null };
  const { change_id, due_at } = await desk.handOver(leaver, to);
  expect(Date.parse(due_at) - desk.now().getTime()).toBeGreaterThan(71 * HOUR);
  expect(await desk.handOver(leaver, to)).toEqual({ change_id, due_at });
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
  const there = new AtpAgent({ service: seen.pds });
  const image = await there.com.atproto.sync.getBlob({ did, cid: blob.ref.toString() });
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
  await expect(desk.handOver(leaver, { ...to, handle: 'bob.pnptv.test' })).resolves.toBeDefined();
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
});
