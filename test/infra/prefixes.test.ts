// The prefix for virtual keys is one fact: each cloud's template says it in the words of its own service, and each of them is the word that the provider writes.
import { describe, expect, it } from 'vitest'
import { vaultPrefix } from '../../infra/azure/vault.ts'
import { belowPrefix } from '../../infra/names.ts'
import { policySettings } from '../../shared/core/configuration/litellm-settings.ts'
import { slugHashCodec } from '../../shared/core/names/slug-hash.ts'
import { hexEscapeCodec } from '../../shared/credentials/google/names.ts'
import { committed } from './azure/checks.ts'
import { committed as google } from './gcp/checks.ts'
import { plan } from './support/hcl.ts'

const prefix = String(policySettings.prefix_for_stored_virtual_keys.default)
const made = { text: `${prefix}team-a/x`, place: 'created' } as const
const place = { partition: 'aws', region: 'eu-central-1', account: '111122223333' }

describe('the prefix', () => {
  it('is the same in the templates of all three clouds', () => {
    const aws = belowPrefix(place, prefix)
    const { outputs } = plan(google, { project: 'fake' })

    expect(google.variable['prefix']?.[0]['default']).toBe(prefix)
    expect(aws).toBe(`arn:aws:secretsmanager:eu-central-1:111122223333:secret:${prefix}*`)
    expect([committed.includes(`StringStartsWith '${vaultPrefix}'`), slugHashCodec.encode(made).startsWith(vaultPrefix)]).toEqual([true, true])
    expect(outputs['secret_prefix']).toBe(hexEscapeCodec.encode({ text: prefix, place: 'created' }))
    expect(hexEscapeCodec.encode(made).startsWith(String(outputs['secret_prefix']))).toBe(true)
  })

  it('of another deployment is taken over by the module of Google as its service writes it', () => {
    const { outputs } = plan(google, { project: 'fake', prefix: 'gateway/keys/' })

    expect(outputs['secret_prefix']).toBe(hexEscapeCodec.encode({ text: 'gateway/keys/', place: 'created' }))
  })
})
