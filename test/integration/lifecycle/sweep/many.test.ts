import { CreateQueueCommand, GetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Sqs, startSqs } from '../../../../infra/local/aws/sqs.ts';
import { connect, type Sql } from '../../../../lib/db/connect.ts';
import { advisedHours, requestsASweep } from '../../../../lib/lifecycle/sweep/advice.ts';
import { sendCohorts } from '../../../../lib/lifecycle/sweep/messages.ts';
import { planSweep } from '../../../../lib/lifecycle/sweep/plan.ts';
import { silentLog } from '../../../../lib/observability/log.ts';
import { MEMBERS_PER_KEY } from '../../../../lib/vault/choose-data-key.ts';
import { createLocalWrapper } from '../../../../lib/vault/local-wrapper.ts';
import { createVault } from '../../../../lib/vault/vault.ts';
import { freshDatabase, type TestDatabase } from '../../../setup/database.ts';
import { didOf, type ManyAccounts, startManyAccounts } from './many-accounts.ts';
import { makeMembers, outsideOf } from './many-members.ts';
import { runSweep, sqsClient, type WholeSweep, workOff } from './run-sweep.ts';

const MEMBERS = 5_000;
const DATA_KEYS = Math.ceil(MEMBERS / MEMBERS_PER_KEY);
const HOURS = 1_080;
const OVERDUE = 3;

describe('a sweep over many members', () => {
  let sqs: Sqs;
  let database: TestDatabase;
  let owner: Sql;
  let sql: Sql;
  let pds: ManyAccounts;
  let deps: WholeSweep;
  let unwrapped = 0;
  let counted: string[] = [];
  let due = 0;
  beforeAll(async () => {
    sqs = await startSqs();
  });
  afterAll(() => sqs.stop());
  beforeEach(async () => {
    database = await freshDatabase();
    owner = connect(database.ownerUrl);
    sql = connect(database.workerUrl, { max: 3 });
    pds = await startManyAccounts({ accounts: MEMBERS });
    const local = createLocalWrapper(Buffer.alloc(32, 7).toString('base64'));
    unwrapped = 0;
    counted = [];
    const wrapper = {
      ...local,
      unwrap: (...args: Parameters<typeof local.unwrap>) => {
        unwrapped += 1;
        return local.unwrap(...args);
      },
    };
    const client = sqsClient(sqs.url);
    const QueueName = `health-${Math.random().toString(36).slice(2)}`;
    await client.send(new CreateQueueCommand({ QueueName }));
    const now = new Date();
    ({ due } = await makeMembers(
      { owner, vault: createVault({ sql: owner, wrapper: local, environment: 'test' }) },
      { members: MEMBERS, endpoint: pds.url, checkHours: HOURS, now, overdue: OVERDUE },
    ));
    deps = {
      sql,
      vault: createVault({ sql, wrapper, environment: 'test' }),
      providers: [],
      fetch: globalThis.fetch,
      outside: outsideOf(pds.url),
      // When it was counted who is due.
      now: () => new Date(now.getTime() + 60_000),
      sqs: client,
      queueUrl: sqs.queueUrl(QueueName),
      checkHours: HOURS,
      leaseSeconds: 90,
      runSeconds: 60,
      log: silentLog,
      metrics: { count: (name) => counted.push(name), took: () => {}, flush: () => {} },
    };
  });
  afterEach(async () => {
    await pds.close();
    await Promise.all([sql.end(), owner.end()]);
    await database.drop();
  });

  const checksAsked = async () =>
    (
      await sql<{ pds_did: string }[]>`
        SELECT m.pds_did FROM pds_provisioning_queue q JOIN user_pds_mapping m USING (user_id)
        WHERE q.action = 'verify' AND q.status = 'pending' ORDER BY m.id`
    ).map(({ pds_did }) => pds_did);
  const statesOf = async () => {
    const rows = await sql<{ state: string; count: number }[]>`
      SELECT verification_status || ' ' || consecutive_failures || ' ' || coalesce(health_problem, 'well') AS state,
        count(*)::int FROM user_pds_mapping WHERE status = 'active' GROUP BY 1 ORDER BY 1`;
    return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
  };

  it('asks the PDS for a thousand members at once, and KMS once for a data key with somebody who is due', async () => {
    const began = new Date();
    expect(await runSweep(deps)).toBe(DATA_KEYS);
    expect(Object.fromEntries(pds.asked)).toEqual({
      _health: 1,
      'com.atproto.server.describeServer': 1,
      'com.atproto.sync.listRepos': MEMBERS / 1_000 + 1,
      'com.atproto.server.refreshSession': due,
    });
    expect(pds.requests()).toBeLessThanOrEqual(2 * requestsASweep(MEMBERS, HOURS));
    expect(unwrapped).toBeLessThanOrEqual(Math.min(due, DATA_KEYS));
    const [seen] = await sql<[{ count: number }]>`
      SELECT count(*)::int FROM user_pds_mapping WHERE last_verified_at >= ${began}`;
    expect(seen.count).toBe(MEMBERS);
    expect(await checksAsked()).toEqual([]);
    const provider =
      await sql`SELECT check_type, status FROM pds_health_checks WHERE user_id IS NULL ORDER BY 1`;
    expect([...provider]).toEqual([
      { check_type: 'connectivity', status: 'success' },
      { check_type: 'endpoint_reachable', status: 'success' },
    ]);
    // A part of the members has his names looked at, and with them his row of the day.
    const [daily] = await sql<[{ count: number }]>`
      SELECT count(DISTINCT user_id)::int FROM pds_health_checks WHERE user_id IS NOT NULL AND status = 'success'`;
    expect(daily.count).toBeGreaterThan(MEMBERS / 24 - 20);
    expect(daily.count).toBeLessThan(MEMBERS / 24 + 20);
    expect(advisedHours(100_000)).toBe(HOURS);
    expect(requestsASweep(100_000, HOURS)).toBeLessThanOrEqual(100_000 / 400);
  });

  it('asks for a whole check of whoever is missing or not active, and of nobody else', async () => {
    pds.state.accounts = MEMBERS - 2;
    pds.state.inactive = new Set([17, 4_000]);
    await owner`UPDATE user_pds_mapping SET verification_status = 'unknown' WHERE pds_did = ${didOf(MEMBERS - 1)}`;
    await runSweep(deps);
    expect(await checksAsked()).toEqual([17, 4_000, MEMBERS - 2, MEMBERS - 1].map(didOf));
    expect(await statesOf()).toEqual({ 'accessible 0 well': MEMBERS - 1, 'unknown 0 well': 1 });
  });

  it('calls nobody missing when the list breaks off', async () => {
    pds.state.breakAt = 3_000;
    await runSweep(deps);
    expect(counted).toEqual(['AccountListBroken']);
    expect(await checksAsked()).toEqual([]);
    const [seen] = await sql<[{ count: number }]>`
      SELECT count(*)::int FROM user_pds_mapping WHERE seen_in_sweep > 0`;
    expect(seen.count).toBe(3_000);
  });

  it('asks one by one, within the budget, where the host is mostly other people’s', async () => {
    await owner`UPDATE user_pds_mapping SET status = 'revoked' WHERE id > (SELECT min(id) + 99 FROM user_pds_mapping)`;
    Object.assign(pds.state, { accounts: 98, foreign: 50_000 });
    await runSweep(deps);
    // 2,000 accounts, and ten times as many as we have members: that was enough of the list.
    expect(pds.asked.get('com.atproto.sync.listRepos')).toBe(4);
    expect(pds.asked.get('com.atproto.sync.getRepoStatus')).toBe(100);
    expect(await checksAsked()).toEqual([98, 99].map(didOf));
    await owner`UPDATE pds_providers SET sweep_tokens = 10, sweep_tokens_at = now() + interval '1 hour'`;
    await runSweep(deps);
    expect(pds.asked.get('com.atproto.sync.getRepoStatus')).toBeLessThan(110);
    // Nor is there a list everywhere.
    await owner`UPDATE pds_providers SET sweep_tokens = NULL, sweep_tokens_at = NULL`;
    pds.asked.clear();
    pds.state.noList = true;
    await runSweep(deps);
    expect(pds.asked.get('com.atproto.sync.listRepos')).toBe(1);
    expect(pds.asked.get('com.atproto.sync.getRepoStatus')).toBe(98);
  });

  it('looks at the members of a PDS that only lets no more accounts be made for now', async () => {
    await owner`UPDATE pds_providers SET throttled_until = ${new Date(deps.now().getTime() + 300_000)}`;
    pds.state.inactive = new Set([17]);
    await runSweep(deps);
    expect(await checksAsked()).toEqual([didOf(17)]);
  });

  it('takes no PDS for down that only has no /xrpc/_health', async () => {
    pds.state.noHealth = true;
    await runSweep(deps);
    expect(await statesOf()).toEqual({ 'accessible 0 well': MEMBERS });
  });

  it('counts a provider’s outage for all members at once, tells each log and operators once, and ends it by itself', async () => {
    const some = 1_000;
    await owner`UPDATE user_pds_mapping SET status = 'revoked' WHERE id > (SELECT min(id) + ${some - 1}::int FROM user_pds_mapping)`;
    await runSweep(deps);
    const before = pds.requests();
    pds.state.down = true;
    for (const expected of ['accessible 1', 'accessible 2', 'inaccessible 3', 'inaccessible 4']) {
      await runSweep(deps);
      expect(await statesOf()).toEqual({ [`${expected} PROVIDER_DOWN`]: some });
    }
    // Two questions to the provider in each sweep, and not one about a member.
    expect(pds.requests() - before).toBe(8);
    const logged = () => sql`
      SELECT status, count(*)::int, count(DISTINCT pnptv_uuid)::int AS members FROM pds_provisioning_log
      WHERE action = 'verified' GROUP BY status ORDER BY status`;
    expect([...(await logged())]).toEqual([{ status: 'failed', count: some, members: some }]);
    expect([...(await sql`SELECT kind, subject FROM operator_notices`)]).toEqual([
      { kind: 'provider_inaccessible', subject: 'local' },
    ]);
    pds.state.down = false;
    pds.state.inactive.add(5);
    await runSweep(deps);
    expect(await statesOf()).toEqual({
      'accessible 0 well': some - 1,
      'inaccessible 4 PROVIDER_DOWN': 1,
    });
    expect([...(await logged())]).toEqual([
      { status: 'failed', count: some, members: some },
      { status: 'success', count: some - 1, members: some - 1 },
    ]);
  });

  it('counts an outage once a sweep, however often planner and messages come again', async () => {
    pds.state.down = true;
    const deadline = new Date(Date.now() + 60_000);
    const broken = { ...deps, queueUrl: `${deps.queueUrl}-of-nobody` };
    await expect(planSweep({ ...broken, deadline })).rejects.toThrow();
    // Lambda begins it again a minute later.
    const planned = await planSweep({ ...deps, deadline });
    expect(planned).toMatchObject({ sweepId: 1, cohorts: DATA_KEYS });
    await workOff(deps, deps);
    const keys = await sql<{ data_key_id: string }[]>`SELECT DISTINCT data_key_id FROM user_pds_mapping`;
    for (let round = 0; round < 2; round += 1) {
      const again = keys.map(({ data_key_id }) => ({ sweepId: 1, dataKeyId: data_key_id }));
      await sendCohorts(deps, again);
    }
    await Promise.all([workOff(deps, deps), workOff(deps, deps)]);
    expect(await statesOf()).toEqual({ 'accessible 1 PROVIDER_DOWN': MEMBERS });
  });

  it('leaves a sweep to the planner that is at it, and takes it over a minute after one that was killed', async () => {
    const at = (seconds: number) => new Date(deps.now().getTime() + seconds * 1000);
    await sql`INSERT INTO health_sweeps (started_at, leased_until) VALUES (${at(0)}, ${at(50)})`;
    const deadline = new Date(Date.now() + 600_000);
    expect(await planSweep({ ...deps, deadline })).toBeUndefined();
    const later = { ...deps, now: () => at(60), deadline };
    expect(await planSweep(later)).toMatchObject({ sweepId: 1, cohorts: DATA_KEYS });
  });

  it('tells operators of an outage, though the planner broke off in the third sweep', async () => {
    pds.state.down = true;
    await runSweep(deps);
    await runSweep(deps);
    const deadline = new Date(Date.now() + 3600_000);
    const broken = { ...deps, queueUrl: `${deps.queueUrl}-of-nobody`, deadline };
    await expect(planSweep(broken)).rejects.toThrow();
    const nextHour = { ...deps, now: () => new Date(Date.now() + 3_000_000), deadline };
    await runSweep(nextHour);
    await runSweep(nextHour);
    expect(await statesOf()).toEqual({ 'inaccessible 4 PROVIDER_DOWN': MEMBERS });
    expect([...(await sql`SELECT kind, subject FROM operator_notices`)]).toEqual([
      { kind: 'provider_inaccessible', subject: 'local' },
    ]);
  });

  it('proves the others’ credentials where one sealed session does not open, and has that member looked at', async () => {
    await owner`
      UPDATE user_pds_mapping SET pds_refresh_token = overlay(pds_refresh_token PLACING 'AAAA' FROM length(pds_refresh_token) - 30)
      WHERE user_id = '1000000'`;
    await runSweep(deps);
    expect(pds.asked.get('com.atproto.server.refreshSession')).toBe(due - 1);
    expect(await checksAsked()).toEqual([didOf(0)]);
  });

  it('looks at nobody’s names twice in a sweep, however often its message comes', async () => {
    await runSweep(deps);
    const looked = () => sql`SELECT count(*)::int FROM pds_health_checks WHERE user_id IS NOT NULL`;
    const before = await looked();
    const keys = await sql<{ data_key_id: string }[]>`SELECT DISTINCT data_key_id FROM user_pds_mapping`;
    await sendCohorts(
      deps,
      keys.map(({ data_key_id }) => ({ sweepId: 1, dataKeyId: data_key_id })),
    );
    await workOff(deps, deps);
    expect(await looked()).toEqual(before);
  });

  it('says nothing about any member while our own edge is down, and tells operators once', async () => {
    let isUp = false;
    const outside = { ...deps.outside };
    outside.fetch = (...args) =>
      isUp ? deps.outside.fetch(...args) : Promise.reject(new TypeError('fetch failed'));
    await runSweep({ ...deps, outside });
    expect(await checksAsked()).toEqual([]);
    expect(await statesOf()).toEqual({ 'accessible 0 well': MEMBERS });
    expect([...(await sql`SELECT kind, subject FROM operator_notices`)]).toEqual([
      { kind: 'names_wrong', subject: 'pnptv.test' },
    ]);
    expect((await sql`SELECT FROM pds_health_checks WHERE user_id IS NOT NULL`).length).toBe(0);
    isUp = true;
    const keys = await sql<{ data_key_id: string }[]>`SELECT DISTINCT data_key_id FROM user_pds_mapping`;
    await sendCohorts(
      deps,
      keys.map(({ data_key_id }) => ({ sweepId: 1, dataKeyId: data_key_id })),
    );
    await workOff({ ...deps, outside }, deps);
    expect((await sql`SELECT FROM pds_health_checks WHERE user_id IS NOT NULL`).length).toBeGreaterThan(
      MEMBERS / 24 - 20,
    );
  });

  it('goes on later with what the budget of the PDS did not allow, and asks for no more than that', async () => {
    // Six pages of the list, and one session.
    await owner`UPDATE pds_providers SET sweep_tokens = 7, sweep_tokens_at = now() + interval '1 hour'`;
    await runSweep(deps);
    expect(pds.asked.get('com.atproto.sync.listRepos')).toBe(6);
    expect(pds.asked.get('com.atproto.server.refreshSession')).toBe(1);
    const { Attributes } = await deps.sqs.send(
      new GetQueueAttributesCommand({ QueueUrl: deps.queueUrl, AttributeNames: ['All'] }),
    );
    expect(Number(Attributes?.ApproximateNumberOfMessagesDelayed)).toBeGreaterThan(0);
    expect(await statesOf()).toEqual({ 'accessible 0 well': MEMBERS });
  });

  it('says when the setting asks more than the budget', async () => {
    await runSweep(deps);
    expect(counted).toEqual([]);
    await owner`UPDATE user_pds_mapping SET credentials_checked_at = now() + interval '1 day'`;
    await owner`INSERT INTO users (id) SELECT 'more' || n FROM generate_series(1, 2500) AS n`;
    await owner`
      INSERT INTO user_pds_mapping (user_id, pds_did, pds_handle, pds_endpoint, pds_public_key, pds_private_key_encrypted,
        pds_private_key_iv, pds_private_key_auth_tag, account_password_sealed, pds_refresh_token, provider_id, data_key_id,
        status, provisioning_step)
      SELECT 'more' || n, 'did:web:' || n, 'more' || n, pds_endpoint, 'z', 'x', 'x', 'x', 'x', 'x', provider_id, data_key_id,
        status, provisioning_step
      FROM generate_series(1, 2500) AS n, (SELECT * FROM user_pds_mapping LIMIT 1) AS any_member`;
    await planSweep({ ...deps, checkHours: 1, deadline: new Date(Date.now() + 60_000) });
    expect(counted).toEqual(['CredentialChecksOverBudget']);
  });
});
