import { execFile, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Answer, type AskOptions, ask } from './ask.ts';
import { openPlatform, type RunningPlatform, untilActive } from './running-platform.ts';

const run = promisify(execFile);
const LOCAL = path.resolve(import.meta.dirname, '../../infra/local');
const DAY_MS = 86_400_000;

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const UUID = expect.stringMatching(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/);
const HANDLE = '@alice.pnptv.test';
const DID = expect.stringMatching(/^did:web:alice-[a-z2-7]{6}\.pnptv\.test$/);
const NUMBER = expect.any(Number);

let running: RunningPlatform;
/** Where `npm run login` has left its cookies.txt: the member 123456789, and the administrator. */
let jars: { member: string; admin: string };

beforeAll(async () => {
  running = await openPlatform();
  jars = { member: await jarOf('alice'), admin: await jarOf('admin', '--admin') };
  await untilActive(running, { timeoutMs: 150_000 });
  // The first checks of the two identities come after them.
  await vi.waitUntil(
    async () => {
      const open =
        await running.sql`SELECT FROM pds_provisioning_queue WHERE status IN ('pending', 'processing')`;
      return open.length === 0;
    },
    { timeout: 20_000, interval: 100 },
  );
}, 300_000);
afterAll(async () => {
  await running?.close();
  for (const jar of Object.values(jars ?? {})) await rm(jar, { recursive: true });
});

/** Runs a command of the local platform on the running one. */
function command(name: string, args: string[], cwd?: string): Promise<{ stdout: string; stderr: string }> {
  return run(process.execPath, [path.join(LOCAL, name), '--data', running.dataDir, ...args], { cwd });
}

async function jarOf(...args: string[]): Promise<string> {
  const cwd = await mkdtemp(path.join(tmpdir(), 'pds-cookies-'));
  await command('login.ts', args, cwd);
  return cwd;
}

/** What `curl -b cookies.txt` sends. */
function cookieIn(jar: string): string {
  const [, , , , , name, value] = readFileSync(path.join(jar, 'cookies.txt'), 'utf8')
    .trim()
    .split(/[\t\n]/)
    .slice(1);
  return `${name}=${value}`;
}

const asMember = (method: string, route: string, options?: AskOptions) =>
  ask(running.platform, method, route, { cookie: cookieIn(jars.member), ...options });

async function dataOf(answer: Promise<Answer>): Promise<unknown> {
  const { status, json } = await answer;
  expect(status).toBe(200);
  expect(json.success).toBe(true);
  return json.data;
}

describe("the specification's manual testing", () => {
  it("1. shows the member's PDS info", async () => {
    expect((await asMember('GET', '/api/pds/info')).json).toEqual({
      success: true,
      data: {
        pnptv_uuid: UUID,
        pds_handle: HANDLE,
        pds_did: DID,
        pds_endpoint: running.platform.pdsUrl,
        status: 'active',
        verification_status: 'accessible',
        created_at: TIME,
        provisioning_step: 'secured',
        error: null,
        left_at: null,
      },
    });
  });

  it('2. checks health', async () => {
    expect((await asMember('GET', '/api/pds/health')).json).toEqual({
      success: true,
      data: {
        has_pds: true,
        pds_handle: HANDLE,
        pds_did: DID,
        status: 'active',
        verification_status: 'accessible',
        accessible: true,
        last_verified_at: TIME,
        problem: null,
        probes: {
          pds: 'passed',
          endpoint: 'passed',
          account: 'passed',
          did_document: 'passed',
          handle: 'passed',
        },
      },
    });
  });

  it('3. shows the provisioning log', async () => {
    const { json } = await asMember('GET', '/api/pds/provisioning-log?limit=10');
    expect(json).toEqual({
      success: true,
      data: expect.any(Array),
      pagination: { limit: 10, offset: 0, total: json.data.length },
    });
    for (const row of json.data) {
      expect(row).toEqual({
        id: NUMBER,
        action: expect.any(String),
        status: 'success',
        details: expect.any(Object),
        error_message: null,
        created_at: TIME,
      });
    }
    const created = json.data.find(({ action }: { action: string }) => action === 'created');
    expect(created.details).toMatchObject({ pds_did: DID, pds_handle: HANDLE.slice(1) });
  });

  it('4. shows health checks, the newest first, twenty of them unless told', async () => {
    for (let n = 0; n < 7; n += 1) await dataOf(asMember('GET', '/api/pds/health'));
    const checks = (await dataOf(asMember('GET', '/api/pds/health-checks'))) as { created_at: string }[];
    expect(checks).toHaveLength(20);
    for (const check of checks) {
      expect(check).toEqual({
        id: NUMBER,
        check_type: expect.stringMatching(/^(connectivity|endpoint_reachable|at_protocol|credentials)$/),
        status: 'success',
        response_time_ms: NUMBER,
        details: expect.any(Object),
        created_at: TIME,
      });
    }
    const times = checks.map(({ created_at }) => created_at);
    expect(times).toEqual(times.toSorted().reverse());
    expect(await dataOf(asMember('GET', '/api/pds/health-checks?limit=3'))).toHaveLength(3);
  });

  it('5. creates a backup that expires after 30 days', async () => {
    const data = await dataOf(asMember('POST', '/api/pds/create-backup'));
    expect(data).toEqual({ backup_id: NUMBER, created_at: TIME, expires_at: TIME });
    const { created_at, expires_at } = data as { created_at: string; expires_at: string };
    expect(Date.parse(expires_at) - Date.parse(created_at)).toBe(30 * DAY_MS);
    expect(Math.abs(Date.parse(created_at) - Date.now())).toBeLessThan(60_000);
  });

  it('6. lets an admin provision a member by hand', async () => {
    const admin = { cookie: cookieIn(jars.admin), body: { userId: '123456789' } };
    expect((await asMember('POST', '/api/pds/provision', admin)).json).toEqual({
      success: true,
      data: {
        pnptv_uuid: UUID,
        pds_handle: HANDLE,
        pds_did: DID,
        pds_endpoint: running.platform.pdsUrl,
        status: 'active',
        verification_status: 'accessible',
        created_at: TIME,
        provisioning_step: 'secured',
        error: null,
        left_at: null,
        duration_ms: NUMBER,
      },
    });
  });

  it('retries by hand, which leaves an active identity as it is', async () => {
    expect((await asMember('POST', '/api/pds/retry-provision')).json).toEqual({
      success: true,
      data: { pnptv_uuid: UUID, pds_handle: HANDLE, pds_did: DID, status: 'active' },
    });
  });

  it('pages through the log without a gap or a repetition', async () => {
    for (let n = 0; n < 3; n += 1) await dataOf(asMember('POST', '/api/pds/create-backup'));
    const { data: all, pagination } = (await asMember('GET', '/api/pds/provisioning-log')).json;
    expect(pagination).toEqual({ limit: 50, offset: 0, total: all.length });
    expect(all.length).toBeGreaterThan(5);
    const paged: unknown[] = [];
    for (let offset = 0; offset < all.length; offset += 2) {
      const page = (await asMember('GET', `/api/pds/provisioning-log?limit=2&offset=${offset}`)).json;
      expect(page.pagination).toEqual({ limit: 2, offset, total: all.length });
      expect(page.data.length).toBe(Math.min(2, all.length - offset));
      paged.push(...page.data);
    }
    expect(paged).toEqual(all);
    const beyond = (await asMember('GET', '/api/pds/provisioning-log?limit=100&offset=1000')).json;
    expect(beyond).toEqual({
      success: true,
      data: [],
      pagination: { limit: 100, offset: 1000, total: all.length },
    });
  });

  const CURL_LINES = [
    'curl -b cookies.txt http://localhost:3001/api/pds/info',
    'curl -b cookies.txt http://localhost:3001/api/pds/health',
    "curl -b cookies.txt 'http://localhost:3001/api/pds/provisioning-log?limit=10'",
    "curl -b cookies.txt 'http://localhost:3001/api/pds/health-checks'",
    'curl -X POST -b cookies.txt http://localhost:3001/api/pds/create-backup',
    'curl -X POST -b cookies.txt http://localhost:3001/api/pds/retry-provision',
  ];
  const ADMIN_CURL_LINE = `curl -X POST -b cookies.txt \\
    -H "Content-Type: application/json" \\
    -d '{"userId": "123456789"}' \\
    http://localhost:3001/api/pds/provision`;
  const hasCurl = spawnSync('curl', ['--version']).status === 0;

  it.skipIf(!hasCurl)('works with the lines as they are printed', async () => {
    const shell = async (line: string, cwd: string) => {
      const here = line.replace('http://localhost:3001', running.platform.url).replace('curl', 'curl -s');
      return JSON.parse((await run('sh', ['-c', here], { cwd })).stdout);
    };
    for (const line of CURL_LINES)
      expect([line, (await shell(line, jars.member)).success]).toEqual([line, true]);
    expect((await shell(ADMIN_CURL_LINE, jars.admin)).data).toMatchObject({
      pds_handle: HANDLE,
      status: 'active',
    });
    const refused = await shell(ADMIN_CURL_LINE, jars.member);
    expect(refused).toMatchObject({ success: false, error: { code: 'ADMIN_REQUIRED' } });
  });
});

describe('the audit log of a running platform', () => {
  it('is verified by an administrator, by the command, and by the member with his own copy', async () => {
    const admin = { cookie: cookieIn(jars.admin) };
    const { json } = await asMember('GET', '/api/admin/audit/verify', admin);
    expect(json.data).toMatchObject({ intact: true, members: 2, broken: null });
    expect((await command('audit-verify.ts', [])).stdout).toMatch(
      /^Intact: \d+ entries of 2 members\.\nWithout --root .+\.\n$/,
    );

    expect((await command('fire.ts', ['seal-root-daily'])).stdout).toBe('seal-root-daily is done.\n');
    await expect(command('fire.ts', ['seal-root'])).rejects.toThrow(/is none of: .*seal-root-daily/);
    const roots = path.join(running.dataDir, 'buckets');
    const [sealed = ''] = readdirSync(roots, { recursive: true }).filter((name) => name.includes('.json'));
    expect((await command('audit-verify.ts', ['--root', path.join(roots, String(sealed))])).stdout).toMatch(
      /^Root of .+: \d+ entries of 2 members, signed by arn:aws:kms:.+\n.+\nIntact: \d+ entries of 2 members\.\n$/,
    );

    const copy = path.join(jars.member, 'audit-log.json');
    writeFileSync(copy, JSON.stringify((await asMember('GET', '/api/pds/provisioning-log/export')).json));
    expect((await command('audit-verify.ts', [copy])).stdout).toMatch(
      /^Root of \S+: \d+ entries of \d+ members\n {2}public key .+\nIntact: \d+ entries of 1 member\.\n$/,
    );
  });
});

describe("the specification's database testing", () => {
  it.each([
    ['SELECT * FROM user_pds_mapping LIMIT 5;', 2],
    ['SELECT * FROM pds_provisioning_log ORDER BY created_at DESC LIMIT 10;', 10],
    ['SELECT * FROM pds_health_checks ORDER BY created_at DESC LIMIT 10;', 10],
    ["SELECT * FROM pds_provisioning_queue WHERE status = 'pending';", 0],
    [
      `
  SELECT
    (SELECT COUNT(*) FROM user_pds_mapping) as total_users_with_pds,
    (SELECT COUNT(*) FROM user_pds_mapping WHERE status = 'active') as active_pds,
    (SELECT COUNT(*) FROM user_pds_mapping WHERE status = 'error') as error_pds,
    (SELECT COUNT(*) FROM pds_provisioning_queue WHERE status = 'pending') as pending_retries;
`,
      1,
    ],
    [
      "SELECT id, is_used, expires_at FROM pds_credential_backups WHERE user_id = '123456789' ORDER BY created_at DESC LIMIT 1;",
      1,
    ],
  ])('answers %s', async (statement, rows) => {
    const { stdout } = await command('psql.ts', ['-U', 'postgres', '-d', 'pnptv_db', '-c', statement]);
    expect(stdout).toContain(`(${rows} row${rows === 1 ? '' : 's'})`);
  });

  it('counts who is there', async () => {
    const [counts] = await running.sql`
      SELECT (SELECT count(*) FROM user_pds_mapping) AS total,
        (SELECT count(*) FROM user_pds_mapping WHERE status = 'active') AS active`;
    expect(counts).toEqual({ total: 2, active: 2 });
  });
});

describe('every answer', () => {
  const ROUTES: [method: string, route: string, status: number, options?: AskOptions][] = [
    ['GET', '/api/pds/info', 200],
    ['POST', '/api/pds/create-backup', 200],
    ['GET', '/api/healthz', 200],
    ['GET', '/api/pds/info', 401, { cookie: undefined }],
    ['GET', '/api/pds/provisioning-log?limit=0', 400],
    ['POST', '/api/pds/provision', 403, { body: { userId: '5' } }],
    ['GET', '/.well-known/did.json', 404],
    ['GET', '/.well-known/atproto-did', 200, { host: HANDLE.slice(1) }],
  ];

  it.each(ROUTES)('of %s %s (%i) carries the security headers', async (method, route, status, options) => {
    const { headers, ...answer } = await asMember(method, route, options);
    expect(answer.status).toBe(status);
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'strict-transport-security': expect.stringContaining('max-age='),
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'x-request-id': expect.stringMatching(/.{16,}/),
    });
    const isDocument = route.startsWith('/.well-known/');
    expect(headers['access-control-allow-origin']).toBe(isDocument ? '*' : undefined);
    expect(headers['cross-origin-resource-policy']).toBe(isDocument ? 'cross-origin' : 'same-origin');
    if (!isDocument) expect(headers['cache-control']).toBe('no-store');
    expect(headers.server ?? headers['x-powered-by']).toBeUndefined();
  });

  it('has a request id of its own, and a refusal stands under it in the log', async () => {
    const answers = await Promise.all(
      ROUTES.map(([method, route, , options]) => asMember(method, route, options)),
    );
    const ids = answers.map(({ headers }) => String(headers['x-request-id']));
    expect(new Set(ids).size).toBe(ids.length);
    const refused = answers.filter(({ status }) => status >= 400);
    expect(refused).toHaveLength(4);
    for (const { status, headers, json } of refused) {
      const id = headers['x-request-id'];
      expect(json.error.request_id).toBe(id);
      const linesOf = () =>
        running.lines.map(({ line }) => line).filter((line) => line.includes(`"request_id":"${id}"`));
      await expect.poll(linesOf, { timeout: 10_000 }).toHaveLength(1);
      expect(JSON.parse(linesOf()[0] ?? '')).toMatchObject({ code: json.error.code, status });
    }
  });
});
