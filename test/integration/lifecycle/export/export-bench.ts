import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { startS3 } from '../../../../infra/local/aws/s3/s3.ts';
import type { StepUpNeed } from '../../../../lib/auth/step-up.ts';
import { connect, type Sql } from '../../../../lib/db/connect.ts';
import { exporting } from '../../../../lib/lifecycle/export/perform.ts';
import { requestExport } from '../../../../lib/lifecycle/export/request.ts';
import type { Contents } from '../../../../lib/lifecycle/export/rows.ts';
import { createStorage, type Storage } from '../../../../lib/lifecycle/export/storage.ts';
import type { QueueDeps, WorkerDeps } from '../../../../lib/provisioning/run.ts';
import { PROVISIONING, performWork } from '../../../../lib/provisioning/work.ts';
import { createVault, type Vault } from '../../../../lib/vault/vault.ts';
import { loggedInAndSteppedUp } from '../../auth/stepped-up.ts';
import { type Bench, identityOf, openBench, rowOf, type Stage } from '../../provisioning/stage.ts';
import { opened } from '../../provisioning/working-identity.ts';

const BUCKET = 'exports';
const CREDENTIALS = { accessKeyId: 'test', secretAccessKey: 'test' };

/** What exports are tried on: members on a real PDS, the API's own role, and S3 as it is spoken, with its files. */
export type ExportBench = {
  stage: Stage;
  bench: Bench;
  /** Superuser. */
  db: Sql;
  /** What the API's functions work with. */
  api: { sql: Sql; vault: Vault; s3: S3Client; bucket: string; now: () => Date };
  storage: Storage;
  member(): Promise<string>;
  /** Asks the PDS something as this member. */
  ask(userId: string, nsid: string, input: object | Buffer): Promise<Record<string, unknown>>;
  /** A record that names a new blob of so many bytes, and what the blob is. */
  post(userId: string, blobBytes?: number): Promise<{ uri: string; cid: string; bytes: Buffer }>;
  stepUp(userId: string, contents: Contents): Promise<StepUpNeed>;
  request(userId: string, contents?: Contents): ReturnType<typeof requestExport>;
  /** One run of the worker on a row. */
  run(
    queueId: string,
    changes?: Partial<WorkerDeps & QueueDeps>,
    storage?: Storage,
  ): ReturnType<typeof performWork>;
  /** Runs until it is over, waiting for nothing but what is due. */
  finish(queueId: string, changes?: Partial<WorkerDeps & QueueDeps>): Promise<void>;
  /** The file of the archive in the bucket. */
  fileOf(exportId: number): Promise<string>;
  /** All files that lie in the bucket now, also of uploads that are not complete. */
  files(): string[];
  close(): Promise<void>;
};

export async function openExportBench(
  stage: Stage,
  changes: Partial<WorkerDeps & QueueDeps> = {},
): Promise<ExportBench> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'exports-'));
  const server = await startS3(folder, CREDENTIALS);
  server.addBucket({ name: BUCKET, locked: false });
  const s3 = new S3Client({
    endpoint: server.url,
    region: 'eu-central-1',
    credentials: CREDENTIALS,
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    maxAttempts: 1,
  });
  const bench = await openBench(stage, changes);
  const db = connect(bench.database.superuserUrl, { max: 2 });
  const sql = connect(bench.database.apiUrl, { max: 2 });
  const { wrapper, environment } = bench.deps.vault;
  const vault = createVault({ sql, wrapper, environment });
  const storage = createStorage(s3, BUCKET);
  const sessions = new Map<string, string>();
  const self: ExportBench = {
    stage,
    bench,
    db,
    api: { sql, vault, s3, bucket: BUCKET, now: () => new Date() },
    storage,
    async member() {
      const { userId, queueId } = await bench.member();
      await performWork({ ...bench.deps, actions: PROVISIONING }, queueId);
      await db`UPDATE users SET bot_language = 'en' WHERE id = ${userId}`;
      return userId;
    },
    async ask(userId, nsid, input) {
      let token = sessions.get(userId);
      if (token === undefined) {
        const identity = await identityOf(bench, userId);
        const password = await opened(bench, identity, 'account_password_sealed');
        const login = { identifier: identity.pds_did, password };
        const session = await post(stage.pds.url, 'com.atproto.server.createSession', login);
        token = String(session.accessJwt);
        sessions.set(userId, token);
      }
      return post(stage.pds.url, nsid, input, token);
    },
    async post(userId, blobBytes = 1000) {
      const bytes = Buffer.alloc(blobBytes, randomUUID());
      const { blob } = (await self.ask(userId, 'com.atproto.repo.uploadBlob', bytes)) as {
        blob: { ref: { $link: string } };
      };
      const { uri } = await self.ask(userId, 'com.atproto.repo.createRecord', {
        repo: (await identityOf(bench, userId)).pds_did,
        collection: 'com.example.file',
        record: { $type: 'com.example.file', name: randomUUID(), file: blob },
      });
      return { uri: String(uri), cid: blob.ref.$link, bytes };
    },
    stepUp: (userId, contents) => loggedInAndSteppedUp(db, userId, 'requestExport', contents),
    async request(userId, contents = 'data') {
      return requestExport(self.api, await self.stepUp(userId, contents), contents);
    },
    run: (queueId, more = {}, place = storage) =>
      performWork({ ...bench.deps, actions: { export: exporting(place) }, ...more }, queueId),
    async finish(queueId, more) {
      for (let round = 0; round < 60; round += 1) {
        await self.run(queueId, more);
        const { status, next_retry, error_details } = await rowOf(bench, queueId);
        if (status === 'completed') return;
        if (status === 'failed') throw new Error(`failed: ${JSON.stringify(error_details)}`);
        if (next_retry > new Date())
          await db`UPDATE pds_provisioning_queue SET next_retry = now() WHERE id = ${queueId}`;
      }
      throw new Error('it never ends');
    },
    async fileOf(exportId) {
      const [{ storage_id }] = await db<[{ storage_id: string }]>`
        SELECT storage_id FROM pds_exports WHERE id = ${exportId}`;
      return path.join(folder, BUCKET, storage_id, 'archive.tar');
    },
    files: () =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .map((name) => path.join(folder, name))
        .filter((name) => statSync(name).isFile()),
    async close() {
      s3.destroy();
      await Promise.all([db.end(), sql.end(), server.stop()]);
      await bench.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return self;
}

async function post(
  url: string,
  nsid: string,
  input: object | Buffer,
  token?: string,
): Promise<Record<string, unknown>> {
  const isBytes = Buffer.isBuffer(input);
  const response = await fetch(`${url}/xrpc/${nsid}`, {
    method: 'POST',
    headers: {
      'content-type': isBytes ? 'image/png' : 'application/json',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
    body: isBytes ? Uint8Array.from(input) : JSON.stringify(input),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${nsid}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : {};
}

/** Whether any of these files has this text in it. */
export function anyHolds(files: readonly string[], text: string): boolean {
  return files.some((file) => readFileSync(file).includes(text));
}
