import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { wakeAfterFreeze } from '../db/wake.ts';
import { once } from '../once.ts';
import { storeProviders } from '../pds/providers.ts';
import { performMessages } from './messages.ts';
import { type Kind, openWorker, type WorkerSettings } from './open-worker.ts';
import type { WorkerDeps } from './run.ts';

/**
 * The handler of a Lambda that does the work which the messages of a queue name. A message comes back only when nothing
 * could be written down. Without PDS_PROVISIONING_ENABLED it does none of it: rows wait, and are sent again by the relay.
 * Does no I/O before the first message.
 */
export async function openQueueWorker(
  settings: WorkerSettings,
  kind: Kind,
): Promise<(event: SQSEvent) => Promise<SQSBatchResponse>> {
  const worker = await openWorker(settings, kind);
  const ready = readiness(worker);
  return async ({ Records }) => {
    if (!settings.PDS_PROVISIONING_ENABLED) return { batchItemFailures: [] };
    await ready();
    return performMessages(worker, Records);
  };
}

/** What a worker needs before each of its runs: a connection that lives, and that the providers are stored. */
export function readiness({ sql, providers }: Pick<WorkerDeps, 'sql' | 'providers'>): () => Promise<void> {
  const awake = wakeAfterFreeze(sql);
  const providersStored = once(() => storeProviders(sql, providers));
  return async () => {
    await awake();
    await providersStored();
  };
}
