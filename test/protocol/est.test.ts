import { describe, expect, it } from 'vitest'
import { estMediaTypes, estPath } from '../../src/protocol/est.ts'

describe('EST', () => {
  it('has its paths, with a label or without', () => {
    expect(estPath('cacerts')).toBe('/.well-known/est/cacerts')
    expect(estPath('simplereenroll', 'sensors')).toBe('/.well-known/est/sensors/simplereenroll')
    expect(estPath('csrattrs', 'a/b')).toBe('/.well-known/est/a%2Fb/csrattrs')
  })

  it('has the media types that clients compare letter by letter', () => {
    expect(estMediaTypes.enrolled).toBe('application/pkcs7-mime; smime-type=certs-only')
    expect(estMediaTypes.caCertificates).toBe('application/pkcs7-mime')
  })
})
