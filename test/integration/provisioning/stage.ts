import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { CreateQueueCommand, SQSClient } from '@aws-sdk/client-sqs';
import { memberHostFetch } from '../../../infra/local/atproto/member-fetch.ts';
import { type Pds, type PdsOptions, startPds } from '../../../infra/local/atproto/pds.ts';
import { type Sqs, startSqs } from '../../../infra/local/aws/sqs.ts';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import { CHANGES } from '../../../lib/lifecycle/changes/kinds.ts';
import { backUpCredentials } from '../../../lib/lifecycle/custody/backup.ts';
import { WIDTH } from '../../../lib/lifecycle/rotate/rotate-due.ts';
import { silentLog } from '../../../lib/observability/log.ts';
import { storeProviders } from '../../../lib/pds/providers.ts';
import { openStrangers } from '../../../lib/pds/strangers.ts';
import type { Identity } from '../../../lib/provisioning/identity.ts';
import { enqueue, type QueueAction } from '../../../lib/provisioning/queue/queue.ts';
import type { QueueDeps, WorkerDeps } from '../../../lib/provisioning/run.ts';
import { TIMES } from '../../../lib/provisioning/times.ts';
import { PROVISIONING, performWork } from '../../../lib/provisioning/work.ts';
import { createLocalWrapper } from '../../../lib/vault/local-wrapper.ts';
import { createVault } from '../../../lib/vault/vault.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { type Gateway, startGateway } from './gateway.ts';
import { PROMPT_PDS } from './prompt-pds.ts';

export const DOMAIN = 'pnptv.test';
const CREDENTIALS = { accessKeyId: 'test', secretAccessKey: 'test' };

/** The real servers that tests of the saga share: a PDS, SQS, and the gateway for members' names. */
export type Stage = {
  pds: Pds;
  pdsDir: string;
  sqs: Sqs;
  gateway: Gateway;
  plcUrl: string;
  sqsClient: SQSClient;
  /** Starts the PDS again that was stopped: same port, same data. */
  restartPds(): Promise<void>;
  close(): Promise<void>;
};

export async function openStage(options: Partial<PdsOptions> = {}): Promise<Stage> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'saga-'));
  const gateway = await startGateway();
  const pdsOptions = {
    dir,
    plcUrl: 'http://127.0.0.1:9', // nobody: did:web needs no directory
    gatewayUrl: gateway.url,
    domain: DOMAIN,
    preload: PROMPT_PDS,
    ...options,
  };
  const [pds, sqs] = await Promise.all([startPds(pdsOptions), startSqs()]);
  const sqsClient = new SQSClient({
    endpoint: sqs.url,
    region: 'eu-central-1',
    credentials: CREDENTIALS,
    maxAttempts: 1,
  });
  const stage: Stage = {
    pds,
    pdsDir: dir,
    sqs,
    gateway,
    plcUrl: pdsOptions.plcUrl,
    sqsClient,
    async restartPds() {
      stage.pds = await startPds({ ...pdsOptions, port: pds.port });
    },
    async close() {
      sqsClient.destroy();
      stage.pds.resume();
      await Promise.all([stage.pds.stop(), sqs.stop(), gateway.close()]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return stage;
}

export type Bench = {
  database: TestDatabase;
  sql: Sql;
  deps: WorkerDeps & QueueDeps;
  /** A member who has just logged in; returns his id and the row of his work. */
  member(options?: { username?: string | null; action?: QueueAction }): Promise<Member>;
  close(): Promise<void>;
};
export type Member = { userId: string; queueId: string };

/**
 * An empty database with a worker before the stage's servers; `changes` replace what the worker is given. Its vault
 * opens what functions seal that were given the same PDS_ENCRYPTION_KEY.
 */
export async function openBench(
  stage: Stage,
  changes: Partial<WorkerDeps & QueueDeps> = {},
  encryptionKey = randomBytes(32).toString('base64'),
): Promise<Bench> {
  const database = await freshDatabase();
  // As many as the function has that works on most members side by side, and one for the vault.
  const sql = connect(database.workerUrl, { max: WIDTH + 1 });
  stage.gateway.serve(sql);
  const queueName = `q-${randomBytes(4).toString('hex')}`;
  await stage.sqsClient.send(new CreateQueueCommand({ QueueName: queueName }));
  const wrapper = createLocalWrapper(encryptionKey);
  const vault = createVault({ sql, wrapper, environment: 'test' });
  const deps: WorkerDeps & QueueDeps = {
    actions: { ...PROVISIONING, ...CHANGES },
    sql,
    vault,
    providers: [
      {
        id: 'local',
        endpoint: stage.pds.url,
        weight: 1,
        adminPassword: stage.pds.adminPassword,
        rateLimitBypassKey: stage.pds.rateLimitBypassKey,
      },
    ],
    fetch: globalThis.fetch,
    outside: {
      fetch: memberHostFetch({ domain: DOMAIN, gatewayUrl: stage.gateway.url, fetch: globalThis.fetch }),
      plcUrl: stage.plcUrl,
      timeoutMs: 10_000,
    },
    strangers: openStrangers({ PDS_PRIVATE_TARGETS: true }),
    now: () => new Date(),
    random: { bytes: randomBytes, int: randomInt, fraction: Math.random, uuid: randomUUID },
    times: TIMES.test,
    naming: {
      domain: DOMAIN,
      emailDomain: 'mail.pnptv.test',
      strategy: 'username',
      reserved: [],
      didMethod: 'web',
      handleGraceDays: 7,
    },
    rotation: { days: 90, graceDays: 7 },
    backUp: (tx, userId) => backUpCredentials({ tx, vault }, userId, 'auto'),
    log: silentLog,
    metrics: { count: () => {}, took: () => {}, flush: () => {} },
    sqs: stage.sqsClient,
    queueUrl: stage.sqs.queueUrl(queueName),
    ...changes,
  };
  await storeProviders(sql, deps.providers);
  return {
    database,
    sql,
    deps,
    async member({ username, action = 'create' } = {}) {
      const userId = String(randomInt(1e9, 9e9));
      const name = username === undefined ? `m${randomBytes(5).toString('hex')}` : username;
      await sqlAsOwner(
        database,
        (owner) => owner`INSERT INTO users (id, username) VALUES (${userId}, ${name})`,
      );
      const { queueId } = await sql.begin((tx) => enqueue(tx, { userId, action }));
      return { userId, queueId };
    },
    async close() {
      stage.gateway.serve(undefined);
      await sql.end();
      await database.drop();
    },
  };
}

/** Only the owner may do what the API does when somebody logs in. */
export async function sqlAsOwner<T>(database: TestDatabase, ask: (owner: Sql) => Promise<T>): Promise<T> {
  const owner = connect(database.ownerUrl);
  try {
    return await ask(owner);
  } finally {
    await owner.end();
  }
}

export async function identityOf({ sql }: Bench, userId: string): Promise<Identity> {
  const [row] = await sql<[Identity]>`SELECT * FROM user_pds_mapping WHERE user_id = ${userId}`;
  return row;
}

export type QueueRow = {
  status: string;
  attempt_count: number;
  claims: number;
  next_retry: Date;
  sent_at: Date | null;
  parked_reason: string | null;
  error_details: { code: string } | null;
};

export async function rowOf({ sql }: Bench, queueId: string): Promise<QueueRow> {
  const [row] = await sql<[QueueRow]>`
    SELECT status, attempt_count, claims, next_retry, sent_at, parked_reason, error_details
    FROM pds_provisioning_queue WHERE id = ${queueId}`;
  return row;
}

/**
 * Works on a row whenever it is due until it is over, by a clock that skips what it waits for. `meanwhile`: before each run,
 * with the time that has passed by that clock, in ms. Returns the row, and how long it took.
 */
export async function workUntilOver(
  bench: Bench,
  queueId: string,
  meanwhile: (passed: number) => unknown = () => {},
): Promise<QueueRow & { took: number }> {
  let skipped = 0;
  const now = () => new Date(bench.deps.now().getTime() + skipped);
  const begun = now().getTime();
  for (let run = 0; run < 60; run += 1) {
    await meanwhile(now().getTime() - begun);
    await performWork({ ...bench.deps, now }, queueId);
    const row = await rowOf(bench, queueId);
    const isOver = row.status === 'completed' || row.status === 'failed';
    if (isOver) return { ...row, took: now().getTime() - begun };
    skipped += Math.max(0, row.next_retry.getTime() - now().getTime());
  }
  throw new Error(`never over: ${JSON.stringify(await rowOf(bench, queueId))}`);
}
