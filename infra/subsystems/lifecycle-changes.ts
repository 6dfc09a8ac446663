import { Duration } from 'aws-cdk-lib';
import { Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { Function as Lambda } from 'aws-cdk-lib/aws-lambda';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { TIMES } from '../../lib/provisioning/times.ts';
import { WORKER_SETTINGS } from '../../lib/provisioning/worker-settings.ts';
import { type AlarmProps, addAlarm, PERIOD } from '../alarm.ts';
import { addFunction, type Ground } from '../function.ts';

/** How many members are changed at once. */
const WORKERS = 5;

/** The worker that changes identities: new keys, another name, another PDS, an end. Its queue is provisioning's. */
export function addChanges(scope: Construct, ground: Ground & { readonly changesQueue: IQueue }): Lambda {
  const { stage, data, changesQueue } = ground;
  const worker = addFunction(scope, ground, {
    subsystem: 'lifecycle',
    operation: 'change-identity',
    role: 'worker',
    timeout: Duration.seconds(TIMES[stage.times].change),
    // A repository passes through it.
    memoryMb: 1024,
    // An export lays the repository, or a file in it, there first: its size stands before it in the archive.
    storageMb: 4096,
    settings: [...WORKER_SETTINGS, 'CHANGES_QUEUE_URL', 'EXPORTS_BUCKET'],
  });
  worker.addEventSource(
    // One member an invocation, as in provisioning.
    new SqsEventSource(changesQueue, {
      batchSize: 1,
      reportBatchItemFailures: true,
      maxConcurrency: WORKERS,
    }),
  );
  for (const [id, props] of Object.entries(alarms(worker, changesQueue)))
    addAlarm(scope, `${id}-alarm`, props, data.operators);
  return worker;
}

function alarms(worker: Lambda, queue: IQueue): Record<string, AlarmProps> {
  return {
    'changes-errors': {
      metric: worker.metricErrors({ period: PERIOD }),
      threshold: 2,
      means: 'The worker that changes identities crashes or times out. Its messages come back.',
      todo: 'read the log of change-identity; what crashes five times becomes a dead letter, and its change is resumed by a redrive.',
    },
    'changes-throttles': {
      metric: worker.metricThrottles({ period: PERIOD }),
      threshold: 0,
      means:
        "The worker that changes identities is turned away: the account's Lambda concurrency is used up.",
      todo: 'raise the quota "Concurrent executions" or find what uses it up; messages come back by themselves.',
    },
    'changes-late': {
      metric: queue.metricApproximateAgeOfOldestMessage({ period: PERIOD, statistic: Stats.MAXIMUM }),
      threshold: Duration.hours(1).toSeconds(),
      means: 'Changes of identities have waited for over an hour.',
      todo: 'look at errors, throttles and duration of change-identity; if it is only slow, raise WORKERS in lifecycle-changes.ts.',
    },
  };
}
