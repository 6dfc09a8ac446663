import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inject } from 'vitest';
import { type Platform, type PlatformOptions, startPlatform } from '../../infra/local/platform.ts';
import type { TelegramUser } from '../../infra/local/telegram.ts';
import { connect, type Sql } from '../../lib/db/connect.ts';
import { logIn } from './member-journey.ts';

export const WORKER = 'provisioning-provision-identity';
const RELAY_SCHEDULE = /relay-every-minute/;

/** A platform with data of its own, for the tests of one file. */
export type RunningPlatform = {
  readonly platform: Platform;
  /** As the superuser. */
  readonly sql: Sql;
  readonly dataDir: string;
  /** Every line that functions, PDS and PLC directory have printed since the first start. */
  readonly lines: readonly { source: string; line: string }[];
  /** Ends it and starts it again on the same data. */
  restart(options?: Partial<PlatformOptions>): Promise<void>;
  close(): Promise<void>;
};

/** Starts a platform on fresh data, by default with the short times of the stage `test`. */
export async function openPlatform(options: Partial<PlatformOptions> = {}): Promise<RunningPlatform> {
  const dataDir = options.dataDir ?? (await mkdtemp(path.join(tmpdir(), 'pds-e2e-')));
  const lines: { source: string; line: string }[] = [];
  const start = async (more: Partial<PlatformOptions> = {}) => {
    const onLog = (source: string, line: string) => lines.push({ source, line });
    const platform = await startPlatform({
      durable: false,
      stage: 'test',
      bundles: inject('bundles'),
      ...options,
      ...more,
      dataDir,
      onLog,
    });
    Object.assign(process.env, platform.operator.environment);
    return { platform, sql: connect(platform.databaseUrls.superuser, { max: 3 }) };
  };
  const stop = async () => {
    await running.sql.end({ timeout: 1 });
    await running.platform.stop();
  };
  const remove = () => rm(dataDir, { recursive: true, force: true });
  let running = await start().catch(async (error) => {
    await remove();
    throw error;
  });
  return {
    get platform() {
      return running.platform;
    },
    get sql() {
      return running.sql;
    },
    dataDir,
    lines,
    async restart(more) {
      await stop();
      running = await start(more);
    },
    async close() {
      await stop();
      await remove();
    },
  };
}

/** The value of the secret whose name matches, as the platform on this data was deployed with it. */
export function deployedSecret(dataDir: string, name: RegExp): string {
  const stored: { name: string; versions: { value: string }[] }[] = JSON.parse(
    readFileSync(path.join(dataDir, 'secrets.json'), 'utf8'),
  );
  const value = stored.find((secret) => name.test(secret.name))?.versions.at(-1)?.value;
  if (value === undefined) throw new Error(`no secret is named ${name}`);
  return value;
}

let lastId = 7_000_000_000;
/** Somebody who was never here before. */
export function newcomer(username?: string): TelegramUser {
  lastId += 1;
  return { id: lastId, first_name: 'Somebody', ...(username !== undefined && { username }) };
}

/** Logs newcomers in, all at once. */
export function logInAll(
  { platform }: RunningPlatform,
  usernames: readonly (string | undefined)[],
): Promise<{ id: string; cookie: string }[]> {
  return Promise.all(
    usernames.map(async (username) => {
      const user = newcomer(username);
      const { cookie, pds } = await logIn(platform, user);
      if (pds.status !== 'pending') throw new Error(`a newcomer's identity is ${pds.status}`);
      return { id: String(user.id), cookie };
    }),
  );
}

/**
 * Lets a minute pass for the relay: whatever it left to a message in flight counts as sent long ago, and its schedule
 * fires now. Leases, quarantines, backoffs and the breaker keep their real times.
 */
export async function relayNow({ platform, sql }: RunningPlatform): Promise<void> {
  await sql`
    UPDATE pds_provisioning_queue SET sent_at = sent_at - interval '1 minute'
    WHERE status IN ('pending', 'processing') AND next_retry <= now()`;
  await fire(platform, RELAY_SCHEDULE);
}

/** Runs now what has its time. */
export async function fire(platform: RunningPlatform['platform'], name: RegExp): Promise<void> {
  const schedule = platform.schedules().find(({ id }) => name.test(id));
  if (!schedule) throw new Error(`there is no schedule ${name}`);
  await platform.fire(schedule.id);
}

/**
 * Waits until all these members (default: everybody) are active. Unless `hurried` is false, the relay comes every second
 * instead of every minute.
 */
export async function untilActive(
  running: RunningPlatform,
  {
    timeoutMs,
    members,
    hurried = true,
  }: { timeoutMs: number; members?: readonly string[]; hurried?: boolean },
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const waiting = await unfinished(running, members);
    if (waiting.length === 0) return;
    const failed = waiting.filter(({ status }) => status !== 'pending');
    if (failed.length > 0 || performance.now() > deadline) {
      throw new Error(
        `not active after ${timeoutMs} ms:\n${waiting.map((row) => JSON.stringify(row)).join('\n')}`,
      );
    }
    if (hurried) await relayNow(running);
    await sleep(1_000);
  }
}

async function unfinished({ sql }: RunningPlatform, members?: readonly string[]) {
  return sql<{ status: string }[]>`
    SELECT m.user_id, m.status, m.provisioning_step, m.error_code, m.epoch, m.lease_until, m.create_started_at, (
      SELECT json_agg(json_build_object('id', q.id, 'action', q.action, 'status', q.status, 'attempts', q.attempt_count,
        'claims', q.claims, 'next_retry', q.next_retry, 'parked', q.parked_reason, 'error', q.error_details) ORDER BY q.id)
      FROM pds_provisioning_queue q WHERE q.user_id = m.user_id) AS work
    FROM user_pds_mapping m
    WHERE m.status <> 'active' AND ${members ? sql`m.user_id IN ${sql(members)}` : sql`true`}
    ORDER BY m.user_id`;
}
