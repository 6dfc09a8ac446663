import { Duration } from 'aws-cdk-lib';
import { Stats, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import type { Function as Lambda } from 'aws-cdk-lib/aws-lambda';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import type { SettingName } from '../../lib/config.ts';
import { type AlarmProps, addAlarm, countedBy, PERIOD } from '../alarm.ts';
import { addFunction, type Ground } from '../function.ts';
import { runRegularly } from '../run-regularly.ts';

/** What every function reads that lets the bot speak. */
export const BOT_SETTINGS = [
  'PDS_APP_ORIGIN',
  'SESSION_SECRET',
  'TELEGRAM_API_ROOT',
  'TELEGRAM_BOT_TOKEN',
] as const satisfies readonly SettingName[];

/** The function that sends every minute what the bot could not say at once, and its alarms. */
export function addDelivery(scope: Construct, ground: Ground): Lambda {
  const deliver = addFunction(scope, ground, {
    subsystem: 'auth',
    operation: 'deliver-messages',
    role: 'api',
    // A run begins no round of messages after 20 s; with Telegram silent, one takes 25 s (lib/auth/bot/deliver.ts).
    timeout: Duration.seconds(60),
    settings: ['DATABASE_URL', ...BOT_SETTINGS],
  });
  const unstarted = runRegularly(scope, ground.stage.name, deliver, {
    name: 'deliver-messages',
    every: 'minute',
    description: 'Sends what the bot could not say at once',
  });
  for (const [id, props] of Object.entries(alarms(deliver, unstarted)))
    addAlarm(scope, `${id}-alarm`, props, ground.data.operators);
  return deliver;
}

function alarms(deliver: Lambda, unstarted: Queue): Record<string, AlarmProps> {
  return {
    'delivery-errors': {
      metric: deliver.metricErrors({ period: PERIOD }),
      threshold: 2,
      means:
        'What the bot could not say at once is not sent later either. Nothing is lost: it waits for a day.',
      todo:
        'read the log of auth-deliver-messages; if it is SETTINGS_INVALID, enter the secret it names; else it is most ' +
        'likely the database.',
    },
    'delivery-silent': {
      metric: deliver.metricInvocations({ period: PERIOD }),
      threshold: 1,
      whenBelow: true,
      whenSilent: TreatMissingData.BREACHING,
      means: 'The delivery of bot messages does not run: what could not be sent at once waits.',
      todo: 'see whether its schedule is enabled and may invoke it, and read the dead letters of the schedule.',
    },
    'delivery-not-started': {
      metric: unstarted.metricApproximateNumberOfMessagesVisible({
        period: PERIOD,
        statistic: Stats.MAXIMUM,
      }),
      threshold: 0,
      means: 'EventBridge Scheduler could not start the delivery of bot messages.',
      todo: 'read the error code in the attributes of the message, repair the role or the function, purge the queue.',
    },
    'bot-message-given-up': {
      metric: countedBy('auth', 'BotMessageGivenUp'),
      threshold: 0,
      means:
        'A message of the bot could not be sent for a day and is given up. The identity of its reader is well.',
      todo: 'read gave_up_reason in the table telegram_messages; see whether TELEGRAM_API_ROOT can be reached from the VPC.',
    },
    'bot-message-rejected': {
      metric: countedBy('auth', 'BotMessageRejected'),
      threshold: 0,
      means: 'Telegram refuses what the bot writes as malformed: members who ask it get no answer.',
      todo:
        'read gave_up_reason in the table telegram_messages; a button needs an https PDS_APP_ORIGIN that Telegram ' +
        'accepts, the rest are the texts in lib/auth/bot.',
    },
    'operators-chat-refused': {
      metric: countedBy('auth', 'OperatorsChatRefused'),
      threshold: 0,
      means:
        'Telegram takes no message of the bot for the operators’ chat: they have them from the topic only.',
      todo: 'add the bot to the chat of TELEGRAM_ADMIN_CHAT_ID, or write to it there; gave_up_reason says what Telegram says.',
    },
    'bot-token-refused': {
      metric: countedBy('auth', 'BotTokenRefused'),
      threshold: 0,
      means: 'Telegram does not know the bot by its token: it says nothing. Messages wait for a day.',
      todo: 'put the token that BotFather shows into the secret TELEGRAM_BOT_TOKEN and restart the auth functions.',
    },
  };
}
