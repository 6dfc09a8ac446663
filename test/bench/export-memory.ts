import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { verifyArchive } from '../../infra/local/export-verify/verify-archive.ts';
import { connect, type Sql } from '../../lib/db/connect.ts';
import { exporting } from '../../lib/lifecycle/export/perform.ts';
import { createStorage, openS3 } from '../../lib/lifecycle/export/storage.ts';
import { storeProviders } from '../../lib/pds/providers.ts';
import type { Identity } from '../../lib/provisioning/identity.ts';
import { enqueue } from '../../lib/provisioning/queue/queue.ts';
import { openFromMapping } from '../../lib/provisioning/secrets.ts';
import { performWork } from '../../lib/provisioning/work.ts';
import { newcomer, openBenchWorker } from './bench-worker.ts';
import type { Ground } from './ground.ts';
import { timed } from './measure.ts';
import { type Held, watchMemory } from './watch-memory.ts';

/** What one export cost: the memory is that of the worker, without the S3 that it fills. */
export type ExportFigures = { records: number; tookMs: number; archiveMb: number } & Held;

const RECORDS_A_REQUEST = 200;
const MB = 1024 * 1024;

/** Exports of repositories of so many records, each of a member of his own, on a real PDS; every archive is verified. */
export async function measureExports(ground: Ground, sizes: readonly number[]): Promise<ExportFigures[]> {
  const worker = await openBenchWorker(ground);
  const api = connect(ground.apiUrl);
  const folder = await mkdtemp(path.join(tmpdir(), 'bench-exports-'));
  const server = new Worker(new URL('./s3-thread.ts', import.meta.url), { workerData: folder });
  [process.env.AWS_ENDPOINT_URL_S3] = await once(server, 'message');
  const s3 = openS3();
  const exporter = { ...worker, actions: { export: exporting(createStorage(s3, 'exports')) } };
  const measure = async (records: number, place: number): Promise<ExportFigures> => {
    const userId = String(760_000_000 + place);
    await performWork(worker, await newcomer(api, userId));
    await fill(ground.pds.url, await openAccount(worker, userId), records);
    const queueId = await request(api, userId);
    const memory = watchMemory();
    const tookMs = await timed(async () => {
      while ((await performWork(exporter, queueId)) === 'parked')
        await api`UPDATE pds_provisioning_queue SET next_retry = now() WHERE id = ${queueId}`;
    });
    const held = memory.stop();
    const [{ storage_id, size }] = await api<[{ storage_id: string; size: number }]>`
      SELECT storage_id, size::int FROM pds_exports WHERE user_id = ${userId} AND outcome = 'ready'`;
    const { repository } = await verifyArchive(path.join(folder, 'exports', storage_id, 'archive.tar'));
    if (repository.records !== records)
      throw new Error(`of ${records} records ${repository.records} were exported`);
    return { records, tookMs, archiveMb: size / MB, ...held };
  };
  try {
    await storeProviders(worker.sql, worker.providers);
    const figures: ExportFigures[] = [];
    for (const [place, records] of sizes.entries()) figures.push(await measure(records, place));
    return figures;
  } finally {
    s3.destroy();
    worker.sqs.destroy();
    await Promise.all([worker.sql.end(), api.end(), server.terminate()]);
    await rm(folder, { recursive: true, force: true });
  }
}

type Account = { did: string; accessJwt: string };

async function openAccount(
  { sql, vault }: Awaited<ReturnType<typeof openBenchWorker>>,
  userId: string,
): Promise<Account> {
  const [identity] = await sql<[Identity]>`SELECT * FROM user_pds_mapping WHERE user_id = ${userId}`;
  const { pds_did: did, account_password_sealed: sealed, pds_endpoint } = identity;
  const password = await openFromMapping(vault, identity, 'account_password_sealed', sealed ?? '');
  const login = { identifier: did, password: Buffer.from(password).toString('utf8') };
  const { accessJwt } = await post<{ accessJwt: string }>(
    String(pds_endpoint),
    'com.atproto.server.createSession',
    login,
  );
  return { did: String(did), accessJwt };
}

async function fill(pdsUrl: string, { did, accessJwt }: Account, records: number): Promise<void> {
  for (let done = 0; done < records; done += RECORDS_A_REQUEST) {
    const writes = Array.from({ length: Math.min(RECORDS_A_REQUEST, records - done) }, (_, n) => ({
      $type: 'com.atproto.repo.applyWrites#create',
      collection: 'com.example.note',
      value: {
        $type: 'com.example.note',
        text: `note ${done + n} `.repeat(250),
        at: new Date().toISOString(),
      },
    }));
    await post(pdsUrl, 'com.atproto.repo.applyWrites', { repo: did, validate: false, writes }, accessJwt);
  }
}

async function request(api: Sql, userId: string) {
  return api.begin(async (tx) => {
    await tx`
      INSERT INTO pds_exports (user_id, pnptv_uuid, contents)
      SELECT user_id, pnptv_uuid, 'data' FROM user_pds_mapping WHERE user_id = ${userId}`;
    return (await enqueue(tx, { userId, action: 'export' })).queueId;
  });
}

async function post<Answer>(pdsUrl: string, nsid: string, input: object, token?: string): Promise<Answer> {
  const response = await fetch(`${pdsUrl}/xrpc/${nsid}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(input),
  });
  if (!response.ok) throw new Error(`${nsid} answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as Answer;
}
