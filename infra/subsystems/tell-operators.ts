import { Duration } from 'aws-cdk-lib';
import { Stats, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import type { Function as Lambda } from 'aws-cdk-lib/aws-lambda';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { type AlarmProps, addAlarm, countedBy, PERIOD } from '../alarm.ts';
import { addFunction, type Ground } from '../function.ts';
import { runRegularly } from '../run-regularly.ts';

/** The function that tells operators every minute what was noted for them, and what watches over it. */
export function addTellOperators(scope: Construct, ground: Ground): Lambda {
  const tell = addFunction(scope, ground, {
    subsystem: 'lifecycle',
    operation: 'tell-operators',
    role: 'worker',
    timeout: Duration.seconds(30),
    settings: ['DATABASE_URL', 'OPERATORS_TOPIC_ARN', 'PDS_ENVIRONMENT', 'TELEGRAM_ADMIN_CHAT_ID'],
  });
  const unstarted = runRegularly(scope, ground.stage.name, tell, {
    name: 'tell-operators',
    every: 'minute',
    description: 'Tells operators what was noted for them',
  });
  for (const [id, props] of Object.entries(alarms(tell, unstarted)))
    addAlarm(scope, `${id}-alarm`, props, ground.data.operators);
  return tell;
}

/** Who tells of the teller: these alarms go to the topic by themselves. */
function alarms(tell: Lambda, unstarted: Queue): Record<string, AlarmProps> {
  return {
    'tell-operators-errors': {
      metric: tell.metricErrors({ period: PERIOD }),
      threshold: 2,
      means:
        'Operators are not told what they have to see to. Nothing is lost: it stands in operator_notices.',
      todo: 'read the log of lifecycle-tell-operators; most likely it is the database. Until then read the table.',
    },
    'tell-operators-silent': {
      metric: tell.metricInvocations({ period: PERIOD }),
      threshold: 1,
      whenBelow: true,
      whenSilent: TreatMissingData.BREACHING,
      means: 'Nobody tells operators what they have to see to: it waits in operator_notices.',
      todo: 'see whether the schedule of tell-operators is enabled and may invoke it, and read its dead letters.',
    },
    'tell-operators-not-started': {
      metric: unstarted.metricApproximateNumberOfMessagesVisible({
        period: PERIOD,
        statistic: Stats.MAXIMUM,
      }),
      threshold: 0,
      means: 'EventBridge Scheduler could not start the telling of operators.',
      todo: 'read the error code in the attributes of the message, repair the role or the function, purge the queue.',
    },
    'operators-not-told': {
      metric: countedBy('lifecycle', 'OperatorsNotTold'),
      threshold: 0,
      periods: 3,
      means:
        'The operators’ topic takes no messages from us. They wait in operator_messages; the chat has them.',
      todo: 'read the log of lifecycle-tell-operators; see whether the topic and the right to publish still stand.',
    },
  };
}
