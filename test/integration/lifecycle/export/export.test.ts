import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyArchive } from '../../../../infra/local/export-verify/verify-archive.ts';
import { openDownload } from '../../../../lib/lifecycle/export/download.ts';
import { removeExpiredExport, removeRemains } from '../../../../lib/lifecycle/export/remove-expired.ts';
import { requestExport } from '../../../../lib/lifecycle/export/request.ts';
import { createVault } from '../../../../lib/vault/vault.ts';
import { faultyNetwork } from '../../provisioning/faulty.ts';
import { identityOf, openStage, rowOf, type Stage } from '../../provisioning/stage.ts';
import { opened } from '../../provisioning/working-identity.ts';
import { anyHolds, type ExportBench, openExportBench } from './export-bench.ts';
import { untar } from './untar.ts';

let stage: Stage;
let bench: ExportBench;
beforeAll(async () => {
  stage = await openStage();
  bench = await openExportBench(stage);
});
afterAll(async () => {
  await bench.close();
  await stage.close();
});

const exported = async (userId: string, contents: 'data' | 'data_and_keys' = 'data') => {
  const { exportId, queued, keysCode } = await bench.request(userId, contents);
  await bench.finish(queued ?? '');
  return { exportId, keysCode, file: await bench.fileOf(exportId) };
};
const rowOfExport = async (exportId: number) => {
  const [row] = await bench.db`SELECT * FROM pds_exports WHERE id = ${exportId}`;
  return row;
};
/** What the bot was given to tell him of his exports, oldest first. */
const told = async (userId: string) => {
  const rows = await bench.db<{ details: object }[]>`
    SELECT details FROM telegram_messages WHERE user_id = ${userId} AND kind = 'export' ORDER BY id`;
  return rows.map(({ details }) => details);
};
const fromPds = async (did: string | null, nsid: string, more = '') =>
  Buffer.from(await (await fetch(`${stage.pds.url}/xrpc/${nsid}?did=${did}${more}`)).arrayBuffer());

describe('an export', () => {
  it('holds what the PDS has, byte for byte, and every tar reads it', async () => {
    const userId = await bench.member();
    const posts = [
      await bench.post(userId),
      await bench.post(userId, 9_000_000),
      await bench.post(userId, 1),
    ];
    const preferences = [{ $type: 'app.bsky.actor.defs#adultContentPref', enabled: false }];
    const { exportId, queued = '' } = await bench.request(userId);
    // A PDS without an AppView keeps none: this one has one.
    const network = faultyNetwork(({ nsid }) =>
      nsid.endsWith('getPreferences') ? Promise.resolve(Response.json({ preferences })) : undefined,
    );
    await bench.finish(queued, { fetch: network.fetch });
    const file = await bench.fileOf(exportId);
    const folder = mkdtempSync(path.join(os.tmpdir(), 'untar-'));
    const files = untar(file, folder);
    const { pds_did, pds_handle, pnptv_uuid } = await identityOf(bench.bench, userId);
    expect(files['repo.car']).toEqual(await fromPds(pds_did, 'com.atproto.sync.getRepo'));
    for (const { cid, bytes } of posts) {
      expect(files[`blobs/${cid}`]?.equals(bytes)).toBe(true);
      expect((await fromPds(pds_did, 'com.atproto.sync.getBlob', `&cid=${cid}`)).equals(bytes)).toBe(true);
    }
    expect(JSON.parse(String(files['did.json']))).toMatchObject({ id: pds_did });
    expect(JSON.parse(String(files['account.json']))).toMatchObject({
      did: pds_did,
      handle: pds_handle,
      pnptv_uuid,
    });
    expect(JSON.parse(String(files['preferences.json']))).toEqual({ preferences });
    expect(String(files['README.txt'])).toContain(pds_did);
    expect(await verifyArchive(file)).toMatchObject({
      repository: { records: 3, blobs: 3 },
      manifest: { missing_blobs: [] },
    });
    expect(await rowOfExport(exportId)).toMatchObject({ outcome: 'ready', keys_jwe: null });
    const until = (await rowOfExport(exportId))?.expires_at.toISOString();
    expect(await told(userId)).toEqual([
      { event: 'ready', bytes: readFileSync(file).length, until, without_repository: false },
    ]);
    const log = await bench.db`
      SELECT status FROM pds_provisioning_log WHERE user_id = ${userId} AND action = 'exported' ORDER BY seq`;
    expect(log.map(({ status }) => status)).toEqual(['pending', 'success']);
    // Nothing is left of its making.
    const { storage_id } = (await rowOfExport(exportId)) ?? {};
    expect(bench.files().filter((name) => name.includes(storage_id) || name.includes('.uploads'))).toEqual([
      file,
    ]);
    rmSync(folder, { recursive: true });
  });

  it('holds keys only if they were asked for, for nobody to read but who was shown the code', async () => {
    const userId = await bench.member();
    const identity = await identityOf(bench.bench, userId);
    const password = await opened(bench.bench, identity, 'account_password_sealed');
    const bare = await exported(userId);
    expect(bare.keysCode).toBeNull();
    await expect(verifyArchive(bare.file, { code: 'abc' })).rejects.toMatchObject({ entry: 'keys.jwe' });
    const { file, keysCode } = await exported(userId, 'data_and_keys');
    const { keys } = await verifyArchive(file, { code: keysCode?.toUpperCase().replaceAll('-', ' ') });
    expect(keys).toMatchObject({
      account: { password },
      member_key: { public_key_multibase: identity.pds_public_key },
    });
    await expect(verifyArchive(file, { code: 'aaaaa-aaaaa' })).rejects.toMatchObject({ entry: 'keys.jwe' });
    const secrets = [
      password,
      keys?.member_key.private_key ?? '',
      keysCode ?? '',
      keysCode?.replaceAll('-', '') ?? '',
    ];
    const rows = JSON.stringify(
      await bench.db`SELECT e.*, q.* FROM pds_exports e JOIN pds_provisioning_queue q USING (user_id)`,
    );
    for (const secret of secrets) {
      expect(secret.length).toBeGreaterThan(20);
      expect(anyHolds(bench.files(), secret)).toBe(false);
      expect(rows).not.toContain(secret);
    }
    const noted = await bench.db`
      SELECT status FROM pds_provisioning_log WHERE user_id = ${userId} AND action = 'credentials_revealed' ORDER BY seq`;
    expect(noted.map(({ status }) => status)).toEqual(['pending', 'success']);
  });

  it('fails, and says why, when the keys in it were replaced meanwhile', async () => {
    const userId = await bench.member();
    const { exportId, queued } = await bench.request(userId, 'data_and_keys');
    await bench.db`UPDATE pds_exports SET credential_version = 0 WHERE id = ${exportId}`;
    await bench.run(queued ?? '');
    expect(await rowOfExport(exportId)).toMatchObject({
      outcome: 'failed',
      error_code: 'EXPORT_KEYS_REPLACED',
      keys_jwe: null,
    });
    expect(await told(userId)).toEqual([
      { event: 'failed', error: { code: 'EXPORT_KEYS_REPLACED', message: expect.any(String) } },
    ]);
    expect((await bench.request(userId)).exportId).not.toBe(exportId);
  });

  it('is not begun with keys that are not those of its identity any more when they are encrypted', async () => {
    const userId = await bench.member();
    const { vault } = bench.api;
    // Nobody else may give him another identity, but a join does, and a restore gives him other keys.
    const wrapper = {
      ...bench.bench.deps.vault.wrapper,
      unwrap: async (...[wrapped, context]: Parameters<typeof vault.wrapper.unwrap>) => {
        await bench.db`UPDATE user_pds_mapping SET pnptv_uuid = gen_random_uuid() WHERE user_id = ${userId}`;
        return vault.wrapper.unwrap(wrapped, context);
      },
    };
    const slow = createVault({ sql: bench.api.sql, wrapper, environment: vault.environment });
    const need = await bench.stepUp(userId, 'data_and_keys');
    await expect(requestExport({ ...bench.api, vault: slow }, need, 'data_and_keys')).rejects.toMatchObject({
      code: 'IDENTITY_NOT_READY',
    });
    expect(await bench.db`SELECT FROM pds_exports WHERE user_id = ${userId}`).toHaveLength(0);
  });

  it('is there once, however often it is asked for, and needs the second factor each time', async () => {
    const userId = await bench.member();
    const first = await bench.request(userId);
    expect(await bench.request(userId)).toMatchObject({ exportId: first.exportId, queued: undefined });
    await expect(bench.request(userId, 'data_and_keys')).rejects.toMatchObject({
      code: 'EXPORT_IN_PROGRESS',
    });
    await bench.db`UPDATE step_ups SET used_at = now() WHERE user_id = ${userId}`;
    const used = { ...(await bench.stepUp(userId, 'data')), target: 'data_and_keys' };
    await expect(requestExport(bench.api, used, 'data_and_keys')).rejects.toMatchObject({
      code: 'STEP_UP_REQUIRED',
    });
  });

  it('is begun again by who asks again, after its work was given up', async () => {
    const userId = await bench.member();
    const { exportId, queued } = await bench.request(userId);
    await bench.db`UPDATE pds_provisioning_queue SET status = 'failed', error_details = '{"code": "X", "message": "why"}' WHERE id = ${queued ?? ''}`;
    const again = await bench.request(userId);
    expect(again.exportId).toBe(exportId);
    expect(again.queued).not.toBe(queued);
    await bench.finish(again.queued ?? '');
    expect(await rowOfExport(exportId)).toMatchObject({ outcome: 'ready' });
  });

  it('does not begin anew for ever where the storage keeps nothing of it', async () => {
    const userId = await bench.member();
    const { exportId, queued = '' } = await bench.request(userId);
    const results: string[] = [];
    for (let round = 0; round < 6; round += 1) {
      await bench.db`
        UPDATE pds_exports SET step = 'blobs', upload_id = 'gone', tail = gen_random_uuid() WHERE id = ${exportId}`;
      await bench.db`UPDATE pds_provisioning_queue SET next_retry = now() WHERE id = ${queued}`;
      results.push(await bench.run(queued));
    }
    expect(results).toEqual(['parked', 'parked', 'parked', 'again', 'again', 'failed']);
    expect(await told(userId)).toEqual([
      { event: 'failed', error: { code: 'STORAGE_UNAVAILABLE', message: expect.any(String) } },
    ]);
    // Repaired and begun again it comes to its end.
    await bench.finish((await bench.request(userId)).queued ?? '');
    expect(await rowOfExport(exportId)).toMatchObject({ outcome: 'ready' });
  });

  it('has no keys while its member moves into another account: he may come home from there', async () => {
    const userId = await bench.member();
    await bench.db`
      INSERT INTO pds_changes (user_id, pnptv_uuid, kind, step, requested_by)
      SELECT user_id, pnptv_uuid, 'move', 'published', user_id FROM user_pds_mapping WHERE user_id = ${userId}`;
    await expect(bench.request(userId, 'data_and_keys')).rejects.toMatchObject({
      code: 'CHANGE_IN_PROGRESS',
    });
    expect((await bench.request(userId)).keysCode).toBeNull();
  });

  it('is refused to who has no identity yet', async () => {
    const { userId } = await bench.bench.member();
    await expect(bench.request(userId)).rejects.toMatchObject({ code: 'IDENTITY_NOT_READY' });
    await expect(bench.request(userId, 'data_and_keys')).rejects.toMatchObject({
      code: 'IDENTITY_NOT_READY',
    });
  });
});

describe('a download', () => {
  it('comes in pieces that are the whole, from a URL that is nobody else’s and ends', async () => {
    const userId = await bench.member();
    await bench.post(userId, 100_000);
    const { exportId, file } = await exported(userId);
    const { url, size, fileName } = await openDownload(bench.api, { userId, exportId });
    const bytes = readFileSync(file);
    expect(size).toBe(bytes.length);
    const middle = 70_001;
    const pieces = await Promise.all(
      [`bytes=0-${middle - 1}`, `bytes=${middle}-`].map(async (range) => {
        const response = await fetch(url, { headers: { range } });
        expect(response.status).toBe(206);
        expect(response.headers.get('content-disposition')).toContain(fileName);
        return Buffer.from(await response.arrayBuffer());
      }),
    );
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
    const statusOf = async (other: string, method = 'GET') => (await fetch(other, { method })).status;
    expect(await statusOf(url.split('?')[0] ?? '')).toBe(403);
    expect(await statusOf(url, 'DELETE')).toBe(403);
    const other = await exported(await bench.member());
    const [theirs] = await bench.db`SELECT storage_id FROM pds_exports WHERE id = ${other.exportId}`;
    const [mine] = await bench.db`SELECT storage_id FROM pds_exports WHERE id = ${exportId}`;
    expect(await statusOf(url.replace(mine?.storage_id, theirs?.storage_id))).toBe(403);
    const longAgo = { ...bench.api, now: () => new Date(Date.now() - 11 * 60_000) };
    expect(await statusOf((await openDownload(longAgo, { userId, exportId })).url)).toBe(403);
  });

  it('is for its owner, and when it is ready', async () => {
    const userId = await bench.member();
    const { exportId } = await bench.request(userId);
    await expect(openDownload(bench.api, { userId, exportId })).rejects.toMatchObject({
      code: 'EXPORT_NOT_READY',
    });
    await expect(openDownload(bench.api, { userId: '1', exportId })).rejects.toMatchObject({
      code: 'EXPORT_NOT_FOUND',
    });
  });

  it('ends after seven days: object, unfinished upload and row are gone', async () => {
    const userId = await bench.member();
    const ready = await exported(userId);
    const { exportId, queued } = await bench.request(userId);
    const network = faultyNetwork(({ nsid }) =>
      nsid === 'com.atproto.sync.getRepo' ? Promise.reject(new TypeError('fetch failed')) : undefined,
    );
    expect(await bench.run(queued ?? '', { fetch: network.fetch })).toBe('parked');
    const { storage_id } = (await rowOfExport(exportId)) ?? {};
    expect(
      anyHolds(
        bench.files().filter((name) => name.includes('.uploads')),
        storage_id,
      ),
    ).toBe(true);
    await bench.db`UPDATE pds_exports SET expires_at = now() - interval '1 second' WHERE user_id = ${userId}`;
    await expect(openDownload(bench.api, { userId, exportId: ready.exportId })).rejects.toMatchObject({
      code: 'EXPORT_NOT_FOUND',
    });
    const { sql } = bench.bench;
    for (const count of [1, 1, 0]) expect(await removeExpiredExport(sql)).toBe(count);
    for (const count of [1, 1, 0]) expect(await removeRemains(sql, bench.storage)).toBe(count);
    expect(await bench.db`SELECT id FROM pds_exports WHERE user_id = ${userId}`).toEqual([]);
    expect((await told(userId)).slice(1)).toEqual(
      expect.arrayContaining([
        { event: 'expired' },
        { event: 'failed', error: { code: 'EXPORT_NEVER_DONE', message: expect.any(String) } },
      ]),
    );
    expect(bench.files().filter((name) => name === ready.file || name.includes(storage_id))).toEqual([]);
    expect(
      anyHolds(
        bench.files().filter((name) => name.includes('.uploads')),
        storage_id,
      ),
    ).toBe(false);
    // A worker that comes then finds nothing to do.
    await bench.db`UPDATE pds_provisioning_queue SET next_retry = now() WHERE id = ${queued ?? ''}`;
    expect(await bench.run(queued ?? '')).toBe('done');
    expect(await rowOf(bench.bench, queued ?? '')).toMatchObject({ status: 'completed' });
  });
});
