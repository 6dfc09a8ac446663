import { ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import type { StepUpNeed } from '../../../../lib/auth/step-up.ts';
import type { Did } from '../../../../lib/brands.ts';
import { connect, type Sql } from '../../../../lib/db/connect.ts';
import { type BackupType, backUpCredentials } from '../../../../lib/lifecycle/custody/backup.ts';
import { type RestoreDeps, restoreBackup } from '../../../../lib/lifecycle/custody/restore.ts';
import { updateAccountPassword } from '../../../../lib/pds/client/admin.ts';
import { connectionTo } from '../../../../lib/pds/provider.ts';
import { readMessage } from '../../../../lib/provisioning/queue/queue.ts';
import { sealForMapping } from '../../../../lib/provisioning/secrets.ts';
import { TIMES } from '../../../../lib/provisioning/times.ts';
import { performWork } from '../../../../lib/provisioning/work.ts';
import { createVault, type Vault } from '../../../../lib/vault/vault.ts';
import { loggedInAndSteppedUp } from '../../auth/stepped-up.ts';
import { logIn, newcomer, setEnvironment } from '../../http/app.ts';
import { type Bench, identityOf, openBench, type Stage } from '../../provisioning/stage.ts';
import { opened } from '../../provisioning/working-identity.ts';

/** What a restore is tried on: members with identities on a real PDS, and the API's own role and vault. */
export type Custody = {
  bench: Bench;
  /** Superuser. */
  db: Sql;
  /** What the API's function works with. */
  deps: RestoreDeps;
  vault: Vault;
  /** A member whose identity is active; returns his id. */
  member(): Promise<string>;
  /** Has functions of routes that are imported after it find what is here. */
  setRouteEnvironment(): void;
  /** A member who has logged in by the route, and whose identity is active. */
  loggedInMember(): Promise<{ userId: string; cookie: string }>;
  /** Does the work that the messages of the queue name; returns how many there were. */
  workOff(): Promise<number>;
  backUp(userId: string, type?: BackupType): Promise<number>;
  /** As if he had just shown his second factor for this backup. */
  stepUp(userId: string, backupId: number): Promise<StepUpNeed>;
  /** Restores with a second factor that was shown for it. */
  restore(userId: string, backupId: number, changes?: Partial<RestoreDeps>): ReturnType<typeof restoreBackup>;
  /** Has the PDS's operator set the password of the account, which ends its sessions. */
  setPassword(userId: string, password: string): Promise<void>;
  /** Has a wrong password stand in the place of the right one, as sealed as that, and no session left. */
  breakPassword(userId: string): Promise<void>;
  close(): Promise<void>;
};

export async function openCustody(stage: Stage, encryptionKey?: string): Promise<Custody> {
  const bench = await openBench(stage, { times: TIMES.local }, encryptionKey);
  const db = connect(bench.database.superuserUrl, { max: 2 });
  const sql = connect(bench.database.apiUrl, { max: 4 });
  const { wrapper, environment } = bench.deps.vault;
  const vault = createVault({ sql, wrapper, environment });
  const { providers, now } = bench.deps;
  const deps = { sql, vault, providers, now, fetch, graceDays: 7, signal: new AbortController().signal };
  const custody: Custody = {
    bench,
    db,
    deps,
    vault,
    async member() {
      const { userId, queueId } = await bench.member();
      await performWork(bench.deps, queueId);
      return userId;
    },
    setRouteEnvironment() {
      setEnvironment(bench.database, {
        PROVISIONING_QUEUE_URL: bench.deps.queueUrl,
        AWS_ENDPOINT_URL_SQS: stage.sqs.url,
        PDS_LOCAL_ENDPOINT: stage.pds.url,
        PDS_RATE_LIMIT_BYPASS_KEY: stage.pds.rateLimitBypassKey,
      });
    },
    async loggedInMember() {
      const user = newcomer();
      const cookie = await logIn(user);
      while ((await custody.workOff()) > 0);
      return { userId: String(user.id), cookie };
    },
    async workOff() {
      const { Messages = [] } = await stage.sqsClient.send(
        new ReceiveMessageCommand({ QueueUrl: bench.deps.queueUrl, MaxNumberOfMessages: 10 }),
      );
      for (const { Body = '' } of Messages) await performWork(bench.deps, readMessage(Body) ?? '');
      return Messages.length;
    },
    async backUp(userId, type = 'manual') {
      return (await sql.begin((tx) => backUpCredentials({ tx, vault }, userId, type))).id;
    },
    stepUp: (userId, backupId) => loggedInAndSteppedUp(db, userId, 'restoreBackup', String(backupId)),
    async restore(userId, backupId, changes = {}) {
      const stepUp = await custody.stepUp(userId, backupId);
      return restoreBackup({ ...deps, ...changes }, { userId, backupId, stepUp });
    },
    async setPassword(userId, password) {
      const [provider] = providers;
      if (!provider?.adminPassword) throw new Error('no admin');
      const admin = { ...connectionTo(deps, provider, 5_000), adminPassword: provider.adminPassword };
      const { pds_did } = await identityOf(bench, userId);
      await updateAccountPassword(admin, { did: pds_did as Did, password });
    },
    async breakPassword(userId) {
      const identity = await identityOf(bench, userId);
      const right = await opened(bench, identity, 'account_password_sealed');
      const wrong = await sealForMapping(
        bench.deps.vault,
        identity.data_key_id ?? '',
        identity,
        'account_password_sealed',
        'not the password',
      );
      await db`UPDATE user_pds_mapping SET account_password_sealed = ${wrong} WHERE user_id = ${userId}`;
      await custody.setPassword(userId, right);
    },
    async close() {
      await Promise.all([db.end(), sql.end()]);
      await bench.close();
    },
  };
  return custody;
}
