import type { Queryable, Sql } from '../../db/connect.ts';
import type { Log } from '../../observability/log.ts';
import type { Outside } from '../../pds/probes/outside.ts';
import type { Vault } from '../../vault/vault.ts';
import type { ConnectDeps, Home } from './homes.ts';
import type { HealthQueue } from './messages.ts';
import type { Sweep } from './sweeps.ts';

export type SweepDeps = ConnectDeps &
  HealthQueue & {
    sql: Sql;
    vault: Vault;
    outside: Outside;
    log: Log;
    /** PDS_CREDENTIAL_CHECK_HOURS */
    checkHours: number;
    /** How long a claimed member is kept from others, in seconds. */
    leaseSeconds: number;
    /** A run begins nothing new after that many seconds. */
    runSeconds: number;
  };

/** The members of one data key at one provider, in one sweep. */
export type Group = {
  sweep: Sweep;
  dataKeyId: string;
  home: Pick<Home, 'id' | 'endpoint'>;
  /** When the run is over. */
  deadline: Date;
};

/** How many members a worker asks about at the same time. */
export const WIDTH = 4;

/**
 * The group's active members whom nobody else is working on, of the mapping under its alias `m`. Who is leased belongs to
 * a saga, a check or a restore: the next sweep looks at him.
 */
export function membersOf(sql: Queryable, { dataKeyId, home }: Group, now: Date) {
  return sql`m.data_key_id = ${dataKeyId} AND m.provider_id = ${home.id} AND m.status = 'active'
    AND (m.lease_until IS NULL OR m.lease_until <= ${now})`;
}

/** Whether a whole check of the member is on its way already. */
export function isBeingChecked(sql: Queryable) {
  return sql`EXISTS (
    SELECT FROM pds_provisioning_queue q
    WHERE q.user_id = m.user_id AND q.action = 'verify' AND q.status IN ('pending', 'processing'))`;
}
