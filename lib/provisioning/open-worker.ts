import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { SQSClient } from '@aws-sdk/client-sqs';
import type { Settings } from '../config.ts';
import { connect, type Transaction } from '../db/connect.ts';
import { openLog } from '../observability/log.ts';
import { openMetrics } from '../observability/metrics.ts';
import { openOutside } from '../pds/probes/outside.ts';
import { providersFrom } from '../pds/provider.ts';
import { openStrangers } from '../pds/strangers.ts';
import { openVault } from '../vault/open-vault.ts';
import type { Vault } from '../vault/vault.ts';
import { labelsOfOperator } from './operator-names.ts';
import type { Actions } from './run.ts';
import { TIMES } from './times.ts';
import type { WORKER_SETTINGS } from './worker-settings.ts';

export type WorkerSettings = Settings<(typeof WORKER_SETTINGS)[number]>;

/** What `backUpCredentials` (lifecycle) needs and does; given in, because provisioning comes before it. */
type BackUp = (deps: { tx: Transaction; vault: Vault }, userId: string, type: 'auto') => Promise<unknown>;

/** What kind of worker it is: its name in logs, the service of its metrics, what it does, and the queue it is told by. */
export type Kind = {
  name: string;
  service: string;
  actions: Actions;
  queueUrl: string;
  backUpCredentials: BackUp;
  /** How many members it works on side by side. */
  width?: number;
};

/** Everything that a worker of the queue works with. Once, at module scope; does no I/O. */
export async function openWorker(
  settings: WorkerSettings,
  { name, service, actions, queueUrl, backUpCredentials, width = 1 }: Kind,
) {
  // One more: opening a data key may need one while transactions hold the others.
  const sql = connect(settings.DATABASE_URL, { applicationName: name, max: width + 1 });
  const vault = await openVault(settings, sql);
  return {
    actions,
    sql,
    vault,
    providers: providersFrom(settings),
    fetch: globalThis.fetch,
    outside: openOutside(settings),
    strangers: openStrangers(settings),
    now: () => new Date(),
    random: { bytes: randomBytes, int: randomInt, fraction: Math.random, uuid: randomUUID },
    times: TIMES[settings.PDS_TIMES],
    naming: {
      domain: settings.PDS_DOMAIN,
      emailDomain: settings.PDS_EMAIL_DOMAIN,
      strategy: settings.PDS_HANDLE_STRATEGY,
      didMethod: settings.PDS_DID_METHOD,
      handleGraceDays: settings.PDS_HANDLE_GRACE_DAYS,
      reserved: labelsOfOperator(settings),
    },
    rotation: { days: settings.PDS_KEY_ROTATION_DAYS, graceDays: settings.PDS_KEY_GRACE_DAYS },
    backUp: (tx: Transaction, userId: string) => backUpCredentials({ tx, vault }, userId, 'auto'),
    log: openLog(name),
    metrics: openMetrics(service),
    // Its own retries would only lengthen a run: the relay sends what could not be sent.
    sqs: new SQSClient({ maxAttempts: 1 }),
    queueUrl,
  };
}
