import { Duration, Stack } from 'aws-cdk-lib';
import type { Function as Lambda } from 'aws-cdk-lib/aws-lambda';
import { Schedule, ScheduleExpression } from 'aws-cdk-lib/aws-scheduler';
import { LambdaInvoke } from 'aws-cdk-lib/aws-scheduler-targets';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { acceptSchedule } from './accepted-findings.ts';
import { addQueue } from './queue.ts';

const MINUTE = Duration.minutes(1);

/**
 * Runs a function every minute, without retries: the next minute comes anyway. Returns the queue of the runs that could
 * not even be started, for an alarm.
 */
export function runEveryMinute(
  scope: Construct,
  stageName: string,
  fn: Lambda,
  { name, description }: { name: string; description: string },
): Queue {
  const once = { retryAttempts: 0, maxEventAge: MINUTE };
  fn.configureAsyncInvoke(once);
  const unstarted = addQueue(scope, `${scope.node.id}-${name}-dead-letters`, stageName, {
    retentionPeriod: Duration.days(14),
  });
  new Schedule(scope, `${name}-every-minute`, {
    scheduleName: `${stageName}-${name}-every-minute`,
    description,
    schedule: ScheduleExpression.rate(MINUTE),
    target: new LambdaInvoke(fn, { deadLetterQueue: unstarted, ...once }),
  });
  acceptSchedule(Stack.of(scope), fn, unstarted);
  return unstarted;
}
