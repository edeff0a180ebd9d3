// Plain http is for this machine, elsewhere only by a setting that says so: one rule for every service, the SDKs' included. It stands apart from the outgoing client, so that
// who brings a client of its own does not load ours for it.
import { LatchkeyError } from '../core/errors.ts'
import { isLoopbackHost } from '../core/settings/loopback.ts'

/** Whether an address is plain http to another machine. What is no URL is left to `connect`. */
export const isOpenHttp = (url: string): boolean => URL.canParse(url) && new URL(url).protocol === 'http:' && !isLoopbackHost(new URL(url).hostname)

/** Plain http is for this machine, elsewhere only where a setting says so. @throws misconfigured */
export const refuseOpenHttp = (setting: string, url: string, allow: { readonly setting: string; readonly value: boolean }): void => {
  if (!allow.value && isOpenHttp(url)) throw new LatchkeyError('misconfigured', `${setting} must begin with https:// unless it is on this machine; set ${allow.setting} to true to send secrets unencrypted.`)
}
