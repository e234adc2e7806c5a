import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { exchangeRaw, openTcp, untilClosed } from '../support/client.ts'
import { type House, makeHouse } from '../support/house.ts'

let house: House
beforeAll(async () => {
  house = await makeHouse()
})
afterAll(() => house.stop())

const statusOf = async (...lines: string[]): Promise<number> => {
  const answer = await exchangeRaw(house.port, [...lines, 'Connection: close', '', ''].join('\r\n'))
  expect(answer).toMatch(/^HTTP\/1\.1 \d{3} [\s\S]*\r\n\r\n/)
  return Number(answer.slice(9, 12))
}
const path = '/.well-known/est/cacerts'

describe('a request is refused as malformed', () => {
  const malformed: Array<[string, string[]]> = [
    ['with two Host headers', [`GET ${path} HTTP/1.1`, 'Host: a', 'Host: b']],
    ['with the same Host header twice', [`GET ${path} HTTP/1.1`, 'Host: a', 'Host: a']],
    ['without Host', [`GET ${path} HTTP/1.1`]],
    ['with a Host that is no name', [`GET ${path} HTTP/1.1`, 'Host: a b/c']],
    [
      'with two Authorization headers',
      [`GET ${path} HTTP/1.1`, 'Host: a', 'Authorization: Basic YTpi', 'Authorization: Basic YTpj'],
    ],
    ['with two Content-Type headers', [`GET ${path} HTTP/1.1`, 'Host: a', 'Content-Type: a/b', 'Content-Type: c/d']],
    ['with two lengths', [`POST ${path} HTTP/1.1`, 'Host: a', 'Content-Length: 0', 'Content-Length: 5']],
    [
      'with a length and chunks',
      [`POST ${path} HTTP/1.1`, 'Host: a', 'Content-Length: 5', 'Transfer-Encoding: chunked'],
    ],
    ['with a negative length', [`POST ${path} HTTP/1.1`, 'Host: a', 'Content-Length: -5']],
    ['with a method in lower case', [`get ${path} HTTP/1.1`, 'Host: a']],
    ['with a method that is none', [`FETCH ${path} HTTP/1.1`, 'Host: a']],
    ['with a tab for a blank', [`GET\t${path} HTTP/1.1`, 'Host: a']],
    ['with a word too many', [`GET ${path} x HTTP/1.1`, 'Host: a']],
    ['with HTTP/1.9', [`GET ${path} HTTP/1.9`, 'Host: a']],
    ['with lines that end in LF alone', [`GET ${path} HTTP/1.1\nHost: a\nX: y`]],
    ['with a fragment', [`GET ${path}#x HTTP/1.1`, 'Host: a']],
    ['with a path that is not absolute', ['GET cacerts HTTP/1.1', 'Host: a']],
    ['with an asterisk', ['OPTIONS * HTTP/1.1', 'Host: a']],
    ['with bytes beyond ASCII in the path', [`GET ${path}\xe9 HTTP/1.1`, 'Host: a']],
    ['with a NUL in the path', [`GET ${path}\0 HTTP/1.1`, 'Host: a']],
    ['with a NUL in a header', [`GET ${path} HTTP/1.1`, 'Host: a', 'X: a\0b']],
    ['with a folded header', [`GET ${path} HTTP/1.1`, 'Host: a', 'X: a', ' b']],
    ['with a blank before the colon', [`GET ${path} HTTP/1.1`, 'Host : a']],
    ['of HTTP/2.0', [`GET ${path} HTTP/2.0`, 'Host: a']],
    ['of HTTP/0.9', [`GET ${path}`, 'Host: a']],
    ['of no known protocol', [`GET ${path} HTTQ/1.1`, 'Host: a']],
  ]
  it.each(malformed)('%s', async (_, lines) => {
    expect(await statusOf(...lines)).toBe(400)
  })

  it('with a head that is too large', async () => {
    expect(await statusOf(`GET ${path} HTTP/1.1`, 'Host: a', `X: ${'a'.repeat(10_000)}`)).toBe(431)
  })

  it('with CONNECT, which asks for a tunnel', async () => {
    expect(await statusOf('CONNECT elsewhere:443 HTTP/1.1', 'Host: a')).toBe(405)
  })
})

describe('a request is taken', () => {
  const fine: Array<[string, string[]]> = [
    ['with an absolute-form target', [`GET https://localhost:8443${path} HTTP/1.1`, 'Host: localhost:8443']],
    ['with an IPv6 Host', [`GET ${path} HTTP/1.1`, 'Host: [::1]:8443']],
    ['with two blanks between its words, as RFC 9112 §3 allows', [`GET  ${path} HTTP/1.1`, 'Host: a']],
    ['of HTTP/1.0', [`GET ${path} HTTP/1.0`]],
    ['with an Upgrade that is not wanted', [`GET ${path} HTTP/1.1`, 'Host: a', 'Upgrade: h2c']],
  ]
  it.each(fine)('%s', async (_, lines) => {
    expect(await statusOf(...lines)).toBe(200)
  })
})

it('plain HTTP to the TLS port ends without harm', async () => {
  const socket = await openTcp(house.port)
  const answer = untilClosed(socket)
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  expect(await answer).not.toContain('200')
})
