// The exam of the five shapes of memory, one line a shape.
import { CompareAndSetService, openCompareAndSet } from '../shapes/compare-and-set.ts'
import { EtagService, openEtag } from '../shapes/etag.ts'
import { openPlain, PlainService } from '../shapes/plain.ts'
import { openStaged, StagedService } from '../shapes/staged.ts'
import { openUpsert, UpsertService } from '../shapes/upsert.ts'
import { providerConformance } from './provider-conformance.ts'
import { shapeHarness } from './harnesses/shapes.ts'

const unseen = 'a shape says that it is ready without a look at its service'
const checks = ['denied', 'unavailable_before', 'malformed', 'expired_credential'].map((fault) => ({ case: `fault.${fault}.check`, reason: unseen }))
const anyName = { case: 'name.unholdable', reason: 'the wire of this shape takes any text for a name, and is asked' }
const base = ['describe', 'list', 'write', 'promote', 'annotate', 'discard'] as const

providerConformance('memory, staged', shapeHarness(StagedService, openStaged, [...base, 'remove', 'recover'], [...checks, anyName]))
providerConformance('memory, compare-and-set', shapeHarness(CompareAndSetService, openCompareAndSet, [...base, 'remove'], [...checks, anyName]))
providerConformance('memory, etag', shapeHarness(EtagService, openEtag, [...base, 'remove'], checks))
providerConformance('memory, upsert', shapeHarness(UpsertService, openUpsert, [...base, 'remove', 'recover'], [...checks, { case: 'name.encoded-form', reason: 'this shape looks at no tag; the provider of its class does' }]))
providerConformance('memory, plain', shapeHarness(PlainService, openPlain, base, [...checks, anyName]))
