import type { DerNode } from './der.ts'
import { contextPrimitive, expectTag, ia5Bytes, readDer, sequence, tags } from './der.ts'
import { ProtocolError } from './error.ts'
import { ipAddressText, parseIpAddress } from './ip-address.ts'

/** The kinds of GeneralName (RFC 5280 §4.2.1.6) that we write. Addresses as text. */
export interface GeneralNames {
  dns: readonly string[]
  uri: readonly string[]
  ip: readonly string[]
}

/** What was read; `others` counts the names of kinds that have no list here. */
export interface ReadGeneralNames {
  dns: string[]
  uri: string[]
  ip: string[]
  others: number
}

const dnsName = 2
const uniformResourceIdentifier = 6
const ipAddress = 7
const context = 0x80

/** Visible ASCII only: a NUL or a blank inside a name is how one host is passed off as another. */
const checkText = (text: string, what: string): string => {
  if (text.length === 0 || text.length > 2048 || !/^[\x21-\x7e]+$/.test(text)) {
    throw new ProtocolError(
      `${what}: expected 1 to 2048 visible ASCII characters, found ${text.length}${/[^\x21-\x7e]/.test(text) ? ' with others among them' : ''}`,
    )
  }
  return text
}

/** GeneralNames: DNS names, then URIs, then addresses, each in the order given. */
export const encodeGeneralNames = (names: GeneralNames): Uint8Array =>
  sequence(
    ...names.dns.map((name) => contextPrimitive(dnsName, ia5Bytes(checkText(name, 'dNSName')))),
    ...names.uri.map((name) => contextPrimitive(uniformResourceIdentifier, ia5Bytes(checkText(name, 'URI')))),
    ...names.ip.map((name) => contextPrimitive(ipAddress, parseIpAddress(name))),
  )

const latin1 = (bytes: Uint8Array): string => {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}

/** The names under any GeneralNames tag, the SEQUENCE's or an implicit one; at least one. */
export const collectGeneralNames = (nodes: readonly DerNode[]): ReadGeneralNames => {
  const dns: string[] = []
  const uri: string[] = []
  const ip: string[] = []
  let others = 0
  if (nodes.length === 0) throw new ProtocolError('GeneralNames: empty, expected one name at least')
  for (const node of nodes) {
    if ((node.tag & 0xc0) !== context || (node.tag & 0x1f) > 8) {
      throw new ProtocolError(`GeneralName at ${node.offset}: tag 0x${node.tag.toString(16)} is none of [0] to [8]`)
    }
    switch (node.tag) {
      case context | dnsName:
        dns.push(checkText(latin1(node.content), `dNSName at ${node.offset}`))
        break
      case context | uniformResourceIdentifier:
        uri.push(checkText(latin1(node.content), `URI at ${node.offset}`))
        break
      case context | ipAddress:
        ip.push(ipAddressText(node.content))
        break
      default:
        others += 1
    }
  }
  return { dns, uri, ip, others }
}

/** Reads a whole GeneralNames value. */
export const readGeneralNames = (der: Uint8Array): ReadGeneralNames =>
  collectGeneralNames(expectTag(readDer(der), tags.sequence, 'GeneralNames').children)
