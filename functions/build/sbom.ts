// What a deployment is made of, as CycloneDX 1.6: the packages of which files went into the bundle, and those that the platform runs beside it. It names no time
// and no serial number, so that the same sources give the same document.
import type { Metafile } from 'esbuild'
import type { Deployable } from './bundle.ts'
import { nameAt, type Lock, type LockedPackage } from './lockfile.ts'

/** The longest place of a package that a bundled file lies in. */
const placesIn = ({ inputs }: Metafile): readonly string[] =>
  Object.keys(inputs).flatMap((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? [])

const purl = (name: string, version: string): string => `pkg:npm/${name.replace('@', '%40')}@${version}`

/** An identifier of SPDX, or what is an expression of several. */
const licenceOf = (licence: string): object => (/ /.test(licence) ? { expression: licence.replace(/^\((.*)\)$/, '$1') } : { license: { id: licence } })

const componentOf = (place: string, { version, integrity, license, name = nameAt(place) }: LockedPackage): Readonly<Record<string, unknown>> => ({
  type: 'library',
  'bom-ref': `${purl(name, version)}#${place}`,
  ...(name.startsWith('@') ? { group: name.slice(0, name.indexOf('/')) } : {}),
  name: name.slice(name.indexOf('/') + 1),
  version,
  ...(integrity?.startsWith('sha512-') === true ? { hashes: [{ alg: 'SHA-512', content: Buffer.from(integrity.slice('sha512-'.length), 'base64').toString('hex') }] } : {}),
  ...(license === undefined ? {} : { licenses: [licenceOf(license)] }),
  purl: purl(name, version),
})

/** The document as JSON text. `beside`: places of the packages that run beside the bundle. @throws when a bundled file is of no locked package */
export const sbom = ({ host, entry }: Deployable, metafile: Metafile, beside: readonly string[], lock: Lock, version: string): string => {
  const places = [...new Set([...placesIn(metafile), ...beside])].toSorted()
  const components = places.map((place) => {
    const locked = lock[place]
    if (locked === undefined) throw new Error(`package-lock.json has no ${place}, and a file of it is in ${host} ${entry}.`)
    return componentOf(place, locked)
  })
  const ref = `latchkey-${host}-${entry}@${version}`
  const subject = { type: 'application', 'bom-ref': ref, name: `latchkey-${host}-${entry}`, version, licenses: [{ license: { id: 'Apache-2.0' } }] }
  const dependencies = [{ ref, dependsOn: components.map((component) => component['bom-ref']) }]
  return `${JSON.stringify({ bomFormat: 'CycloneDX', specVersion: '1.6', version: 1, metadata: { component: subject }, components, dependencies }, null, 2)}\n`
}
