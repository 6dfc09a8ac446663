import { type App, Duration, SecretValue, Stack } from 'aws-cdk-lib';
import { Certificate, CertificateValidation } from 'aws-cdk-lib/aws-certificatemanager';
import {
  AllowedMethods,
  type BehaviorOptions,
  CacheHeaderBehavior,
  CachePolicy,
  Distribution,
  FunctionEventType,
  OriginRequestPolicy,
  SecurityPolicyProtocol,
  ViewerProtocolPolicy,
} from 'aws-cdk-lib/aws-cloudfront';
import { HttpOrigin } from 'aws-cdk-lib/aws-cloudfront-origins';
import { Metric, Stats, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import {
  AaaaRecord,
  ARecord,
  CfnHealthCheck,
  HostedZone,
  type IHostedZone,
  RecordTarget,
} from 'aws-cdk-lib/aws-route53';
import { CloudFrontTarget } from 'aws-cdk-lib/aws-route53-targets';
import { accept } from '../accepted-findings.ts';
import { addAlarm } from '../alarm.ts';
import { addOperatorsTopic } from '../operators.ts';
import type { Edge, Stage } from '../stage.ts';
import { addEdgeFunctions, type EdgeFunctions } from './edge-functions.ts';
import { addWebAcl } from './web-acl.ts';

/** The two documents that a member's host answers, and nothing else. */
const MEMBER_PATHS = ['/.well-known/did.json', '/.well-known/atproto-did'];
const DAY = Duration.days(1);

/**
 * Two CloudFront distributions with a WAF each: one for the app's origin, one for `*.domain`, the members' hosts.
 * Both hand on which host was asked for (`x-pds-host`) and by whom (`x-pds-address`), and prove with `x-origin-secret`
 * that they are us: the API believes the one only together with the other (lib/http/host.ts).
 *
 * Exists where the stage has a hosted zone. Without one the operator's own proxy sends these headers, and reaches the
 * API by its execute-api name. The stack lives in us-east-1, since certificates and WAFs of CloudFront must; it
 * refers to no other stack, so nothing has to be carried between regions but a replica of the origin's secret.
 */
export class EdgeStack extends Stack {
  constructor(app: App, { stage, edge }: { stage: Stage; edge: Edge }) {
    super(app, `${stage.name}-edge`, {
      description: 'PDS provisioning: CloudFront and WAF',
      env: { region: 'us-east-1' },
    });
    accept(this, 'edge');
    const zone = HostedZone.fromHostedZoneAttributes(this, 'zone', {
      hostedZoneId: edge.hostedZoneId,
      zoneName: edge.domain,
    });
    // A new value of the secret reaches the distributions with the next change of this stack.
    const secret = SecretValue.secretsManager(`${stage.name}/PDS_ORIGIN_SECRET`).unsafeUnwrap();
    const customHeaders = { 'x-origin-secret': secret };
    const functions = addEdgeFunctions(this);
    this.#addApp({ edge, zone, functions, customHeaders });
    this.#addMembers({ edge, zone, functions, customHeaders });
    this.#watch({ stage, edge });
  }

  /** From outside, since what is wrong here no function ever sees. CloudWatch has this metric in us-east-1 only. */
  #watch({ stage, edge }: { stage: Stage; edge: Edge }): void {
    const check = new CfnHealthCheck(this, 'app-check', {
      healthCheckConfig: {
        type: 'HTTPS',
        fullyQualifiedDomainName: edge.appHost,
        resourcePath: '/api/healthz',
        requestInterval: 30,
        failureThreshold: 3,
        enableSni: true,
      },
    });
    const metric = new Metric({
      namespace: 'AWS/Route53',
      metricName: 'HealthCheckStatus',
      dimensionsMap: { HealthCheckId: check.attrHealthCheckId },
      statistic: Stats.MINIMUM,
      period: Duration.minutes(1),
    });
    addAlarm(
      this,
      'app-unreachable',
      {
        metric,
        threshold: 1,
        whenBelow: true,
        periods: 3,
        whenSilent: TreatMissingData.BREACHING,
        means: `Nobody reaches https://${edge.appHost}/api/healthz from outside.`,
        todo:
          'curl it. 403 EDGE_REQUIRED: the origin secret here is older than in the API, change and deploy this stack. ' +
          '503: the database. Nothing at all: DNS, certificate or WAF; then see the API’s own alarms.',
      },
      addOperatorsTopic(this, stage),
    );
  }

  #addApp({ edge, zone, functions, customHeaders }: Parts): void {
    const app = new Distribution(this, 'app', {
      comment: 'The app: API and web',
      domainNames: [edge.appHost],
      certificate: certificate(this, 'app-certificate', edge.appHost, zone),
      minimumProtocolVersion: SecurityPolicyProtocol.TLS_V1_2_2021,
      webAclId: addWebAcl(this, 'app-web-acl', 'app').attrArn,
      defaultBehavior: {
        origin: new HttpOrigin(edge.apiHost, { customHeaders }),
        allowedMethods: AllowedMethods.ALLOW_ALL,
        viewerProtocolPolicy: ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
        cachePolicy: CachePolicy.CACHING_DISABLED,
        originRequestPolicy: OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
        functionAssociations: [
          { eventType: FunctionEventType.VIEWER_REQUEST, function: functions.describeViewer },
        ],
      },
      // CloudFront would keep an error for 10 s, and show one member's to all.
      errorResponses: [404, 500, 502, 503, 504].map((httpStatus) => ({
        httpStatus,
        ttl: Duration.seconds(0),
      })),
    });
    addRecords(this, 'app', zone, edge.appHost, app);
  }

  #addMembers({ edge, zone, functions, customHeaders }: Parts): void {
    const name = `*.${edge.domain}`;
    // A PDS gives up on a DID document after 3 s: better a stale one soon than a new one late.
    const origin = new HttpOrigin(edge.apiHost, {
      customHeaders,
      connectionTimeout: Duration.seconds(2),
      readTimeout: Duration.seconds(3),
    });
    const cachePolicy = new CachePolicy(this, 'by-host', {
      comment:
        'By member; as long as the answer says. no-store is obeyed, stale-if-error reaches a day at most.',
      minTtl: Duration.seconds(0),
      defaultTtl: Duration.seconds(0),
      maxTtl: DAY,
      headerBehavior: CacheHeaderBehavior.allowList('x-pds-host'),
    });
    const document: BehaviorOptions = {
      origin,
      cachePolicy,
      allowedMethods: AllowedMethods.ALLOW_GET_HEAD,
      viewerProtocolPolicy: ViewerProtocolPolicy.HTTPS_ONLY,
      functionAssociations: [
        { eventType: FunctionEventType.VIEWER_REQUEST, function: functions.describeViewer },
      ],
    };
    const members = new Distribution(this, 'members', {
      comment: "Members' hosts: DID documents and handles",
      domainNames: [name],
      certificate: certificate(this, 'members-certificate', name, zone),
      minimumProtocolVersion: SecurityPolicyProtocol.TLS_V1_2_2021,
      webAclId: addWebAcl(this, 'members-web-acl', 'members').attrArn,
      defaultBehavior: {
        ...document,
        functionAssociations: [{ eventType: FunctionEventType.VIEWER_REQUEST, function: functions.notFound }],
      },
      additionalBehaviors: Object.fromEntries(MEMBER_PATHS.map((path) => [path, document])),
      // A name that is unknown now may be a member's in a second, and his PDS asks at once.
      errorResponses: [{ httpStatus: 404, ttl: Duration.seconds(0) }],
    });
    addRecords(this, 'members', zone, name, members);
  }
}

type Parts = {
  readonly edge: Edge;
  readonly zone: IHostedZone;
  readonly functions: EdgeFunctions;
  readonly customHeaders: Record<string, string>;
};

function certificate(scope: Stack, id: string, domainName: string, zone: IHostedZone): Certificate {
  return new Certificate(scope, id, { domainName, validation: CertificateValidation.fromDns(zone) });
}

function addRecords(scope: Stack, id: string, zone: IHostedZone, recordName: string, to: Distribution): void {
  const target = RecordTarget.fromAlias(new CloudFrontTarget(to));
  new ARecord(scope, `${id}-ipv4`, { zone, recordName, target });
  new AaaaRecord(scope, `${id}-ipv6`, { zone, recordName, target });
}
