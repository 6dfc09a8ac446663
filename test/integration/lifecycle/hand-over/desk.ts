import { randomBytes, randomInt } from 'node:crypto';
import type { StepUpTarget } from '../../../../lib/auth/step-up-target.ts';
import type { Did } from '../../../../lib/brands.ts';
import { connect } from '../../../../lib/db/connect.ts';
import { askForChange } from '../../../../lib/lifecycle/changes/ask.ts';
import { cancelChange } from '../../../../lib/lifecycle/changes/cancel.ts';
import { NOTICES } from '../../../../lib/lifecycle/changes/notice.ts';
import { requestDeletion } from '../../../../lib/lifecycle/delete/request.ts';
import {
  type RecoverDeps,
  recoverByCancelling,
  recoverByHandOver,
} from '../../../../lib/lifecycle/hand-over/recover.ts';
import { requestHandOver } from '../../../../lib/lifecycle/hand-over/request.ts';
import { removeRecoveryKey, setRecoveryKey } from '../../../../lib/lifecycle/recovery-key/set.ts';
import {
  cancelStatement,
  type Destination,
  handOverStatement,
  keyStatement,
} from '../../../../lib/lifecycle/recovery-key/words.ts';
import { didOfEndpoint } from '../../../../lib/pds/strangers.ts';
import type { QueueDeps, WorkerDeps } from '../../../../lib/provisioning/run.ts';
import { performWork, type WorkResult } from '../../../../lib/provisioning/work.ts';
import { createLocalWrapper } from '../../../../lib/vault/local-wrapper.ts';
import { createVault } from '../../../../lib/vault/vault.ts';
import { freshDatabase } from '../../../setup/database.ts';
import { loggedInAndSteppedUp } from '../../auth/stepped-up.ts';
import { type Bench, DOMAIN } from '../../provisioning/stage.ts';
import { giveIdentity } from '../active-identity.ts';
import { bodyOf, type Leaver, type RecoveryKeyPair } from './leaver.ts';

export const HOUR = 3600_000;

/** What members ask for, as the API's functions do it with the API's own role, and time that passes. */
export type Desk = Awaited<ReturnType<typeof openDesk>>;

export async function openDesk(bench: Pick<Bench, 'database' | 'deps'>) {
  const db = connect(bench.database.superuserUrl, { max: 2 });
  const sql = connect(bench.database.apiUrl, { max: 4 });
  const { wrapper, environment } = bench.deps.vault;
  const vault = createVault({ sql, wrapper, environment });
  const now = () => new Date();
  const { outside, strangers } = bench.deps;
  const directory = { fetch, plcUrl: outside.plcUrl, timeoutMs: 5_000 };
  const notice = NOTICES.production;
  const deps: RecoverDeps = { sql, strangers, directory, notice, domain: DOMAIN, now };
  const keyDeps = { sql, vault, directory, notice, now };

  const stepUp = (userId: string, operation: string, target: StepUpTarget = null) =>
    loggedInAndSteppedUp(db, userId, operation, target);
  return {
    db,
    deps,
    now,
    stepUp,
    /** Lets so much time pass for what waits: all that it waits for comes closer. The clocks of the PDSs go on as they do. */
    async pass(ms: number) {
      const by = `${ms} milliseconds`;
      const earlier = (name: string) => db`
        CASE WHEN progress ? ${name}
          THEN jsonb_build_object(${name}::text, to_char(
            ((progress->>${name})::timestamptz - ${by}::interval) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
          ELSE '{}' END`;
      await db`
        UPDATE pds_changes SET due_at = due_at - ${by}::interval,
          progress = progress || ${earlier('told_at')} || ${earlier('closing_since')}
            || ${earlier('kept_since')} WHERE ended_at IS NULL`;
      await db`
        UPDATE pds_provisioning_queue SET next_retry = next_retry - ${by}::interval
        WHERE status IN ('pending', 'processing')`;
      await db`UPDATE user_pds_mapping SET lease_until = lease_until - ${by}::interval, left_at = left_at - ${by}::interval`;
      await db`
        UPDATE pds_recovery_keys SET trusted_at = trusted_at - ${by}::interval, next_at = next_at - ${by}::interval`;
      await db`UPDATE pds_providers SET breaker_until = breaker_until - ${by}::interval`;
    },
    /** With a second factor that was shown for it. */
    async handOver({ userId }: Leaver, to: Destination, changes: Partial<RecoverDeps> = {}) {
      const need = await stepUp(userId, 'requestHandOver', bodyOf(to));
      return requestHandOver({ ...deps, ...changes }, bodyOf(to), need);
    },
    async setKey({ userId, did }: Leaver, key: RecoveryKeyPair, confirmedBy?: RecoveryKeyPair) {
      const statement = keyStatement(did, key.did);
      return setRecoveryKey(keyDeps, {
        publicKey: key.did,
        signature: await key.sign(statement),
        confirmation: await confirmedBy?.sign(statement),
        stepUp: await stepUp(userId, 'setRecoveryKey', key.did),
      });
    },
    async removeKey({ userId }: Leaver, key: RecoveryKeyPair) {
      const need = await stepUp(userId, 'removeRecoveryKey', key.did);
      return removeRecoveryKey(keyDeps, { key: key.did, stepUp: need });
    },
    /** With nothing but the key. */
    async recover({ did }: Leaver, key: RecoveryKeyPair, to: Destination, issued = now()) {
      const issued_at = issued.toISOString();
      const signature = await key.sign(handOverStatement(did, to, issued_at));
      return recoverByHandOver(deps, { did, issued_at, signature, ...bodyOf(to) });
    },
    async recoverCancel({ did }: Leaver, key: RecoveryKeyPair, issued = now()) {
      const issued_at = issued.toISOString();
      const signature = await key.sign(cancelStatement(did, issued_at));
      return recoverByCancelling(deps, { did, issued_at, signature });
    },
    cancel: ({ userId }: Leaver, changeId: number) => cancelChange({ sql }, { userId, changeId, by: userId }),
    /** Lets the worker at it now. */
    async work(
      { userId }: Leaver,
      changes: Partial<WorkerDeps & QueueDeps> = {},
    ): Promise<WorkResult | 'nothing to do'> {
      const [row] = await db<{ id: string }[]>`
        SELECT id::text FROM pds_provisioning_queue
        WHERE user_id = ${userId} AND action = 'hand_over' AND status IN ('pending', 'processing')`;
      return row === undefined ? 'nothing to do' : performWork({ ...bench.deps, ...changes }, row.id);
    },
    /** Has him deleted for good, and its day be over. */
    async deleteNow({ userId }: Leaver) {
      const deletion = { userId, stepUp: await stepUp(userId, 'deleteAccount') };
      await requestDeletion({ sql, notice, now }, deletion);
      await db`UPDATE pds_changes SET due_at = now() WHERE user_id = ${userId} AND ended_at IS NULL`;
      const [row] = await db<{ id: string }[]>`
        UPDATE pds_provisioning_queue SET next_retry = now() WHERE user_id = ${userId} AND action = 'delete'
        RETURNING id::text`;
      return performWork(bench.deps, row?.id ?? '');
    },
    async comeBack({ userId }: Leaver) {
      const asked = await askForChange({ sql, now }, await stepUp(userId, 'reactivateIdentity'), {
        kind: 'come_back',
        of: ['revoked'],
      });
      return performWork(bench.deps, asked.queued ?? '');
    },
    async change(changeId: number) {
      const [change] = await db`SELECT * FROM pds_changes WHERE id = ${changeId}`;
      return change as Record<string, unknown>;
    },
    /** What the bot was given to tell him, oldest first. */
    async told({ userId }: Leaver) {
      const rows = await db<{ text: string }[]>`
        SELECT concat_ws(' ', kind, details->>'event', details->>'why') AS text
        FROM telegram_messages WHERE user_id = ${userId} AND kind IN ('leaving', 'recovery_key') ORDER BY id`;
      return rows.map(({ text }) => text);
    },
    listen: ({ userId }: Leaver) => db`UPDATE users SET bot_language = 'en' WHERE id = ${userId}`,
    async close() {
      await Promise.all([db.end(), sql.end()]);
    },
  };
}

/** Where every endpoint is a PDS that answers as it should, and nobody works: for who asks, and who may. */
export async function openDeskAlone() {
  const database = await freshDatabase();
  const wrapper = createLocalWrapper(randomBytes(32).toString('base64'));
  const db = connect(database.superuserUrl, { max: 1 });
  const vault = createVault({ sql: db, wrapper, environment: 'test' });
  const describe = async (input: Parameters<typeof fetch>[0]) =>
    Response.json({ did: didOfEndpoint(new URL(String(input)).origin), availableUserDomains: [] });
  const strangers = { fetch: describe as typeof fetch, privateAllowed: false, resolveTxt: async () => [] };
  const outside = { fetch, plcUrl: 'http://127.0.0.1:9', timeoutMs: 1_000 };
  const desk = await openDesk({ database, deps: { vault, strangers, outside } as never });
  return {
    ...desk,
    async member(): Promise<Leaver> {
      const userId = String(randomInt(1e9, 9e9));
      await db`INSERT INTO users (id, bot_language) VALUES (${userId}, 'en')`;
      await db`INSERT INTO user_pds_mapping (user_id) VALUES (${userId})`;
      const { did, handle, password } = await giveIdentity({ sql: db, vault }, userId);
      return { userId, did: did as Did, handle, password };
    },
    async close() {
      await Promise.all([desk.close(), db.end()]);
      await database.drop();
    },
  };
}
