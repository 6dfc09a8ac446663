import { Duration, Stack } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { Stats, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import type { Function as Lambda } from 'aws-cdk-lib/aws-lambda';
import { Schedule, ScheduleExpression } from 'aws-cdk-lib/aws-scheduler';
import { LambdaInvoke } from 'aws-cdk-lib/aws-scheduler-targets';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import * as contracts from '../../lib/audit/api.ts';
import { acceptRoots, acceptSchedule } from '../accepted-findings.ts';
import { type AlarmProps, addAlarm, PERIOD } from '../alarm.ts';
import { addFunction, type Ground } from '../function.ts';
import { addQueue } from '../queue.ts';
import { addRoutes, SESSION_SETTINGS } from '../routes.ts';
import { watchRoutes } from '../watch.ts';

/** The proof of the audit log: verified by an admin, downloaded by a member, sealed by the day. */
export class Audit extends Construct {
  readonly watched;

  constructor(scope: Construct, id: string, ground: Ground & { api: HttpApi }) {
    super(scope, id);
    const functions = addRoutes(this, ground, 'audit', contracts, {
      exportLog: { settings: SESSION_SETTINGS },
      // It reads the whole log.
      verifyAudit: { settings: SESSION_SETTINGS, timeout: Duration.seconds(29) },
    });
    this.#sealDaily(ground);
    this.watched = watchRoutes(this, 'audit', functions, ground.data.operators, {
      means: 'The audit log cannot be verified or downloaded. What happens is written into it as before.',
      todo: 'read the log groups of the audit functions; `npm run audit:verify` verifies without them.',
    });
  }

  #sealDaily(ground: Ground): void {
    const { stage, data } = ground;
    const sealRoot = addFunction(this, ground, {
      subsystem: 'audit',
      operation: 'seal-root',
      role: 'worker',
      // A million heads are about 700 MB and a minute of one core.
      timeout: Duration.minutes(5),
      memoryMb: 2048,
      settings: ['DATABASE_URL', 'PDS_ENVIRONMENT', 'AUDIT_SIGNING_KEY_ID', 'AUDIT_ROOTS_BUCKET'],
    });
    acceptRoots(Stack.of(this), data);
    const unstarted = addQueue(this, 'seal-root-dead-letters', stage.name, {
      retentionPeriod: Duration.days(14),
    });
    new Schedule(this, 'seal-root-daily', {
      scheduleName: `${stage.name}-seal-root-daily`,
      description: 'Signs the heads of all chains of the audit log',
      schedule: ScheduleExpression.cron({ minute: '30', hour: '3' }),
      target: new LambdaInvoke(sealRoot, { deadLetterQueue: unstarted }),
    });
    acceptSchedule(Stack.of(this), sealRoot, unstarted);
    this.#watchRoots(sealRoot, unstarted, data.operators);
  }

  #watchRoots(sealRoot: Lambda, unstarted: Queue, operators: ITopic): void {
    const hour = Duration.hours(1);
    const alarms: Record<string, AlarmProps> = {
      'root-errors': {
        metric: sealRoot.metricErrors({ period: PERIOD }),
        threshold: 0,
        means: 'The daily root of the audit log was not signed and kept, at least not at the first try.',
        todo:
          'read the log group of audit-seal-root; when the database, KMS or the bucket of the roots answers again, ' +
          'invoke the function by hand. A day without a root leaves the log as it is, with one proof less.',
      },
      'root-missing': {
        metric: sealRoot.metricInvocations({ period: hour }),
        threshold: 1,
        whenBelow: true,
        // A run at 3:30 and the next one a day later; two hours more for a late one.
        periods: 26,
        whenSilent: TreatMissingData.BREACHING,
        means:
          'For over 26 hours nobody has asked for the daily root of the audit log. (After the first deployment this is ' +
          'so until 03:30 UTC.)',
        todo:
          'see whether the schedule seal-root-daily is enabled and may invoke the function, and read its dead letters; ' +
          'then invoke audit-seal-root by hand.',
      },
      'root-not-started': {
        metric: unstarted.metricApproximateNumberOfMessagesVisible({
          period: PERIOD,
          statistic: Stats.MAXIMUM,
        }),
        threshold: 0,
        means: 'EventBridge Scheduler could not start the signing of the daily root of the audit log.',
        todo:
          'read the error code in the attributes of the message, repair the role or the function, invoke ' +
          'audit-seal-root by hand, purge the queue.',
      },
    };
    for (const [id, props] of Object.entries(alarms)) addAlarm(this, id, props, operators);
  }
}
