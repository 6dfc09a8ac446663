import { Duration } from 'aws-cdk-lib';
import { Stats, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import type { Function as Lambda } from 'aws-cdk-lib/aws-lambda';
import type { IQueue, Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { WORKER_SETTINGS } from '../../lib/provisioning/worker-settings.ts';
import { type AlarmProps, addAlarm, countedBy, PERIOD } from '../alarm.ts';
import { addFunction, type Ground } from '../function.ts';
import { runRegularly } from '../run-regularly.ts';

/** The function that rotates every 15 minutes the keys of those who are due. What it leaves, the worker of changes does. */
export function addRotation(scope: Construct, ground: Ground & { readonly changesQueue: IQueue }): Lambda {
  const { stage, data } = ground;
  const rotation = addFunction(scope, ground, {
    subsystem: 'lifecycle',
    operation: 'rotate-due-keys',
    role: 'worker',
    // It begins nothing after 8 minutes (functions/lifecycle/rotate-due-keys.ts).
    timeout: Duration.minutes(10),
    memoryMb: 1024,
    settings: [...WORKER_SETTINGS, 'CHANGES_QUEUE_URL'],
  });
  const unstarted = runRegularly(scope, stage.name, rotation, {
    name: 'rotate-due-keys',
    description: 'Rotates the keys of those who are due, and retires old ones',
    every: 'quarterOfAnHour',
  });
  for (const [id, props] of Object.entries(alarms(rotation, unstarted)))
    addAlarm(scope, `${id}-alarm`, props, data.operators);
  return rotation;
}

function alarms(rotation: Lambda, unstarted: Queue): Record<string, AlarmProps> {
  const hour = Duration.hours(1);
  return {
    'key-rotation-errors': {
      metric: rotation.metricErrors({ period: hour }),
      threshold: 2,
      means:
        'Keys are not rotated: the function that does it crashes. The keys that members have go on working.',
      todo: 'read the log of rotate-due-keys; most likely the database or KMS does not answer.',
    },
    'key-rotation-cut-short': {
      metric: countedBy('lifecycle', 'KeyRotationCrashed').with({ period: hour }),
      threshold: 2,
      means: 'Rotations of single members are cut short by something that nobody foresaw.',
      todo: 'read "a rotation was cut short" in the log of rotate-due-keys; the worker of changes goes on with them.',
    },
    'key-rotation-silent': {
      metric: rotation.metricInvocations({ period: hour }),
      threshold: 1,
      whenBelow: true,
      periods: 3,
      whenSilent: TreatMissingData.BREACHING,
      means: 'For three hours nobody has looked whose keys are due, and old keys stay in the documents.',
      todo: 'see whether the schedule rotate-due-keys-every-15-minutes is enabled and may invoke the function, and read its dead letters.',
    },
    'key-rotation-not-started': {
      metric: unstarted.metricApproximateNumberOfMessagesVisible({
        period: PERIOD,
        statistic: Stats.MAXIMUM,
      }),
      threshold: 0,
      means: 'EventBridge Scheduler could not start the rotation of keys.',
      todo: 'read the error code in the attributes of the message, repair the role or the function, purge the queue.',
    },
    'key-rotation-late': {
      metric: countedBy('lifecycle', 'KeyRotationsLate').with({ period: hour }),
      threshold: 0,
      periods: 6,
      means: 'Members whose keys were due a day ago still have them.',
      todo:
        'read "due keys rotated" in the log of rotate-due-keys: a PDS that does not answer is waited for; if it is the ' +
        'budget of requests, raise PDS_KEY_ROTATION_DAYS, or ask the PDS for its bypass key (README, "Key rotation").',
    },
  };
}
