import { type App, Stack } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { Dashboard, GraphWidget, Metric, Stats, TextWidget } from 'aws-cdk-lib/aws-cloudwatch';
import { Rule, RuleTargetInput } from 'aws-cdk-lib/aws-events';
import { SnsTopic } from 'aws-cdk-lib/aws-events-targets';
import { addAlarm, PERIOD } from '../alarm.ts';
import type { Stage } from '../stage.ts';
import type { Watched } from '../watch.ts';
import type { DataStack } from './data.ts';

type Parts = {
  readonly stage: Stage;
  readonly data: DataStack;
  readonly api: HttpApi;
  readonly watched: readonly Watched[];
};

/** What watches the whole: the dashboard with a row per subsystem, and the alarms that belong to none of them. */
export class MonitoringStack extends Stack {
  constructor(app: App, { stage, data, api, watched }: Parts) {
    super(app, `${stage.name}-monitoring`, {
      description: 'PDS provisioning: dashboard and alarms',
      env: { region: stage.region },
    });
    this.#watchApi({ data, api });
    this.#watchDataKey({ data });
    this.#watchDatabase({ data });
    this.#addDashboard({ stage, data, api, watched });
  }

  #watchApi({ data, api }: Pick<Parts, 'data' | 'api'>): void {
    addAlarm(
      this,
      'api-5xx',
      {
        metric: api.metricServerError({ period: PERIOD, statistic: Stats.SUM }),
        threshold: 4,
        means: 'The API answers members with 5xx.',
        todo: 'find the route and the request ids in the access log, then the same request ids in that function’s log.',
      },
      data.operators,
    );
  }

  /**
   * The worst that can happen: whoever disables or deletes this key takes all credentials with it. A deleted key can
   * be kept for 30 days, if somebody notices.
   * @NOTE EventBridge sees these calls only where a CloudTrail trail records management events (AWS KMS, "Logging").
   */
  #watchDataKey({ data }: Pick<Parts, 'data'>): void {
    const text = {
      means:
        'The key of all members’ secrets was disabled, is scheduled for deletion or has got another policy.',
      todo:
        'at once: `aws kms cancel-key-deletion`, then `aws kms enable-key` with the key’s id; ' +
        'then find in CloudTrail who it was, and take that principal’s rights away.',
    };
    const rule = new Rule(this, 'data-key-endangered', {
      description: text.means,
      eventPattern: {
        source: ['aws.kms'],
        detailType: ['AWS API Call via CloudTrail'],
        detail: {
          eventSource: ['kms.amazonaws.com'],
          eventName: ['DisableKey', 'ScheduleKeyDeletion', 'PutKeyPolicy'],
          resources: { ARN: data.dataKeys.map(({ keyArn }) => keyArn) },
        },
      },
    });
    rule.addTarget(
      new SnsTopic(data.operators, {
        message: RuleTargetInput.fromText(`${text.means} What to do: ${text.todo}`),
      }),
    );
    const matched = new Metric({
      namespace: 'AWS/Events',
      metricName: 'TriggeredRules',
      dimensionsMap: { RuleName: rule.ruleName },
      statistic: Stats.SUM,
      period: PERIOD,
    });
    addAlarm(this, 'data-key-alarm', { metric: matched, threshold: 0, ...text }, data.operators);
  }

  #watchDatabase({ data }: Pick<Parts, 'data'>): void {
    const { cluster } = data.database;
    if (!cluster) return;
    addAlarm(
      this,
      'database-capacity',
      {
        metric: cluster.metricACUUtilization({ period: PERIOD }),
        threshold: 90,
        periods: 3,
        means: 'The database has run at its highest capacity for 15 minutes; everything gets slower.',
        todo: 'look for a slow query in Database Insights; else raise maxCapacity in infra/stage.ts and deploy.',
      },
      data.operators,
    );
    addAlarm(
      this,
      'database-connections',
      {
        metric: cluster.metricDatabaseConnections({ period: PERIOD, statistic: Stats.MAXIMUM }),
        threshold: 1_200,
        means:
          'The functions hold over 1,200 database connections, one each; 8 capacity units allow about 1,600.',
        todo: 'lower the throttling in infra/stacks/api.ts if it is a burst; if it is growth, put RDS Proxy in between.',
      },
      data.operators,
    );
  }

  #addDashboard({ stage, data, api, watched }: Parts): void {
    const dashboard = new Dashboard(this, 'dashboard', { dashboardName: `${stage.name}-pds` });
    dashboard.addWidgets(
      new GraphWidget({
        title: 'Requests',
        width: 12,
        left: [
          api.metricCount({ label: 'all' }),
          api.metricClientError({ label: '4xx' }),
          api.metricServerError({ label: '5xx' }),
        ],
      }),
      new GraphWidget({
        title: 'Latency',
        width: 12,
        left: [api.metricLatency({ statistic: Stats.p(50) }), api.metricLatency({ statistic: Stats.p(95) })],
      }),
    );
    for (const { title, row } of watched) {
      dashboard.addWidgets(new TextWidget({ markdown: `## ${title}`, width: 24, height: 1 }));
      dashboard.addWidgets(...row);
    }
    const { cluster } = data.database;
    if (!cluster) return;
    dashboard.addWidgets(new TextWidget({ markdown: '## database', width: 24, height: 1 }));
    dashboard.addWidgets(
      new GraphWidget({ title: 'Capacity', width: 12, left: [cluster.metricServerlessDatabaseCapacity()] }),
      new GraphWidget({ title: 'Connections', width: 12, left: [cluster.metricDatabaseConnections()] }),
    );
  }
}
