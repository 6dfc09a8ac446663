import { type App, Stack } from 'aws-cdk-lib';
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway';
import {
  ApiMapping,
  DomainName,
  HttpApi,
  HttpStage,
  LogGroupLogDestination,
} from 'aws-cdk-lib/aws-apigatewayv2';
import { Certificate, CertificateValidation } from 'aws-cdk-lib/aws-certificatemanager';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { ARecord, HostedZone, RecordTarget } from 'aws-cdk-lib/aws-route53';
import { ApiGatewayv2DomainProperties } from 'aws-cdk-lib/aws-route53-targets';
import { accept } from '../accepted-findings.ts';
import type { Ground } from '../function.ts';
import type { Edge, Stage } from '../stage.ts';
import { Migration } from '../subsystems/database.ts';
import type { DataStack } from './data.ts';

/** What comes before every subsystem: the schema that its functions expect, and the API that its routes are added to. */
export class ApiStack extends Stack {
  readonly api: HttpApi;

  constructor(app: App, { stage, data, code }: { stage: Stage; data: DataStack; code: Ground['code'] }) {
    super(app, `${stage.name}-api`, {
      description: 'PDS provisioning: the HTTP API and the migration of the database',
      env: { region: stage.region },
    });
    accept(this, 'functions');
    this.api = this.#addApi(stage);
    new Migration(this, 'database', { stage, data, code });
  }

  #addApi(stage: Stage): HttpApi {
    const api = new HttpApi(this, 'api', {
      apiName: `${stage.name}-api`,
      createDefaultStage: false,
      // With an edge the API answers under its own name only, and believes hosts only from the edge.
      disableExecuteApiEndpoint: stage.edge !== undefined,
    });
    const defaultStage = new HttpStage(this, 'stage', {
      httpApi: api,
      stageName: '$default',
      autoDeploy: true,
      // Behind the edge and its WAF; this bounds what a burst can cost and how many connections it opens.
      throttle: { rateLimit: 200, burstLimit: 400 },
      detailedMetricsEnabled: true,
      accessLogSettings: {
        destination: new LogGroupLogDestination(
          new LogGroup(this, 'access-log', { retention: RetentionDays.ONE_MONTH }),
        ),
        // Who asked (address, browser, cookie) is left out on purpose.
        format: AccessLogFormat.custom(
          JSON.stringify({
            request_id: '$context.requestId',
            route: '$context.routeKey',
            status: '$context.status',
            duration_ms: '$context.responseLatency',
            function_ms: '$context.integrationLatency',
            error: '$context.integrationErrorMessage',
          }),
        ),
      },
    });
    if (stage.edge) this.#nameApi(api, defaultStage, stage.edge);
    return api;
  }

  /** The name by which CloudFront reaches the API. */
  #nameApi(api: HttpApi, stage: HttpStage, { hostedZoneId, domain, apiHost }: Edge): void {
    const zone = HostedZone.fromHostedZoneAttributes(this, 'zone', { hostedZoneId, zoneName: domain });
    const certificate = new Certificate(this, 'certificate', {
      domainName: apiHost,
      validation: CertificateValidation.fromDns(zone),
    });
    const name = new DomainName(this, 'domain-name', { domainName: apiHost, certificate });
    new ApiMapping(this, 'mapping', { api, domainName: name, stage });
    const target = new ApiGatewayv2DomainProperties(name.regionalDomainName, name.regionalHostedZoneId);
    new ARecord(this, 'record', { zone, recordName: apiHost, target: RecordTarget.fromAlias(target) });
  }
}
