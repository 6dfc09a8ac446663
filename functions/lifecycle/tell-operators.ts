import { readSettings } from '../../lib/config.ts';
import { connect } from '../../lib/db/connect.ts';
import { wakeAfterFreeze } from '../../lib/db/wake.ts';
import { openTopic } from '../../lib/lifecycle/tell-operators/open-topic.ts';
import { publishMessages } from '../../lib/lifecycle/tell-operators/publish-messages.ts';
import { writeMessages } from '../../lib/lifecycle/tell-operators/write-messages.ts';
import { openLog } from '../../lib/observability/log.ts';
import { openMetrics } from '../../lib/observability/metrics.ts';

const settings = await readSettings([
  'DATABASE_URL',
  'OPERATORS_TOPIC_ARN',
  'PDS_ENVIRONMENT',
  'TELEGRAM_ADMIN_CHAT_ID',
]);
const metrics = openMetrics('lifecycle');
const sql = connect(settings.DATABASE_URL, { applicationName: 'tell-operators' });
const topic = {
  sql,
  publish: openTopic(settings.OPERATORS_TOPIC_ARN),
  environment: settings.PDS_ENVIRONMENT,
  log: openLog('tell-operators'),
  metrics,
};
const awake = wakeAfterFreeze(sql);

/** Every minute: tells operators what was noted since, by the topic; in their chat the bot does. */
export async function handler(): Promise<{ written: number; published: number; failed: number }> {
  await awake();
  try {
    const written = await writeMessages({ sql, chatId: settings.TELEGRAM_ADMIN_CHAT_ID });
    return { written, ...(await publishMessages(topic)) };
  } finally {
    metrics.flush();
  }
}
