import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyArchive } from '../../../../infra/local/export-verify/verify-archive.ts';
import { exporting } from '../../../../lib/lifecycle/export/perform.ts';
import { removeRemains } from '../../../../lib/lifecycle/export/remove-expired.ts';
import type { Storage } from '../../../../lib/lifecycle/export/storage.ts';
import { performWork } from '../../../../lib/provisioning/work.ts';
import { faultyNetwork } from '../../provisioning/faulty.ts';
import { mortal } from '../../provisioning/mortal.ts';
import { identityOf, openStage, rowOf, type Stage } from '../../provisioning/stage.ts';
import { type ExportBench, openExportBench } from './export-bench.ts';

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

const fileOf = (exportId: number) => bench.fileOf(exportId);
/** The worker that had the member is dead: what it holds ends now, not in some seconds. */
const forget = async (userId: string) => {
  await bench.db`UPDATE user_pds_mapping SET lease_until = NULL WHERE user_id = ${userId}`;
  await bench.db`
    UPDATE pds_provisioning_queue SET next_retry = now(), claims = 0
    WHERE user_id = ${userId} AND status IN ('pending', 'processing')`;
};

describe('an export that is interrupted', () => {
  it('goes on where it was, whenever its worker dies', { timeout: 120_000 }, async () => {
    const userId = await bench.member();
    await bench.post(userId, 8_500_000);
    await bench.post(userId, 1000);
    let moment = 0;
    for (let alive = false; !alive; ) {
      // After each effect; just before the next one is the same.
      moment += 2;
      const { exportId, queued = '' } = await bench.request(userId);
      const { deps, life } = mortal(bench.bench.deps, moment);
      const storage = mortalStorage(bench.storage, life, moment);
      await performWork({ ...deps, actions: { export: exporting(storage) } }, queued).catch(() => {});
      alive = !life.dead;
      await forget(userId);
      await bench.finish(queued);
      const verified = await verifyArchive(await fileOf(exportId)).catch((error) => error);
      expect({ moment, verified }).toMatchObject({
        moment,
        verified: { files: 8, repository: { records: 2, blobs: 2 } },
      });
      await bench.db`DELETE FROM pds_exports WHERE id = ${exportId}`;
    }
    // Every query, request and object.
    expect(moment).toBeGreaterThan(60);
    while ((await removeRemains(bench.bench.sql, bench.storage)) > 0);
    expect(bench.files().filter((name) => !name.includes('/.uploads/') && !/tail-/.test(name))).toEqual([]);
  });

  it('waits for a PDS that goes down in the middle, and does not say that it is done', async () => {
    const userId = await bench.member();
    for (let n = 0; n < 3; n += 1) await bench.post(userId);
    const { exportId, queued = '' } = await bench.request(userId);
    let blobs = 0;
    const network = faultyNetwork(({ nsid, send }) => {
      if (nsid !== 'com.atproto.sync.getBlob') return undefined;
      blobs += 1;
      return blobs === 2 ? cutOff(send) : undefined;
    });
    expect(await bench.run(queued, { fetch: network.fetch })).toBe('parked');
    expect(await rowOf(bench.bench, queued)).toMatchObject({ status: 'pending', attempt_count: 0 });
    expect((await identityOf(bench.bench, userId)).lease_until).toBeNull();
    await forget(userId);
    await bench.finish(queued);
    expect(await verifyArchive(await fileOf(exportId))).toMatchObject({
      repository: { records: 3, blobs: 3 },
    });
  });

  it.each([
    ['a repository that breaks off', cutOff, 'parked'],
    ['half a repository that looks whole', half, 'again'],
    ['a repository with a changed byte', changed, 'again'],
    ['the repository of somebody else', other, 'again'],
  ])('does not take %s', async (_, lie, outcome) => {
    const userId = await bench.member();
    await bench.post(userId);
    const { exportId, queued = '' } = await bench.request(userId);
    const network = faultyNetwork(({ nsid, send }) =>
      nsid === 'com.atproto.sync.getRepo' ? lie(send) : undefined,
    );
    expect(await bench.run(queued, { fetch: network.fetch })).toBe(outcome);
    network.heal();
    await forget(userId);
    await bench.finish(queued, { fetch: network.fetch });
    await verifyArchive(await fileOf(exportId));
  });

  it('takes no blob that is another one', async () => {
    const userId = await bench.member();
    await bench.post(userId);
    const { exportId, queued = '' } = await bench.request(userId);
    const network = faultyNetwork(({ nsid, send }) => (nsid.endsWith('getBlob') ? changed(send) : undefined));
    expect(await bench.run(queued, { fetch: network.fetch })).toBe('again');
    await forget(userId);
    await bench.finish(queued);
    await verifyArchive(await fileOf(exportId));
  });

  it.each([
    // The first blob is done again each time, since nothing was stored; and of the list, the first run.
    ['getBlob', 2, ['parked', 'parked', 'done']],
    ['getRepo', 1, ['parked', 'parked', 'parked', 'done']],
  ])(
    'is given up as too large when no run gets a %s done in all of its time',
    async (slow, nth, outcomes) => {
      const userId = await bench.member();
      await bench.post(userId);
      await bench.post(userId);
      const { exportId, queued = '' } = await bench.request(userId);
      const results: string[] = [];
      for (let run = 0; run < outcomes.length; run += 1) {
        let calls = 0;
        let late = 0;
        const network = faultyNetwork(({ nsid }) => {
          if (nsid.endsWith(slow)) calls += 1;
          if (calls === nth) late = 60_000;
          return undefined;
        });
        const now = () => new Date(Date.now() + late);
        results.push(await bench.run(queued, { fetch: network.fetch, now }));
        await forget(userId);
      }
      expect(results).toEqual(outcomes);
      const [row] = await bench.db`SELECT outcome, error_code FROM pds_exports WHERE id = ${exportId}`;
      expect(row).toEqual({ outcome: 'failed', error_code: 'EXPORT_TOO_LARGE' });
    },
  );

  it('is made without preferences in the end, when the PDS gives out nonsense for them', async () => {
    const userId = await bench.member();
    const { exportId, queued = '' } = await bench.request(userId);
    const network = faultyNetwork(({ nsid }) =>
      nsid.endsWith('getPreferences') ? Promise.resolve(new Response('<h1>Welcome</h1>')) : undefined,
    );
    for (const result of ['again', 'again', 'done']) {
      expect(await bench.run(queued, { fetch: network.fetch })).toBe(result);
      await forget(userId);
    }
    const { manifest } = await verifyArchive(await fileOf(exportId));
    expect(manifest.left_out).toMatchObject([{ what: 'preferences' }]);
  });

  it('begins anew when its upload is gone', async () => {
    const userId = await bench.member();
    await bench.post(userId);
    const { exportId, queued = '' } = await bench.request(userId);
    const network = faultyNetwork(({ nsid, send }) => (nsid.endsWith('getRepo') ? cutOff(send) : undefined));
    await bench.run(queued, { fetch: network.fetch });
    const [before] = await bench.db`SELECT storage_id, tail FROM pds_exports WHERE id = ${exportId}`;
    await bench.storage.remove(`${before?.storage_id}/tail-${before?.tail}`);
    await forget(userId);
    await bench.finish(queued);
    await verifyArchive(await fileOf(exportId));
  });
});

describe('a repository that is written to while it is exported', () => {
  it('is exported as it is at one moment, with all that it names', async () => {
    const userId = await bench.member();
    const gone = await bench.post(userId);
    await bench.post(userId);
    const { exportId, queued = '' } = await bench.request(userId);
    const late: { uri: string; cid: string }[] = [];
    const { pds_did: repo } = await identityOf(bench.bench, userId);
    const remove = (uri: string) =>
      bench.ask(userId, 'com.atproto.repo.deleteRecord', {
        repo,
        collection: 'com.example.file',
        rkey: uri.split('/').at(-1),
      });
    let repositories = 0;
    const network = faultyNetwork(({ nsid, send }) => {
      // Before the first look one record goes and two come; one of them is gone again when its blob is asked for.
      if (nsid === 'com.atproto.sync.getRepo') {
        repositories += 1;
        if (repositories > 1) return undefined;
        return (async () => {
          await remove(gone.uri);
          late.push(await bench.post(userId), await bench.post(userId));
          const response = await send();
          const body = await response.arrayBuffer();
          await remove(late[0]?.uri ?? '');
          return new Response(body);
        })();
      }
      return undefined;
    });
    await bench.run(queued, { fetch: network.fetch });
    await bench.finish(queued);
    expect(repositories).toBe(2);
    const { manifest, repository } = await verifyArchive(await fileOf(exportId));
    expect(repository).toEqual({ records: 2, blobs: 2 });
    expect(manifest.missing_blobs).toEqual([]);
    const names = manifest.entries.map(({ name }) => name);
    expect(names).toContain(`blobs/${late[1]?.cid}`);
    expect(names).not.toContain(`blobs/${late[0]?.cid}`);
  });

  it('says which blobs its PDS has lost', async () => {
    const userId = await bench.member();
    const { cid } = await bench.post(userId);
    await bench.post(userId);
    const { exportId, queued = '' } = await bench.request(userId);
    const network = faultyNetwork(({ nsid }) =>
      nsid.endsWith('getBlob')
        ? Promise.resolve(Response.json({ error: 'InvalidRequest' }, { status: 400 }))
        : undefined,
    );
    await bench.finish(queued, { fetch: network.fetch });
    const { manifest } = await verifyArchive(await fileOf(exportId));
    expect(manifest.missing_blobs).toHaveLength(2);
    expect(manifest.missing_blobs).toContain(cid);
  });
});

describe('an identity that is not in use any more', () => {
  it('is exported with its repository, if its PDS lets it', async () => {
    const userId = await bench.member();
    await bench.post(userId);
    await bench.ask(userId, 'com.atproto.server.deactivateAccount', {});
    await bench.db`UPDATE user_pds_mapping SET status = 'revoked' WHERE user_id = ${userId}`;
    const { exportId, queued = '' } = await bench.request(userId);
    await bench.finish(queued);
    expect(await verifyArchive(await fileOf(exportId))).toMatchObject({
      repository: { records: 1, blobs: 1 },
    });
    await expect(bench.request(userId, 'data_and_keys')).rejects.toMatchObject({
      code: 'IDENTITY_NOT_READY',
    });
  });

  it('is exported without, when its PDS knows it no more, and keeps silent for an hour', async () => {
    const userId = await bench.member();
    await bench.db`UPDATE user_pds_mapping SET status = 'revoked' WHERE user_id = ${userId}`;
    const refuse = faultyNetwork(() =>
      Promise.resolve(Response.json({ error: 'RepoNotFound' }, { status: 400 })),
    );
    const first = await bench.request(userId);
    await bench.finish(first.queued ?? '', { fetch: refuse.fetch });
    const without = {
      manifest: { repository: null, left_out: [{ what: 'repository' }, { what: 'preferences' }] },
    };
    expect(await verifyArchive(await fileOf(first.exportId))).toMatchObject(without);
    const second = await bench.request(userId);
    const silent = faultyNetwork(() => Promise.reject(new TypeError('fetch failed')));
    expect(await bench.run(second.queued ?? '', { fetch: silent.fetch })).toBe('parked');
    await forget(userId);
    await bench.db`UPDATE pds_exports SET created_at = now() - interval '1 hour' WHERE id = ${second.exportId}`;
    await bench.finish(second.queued ?? '', { fetch: silent.fetch });
    expect(await verifyArchive(await fileOf(second.exportId))).toMatchObject(without);
  });

  it('is exported without also while it is in use, when its PDS keeps silent for three days; with it, if that came before', async () => {
    const userId = await bench.member();
    await bench.post(userId);
    const waited = async (exportId: number, hours: number) => {
      await forget(userId);
      await bench.db`
        UPDATE pds_exports SET created_at = now() - make_interval(hours => ${hours}) WHERE id = ${exportId}`;
    };
    const silent = faultyNetwork(() => Promise.reject(new TypeError('fetch failed')));
    const first = await bench.request(userId);
    expect(await bench.run(first.queued ?? '', { fetch: silent.fetch })).toBe('parked');
    await waited(first.exportId, 71);
    expect(await bench.run(first.queued ?? '', { fetch: silent.fetch })).toBe('parked');
    await waited(first.exportId, 73);
    await bench.finish(first.queued ?? '', { fetch: silent.fetch });
    expect(await verifyArchive(await fileOf(first.exportId))).toMatchObject({
      manifest: { repository: null, left_out: [{ what: 'repository' }, { what: 'preferences' }] },
    });
    const second = await bench.request(userId);
    const late = faultyNetwork(({ nsid }) =>
      nsid.endsWith('getPreferences') ? Promise.reject(new TypeError('fetch failed')) : undefined,
    );
    expect(await bench.run(second.queued ?? '', { fetch: late.fetch })).toBe('parked');
    await waited(second.exportId, 73);
    await bench.finish(second.queued ?? '', { fetch: silent.fetch });
    expect(await verifyArchive(await fileOf(second.exportId))).toMatchObject({
      repository: { records: 1, blobs: 1 },
      manifest: { left_out: [{ what: 'preferences' }] },
    });
  });

  it('whose keys are destroyed is exported unsigned, which says so', async () => {
    const userId = await bench.member();
    await bench.db`
      UPDATE user_pds_mapping SET status = 'revoked', left_at = now(), pds_private_key_encrypted = NULL,
        pds_private_key_iv = NULL, pds_private_key_auth_tag = NULL, account_password_sealed = NULL, data_key_id = NULL
      WHERE user_id = ${userId}`;
    const { exportId, queued = '' } = await bench.request(userId);
    await bench.finish(queued);
    const file = await fileOf(exportId);
    await expect(verifyArchive(file)).rejects.toMatchObject({ entry: 'manifest.json' });
    expect(await verifyArchive(file, { unsigned: true })).toMatchObject({
      manifest: { signature: null, repository: null },
    });
  });
});

/** As a mortal worker has it: see mortal.ts. */
function mortalStorage(storage: Storage, life: { moment: number; dead: boolean }, diesAt: number): Storage {
  const pass = () => {
    life.moment += 1;
    if (life.moment === diesAt) life.dead = true;
    if (life.dead) throw new Error('dead');
  };
  return new Proxy(storage, {
    get:
      (target, name: keyof Storage) =>
      async (...args: never[]) => {
        pass();
        const result = await (target[name] as (...given: never[]) => Promise<unknown>)(...args);
        pass();
        return result;
      },
  });
}

type Send = () => Promise<Response>;

/** Half of the answer, then the connection breaks. */
async function cutOff(send: Send): Promise<Response> {
  const bytes = Buffer.from(await (await send()).arrayBuffer());
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(bytes.subarray(0, bytes.length / 2));
      setTimeout(() => controller.error(new TypeError('terminated')), 10);
    },
  });
  return new Response(body);
}

/** The answer without its last block. */
async function half(send: Send): Promise<Response> {
  const bytes = Buffer.from(await (await send()).arrayBuffer());
  // Up to the first block behind the header, which has a length of one byte.
  const end = 1 + (bytes[0] ?? 0);
  const first =
    (bytes[end] ?? 0) < 0x80
      ? 1 + (bytes[end] ?? 0)
      : 2 + (bytes[end] ?? 0) - 0x80 + (bytes[end + 1] ?? 0) * 128;
  return new Response(bytes.subarray(0, end + first));
}

async function changed(send: Send): Promise<Response> {
  const bytes = Buffer.from(await (await send()).arrayBuffer());
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  return new Response(bytes);
}

async function other(): Promise<Response> {
  const { pds_did } = await identityOf(bench.bench, await bench.member());
  return fetch(`${stage.pds.url}/xrpc/com.atproto.sync.getRepo?did=${pds_did}`);
}
