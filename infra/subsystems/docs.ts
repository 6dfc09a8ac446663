import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { Construct } from 'constructs';
import * as contracts from '../../lib/docs/api.ts';
import type { Ground } from '../function.ts';
import { addRoutes, STATIC_SETTINGS } from '../routes.ts';
import { watchRoutes } from '../watch.ts';

/** The description of the API. It asks the database nothing. */
export class Docs extends Construct {
  readonly watched;

  constructor(scope: Construct, id: string, ground: Ground & { api: HttpApi }) {
    super(scope, id);
    const functions = addRoutes(this, ground, 'docs', contracts, {
      docsPage: { settings: STATIC_SETTINGS },
      openapiJson: { settings: STATIC_SETTINGS },
    });
    this.watched = watchRoutes(this, 'docs', functions, ground.data.operators, {
      means: 'The documentation of the API crashes or times out. The API itself goes on working.',
      todo: 'read the log groups of the docs functions for the error; the last deployment is the likely cause.',
    });
  }
}
