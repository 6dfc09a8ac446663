import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type ReceiveMessageResult, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { keepPdsSecrets } from '../../infra/local/atproto/pds-secrets.ts';
import { signWidgetPayload, type TelegramUser } from '../../infra/local/telegram.ts';
import type { Did } from '../../lib/brands.ts';
import { CONTRACTS } from '../../lib/docs/contracts.ts';
import { updateAccountPassword } from '../../lib/pds/client/admin.ts';
import { type AskOptions, ask } from './ask.ts';
import { type Opened, openEverySecret, spellings } from './opened-secrets.ts';
import { credentialsFor, exampleFor, rightPath } from './rightful.ts';
import {
  deployedSecret,
  fire,
  newcomer,
  openPlatform,
  type RunningPlatform,
  relayNow,
  untilActive,
  WORKER,
} from './running-platform.ts';
import { setUpFactor } from './second-factor.ts';
import { passThroughDoors } from './secrets-of-doors.ts';

/** What strays into requests where it has no business. */
const STRAY = 'a-token-of-something-else-that-strayed-here';
/** Their answers show a member a secret of his own: that is what they are for. */
const HANDS_OUT = ['enrollTotp'];

/**
 * Drives the platform through good and bad days and keeps everything that leaves it in the clear: answers, log lines,
 * messages, rows, and what is deployed. Then no secret, in no spelling, may be in any of it.
 */
describe('what the platform says', () => {
  let running: RunningPlatform;
  const secrets: Opened[] = [];
  const answers: string[] = [];
  const messages: string[] = [];
  let did: Did;
  let uuid: string;

  const keep = (name: string, value: string) => secrets.push({ name, bytes: Buffer.from(value) });
  const tell = async (method: string, route: string, options?: AskOptions) => {
    const { headers, ...answer } = await ask(running.platform, method, route, options);
    // A login hands its session to the browser; nothing else ever shows one.
    const { 'set-cookie': cookies, ...others } = headers;
    answers.push(JSON.stringify(others), answer.text);
    return { ...answer, cookie: cookies?.[0]?.split(';', 1)[0] };
  };
  const logIn = async (user: TelegramUser) => {
    const body = signWidgetPayload(running.platform.botToken, user);
    keep(`signature of ${user.id}`, body.hash);
    const { cookie } = await tell('POST', '/api/auth/telegram/widget', { body });
    if (cookie === undefined) throw new Error('no session');
    keep(`session of ${user.id}`, cookie.slice(cookie.indexOf('=') + 1));
    return cookie;
  };
  /** Every route once, in order, by whom it is for, with a token that strayed into the request. */
  const askFor = async (contract: (typeof CONTRACTS)[number], { admin }: { admin: string }) => {
    const { method, host, operationId } = contract;
    const member = newcomer();
    const memberCookie = await logIn(member);
    const body = exampleFor(contract, 'body');
    const rawBody = body && JSON.stringify(body);
    const path = rightPath(contract);
    const rightful = { running, memberCookie, adminCookie: admin };
    const { cookie = '', ...headers } = credentialsFor(rightful, contract, path, rawBody ?? '');
    const sent: AskOptions = {
      ...(host === 'member' && { host: 'nobody.pnptv.test' }),
      ...(rawBody !== undefined && { rawBody }),
      cookie: [`stray=${STRAY}`, cookie].filter(Boolean).join('; '),
      headers: { ...headers, 'x-stray': STRAY, ...(cookie === '' && { authorization: `Bearer ${STRAY}` }) },
    };
    const query = new URLSearchParams(exampleFor(contract, 'query') as Record<string, string>).toString();
    const target = query ? `${path}?${query}` : path;
    const { status } = HANDS_OUT.includes(operationId)
      ? await ask(running.platform, method, target, sent)
      : await tell(method, target, sent);
    if (status >= 500) throw new Error(`${operationId} answered ${status}`);
  };
  const openAll = async () => secrets.push(...(await openEverySecret(running)));

  beforeAll(async () => {
    listenIn(messages);
    running = await openPlatform();
    const { platform, dataDir, sql } = running;
    keep('bot token', platform.botToken);
    const pdsSecrets = keepPdsSecrets(path.join(dataDir, 'pds', 'secrets.json'));
    for (const [name, value] of Object.entries(pdsSecrets)) keep(`${name} of the PDS`, value);
    for (const [role, url] of Object.entries(platform.databaseUrls)) {
      keep(`password of ${role}`, decodeURIComponent(new URL(String(url)).password));
    }
    keep('stray token', STRAY);
    keep('SESSION_SECRET', deployedSecret(dataDir, /session/i));

    // A good day.
    const alice = newcomer('silent_alice');
    let cookie = await logIn(alice);
    await untilActive(running, { timeoutMs: 30_000 });
    await openAll();
    const [row] = await sql<
      { pds_did: Did; pnptv_uuid: string }[]
    >`SELECT pds_did, pnptv_uuid FROM user_pds_mapping`;
    if (!row) throw new Error('no identity');
    ({ pds_did: did, pnptv_uuid: uuid } = row);
    await tell('POST', '/api/pds/create-backup', { cookie });

    // What a member is handed of his own is for his eyes: these answers are not kept, but what was in them is.
    const { secret, codes } = await setUpFactor(platform, cookie);
    keep('TOTP secret', secret);
    for (const [index, code] of codes.entries()) keep(`recovery code ${index}`, code);
    const stepUp = async (operation: string, target: string | object, code = '') => {
      const body = { operation, target, code };
      const { cookie: renewed } = await tell('POST', '/api/auth/2fa/step-up', { cookie, body });
      if (renewed === undefined) return;
      cookie = renewed;
      keep('renewed session', cookie.slice(cookie.indexOf('=') + 1));
    };
    const credential = 'account_password';
    await stepUp('revealCredentials', credential, '123 456');
    await stepUp('revealCredentials', credential, codes[0]);
    const { json } = await ask(platform, 'POST', '/api/pds/credentials/reveal', {
      cookie,
      body: { credential },
    });
    keep('revealed password', json.data.password);
    await tell('POST', '/api/pds/credentials/reveal', { cookie, body: { credential } });
    const name = 'another app';
    await stepUp('createAppPassword', { name }, codes[2]);
    const app = await ask(platform, 'POST', '/api/pds/app-passwords', { cookie, body: { name } });
    keep('app password', app.json.data.password);
    await tell('GET', '/api/pds/app-passwords', { cookie });
    await tell('DELETE', '/api/pds/app-passwords/another%20app', { cookie });
    const [{ backup } = {}] = await sql`SELECT max(id)::text AS backup FROM pds_credential_backups`;
    await stepUp('restoreBackup', backup, codes[1]);
    for (const expected of [200, 403]) {
      const { status } = await tell('POST', `/api/pds/backups/${backup}/restore`, { cookie });
      if (status !== expected) throw new Error(`the restore answered ${status}`);
    }
    await openAll();
    await tell('GET', '/api/auth/2fa', { cookie });

    await passThroughDoors(running, { keep, tell });

    // Bad input, and a PDS that is down while somebody else comes: his bootstrap key is still there.
    const forged = signWidgetPayload(
      platform.botToken,
      newcomer('mallory'),
      new Date(Date.now() - 3_600_000),
    );
    keep('stale signature', forged.hash);
    await tell('POST', '/api/auth/telegram/widget', { body: forged });
    await tell('POST', '/api/auth/telegram/widget', { body: { ...forged, token: platform.botToken } });
    await tell('POST', '/api/auth/telegram/widget', { rawBody: `{"hash":"${forged.hash}"` });
    await platform.pds.stop();
    const bob = await logIn(newcomer('silent_bob'));
    await tell('GET', '/api/pds/health', { cookie });
    await some(() => sql`SELECT FROM user_pds_mapping WHERE bootstrap_key_sealed IS NOT NULL`);
    await openAll();
    // His message dies: it came as often as SQS lets it.
    const [{ id: poison } = {}] = await sql`SELECT max(id)::text AS id FROM pds_provisioning_queue`;
    await new SQSClient({}).send(
      new SendMessageCommand({
        QueueUrl: platform.queueUrl('provisioning-dead-letters'),
        MessageBody: JSON.stringify({ queueId: poison }),
      }),
    );
    await some(() => sql`SELECT FROM dead_letters`);
    await tell('POST', '/api/pds/retry-provision', { cookie: bob });
    await tell('POST', '/api/pds/create-backup', { cookie: bob });
    await platform.pds.start();
    // Until the circuit breaker is closed nobody's work would begin.
    await untilActive(running, { timeoutMs: 150_000 });

    // A worker that dies at work, and an account whose stored credentials do not fit any more.
    const carol = newcomer('silent_carol');
    platform.pds.pause();
    await logIn(carol);
    await some(
      () => sql`
        SELECT FROM pds_provisioning_queue
        WHERE user_id = ${String(carol.id)} AND status = 'processing' AND action = 'create'`,
    );
    platform.functions.kill(WORKER);
    platform.pds.resume();
    await untilActive(running, { timeoutMs: 150_000 });
    await openAll();
    const pds = { fetch, now: () => new Date(), endpoint: platform.pds.url, timeoutMs: 10_000 };
    const { adminPassword } = pdsSecrets;
    await updateAccountPassword({ ...pds, adminPassword }, { did, password: 'another-password-than-ours' });
    await sql`UPDATE user_pds_mapping SET last_verified_at = now() - interval '2 hours' WHERE pds_did = ${did}`;
    await logIn({ ...alice, first_name: 'Alice, back again' });
    await relayNow(running);
    await some(() => sql`SELECT FROM pds_health_checks WHERE details ? 'password_reset'`);
    // The hourly sweep: it opens the session of whoever is due, and seals the next one.
    await sql`UPDATE user_pds_mapping SET credentials_checked_at = '2000-01-01' WHERE pds_did = ${did}`;
    await fire(platform, /plan-health-sweep-hourly/);
    await some(
      () => sql`
        SELECT FROM user_pds_mapping
        WHERE pds_did = ${did} AND seen_in_sweep > 0 AND credentials_checked_at > now() - interval '5 minutes'`,
    );
    await openAll();

    for (const route of ['info', 'health', 'health-checks', 'provisioning-log']) {
      await tell('GET', `/api/pds/${route}`, { cookie });
    }
    await tell('GET', '/api/auth/session', { cookie });
    await tell('GET', '/.well-known/did.json', { host: did.slice('did:web:'.length) });
    const admin = await logIn({ id: platform.adminTelegramId, first_name: 'Admin' });
    await tell('POST', '/api/pds/provision', { cookie: admin, body: { userId: String(alice.id) } });
    await tell('POST', '/api/auth/logout', { cookie });
    for (const contract of CONTRACTS) await askFor(contract, { admin });
    await openAll();
  }, 300_000);
  afterAll(async () => {
    await running?.close();
  });

  const spelled = new Map<Opened, readonly string[]>();
  const formsOf = (secret: Opened) => {
    const forms = spelled.get(secret) ?? spellings(secret);
    spelled.set(secret, forms);
    return forms;
  };
  /** Names what is found; a failing test must not print the secret itself. */
  const found = (text: string) =>
    secrets
      .filter((secret) => formsOf(secret).some((spelling) => text.includes(spelling)))
      .map(({ name }) => name);

  it('has had every kind of secret to keep', () => {
    const kinds = new Set(secrets.map(({ name }) => name.replace(/ (of )?[\d-][\da-f-]*$/, '')));
    for (const kind of [
      'pds_private_key_encrypted',
      'bootstrap_key_sealed',
      'account_password_sealed',
      'pds_access_token',
      'pds_refresh_token',
      'session',
      'renewed session',
      'bearer',
      'hash of init data',
      'authorization code',
      'browser of a login',
      'state',
      'nonce',
      'verifier',
      'session by OpenID Connect',
      'client secret',
      'webhook secret',
      'login link',
      'session by link',
      'key of a backend',
      'signature of a backend',
      'exchange code',
      'session by code',
      'TOTP secret',
      'recovery code',
      'revealed password',
      'signature',
      'bot token',
      'SESSION_SECRET',
      'stray token',
      'adminPassword of the PDS',
      'password of worker',
    ]) {
      expect(kinds).toContain(kind);
    }
    expect(secrets.filter(({ name }) => name.startsWith('data key'))).not.toHaveLength(0);
    for (const { name, bytes } of secrets) expect([name, bytes.length > 15]).toEqual([name, true]);
    // The search itself finds what is there.
    for (const secret of secrets) {
      for (const spelling of formsOf(secret)) expect(found(`"…${spelling}…"`)).toContain(secret.name);
    }
  });

  it('holds no secret in any answer', () => {
    const text = answers.join('\n');
    expect(text).toContain(did);
    expect(found(text)).toEqual([]);
  });

  it('holds no secret in any log line, failures and stacks included', () => {
    const text = running.lines.map(({ line }) => line).join('\n');
    for (const sign of [
      uuid,
      'request refused',
      'work waits',
      'SIGKILL',
      'dead letter',
      '"CloudWatchMetrics"',
    ])
      expect(text).toContain(sign);
    expect(found(text)).toEqual([]);
    // The platform itself takes the operator's secrets out of what the PDS prints. Our functions need nobody to do it.
    const ours = running.lines.filter(({ source, line }) => source !== 'pds' && line.includes('[secret]'));
    expect(ours).toEqual([]);
  });

  it('carries nothing but the number of a row, or of a sweep and a data key, through SQS', () => {
    expect(messages).not.toHaveLength(0);
    for (const message of messages)
      expect(message).toMatch(/^\{("queueId":"\d+"|"sweepId":\d+,"dataKeyId":"[0-9a-f-]{36}")\}$/);
  });

  it('keeps nothing in the clear in any table', async () => {
    const { sql } = running;
    const tables = await sql<{ name: string }[]>`
      SELECT c.oid::regclass::text AS name FROM pg_class c
      WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace`;
    expect(tables.length).toBeGreaterThan(15);
    const dumps = await Promise.all(
      tables.map(({ name }) => sql<{ line: string }[]>`SELECT t::text AS line FROM ${sql(name)} t`),
    );
    const text = dumps.flatMap((rows) => rows.map(({ line }) => line)).join('\n');
    expect(text).toContain(did);
    expect(found(text)).toEqual([]);
  });

  it('deploys none: templates and environments name where each secret is', () => {
    const { functions } = running.platform;
    const environments = functions.ids().map((id) => functions.environment(id));
    expect(JSON.stringify(environments)).toContain('SECRET_ARN');
    expect(found(JSON.stringify(environments))).toEqual([]);
    const templates = filesIn(path.join(running.dataDir, 'cdk.out')).filter((file) => file.endsWith('.json'));
    expect(templates).not.toHaveLength(0);
    for (const file of templates) expect([file, found(readFileSync(file, 'utf8'))]).toEqual([file, []]);
  });
});

/** Waits until a query finds something. */
async function some(query: () => PromiseLike<readonly unknown[]>): Promise<void> {
  await vi.waitUntil(async () => (await query()).length > 0, { timeout: 20_000, interval: 10 });
}

/** Notes what the queues deliver: the platform polls them from this process, through the SDK's client. */
function listenIn(messages: string[]): void {
  const send = SQSClient.prototype.send as (...args: unknown[]) => Promise<ReceiveMessageResult>;
  vi.spyOn(SQSClient.prototype, 'send').mockImplementation(async function (this: SQSClient, ...args) {
    const answer = await send.apply(this, args);
    for (const { Body = '' } of answer.Messages ?? []) messages.push(Body);
    return answer;
  });
}

function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}
