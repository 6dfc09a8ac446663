import { Duration } from 'aws-cdk-lib';
import { MathExpression, Stats, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import type { Function as Lambda } from 'aws-cdk-lib/aws-lambda';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { type AlarmProps, addAlarm, countedBy, PERIOD, toldBy } from '../alarm.ts';

/** SQS gives a message to a worker that often before it counts as poison. */
export const MAX_RECEIVE_COUNT = 5;

type Parts = Record<'queue' | 'deadLetters' | 'unstarted' | 'unreconciled', Queue> &
  Record<'worker' | 'relay' | 'deadLetter' | 'reconciler', Lambda>;

/** What can go wrong between a login and an identity, and what to do about it. */
export function addProvisioningAlarms(
  scope: Construct,
  { operators, ...parts }: Parts & { operators: ITopic },
): void {
  for (const [id, props] of Object.entries({
    ...queueAlarms(parts),
    ...functionAlarms(parts),
    ...eventAlarms(),
  }))
    addAlarm(scope, `${id}-alarm`, props, operators);
}

function queueAlarms({
  queue,
  deadLetters,
  unstarted,
  unreconciled,
  deadLetter,
}: Parts): Record<string, AlarmProps> {
  const maximum = { period: PERIOD, statistic: Stats.MAXIMUM };
  return {
    // The function empties the queue within seconds, so it is the function's runs that are counted.
    'dead-letter': {
      metric: deadLetter.metricInvocations({ period: PERIOD }),
      threshold: 0,
      ...toldBy('dead_letter'),
    },
    'dead-letters-left': {
      // Between its tries the function's event source holds the message, so that it is not visible.
      metric: new MathExpression({
        expression: 'visible + held',
        usingMetrics: {
          visible: deadLetters.metricApproximateNumberOfMessagesVisible(maximum),
          held: deadLetters.metricApproximateNumberOfMessagesNotVisible(maximum),
        },
        label: 'dead letters',
        period: PERIOD,
      }),
      threshold: 0,
      periods: 2,
      means: 'Dead letters are not written down: their members still see "pending".',
      todo: 'read the log of dead-letter; the messages stay for 14 days and are taken by themselves once it is repaired.',
    },
    'oldest-message': {
      metric: queue.metricApproximateAgeOfOldestMessage(maximum),
      threshold: Duration.minutes(15).toSeconds(),
      means: 'Messages have waited over 15 minutes: members see "pending" for that long.',
      todo:
        'look at errors, throttles and duration of provision-identity; if it is only slow, see the open circuits in the ' +
        'table pds_providers. (Members of a PDS that is down are parked in the table and are not counted here.)',
    },
    'relay-not-started': {
      metric: unstarted.metricApproximateNumberOfMessagesVisible(maximum),
      threshold: 0,
      means: 'EventBridge Scheduler could not start the relay.',
      todo: 'read the error code in the attributes of the message, repair the role or the function, purge the queue.',
    },
    'reconciler-not-started': {
      metric: unreconciled.metricApproximateNumberOfMessagesVisible(maximum),
      threshold: 0,
      means: 'EventBridge Scheduler could not start the reconciler of possible orphans.',
      todo: 'read the error code in the attributes of the message, repair the role or the function, purge the queue.',
    },
  };
}

function functionAlarms({ worker, relay, deadLetter, reconciler }: Parts): Record<string, AlarmProps> {
  return {
    'worker-errors': {
      metric: worker.metricErrors({ period: PERIOD }),
      threshold: 2,
      means: 'The provisioning worker crashes or times out. Nothing is lost yet: its messages come back.',
      todo: `read the log of provision-identity; after ${MAX_RECEIVE_COUNT} receives a message becomes a dead letter.`,
    },
    'work-cut-short': {
      metric: counted('ProvisioningCrashed'),
      threshold: 2,
      means: 'The worker cannot write down how its work ended. Nothing is lost yet: its messages come back.',
      todo: `read "message not processed" in the log of provision-identity; most likely the database does not answer.`,
    },
    'worker-throttles': {
      metric: worker.metricThrottles({ period: PERIOD }),
      threshold: 0,
      means:
        "The worker is turned away: the account's Lambda concurrency is used up, and receives are spent on it.",
      todo: 'raise the quota "Concurrent executions" or find what uses it up.',
    },
    'relay-silent': {
      metric: relay.metricInvocations({ period: PERIOD }),
      threshold: 1,
      whenBelow: true,
      whenSilent: TreatMissingData.BREACHING,
      means: 'The relay does not run: retries, parked members and lost messages wait.',
      todo: 'see whether its schedule is enabled and may invoke it, and read the dead letters of the schedule.',
    },
    'relay-errors': {
      metric: relay.metricErrors({ period: PERIOD }),
      threshold: 2,
      means: 'The relay fails: retries, parked members and lost messages wait.',
      todo: 'read the log of relay; most likely the database or SQS does not answer.',
    },
    'relay-sends-nothing': {
      metric: counted('RelayFailed'),
      threshold: 0,
      periods: 2,
      means: 'SQS does not take our messages: logins work, but new identities and retries wait.',
      todo: 'see whether SQS is in trouble in this region and whether its VPC endpoint and the right to send still stand; it goes on by itself.',
    },
    'reconciler-errors': {
      metric: reconciler.metricErrors({ period: PERIOD }),
      threshold: 0,
      means:
        'The reconciler of possible orphans fails: accounts that nobody uses may be left on a PDS. No member is harmed.',
      todo: 'read the log of reconcile-orphans; the next run, 15 minutes later, begins anew.',
    },
    'dead-letter-errors': {
      metric: deadLetter.metricErrors({ period: PERIOD }),
      threshold: 0,
      means: 'The function that writes dead letters down fails.',
      todo: 'read the log of dead-letter; the messages come back by themselves.',
    },
  };
}

/** What ends with a reason: no error of a function shows it, and notices tell it (lib/operators). */
function eventAlarms(): Record<string, AlarmProps> {
  return {
    'identity-failed': { metric: counted('ProvisioningFailed'), threshold: 0, ...toldBy('identity_failed') },
    'work-given-up': { metric: counted('ProvisioningDead'), threshold: 0, ...toldBy('dead_letter') },
    'circuit-open': { metric: counted('CircuitBreakerOpen'), threshold: 0, ...toldBy('circuit_open') },
    'admin-password-refused': {
      metric: counted('AdminPasswordRefused'),
      threshold: 0,
      ...toldBy('admin_password_refused'),
    },
  };
}

const counted = (metricName: string) => countedBy('provisioning', metricName);
