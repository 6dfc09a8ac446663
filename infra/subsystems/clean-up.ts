import { Duration } from 'aws-cdk-lib';
import { Stats, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import type { Function as Lambda } from 'aws-cdk-lib/aws-lambda';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { type AlarmProps, addAlarm, PERIOD } from '../alarm.ts';
import { addFunction, type Ground } from '../function.ts';
import { runRegularly } from '../run-regularly.ts';

/** The function that deletes every hour what is over, and fails work that nobody did. */
export function addCleanUp(scope: Construct, ground: Ground): Lambda {
  const cleanUp = addFunction(scope, ground, {
    subsystem: 'lifecycle',
    operation: 'clean-up',
    role: 'worker',
    // It begins nothing after 200 s (functions/lifecycle/clean-up.ts).
    timeout: Duration.minutes(5),
    settings: ['DATABASE_URL', 'PDS_PROVISIONING_ENABLED', 'EXPORTS_BUCKET'],
  });
  const unstarted = runRegularly(scope, ground.stage.name, cleanUp, {
    name: 'clean-up',
    description: 'Deletes what is over, and fails work that nobody did',
    every: 'hour',
  });
  for (const [id, props] of Object.entries(alarms(cleanUp, unstarted)))
    addAlarm(scope, `${id}-alarm`, props, ground.data.operators);
  return cleanUp;
}

function alarms(cleanUp: Lambda, unstarted: Queue): Record<string, AlarmProps> {
  const hour = Duration.hours(1);
  return {
    'clean-up-errors': {
      metric: cleanUp.metricErrors({ period: hour }),
      threshold: 0,
      periods: 3,
      means: 'What is over is not deleted: tables grow, and nothing else happens for weeks.',
      todo: 'read "clean-up failed" in the log of lifecycle-clean-up; the other tables are cleaned up all the same.',
    },
    'clean-up-silent': {
      metric: cleanUp.metricInvocations({ period: hour }),
      threshold: 1,
      whenBelow: true,
      periods: 6,
      whenSilent: TreatMissingData.BREACHING,
      means:
        'For six hours nothing was cleaned up; after a week health checks get no partitions of their own.',
      todo: 'see whether the schedule clean-up-hourly is enabled and may invoke the function, and read its dead letters.',
    },
    'clean-up-not-started': {
      metric: unstarted.metricApproximateNumberOfMessagesVisible({
        period: PERIOD,
        statistic: Stats.MAXIMUM,
      }),
      threshold: 0,
      means: 'EventBridge Scheduler could not start the clean-up.',
      todo: 'read the error code in the attributes of the message, repair the role or the function, purge the queue.',
    },
  };
}
