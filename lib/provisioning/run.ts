import type { SQSClient } from '@aws-sdk/client-sqs';
import { AppError } from '../app-error.ts';
import type { Did, Handle } from '../brands.ts';
import type { Sql, Transaction } from '../db/connect.ts';
import type { HandleStrategy, RandomInt } from '../identity/handle.ts';
import type { RandomBytes } from '../identity/keys.ts';
import type { Log } from '../observability/log.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Outside } from '../pds/probes/outside.ts';
import type { Provider } from '../pds/provider.ts';
import type { Strangers } from '../pds/strangers.ts';
import type { Vault } from '../vault/vault.ts';
import type { Identity, Work } from './identity.ts';
import type { AccountHost } from './providers/provider-access.ts';
import { Parked } from './queue/outcome.ts';
import type { QueueAction, QueueId } from './queue/queue.ts';
import type { Times } from './times.ts';

/**
 * What a kind of worker does, by the action of the row: from the claim to the end of the row, which it completes itself.
 * It throws when the work must wait, be tried again or fail: see queue/outcome.ts.
 */
export type Actions = Readonly<Partial<Record<QueueAction, (run: Run) => Promise<void>>>>;

/** Everything a worker needs; made once a process. */
export type WorkerDeps = {
  actions: Actions;
  sql: Sql;
  vault: Vault;
  providers: readonly Provider[];
  fetch: typeof globalThis.fetch;
  /** Members' names as everybody sees them, and the PLC directory. */
  outside: Outside;
  /** PDSs and names that a member has named himself. */
  strangers: Strangers;
  now: () => Date;
  random: { bytes: RandomBytes; int: RandomInt; fraction: () => number; uuid: () => string };
  times: Times;
  /** Members' handles and DIDs stand under `domain`; mail to `emailDomain` can reset every password. */
  naming: {
    domain: string;
    emailDomain: string;
    strategy: HandleStrategy;
    reserved: readonly string[];
    /** Of new members; those who have a DID keep it. */
    didMethod: 'web' | 'plc';
    /** How long a handle that its member gave up goes on leading to him. */
    handleGraceDays: number;
  };
  /** How often a member's keys are rotated, and how long an old one stays in his DID document. */
  rotation: { days: number; graceDays: number };
  /** Backs up the member's credentials in the caller's transaction. */
  backUp: (tx: Transaction, userId: string) => Promise<unknown>;
  log: Log;
  metrics: Metrics;
};

/** The queue that workers are told by. */
export type QueueDeps = { sqs: SQSClient; queueUrl: string };

/** One run of one worker on one member. */
export type Run = WorkerDeps &
  QueueDeps & {
    work: Work;
    identity: Identity;
    username: string | null;
    startedAt: Date;
    /** The provider of this member; there from the first step that asks it. */
    host?: AccountHost;
    /** Work that this run has enqueued: to be sent when it is over. */
    followUp?: QueueId;
  };

/** A run past `reserved` and before its end: what makes up the identity is there, as the schema's `sealed_before_remote` demands. */
export type ReservedIdentity = Identity & {
  pds_did: Did;
  pds_handle: Handle;
  provider_id: string;
  data_key_id: string;
  account_email: string;
  account_password_sealed: string;
  bootstrap_key_sealed: string;
};

/** Begins nothing remote that the worker's time-out could cut off. */
export function stopInTime({ now, startedAt, times }: Run): void {
  const spent = now().getTime() - startedAt.getTime();
  if (spent > (times.worker - times.http) * 1000) throw new Parked('out_of_time', now());
}

/** The identity of a run past `reserved`. */
export function reserved({ identity }: Run): ReservedIdentity {
  if (identity.provisioning_step === 'requested') {
    throw new AppError('IDENTITY_NOT_RESERVED', 'The identity has not been reserved yet.');
  }
  return identity as ReservedIdentity;
}
