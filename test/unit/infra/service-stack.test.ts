import { Match } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { kebabCase } from '../../../infra/routes.ts';
import { CONTRACTS } from '../../../lib/docs/contracts.ts';
import { TIMES } from '../../../lib/provisioning/times.ts';
import { allResources, functionsOf, LOCAL, PRODUCTION, resourcesOf, synthesize } from './synthesized.ts';

const production = synthesize(PRODUCTION);
const local = synthesize(LOCAL);
const contracts = CONTRACTS.map((contract) => ({
  ...contract,
  functionId: `${contract.subsystem}-${kebabCase(contract.operationId)}`,
}));

describe('service stack', () => {
  it('gives every contract exactly one route, and has no other but for preflights', () => {
    const routes = resourcesOf(production.service, 'AWS::ApiGatewayV2::Route').map(
      ([, { Properties }]) => Properties.RouteKey,
    );
    const wanted = contracts.map(({ method, path }) => `${method} ${path}`);
    expect(routes.sort()).toEqual([...wanted, 'OPTIONS /api/{proxy+}'].sort());
    const elsewhere = contracts.filter(({ host, path }) => host === 'app' && !path.startsWith('/api/'));
    expect(elsewhere.map(({ path }) => path)).toEqual(['/telegram/webhook']);
  });

  it.each(contracts)('$method $path runs $functionId', ({ method, path, functionId }) => {
    const resources = production.service?.toJSON().Resources ?? {};
    const [, route] = resourcesOf(production.service, 'AWS::ApiGatewayV2::Route').find(
      ([, { Properties }]) => Properties.RouteKey === `${method} ${path}`,
    ) ?? ['', undefined];
    const integration = JSON.stringify(route?.Properties.Target).match(/"Ref":"(\w+)"/)?.[1] ?? '';
    const target = resources[integration]?.Properties.IntegrationUri['Fn::GetAtt'][0];
    expect(target).toBe(functionsOf(production.service, 'production').get(functionId)?.logicalId);
  });

  it('runs everything on Node 24, arm64, traced, in the VPC, with a log that ends', () => {
    const functions = functionsOf(production.service, 'production');
    expect(functions.size).toBeGreaterThan(contracts.length);
    for (const { properties } of functions.values()) {
      expect(properties).toMatchObject({
        Runtime: 'nodejs24.x',
        Architectures: ['arm64'],
        Handler: 'index.handler',
        TracingConfig: { Mode: 'Active' },
        VpcConfig: expect.anything(),
        LoggingConfig: { LogGroup: expect.anything() },
      });
    }
    const logs = resourcesOf(production.service, 'AWS::Logs::LogGroup');
    expect(logs.every(([, { Properties }]) => Properties.RetentionInDays === 30)).toBe(true);
  });

  it('lets no route outlive the HTTP API', () => {
    const functions = functionsOf(production.service, 'production');
    for (const { functionId } of contracts) {
      expect(Number(functions.get(functionId)?.properties.Timeout)).toBeLessThanOrEqual(29);
    }
  });

  it.each([
    ['production', production],
    ['local', local],
  ] as const)('times worker and queue by the one table of times (%s)', (stage, { service }) => {
    const times = TIMES[stage];
    const worker = functionsOf(service, stage).get('provisioning-provision-identity');
    expect(worker?.properties.Timeout).toBe(times.worker);
    service?.hasResourceProperties('AWS::SQS::Queue', {
      QueueName: `${stage}-provisioning`,
      VisibilityTimeout: times.visibility,
    });
    for (const [, mapping] of resourcesOf(service, 'AWS::Lambda::EventSourceMapping')) {
      const resources = service?.toJSON().Resources;
      const { EventSourceArn, FunctionName } = mapping.Properties as {
        EventSourceArn: { 'Fn::GetAtt': [string, string] };
        FunctionName: { Ref: string };
      };
      const visibility = resources[EventSourceArn['Fn::GetAtt'][0]].Properties.VisibilityTimeout;
      expect(visibility).toBeGreaterThanOrEqual(6 * resources[FunctionName.Ref].Properties.Timeout);
    }
  });

  it('redrives a message after five receives to a queue that keeps it for 14 days', () => {
    production.service?.hasResourceProperties('AWS::SQS::Queue', {
      QueueName: 'production-provisioning',
      RedrivePolicy: {
        deadLetterTargetArn: { 'Fn::GetAtt': [Match.stringLikeRegexp('provisioningdeadletters'), 'Arn'] },
        maxReceiveCount: 5,
      },
    });
    production.service?.hasResourceProperties('AWS::SQS::Queue', {
      QueueName: 'production-provisioning-dead-letters',
      MessageRetentionPeriod: 14 * 24 * 3600,
    });
  });

  it('works on one member an invocation and returns failures by message', () => {
    production.service?.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
      BatchSize: 1,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      ScalingConfig: { MaximumConcurrency: 10 },
      FunctionName: { Ref: Match.stringLikeRegexp('provisionidentity') },
    });
    production.service?.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      FunctionName: { Ref: Match.stringLikeRegexp('deadletter') },
      EventSourceArn: { 'Fn::GetAtt': [Match.stringLikeRegexp('provisioningdeadletters'), 'Arn'] },
    });
  });

  it.each(['relay', 'deliver-messages'])(
    'runs %s every minute and keeps what could not be started',
    (name) => {
      production.service?.hasResourceProperties('AWS::Scheduler::Schedule', {
        Name: `production-${name}-every-minute`,
        ScheduleExpression: 'rate(1 minute)',
        State: 'ENABLED',
        Target: Match.objectLike({ DeadLetterConfig: Match.anyValue() }),
      });
    },
  );

  it('migrates before anything that needs the schema is deployed', () => {
    const [[trigger] = []] = resourcesOf(production.service, 'Custom::Trigger');
    const functions = functionsOf(production.service, 'production');
    const resources = production.service?.toJSON().Resources ?? {};
    for (const [id, { logicalId }] of functions) {
      if (id === 'database-migrate') continue;
      expect([id, resources[logicalId].DependsOn]).toEqual([id, expect.arrayContaining([trigger])]);
    }
  });

  it('is reached through the edge only, where there is one', () => {
    production.service?.hasResourceProperties('AWS::ApiGatewayV2::Api', { DisableExecuteApiEndpoint: true });
    production.service?.hasResourceProperties('AWS::ApiGatewayV2::DomainName', {
      DomainName: 'api.example.org',
    });
    const alone = synthesize({ ...PRODUCTION, PDS_HOSTED_ZONE_ID: undefined });
    alone.service?.hasResourceProperties('AWS::ApiGatewayV2::Api', { DisableExecuteApiEndpoint: false });
    expect(alone.edge).toBeUndefined();
  });

  it('bounds bursts, and logs no address of anyone', () => {
    production.service?.hasResourceProperties('AWS::ApiGatewayV2::Stage', {
      DefaultRouteSettings: Match.objectLike({ ThrottlingRateLimit: 200, ThrottlingBurstLimit: 400 }),
      AccessLogSettings: { Format: Match.not(Match.stringLikeRegexp('sourceIp|userAgent|Cookie')) },
    });
  });

  it('stays below CloudFormation’s limit of 500 resources a stack, with room for a route or two', () => {
    for (const [name, template] of Object.entries(production))
      expect([name, allResources({ template }).length < 480]).toEqual([name, true]);
  });

  it('uses only the intrinsic functions that the local platform evaluates', () => {
    const known = /^Fn::(GetAtt|ImportValue|Join|Select|Split|Sub)$/;
    const used = allResources(local)
      .filter(([, { Type }]) => !Type.startsWith('AWS::EC2::')) // no network there
      .flatMap(([, resource]) => JSON.stringify(resource).match(/Fn::\w+/g) ?? []);
    expect(used).toContain('Fn::ImportValue');
    expect(used.filter((name) => !known.test(name))).toEqual([]);
  });

  it('watches and fronts only what is deployed', () => {
    expect(Object.keys(production).sort()).toEqual(['data', 'edge', 'monitoring', 'service']);
    expect(Object.keys(local).sort()).toEqual(['data', 'service']);
  });
});
