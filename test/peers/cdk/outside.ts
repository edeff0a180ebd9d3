// What the tests of deployments do from outside: CDK's command line and AWS's own client against the server, with nothing of this machine's settings.
import { join } from 'node:path'
import { inject } from 'vitest'
import { clientEnv, run } from '../python-peers.ts'
import { account, region } from './server.ts'

/** What a request was answered (`status`, `body`), or a call of AWS's client (`answer`, or the code of its error). */
export type Answer = { readonly status: number; readonly body: string; readonly answer?: never; readonly error?: never; readonly text?: never } | { readonly answer?: unknown; readonly error?: string; readonly text?: string; readonly status?: never; readonly body?: never }

/** One line of a plan for `calls.py`. */
export type Ask = Readonly<Record<string, unknown>> & { readonly kind: 'request' | 'call' | 'probe' | 'as_function' }

/** Whoever may do everything in our account, and nobody else. */
export const ownAccount = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'sts:AssumeRole' }] }

/** Prints what a reader of the log should see. */
export const told = (title: string, lines: readonly string[]): void => console.log([title, ...lines].join('\n  '))

/** Hands for one deployment. */
export interface Outside {
  /** Runs a program of ours. */
  node(args: readonly string[], folder?: string): Promise<string>
  /** Runs CDK's command line. */
  cdk(args: readonly string[], folder?: string): Promise<string>
  /** Carries out a plan. */
  asked(...plan: readonly Ask[]): Promise<readonly Answer[]>
}

/** `home`: an empty folder. `trusted`: the path of the server's authority. */
export const outside = (url: string, trusted: string, home: string): Outside => {
  const env = { ...clientEnv(url), PATH: `${join(process.execPath, '..')}:${process.env['PATH'] ?? ''}`, HOME: home, AWS_REGION: region, AWS_CA_BUNDLE: trusted, NODE_EXTRA_CA_CERTS: trusted, CDK_DISABLE_CLI_TELEMETRY: '1', CI: 'true', NO_COLOR: '1' }
  const node = (args: readonly string[], folder?: string): Promise<string> => run(process.execPath, args, env, folder)
  return {
    node,
    cdk: (args, folder) => node([join(import.meta.dirname, '../../../node_modules/aws-cdk/bin/cdk'), ...args, '--no-notices', '--ci'], folder),
    asked: async (...plan) => JSON.parse(await run(inject('python'), [join(import.meta.dirname, 'calls.py'), JSON.stringify(plan)], env)) as Answer[],
  }
}
