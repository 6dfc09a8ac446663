import { Duration, Stack } from 'aws-cdk-lib';
import type { Function as Lambda } from 'aws-cdk-lib/aws-lambda';
import { Schedule, ScheduleExpression } from 'aws-cdk-lib/aws-scheduler';
import { LambdaInvoke } from 'aws-cdk-lib/aws-scheduler-targets';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { acceptSchedule } from './accepted-findings.ts';
import { addQueue } from './queue.ts';

/** How often, what the schedule is called by, and how often a run that failed is tried again. */
const RATES = {
  // The next time comes anyway.
  minute: {
    rate: Duration.minutes(1),
    suffix: 'every-minute',
    retryAttempts: 0,
    maxEventAge: Duration.minutes(1),
  },
  quarterOfAnHour: {
    rate: Duration.minutes(15),
    suffix: 'every-15-minutes',
    retryAttempts: 0,
    maxEventAge: Duration.minutes(15),
  },
  hour: { rate: Duration.hours(1), suffix: 'hourly', retryAttempts: 2, maxEventAge: Duration.minutes(30) },
} as const;

/** Runs a function regularly. Returns the queue of the runs that could not even be started, for an alarm. */
export function runRegularly(
  scope: Construct,
  stageName: string,
  fn: Lambda,
  { name, description, every }: { name: string; description: string; every: keyof typeof RATES },
): Queue {
  const { rate, suffix, ...retries } = RATES[every];
  fn.configureAsyncInvoke(retries);
  const unstarted = addQueue(scope, `${scope.node.id}-${name}-dead-letters`, stageName, {
    retentionPeriod: Duration.days(14),
  });
  new Schedule(scope, `${name}-${suffix}`, {
    scheduleName: `${stageName}-${name}-${suffix}`,
    description,
    schedule: ScheduleExpression.rate(rate),
    target: new LambdaInvoke(fn, { deadLetterQueue: unstarted, ...retries }),
  });
  acceptSchedule(Stack.of(scope), fn, unstarted);
  return unstarted;
}
