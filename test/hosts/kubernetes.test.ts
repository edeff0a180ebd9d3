// The Kubernetes example: what it starts is this program with a configuration that loads, its token lies where it is looked for, and it needs nothing that a pod
// should not have.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { parseConfigText } from '../../functions/local/config-file.ts'
import { parseConfiguration } from '../../shared/core/configuration.ts'
import { identities } from '../../shared/core/configuration/identities.ts'
import { envOf } from '../support/runtime.ts'

interface Container {
  readonly command: readonly string[]
  readonly args: readonly string[]
  readonly env: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: { readonly secretKeyRef: { readonly name: string } } }[]
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
  readonly securityContext: object
  readonly readinessProbe: { readonly httpGet: { readonly path: string } }
}
interface Pod {
  readonly serviceAccountName: string
  readonly automountServiceAccountToken: boolean
  readonly securityContext: object
  readonly containers: readonly [Container]
  readonly volumes: readonly { readonly name: string; readonly projected?: { readonly sources: readonly { readonly serviceAccountToken: { readonly path: string; readonly audience: string } }[] } }[]
}

const root = join(import.meta.dirname, '../..')
const documents = parseAllDocuments(readFileSync(join(root, 'examples/kubernetes/latchkey.yaml'), 'utf8')).map((document) => document.toJS() as { kind: string; metadata: { name: string }; data?: Record<string, string>; spec?: { template: { spec: Pod } } })
const of = (kind: string): (typeof documents)[number] => documents.find((document) => document.kind === kind) ?? { kind: 'none', metadata: { name: '' } }
const pod = of('Deployment').spec?.template.spec as Pod
const [container] = pod.containers
const env = new Map(container.env.map(({ name, value }) => [name, value]))

describe('the Kubernetes example', () => {
  it('has a service account, a configuration, a deployment and a service', () => {
    expect(documents.map(({ kind }) => kind)).toEqual(['ServiceAccount', 'ConfigMap', 'Deployment', 'Service'])
    expect(pod.serviceAccountName).toBe(of('ServiceAccount').metadata.name)
  })

  it('starts this program, on every address of the pod, with a master key from a secret', () => {
    expect([container.command[0], container.command[1], ...container.command.slice(2).map((path) => existsSync(join(root, path)))]).toEqual(['node', '--import', true, true])
    expect(container.args).toEqual(['--config', '/etc/latchkey/config.yaml'])
    expect([env.get('HOST'), env.get('PORT')]).toEqual(['0.0.0.0', String(container.ports[0]?.containerPort)])
    expect(container.env.find(({ name }) => name === 'LITELLM_MASTER_KEY')?.valueFrom).toEqual({ secretKeyRef: { name: 'latchkey', key: 'master-key' } })
  })

  it('loads its configuration without a warning, for a server that others can reach', async () => {
    const given = envOf({ LITELLM_MASTER_KEY: `sk-${'a'.repeat(44)}`, AWS_WEB_IDENTITY_TOKEN_FILE: env.get('AWS_WEB_IDENTITY_TOKEN_FILE') ?? '' })

    const { configuration, warnings } = parseConfiguration(await parseConfigText(Buffer.from(of('ConfigMap').data?.['config.yaml'] ?? ''), 'config.yaml'), { env: given, loopback: false, identities })

    expect(warnings).toEqual([])
    expect(configuration.stores.get('default')).toMatchObject({ system: 'aws_secret_manager', storeVirtualKeys: true, settings: { aws_web_identity_token: 'os.environ/AWS_WEB_IDENTITY_TOKEN_FILE' } })
  })

  it('looks for its token where the kubelet puts it, for the audience of STS', () => {
    const volume = pod.volumes.find(({ projected }) => projected !== undefined)
    const token = volume?.projected?.sources[0]?.serviceAccountToken

    expect(`${container.volumeMounts.find(({ name }) => name === volume?.name)?.mountPath ?? ''}/${token?.path ?? ''}`).toBe(env.get('AWS_WEB_IDENTITY_TOKEN_FILE'))
    expect(token?.audience).toBe('sts.amazonaws.com')
  })

  it('has no rights of its own: no API token, no root, no writable image', () => {
    expect(pod.automountServiceAccountToken).toBe(false)
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true })
    expect(container.securityContext).toMatchObject({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } })
  })
})
