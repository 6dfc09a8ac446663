import { setTimeout as wait } from 'node:timers/promises';
import type { Queryable, Sql } from '../../db/connect.ts';
import type { Log } from '../../observability/log.ts';
import { noteThrottled } from '../../pds/breaker.ts';
import { listRepos } from '../../pds/client/server.ts';
import { isNotOffered, XrpcError } from '../../pds/xrpc-error.ts';
import { type ConnectDeps, connectionOf, type Home } from './homes.ts';
import { takeRequests } from './request-budget.ts';
import { keepSweep, type ProviderFinding, type Sweep } from './sweeps.ts';

export type ListDeps = ConnectDeps & {
  sql: Sql;
  log: Log;
  sleep?: (ms: number) => Promise<unknown>;
  /** A listing that is not through by then is broken off. */
  deadline: Date;
};

const PAGE = 1_000;
/** Pages that are taken out of the budget at once. */
const BATCH = 20;
const PAUSE_MS = 5_000;
/** The list goes on as long as our members could be a tenth of it; a small host is read to the end. */
const FAIR_SHARE = 10;
const SMALL_HOST = 2 * PAGE;

/**
 * Reads a provider's list of accounts and notes in the database who is there and active, a page in one statement: what it
 * holds in memory is one page, however many there are. It costs a hundredth at most of asking for each member.
 */
export async function listAccounts(
  deps: ListDeps,
  sweep: Sweep,
  home: Home,
): Promise<ProviderFinding['listing']> {
  const { sql, now, sleep = wait, deadline, log } = deps;
  const pds = connectionOf(deps, home);
  const fair = SMALL_HOST + FAIR_SHARE * home.members;
  let allowed = 0;
  let accounts = 0;
  let cursor: string | undefined;
  try {
    for (;;) {
      if (now() > deadline) return 'broken';
      await keepSweep(sql, sweep, now());
      if (allowed === 0)
        allowed = await takeRequests(sql, home.id, {
          wanted: Math.min(BATCH, pagesLeft(home, accounts)),
          now: now(),
        });
      if (allowed === 0) {
        await sleep(PAUSE_MS);
        continue;
      }
      allowed -= 1;
      const page = await listRepos(pds, { limit: PAGE, cursor });
      await notePage(sql, sweep, { home, repos: page.repos, now: now() });
      accounts += page.repos.length;
      if (page.cursor === undefined) return 'complete';
      if (accounts > fair) return 'foreign';
      // A list that turns in a circle has no end.
      if (page.cursor === cursor || page.repos.length === 0) return 'broken';
      cursor = page.cursor;
    }
  } catch (error) {
    if (!(error instanceof XrpcError)) throw error;
    // A PDS that gives no list, or not to us: its members are asked for one by one.
    if (cursor === undefined && isNotOffered(error)) return 'foreign';
    if (error.retryAt) await noteThrottled(sql, home.id, error.retryAt);
    log.warn('the list of accounts broke off', { provider: home.id, accounts, error });
    return 'broken';
  }
}

function pagesLeft({ members }: Home, accounts: number): number {
  return Math.max(1, Math.ceil((members - accounts) / PAGE) + 1);
}

type Page = { home: Home; repos: readonly { did: string; active?: boolean | undefined }[]; now: Date };

/** Those of a page that are members, live there and are active: seen, and those who were well are well. */
async function notePage(sql: Queryable, sweep: Sweep, { home, repos, now }: Page): Promise<void> {
  const active = repos.filter((repo) => repo.active !== false).map(({ did }) => did);
  await noteSeen(sql, sweep, {
    now,
    who: sql`provider_id = ${home.id} AND pds_did = ANY(${active}::text[])`,
  });
}

/** Notes that these active members' accounts are active at their provider. */
export async function noteSeen(
  sql: Queryable,
  { id }: Sweep,
  { who, now }: { who: ReturnType<Queryable>; now: Date },
): Promise<void> {
  await sql`
    WITH seen AS (
      SELECT id FROM user_pds_mapping WHERE ${who} AND status = 'active' ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE user_pds_mapping AS m SET
      seen_in_sweep = ${id},
      last_verified_at = CASE WHEN verification_status = 'accessible' AND consecutive_failures = 0
        THEN ${now}::timestamptz ELSE last_verified_at END
    FROM seen WHERE m.id = seen.id`;
}
