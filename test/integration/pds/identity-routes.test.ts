import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reachMemberHosts } from '../../../infra/local/atproto/member-fetch.ts';
import { verifyMember } from '../../../lib/audit/verify.ts';
import { connect, type Sql } from '../../../lib/db/connect.ts';
import type { Contract } from '../../../lib/http/contract.ts';
import type { ApiHandler } from '../../../lib/http/route.ts';
import * as identityContracts from '../../../lib/identity/api.ts';
import { createBackup } from '../../../lib/lifecycle/api.ts';
import { backupPlace } from '../../../lib/lifecycle/custody/backup.ts';
import * as contracts from '../../../lib/pds/api.ts';
import { readMessage } from '../../../lib/provisioning/queue/queue.ts';
import { TIMES } from '../../../lib/provisioning/times.ts';
import { performWork } from '../../../lib/provisioning/work.ts';
import { openSecret } from '../../../lib/vault/secrets.ts';
import { ADMIN_ID, type Call, call, ENCRYPTION_KEY, logIn, newcomer, setEnvironment } from '../http/app.ts';
import { type Bench, DOMAIN, openBench, openStage, type Stage } from '../provisioning/stage.ts';

/** The routes as they run, on a real PDS: a login through the API, then the worker, then what the member sees. */
let stage: Stage;
let bench: Bench;
let db: Sql;
let routes: Record<string, ApiHandler>;
let leaveMemberHosts: () => void;

const FUNCTIONS = {
  info: () => import('../../../functions/pds/info.ts'),
  health: () => import('../../../functions/pds/health.ts'),
  healthChecks: () => import('../../../functions/pds/health-checks.ts'),
  provisioningLog: () => import('../../../functions/pds/provisioning-log.ts'),
  createBackup: () => import('../../../functions/lifecycle/create-backup.ts'),
  retryProvision: () => import('../../../functions/pds/retry-provision.ts'),
  provision: () => import('../../../functions/pds/provision.ts'),
  healthz: () => import('../../../functions/pds/healthz.ts'),
};

const CONTRACTS: Record<keyof typeof FUNCTIONS, Contract> = { ...contracts, createBackup };

function ask(operation: keyof typeof FUNCTIONS, options: Call = {}) {
  return call(routes[operation] as ApiHandler, CONTRACTS[operation], options);
}

/** Does what the Lambda service does: takes the messages that wait and gives them to the worker. */
async function work(): Promise<void> {
  for (;;) {
    const { Messages = [] } = await stage.sqsClient.send(
      new ReceiveMessageCommand({ QueueUrl: bench.deps.queueUrl, MaxNumberOfMessages: 10 }),
    );
    if (Messages.length === 0) return;
    for (const { Body = '' } of Messages) await performWork(bench.deps, readMessage(Body) ?? '');
  }
}

async function activeMember() {
  const user = newcomer();
  const cookie = await logIn(user);
  await work();
  return { id: String(user.id), cookie };
}

beforeAll(async () => {
  stage = await openStage();
  // Nothing here waits for a failure: a slow machine may take its time.
  bench = await openBench(stage, { times: TIMES.local }, ENCRYPTION_KEY);
  leaveMemberHosts = reachMemberHosts({ domain: DOMAIN, gatewayUrl: stage.gateway.url });
  db = connect(bench.database.superuserUrl, { max: 2 });
  setEnvironment(bench.database, {
    PROVISIONING_QUEUE_URL: bench.deps.queueUrl,
    AWS_ENDPOINT_URL_SQS: stage.sqs.url,
  });
  const loaded = Object.entries(FUNCTIONS).map(
    async ([name, load]) => [name, (await load()).handler] as const,
  );
  routes = Object.fromEntries(await Promise.all(loaded));
});
afterAll(async () => {
  leaveMemberHosts();
  await db.end();
  await bench.close();
  await stage.close();
});

describe('a member whose identity is active', () => {
  it('sees it, with the fields of the specification', async () => {
    const { cookie } = await activeMember();
    const { data } = await ask('info', { cookie });
    expect(data).toMatchObject({
      pds_handle: expect.stringMatching(/^@[a-z0-9-]+\.pnptv\.test$/),
      pds_did: expect.stringMatching(/^did:web:[a-z0-9-]+\.pnptv\.test$/),
      pds_endpoint: stage.pds.url,
      status: 'active',
      provisioning_step: 'secured',
      error: null,
    });
  });

  it('has it checked on demand: three probes succeed, are stored, and are listed', async () => {
    const { cookie } = await activeMember();
    const { data } = await ask('health', { cookie });
    expect(data).toMatchObject({
      has_pds: true,
      accessible: true,
      status: 'active',
      verification_status: 'accessible',
    });
    expect(Date.now() - Date.parse(data.last_verified_at)).toBeLessThan(10_000);
    const checks = (await ask('healthChecks', { cookie, query: { limit: '3' } })).data;
    expect(
      checks.map((check: { check_type: string; status: string }) => [check.check_type, check.status]).sort(),
    ).toEqual([
      ['at_protocol', 'success'],
      ['connectivity', 'success'],
      ['endpoint_reachable', 'success'],
    ]);
    expect((await ask('info', { cookie })).data.verification_status).toBe('accessible');
  });

  const openChecks = (id: string) => db`
    SELECT id FROM pds_provisioning_queue WHERE user_id = ${id} AND action = 'verify' AND status = 'pending'`;
  const statuses = async (cookie: string) =>
    (await ask('healthChecks', { cookie, query: { limit: '3' } })).data.map(
      ({ status }: { status: string }) => status,
    );

  it('is told what is known within 3 seconds when the PDS hangs; that alone makes nobody inaccessible', async () => {
    const { id, cookie } = await activeMember();
    stage.pds.pause();
    const begun = performance.now();
    const { data } = await ask('health', { cookie }).finally(() => stage.pds.resume());
    // On a busy machine a little more; a request to a PDS may take eight.
    expect(performance.now() - begun).toBeLessThan(6_000);
    expect(data).toMatchObject({ has_pds: true, accessible: false, verification_status: 'accessible' });
    expect(data.probes).toEqual({
      pds: 'unknown',
      endpoint: 'unknown',
      account: 'unknown',
      did_document: 'passed',
      handle: 'passed',
    });
    expect(await statuses(cookie)).toEqual(['timeout', 'timeout', 'timeout']);
    // He will be looked at properly, once however often he asks.
    expect(await openChecks(id)).toHaveLength(1);
    expect((await ask('health', { cookie })).data).toMatchObject({ accessible: true, problem: null });
    expect(await openChecks(id)).toHaveLength(1);
  });

  it('is told nothing new when the PDS is too busy to be asked', async () => {
    const { id, cookie } = await activeMember();
    expect((await ask('health', { cookie })).data.accessible).toBe(true);
    const busy = createServer((_, answer) => answer.writeHead(429).end('{"error":"RateLimitExceeded"}'));
    await once(busy.listen(0, '127.0.0.1'), 'listening');
    const url = `http://127.0.0.1:${(busy.address() as AddressInfo).port}`;
    await db`UPDATE pds_providers SET endpoint = ${url}`;
    await db`UPDATE user_pds_mapping SET pds_endpoint = ${url} WHERE user_id = ${id}`;
    const { data } = await ask('health', { cookie });
    await db`UPDATE pds_providers SET endpoint = ${stage.pds.url}`;
    busy.close();
    expect(data).toMatchObject({
      accessible: true,
      verification_status: 'accessible',
      probes: { pds: 'unknown', account: 'unknown', handle: 'passed' },
    });
    expect(await statuses(cookie)).toEqual(['failed', 'failed', 'failed']);
    expect(await openChecks(id)).toHaveLength(0);
  });

  it('is told when the names no longer lead to the PDS', async () => {
    const { id, cookie } = await activeMember();
    await db`UPDATE hostnames SET released_at = now() WHERE user_id = ${id} AND kind = 'handle'`;
    const { data } = await ask('health', { cookie });
    expect(data).toMatchObject({ accessible: false, probes: { handle: 'failed', did_document: 'passed' } });
  });

  it('is told what made his identity inaccessible, and that it has to be looked at again', async () => {
    const { id, cookie } = await activeMember();
    await db`
      UPDATE user_pds_mapping SET verification_status = 'inaccessible', health_problem = 'ACCOUNT_TAKEN_DOWN'
      WHERE user_id = ${id}`;
    const { data } = await ask('health', { cookie });
    expect(data).toMatchObject({
      accessible: true,
      verification_status: 'inaccessible',
      problem: { code: 'ACCOUNT_TAKEN_DOWN', message: expect.stringMatching(/operator/) },
    });
    expect(await openChecks(id)).toHaveLength(1);
  });

  it('gets a backup that holds everything, opens in its own place only, and is in the log', async () => {
    const { id, cookie } = await activeMember();
    const { data } = await ask('createBackup', { cookie });
    const days = (Date.parse(data.expires_at) - Date.parse(data.created_at)) / 86_400_000;
    expect(days).toBeCloseTo(30, 1);
    const rows = await db`SELECT * FROM pds_credential_backups WHERE user_id = ${id} ORDER BY id`;
    expect(rows.map((row) => row.backup_type)).toEqual(['auto', 'manual']);
    const [auto, manual] = rows.map((row) => ({
      id: row.id as number,
      sealed: { body: row.backup_data_encrypted, iv: row.backup_iv, tag: row.backup_auth_tag },
    }));
    if (!auto || !manual) throw new Error('no backups');
    const bundle = JSON.parse(
      Buffer.from(await openSecret(bench.deps.vault, backupPlace(id, manual.id), manual.sealed)).toString(),
    );
    expect(bundle).toMatchObject({
      format: 1,
      pds_endpoint: stage.pds.url,
      handle: expect.stringContaining('.pnptv.test'),
    });
    expect(Buffer.from(bundle.member_key.private_key, 'base64url')).toHaveLength(32);
    const login = await fetch(`${stage.pds.url}/xrpc/com.atproto.server.createSession`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ identifier: bundle.did, password: bundle.account.password }),
    });
    expect(login.status).toBe(200);
    await expect(openSecret(bench.deps.vault, backupPlace(id, manual.id), auto.sealed)).rejects.toThrow();

    const entries = (await ask('provisioningLog', { cookie })).data;
    expect(entries.map(({ action }: { action: string }) => action)).toContain('backup_created');
    expect(JSON.stringify(entries)).not.toContain(bundle.account.password);
    const { pnptv_uuid } = (await ask('info', { cookie })).data;
    expect(await verifyMember(bench.sql, pnptv_uuid)).toMatchObject({ intact: true });
  });

  it('is simply answered when he asks for another try', async () => {
    const { id, cookie } = await activeMember();
    const { data } = await ask('retryProvision', { cookie });
    expect(data.status).toBe('active');
    const open = await db`SELECT id FROM pds_provisioning_queue WHERE user_id = ${id} AND status = 'pending'`;
    expect(open).toHaveLength(0);
  });
});

describe('the log', () => {
  it('comes in pages, newest first, with the total also beyond the last page', async () => {
    const { cookie } = await activeMember();
    await ask('createBackup', { cookie });
    const all = await ask('provisioningLog', { cookie });
    const total = all.data.length;
    expect(all.pagination).toEqual({ limit: 50, offset: 0, total });
    expect(total).toBeGreaterThanOrEqual(3);
    const ids = all.data.map(({ id }: { id: number }) => id);
    expect(ids).toEqual([...ids].sort((a, b) => b - a));
    const second = await ask('provisioningLog', { cookie, query: { limit: '1', offset: '1' } });
    expect(second.data).toEqual([all.data[1]]);
    expect(second.pagination).toEqual({ limit: 1, offset: 1, total });
    const beyond = await ask('provisioningLog', { cookie, query: { offset: '999999999' } });
    expect([beyond.data, beyond.pagination]).toEqual([[], { limit: 50, offset: 999_999_999, total }]);
  });

  it.each([
    { limit: '0' },
    { limit: '101' },
    { limit: '-1' },
    { limit: '1.5' },
    { limit: '' },
    { limit: 'all' },
    { limit: '1,2' },
    { limit: '1e1' },
    { limit: ' 5' },
    { limit: '5; DROP TABLE users' },
  ])('refuses %j', async (query) => {
    const cookie = await logIn();
    const { status, error } = await ask('provisioningLog', { cookie, query });
    expect([status, error?.code, error?.fields]).toEqual([400, 'INPUT_INVALID', ['limit']]);
  });

  it.each([{ offset: '-1' }, { offset: '9999999999' }, { offset: 'x' }])('refuses %j', async (query) => {
    const { error } = await ask('provisioningLog', { cookie: await logIn(), query });
    expect(error?.fields).toEqual(['offset']);
  });

  it('takes the limits themselves, and refuses parameters it does not know', async () => {
    const cookie = await logIn();
    expect((await ask('provisioningLog', { cookie, query: { limit: '100' } })).status).toBe(200);
    expect((await ask('healthChecks', { cookie, query: { limit: '1' } })).status).toBe(200);
    expect((await ask('healthChecks', { cookie, query: { offset: '1' } })).error?.fields).toEqual(['offset']);
    expect((await ask('info', { cookie, query: { user_id: '1' } })).error?.fields).toEqual(['user_id']);
  });
});

describe('a member whose identity is not active yet', () => {
  it('is pending, has nothing to check and nothing to back up', async () => {
    const cookie = await logIn();
    expect((await ask('info', { cookie })).data).toMatchObject({
      status: 'pending',
      pds_handle: null,
      pds_did: null,
      pds_endpoint: null,
      provisioning_step: 'requested',
    });
    expect((await ask('health', { cookie })).data).toEqual({
      has_pds: false,
      pds_handle: null,
      pds_did: null,
      status: 'pending',
      verification_status: 'unknown',
      accessible: false,
      last_verified_at: null,
      probes: null,
      problem: null,
    });
    const { status, error } = await ask('createBackup', { cookie });
    expect([status, error?.code]).toEqual([409, 'IDENTITY_NOT_READY']);
    expect((await ask('healthChecks', { cookie })).data).toEqual([]);
  });

  it('reads why it failed, tries again, and gets it', async () => {
    const user = newcomer();
    const cookie = await logIn(user);
    const id = String(user.id);
    await db`UPDATE pds_provisioning_queue SET status = 'failed', attempt_count = 3 WHERE user_id = ${id}`;
    await db`
      UPDATE user_pds_mapping SET status = 'error', error_code = 'PDS_REJECTED', error_message = 'Refused.'
      WHERE user_id = ${id}`;
    expect((await ask('info', { cookie })).data).toMatchObject({
      status: 'error',
      error: { code: 'PDS_REJECTED', message: 'Refused.' },
    });
    expect((await ask('retryProvision', { cookie })).data.status).toBe('pending');
    const [entry] = (await ask('provisioningLog', { cookie })).data;
    expect(entry).toMatchObject({ action: 'retry', status: 'pending' });
    await work();
    expect((await ask('info', { cookie })).data.status).toBe('active');
  });

  it('can ask for another try only so often', async () => {
    const cookie = await logIn();
    const answers = [];
    for (let count = 0; count < 21; count += 1) answers.push(await ask('retryProvision', { cookie }));
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.error?.code).toBe('RATE_LIMITED');
    expect(Number(refused?.headers['retry-after'])).toBeGreaterThan(0);
    await work();
  });
});

describe('an administrator', () => {
  const adminCookie = () => logIn({ id: ADMIN_ID, first_name: `Root ${Math.random()}` });

  it('provisions a member by hand and sees how it ended', async () => {
    const user = newcomer();
    await logIn(user);
    const cookie = await adminCookie();
    const [{ data }] = await Promise.all([
      ask('provision', { cookie, body: { userId: String(user.id) } }),
      work()
        .then(() => new Promise((resolve) => setTimeout(resolve, 300)))
        .then(work),
    ]);
    expect(data).toMatchObject({ status: 'active', pds_endpoint: stage.pds.url });
    expect(data.duration_ms).toBeGreaterThan(0);
    const entries = await db`
      SELECT created_by FROM pds_provisioning_log WHERE user_id = ${String(user.id)} AND action = 'retry'`;
    expect(entries).toEqual([{ created_by: String(ADMIN_ID) }]);
  });

  it('is told of a member who was never here, and of an id that is none', async () => {
    const cookie = await adminCookie();
    const unknown = await ask('provision', { cookie, body: { userId: '987654321' } });
    expect([unknown.status, unknown.error?.code]).toEqual([404, 'MEMBER_NOT_FOUND']);
    for (const body of [
      {},
      { userId: 5 },
      { userId: '' },
      { userId: "1' OR '1'='1" },
      { userId: '1', x: 1 },
    ]) {
      expect((await ask('provision', { cookie, body })).status).toBe(400);
    }
  });

  it('is an administrator: everybody else is refused and changes nothing', async () => {
    const user = newcomer();
    const cookie = await logIn(user);
    const { status, error } = await ask('provision', { cookie, body: { userId: String(user.id) } });
    expect([status, error?.code]).toEqual([403, 'ADMIN_REQUIRED']);
    expect((await ask('provision', { body: { userId: String(user.id) } })).status).toBe(401);
    const entries = await db`SELECT id FROM pds_provisioning_log WHERE user_id = ${String(user.id)}`;
    expect(entries).toHaveLength(0);
  });
});

it('no member ever sees anything of another', async () => {
  const [first, second] = [await activeMember(), await activeMember()];
  await ask('createBackup', { cookie: first.cookie });
  await ask('health', { cookie: first.cookie });
  const own = (await ask('info', { cookie: first.cookie })).data;
  for (const operation of ['info', 'health', 'healthChecks', 'provisioningLog'] as const) {
    const { data } = await ask(operation, { cookie: second.cookie });
    for (const secret of [own.pnptv_uuid, own.pds_did, own.pds_handle, first.id]) {
      expect(JSON.stringify(data)).not.toContain(secret);
    }
  }
});

it('says that it is well', async () => {
  expect((await ask('healthz')).data).toEqual({ status: 'ok' });
});

describe('well-known paths on a member’s host', () => {
  it('serve the document and the DID, readable for every page, and 404 elsewhere', async () => {
    const { handler: didJson } = await import('../../../functions/identity/did-json.ts');
    const { handler: atprotoDid } = await import('../../../functions/identity/atproto-did.ts');
    const { cookie } = await activeMember();
    const { pds_did: did, pds_handle: handle } = (await ask('info', { cookie })).data;
    const at = (route: ApiHandler, contract: Contract, host: string) =>
      call(route, contract, { headers: { host } });
    const didHost = did.replace('did:web:', '');

    const document = await at(didJson, identityContracts.didJson, didHost);
    expect(JSON.parse(document.data)).toMatchObject({ id: did, alsoKnownAs: [`at://${handle.slice(1)}`] });
    expect(document.headers).toMatchObject({
      'content-type': 'application/json',
      'access-control-allow-origin': '*',
    });
    const name = await at(atprotoDid, identityContracts.atprotoDid, `${handle.slice(1).toUpperCase()}:8443`);
    expect(name.data).toBe(did);
    expect(name.headers['content-type']).toBe('text/plain');

    for (const host of [
      'nobody.pnptv.test',
      'pnptv.test',
      'localhost:3001',
      'example.com',
      `${didHost}.evil.test`,
      '',
    ]) {
      const { status, error, headers } = await at(didJson, identityContracts.didJson, host);
      expect([host, status, error?.code, headers['cache-control']]).toEqual([
        host,
        404,
        'HOST_UNKNOWN',
        'no-store',
      ]);
    }
    expect((await at(didJson, identityContracts.didJson, handle.slice(1))).status).toBe(404);
    expect(
      (await call(routes.info as ApiHandler, contracts.info, { cookie, headers: { host: didHost } })).status,
    ).toBe(404);
  });
});
