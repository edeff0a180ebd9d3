// Whether Infisical is ready: the login, then what is to be seen, then what may be read and changed; each by a call that changes nothing.
import { asLatchkeyError } from '../../core/errors.ts'
import { probeSegment } from '../../core/names/probe.ts'
import type { Finding, SecretProvider } from '../../core/provider.ts'
import type { Call, ProviderIo } from '../../core/runtime.ts'
import type { InfisicalApi } from './api.ts'
import { settingBehind, type InfisicalLogin } from './login.ts'

interface Step {
  readonly subject: string
  readonly says: string
  act(call: Call): Promise<unknown>
  /** Whether an absence is the answer that is hoped for. */
  readonly absent?: true
}

/** The check of a provider. The probes name a secret that does not exist. */
export const infisicalCheck = (api: InfisicalApi, login: InfisicalLogin, root: string, io: Pick<ProviderIo, 'random'>): SecretProvider['check'] => {
  const steps = (depth: 'reach' | 'read' | 'write'): readonly Step[] => {
    const probe = { folder: root, key: probeSegment(io.random) }
    const read: Step = { subject: 'read', says: 'Allowed.', absent: true, act: (call) => api.get(probe, { view: true }, call) }
    const write: Step = { subject: 'write', says: 'Not refused. Infisical looks at this permission only when there is something to change, so the first write shows it.', absent: true, act: (call) => api.update(probe, { comment: 'probe' }, call) }
    return [
      { subject: `login (${login.method})`, says: 'There is a token for Infisical.', act: (call) => login.tokens.get(call) },
      { subject: 'project, environment and path', says: 'They are to be seen.', act: (call) => api.folders(root, call) },
      ...(depth === 'reach' ? [] : [read]),
      ...(depth === 'write' ? [write] : []),
    ]
  }
  return async (depth, call) => {
    const findings: Finding[] = []
    for (const { subject, says, act, absent } of steps(depth)) {
      const failure = await act(call).then(() => undefined, asLatchkeyError)
      if (failure === undefined || (absent === true && failure.code === 'not_found')) {
        findings.push({ ok: true, subject, message: says })
        continue
      }
      const unseen = 'Infisical shows Latchkey no such project and environment. Check infisical_project_id and infisical_environment_slug, and that the identity is a member of the project.'
      const setting = ['provider_denied', 'not_found'].includes(failure.code) ? settingBehind(failure, login) : (failure.details.issues?.[0]?.path ?? 'infisical_site_url')
      return [...findings, { ok: false, subject, message: failure.code === 'not_found' ? unseen : failure.message, setting }]
    }
    return findings
  }
}
