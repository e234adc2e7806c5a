import { readDer, readObjectIdentifier } from '../protocol/der.ts'
import { collectGeneralNames } from '../protocol/general-names.ts'
import { readName } from '../protocol/name.ts'
import { oid } from '../protocol/oid.ts'
import type { ContentView, Rule } from './lint-view.ts'

/** Upper bounds in characters, RFC 5280 appendix A.1; what is not listed may not be in a subject of ours. */
const bounds = new Map<string, number>([
  ['CN', 64],
  ['O', 64],
  ['OU', 64],
  ['serialNumber', 64],
  ['title', 64],
  ['SN', 64],
  ['GN', 64],
  ['C', 2],
  ['ST', 128],
  ['L', 128],
  ['STREET', 128],
  ['DC', 63],
  ['UID', 255],
  ['emailAddress', 255],
])
const maximumAttributes = 16
const maximumNames = 100
const maximumUrl = 1024

const dnsLabel = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i
const absoluteUri = /^[a-z][a-z0-9+.-]*:\S+$/i
const spiffeId = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/[A-Za-z0-9._-]+)*$/

const isEmpty = (name: Uint8Array): boolean => readDer(name).children.length === 0

const subjectBounds: Rule<ContentView> = ({ certificate: { subject } }) => {
  const attributes = readName(subject)
  if (attributes.length > maximumAttributes)
    return `${attributes.length} attributes, at most ${maximumAttributes} are allowed`
  for (const [attribute, value] of attributes) {
    const bound = bounds.get(attribute)
    const length = [...value].length
    if (bound === undefined) return `attribute ${attribute} is none that our names have`
    if (length < 1 || length > bound) return `${attribute} has ${length} characters, 1 to ${bound} are allowed`
    if (/\p{Cc}/u.test(value) || value !== value.trim())
      return `${attribute} has control characters or blanks around it`
  }
  return null
}

const named: Rule<ContentView> = ({ certificate, kind }) => {
  if (!isEmpty(certificate.subject)) return null
  if (kind !== 'leaf') return 'the subject is empty, an authority must have one'
  return certificate.subjectAlternativeName === null ? 'neither a subject nor a subject alternative name' : null
}

const alternativeNames: Rule<ContentView> = ({ certificate: { subjectAlternativeName } }) => {
  if (subjectAlternativeName === null) return null
  const { dns, uri, ip, others } = subjectAlternativeName.names
  const count = dns.length + uri.length + ip.length
  if (others > 0) return `${others} names that are neither DNS, URI nor IP`
  if (count < 1 || count > maximumNames) return `${count} names, 1 to ${maximumNames} are allowed`
  const badDns = dns.find((name) => !isDnsName(name))
  if (badDns !== undefined) return `"${badDns}" is no DNS name`
  const badUri = uri.find((name) => !absoluteUri.test(name) || name.length > maximumUrl)
  return badUri === undefined ? null : `"${badUri.slice(0, 80)}" is no absolute URI of ${maximumUrl} characters at most`
}

function isDnsName(name: string): boolean {
  const labels = (name.startsWith('*.') ? name.slice(2) : name).split('.')
  return name.length <= 253 && labels.every((label) => dnsLabel.test(label))
}

/** Critical where it is the only name there is (RFC 5280 §4.2.1.6). */
const alternativeNameCriticality: Rule<ContentView> = ({ certificate: { subject }, extensions }) => {
  const extension = extensions.find(({ identifier }) => identifier === oid.subjectAltName)
  if (extension === undefined || extension.critical === isEmpty(subject)) return null
  return isEmpty(subject)
    ? 'it must be critical where the subject is empty'
    : 'it must not be critical beside a subject'
}

/** An X.509-SVID has exactly one URI (SPIFFE X509-SVID §2). */
const spiffe: Rule<ContentView> = ({ certificate: { subjectAlternativeName } }) => {
  const uris = subjectAlternativeName?.names.uri ?? []
  const id = uris.find((uri) => /^spiffe:/i.test(uri))
  if (id === undefined) return null
  if (uris.length > 1) return `${uris.length} URIs, a SPIFFE id must be the only one`
  return spiffeId.test(id) ? null : `"${id}" is not spiffe://trust-domain/path`
}

const isHttpUrl = (url: string): boolean =>
  url.length <= maximumUrl && /^http:\/\/[^\s/?#]+(?:[/?#]\S*)?$/.test(url) && URL.canParse(url)

/** Plain HTTP: fetching a CRL over TLS would need a CRL. */
const crlDistributionPoint: Rule<ContentView> = ({ certificate: { crlDistributionPoints: urls }, extensions }) => {
  if (!extensions.some(({ identifier }) => identifier === oid.crlDistributionPoints)) return null
  if (urls.length !== 1) return `${urls.length} URLs, there must be one`
  return isHttpUrl(urls[0] ?? '') ? null : `"${urls[0]}" is no http:// URL`
}

const authorityInformation: Rule<ContentView> = ({ extensions }) => {
  const extension = extensions.find(({ identifier }) => identifier === oid.authorityInfoAccess)
  if (extension === undefined) return null
  const { children } = readDer(extension.value)
  if (children.length === 0) return 'it is empty'
  for (const { children: parts } of children) {
    const [method, location] = parts
    if (method === undefined || location === undefined || readObjectIdentifier(method) !== oid.caIssuers)
      return 'only the URL of the issuer certificate (caIssuers) is allowed'
    const { uri } = collectGeneralNames([location])
    if (!isHttpUrl(uri[0] ?? '')) return `"${uri[0] ?? 'a name that is no URI'}" is no http:// URL`
  }
  return null
}

export const nameRules: Readonly<Record<string, Rule<ContentView>>> = {
  'subject bounds': subjectBounds,
  named,
  'alternative names': alternativeNames,
  'alternative name criticality': alternativeNameCriticality,
  spiffe,
  'CRL distribution point': crlDistributionPoint,
  'authority information': authorityInformation,
}
