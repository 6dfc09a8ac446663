import { CreateQueueCommand } from '@aws-sdk/client-sqs';
import type { Did } from '../../lib/brands.ts';
import { connect } from '../../lib/db/connect.ts';
import { advisedHours } from '../../lib/lifecycle/sweep/advice.ts';
import { sideBySide } from '../../lib/lifecycle/sweep/side-by-side.ts';
import { silentLog } from '../../lib/observability/log.ts';
import { getRepoStatus } from '../../lib/pds/client/accounts.ts';
import { createKmsWrapper } from '../../lib/vault/kms-wrapper.ts';
import { createVault } from '../../lib/vault/vault.ts';
import { didOf, startManyAccounts } from '../integration/lifecycle/sweep/many-accounts.ts';
import { makeMembers, outsideOf } from '../integration/lifecycle/sweep/many-members.ts';
import { runSweep, sqsClient } from '../integration/lifecycle/sweep/run-sweep.ts';
import type { Ground } from './ground.ts';
import { timed } from './measure.ts';
import { type Held, watchMemory } from './watch-memory.ts';

/** What one sweep cost; the memory is that of planner, workers and the PDS that they ask, in one process. */
export type SweepFigures = {
  accounts: number;
  /** PDS_CREDENTIAL_CHECK_HOURS as the README advises it for that size. */
  checkHours: number;
  /** To the PDS. */
  requests: number;
  kmsCalls: number;
  tookMs: number;
  /** What asking once for each account takes, by those that were asked for: requests and milliseconds for one. */
  oneByOne: { requests: number; ms: number };
} & Held;

/** Enough of the accounts to know what one request takes. */
const ONE_BY_ONE = 10_000;

/**
 * One hourly sweep over so many members of one PDS, all of them well, as many to a data key as it is for, in a database of
 * their own; then the yardstick: a request for each, for a part of them.
 */
export async function measureSweep(ground: Ground, accounts: number): Promise<SweepFigures> {
  const urlOf = await ground.makeDatabase(`sweep_${accounts}`);
  const owner = connect(urlOf(), { max: 2 });
  const sql = connect(urlOf('pds_worker'), { max: 2 });
  const pds = await startManyAccounts({ accounts });
  const sqs = sqsClient(ground.sqs.url);
  const queue = `health-${accounts}`;
  const kms = createKmsWrapper(ground.kms.ensureKey('3f1d9b52-6c62-4f0e-9f5c-0d2f6c1f7a11'));
  let kmsCalls = 0;
  const counting: typeof kms = {
    ...kms,
    unwrap: (...args) => {
      kmsCalls += 1;
      return kms.unwrap(...args);
    },
  };
  const checkHours = advisedHours(accounts);
  try {
    await sqs.send(new CreateQueueCommand({ QueueName: queue }));
    const setUp = createVault({ sql: owner, wrapper: kms, environment: 'bench' });
    await makeMembers(
      { owner, vault: setUp },
      { members: accounts, endpoint: pds.url, checkHours, now: new Date() },
    );
    const deps = {
      sql,
      vault: createVault({ sql, wrapper: counting, environment: 'bench' }),
      providers: [],
      fetch: globalThis.fetch,
      outside: outsideOf(pds.url),
      now: () => new Date(),
      sqs,
      queueUrl: ground.sqs.queueUrl(queue),
      checkHours,
      leaseSeconds: 90,
      runSeconds: 60,
      log: silentLog,
      metrics: { count: () => {}, took: () => {}, flush: () => {} },
    };
    const memory = watchMemory();
    const tookMs = await timed(() => runSweep(deps));
    const grown = memory.stop();
    await expectEverybodySeen(sql, accounts);
    const requests = pds.requests();
    const some = Math.min(accounts, ONE_BY_ONE);
    const someMs = await timed(() => askOneByOne(pds.url, some));
    const oneByOne = { requests: (pds.requests() - requests) / some, ms: someMs / some };
    return { accounts, checkHours, requests, kmsCalls, tookMs, ...grown, oneByOne };
  } finally {
    sqs.destroy();
    await Promise.all([owner.end(), sql.end(), pds.close()]);
  }
}

async function expectEverybodySeen(sql: ReturnType<typeof connect>, accounts: number): Promise<void> {
  const [seen] = await sql<[{ count: number }]>`
    SELECT count(*)::int FROM user_pds_mapping
    WHERE seen_in_sweep > 0 AND last_verified_at IS NOT NULL AND verification_status = 'accessible'`;
  const [asked] = await sql<[{ count: number }]>`SELECT count(*)::int FROM pds_provisioning_queue`;
  if (seen.count !== accounts || asked.count > 0)
    throw new Error(`the sweep saw ${seen.count} of ${accounts} and doubted ${asked.count}`);
}

async function askOneByOne(endpoint: string, accounts: number): Promise<void> {
  const pds = { fetch: globalThis.fetch, endpoint, timeoutMs: 10_000, now: () => new Date() };
  const numbers = Array.from({ length: accounts }, (_, n) => n);
  await sideBySide(numbers, 16, (n) => getRepoStatus(pds, didOf(n) as Did));
}
