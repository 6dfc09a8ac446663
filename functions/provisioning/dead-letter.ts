import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import { readSettings } from '../../lib/config.ts';
import { connect } from '../../lib/db/connect.ts';
import { wakeAfterFreeze } from '../../lib/db/wake.ts';
import { openLog } from '../../lib/observability/log.ts';
import { openMetrics } from '../../lib/observability/metrics.ts';
import { buryMessage } from '../../lib/provisioning/dead-letters/dead-letter.ts';

const settings = await readSettings(['DATABASE_URL']);
const metrics = openMetrics('provisioning');
const deps = {
  sql: connect(settings.DATABASE_URL, { applicationName: 'dead-letter' }),
  now: () => new Date(),
  log: openLog('dead-letter'),
  metrics,
};
const awake = wakeAfterFreeze(deps.sql);

/** Takes what the provisioning queue gave up on; a message that cannot be written down stays where it is. */
export async function handler({ Records }: SQSEvent): Promise<SQSBatchResponse> {
  await awake();
  const results = await Promise.allSettled(Records.map((record) => buryMessage(deps, fromSqs(record))));
  metrics.flush();
  const failed = Records.filter((_, index) => results[index]?.status === 'rejected');
  for (const result of results) {
    if (result.status === 'rejected') deps.log.error('dead letter not written', { error: result.reason });
  }
  return { batchItemFailures: failed.map(({ messageId }) => ({ itemIdentifier: messageId })) };
}

function fromSqs({ messageId, body, attributes, eventSourceARN }: SQSRecord) {
  const receiveCount = Number(attributes.ApproximateReceiveCount);
  return { messageId, body, receiveCount, sourceQueue: eventSourceARN.split(':').at(-1) ?? eventSourceARN };
}
