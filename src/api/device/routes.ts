import type { Ports } from '../../lifecycle/ports.ts'
import { type EstOperation, estRoot, everleafRoot } from '../../protocol/est.ts'
import { StatusError } from '../problem.ts'
import { deviceCrls, deviceTrustAnchors } from './artefacts.ts'
import type { DeviceRoute } from './call.ts'
import { deviceCheckIn } from './check-in.ts'
import { caCertificates } from './est-ca-certificates.ts'
import { csrAttributes } from './est-csr-attributes.ts'
import { simpleEnrol, simpleReenrol } from './est-enrolment.ts'
import { renewalInformation } from './renewal-info.ts'

/** RFC 7030 §3.2.2, under `/.well-known/est/` or `/.well-known/est/<label>/`. */
const est: Record<EstOperation, DeviceRoute> = {
  cacerts: caCertificates,
  csrattrs: csrAttributes,
  simpleenroll: simpleEnrol,
  simplereenroll: simpleReenrol,
}

const everleaf: Record<string, DeviceRoute> = {
  'check-in': deviceCheckIn,
  'trust-anchors': deviceTrustAnchors,
  crl: deviceCrls,
}

export interface RoutedPath {
  route: DeviceRoute
  label: string | null
  parameter: string
}

/** Whether the path belongs to EST, where answers must suit clients that know nothing of problem documents. */
export const isEst = (path: string): boolean => path.startsWith(estRoot)

/** Which route a path names; 404 where none. A label names a profile. */
export const routeOf = (path: string, profiles: Ports['profiles']): RoutedPath => {
  const found = isUnder(path, estRoot)
    ? estRoute(partsUnder(path, estRoot), profiles)
    : isUnder(path, everleafRoot)
      ? everleafRoute(partsUnder(path, everleafRoot))
      : null
  if (found === null) throw new StatusError(404, 'there is nothing at this path')
  return found
}

const isUnder = (path: string, root: string): boolean => path.startsWith(`${root}/`)
const partsUnder = (path: string, root: string): string[] => path.slice(root.length + 1).split('/')

const estRoute = (parts: string[], profiles: Ports['profiles']): RoutedPath | null => {
  const [operation = '', segment = null] = parts.toReversed()
  if (!isOperation(operation) || parts.length > 2) return null
  const label = segment === null ? null : [...profiles.keys()].find((name) => encodeURIComponent(name) === segment)
  if (label === undefined)
    throw new StatusError(404, 'the label in this path is no profile of this server; leave it out or ask its operator')
  return { route: est[operation], label, parameter: '' }
}

const isOperation = (text: string): text is EstOperation => Object.hasOwn(est, text)

const everleafRoute = (parts: string[]): RoutedPath | null => {
  const [name = '', parameter = ''] = parts
  if (name === 'renewal-info' && parts.length === 2) return { route: renewalInformation, label: null, parameter }
  const route = Object.hasOwn(everleaf, name) ? everleaf[name] : undefined
  return route === undefined || parts.length > 1 ? null : { route, label: null, parameter: '' }
}
