import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Outcome, runProgram } from '../support/server.ts'

export type KeyKind = 'ec-p256' | 'ec-p384' | 'rsa-2048'

const keyOptions: Record<KeyKind, string[]> = {
  'ec-p256': ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  'ec-p384': ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  'rsa-2048': ['-newkey', 'rsa:2048'],
}

export interface RequestOptions {
  /** Common name. */
  device: string
  /** As OpenSSL writes it, e.g. `URI:spiffe://…`. */
  san?: string
  key?: KeyKind
}

export interface PreparedRequest {
  /** PEM files. */
  key: string
  request: string
  /** Base64 of the DER in lines, as an EST body. */
  body: string
}

/** A directory in which programs that are not ours work on files. */
export interface Workshop {
  path(name: string): string
  read(name: string): Promise<string>
  write(name: string, content: string | Uint8Array): Promise<string>
  /** Runs a program; throws with its own words unless it exits 0. */
  run(...argv: string[]): Promise<string>
  /** Runs a program that may fail. */
  attempt(...argv: string[]): Promise<Outcome>
  openssl(...options: string[]): Promise<string>
  /** A new key and a PKCS #10 request, both by OpenSSL. */
  request(name: string, options: RequestOptions): Promise<PreparedRequest>
  /** Decodes an EST answer as people do by hand: `openssl base64 -d`, then `openssl pkcs7`. Gives PEM certificates. */
  certificatesIn(name: string, answer: string): Promise<string[]>
  close(): Promise<void>
}

export const openWorkshop = async (): Promise<Workshop> => {
  const directory = await mkdtemp(join(tmpdir(), 'everleaf-interop-'))
  const path = (name: string) => join(directory, name)
  const write = async (name: string, content: string | Uint8Array) => {
    await writeFile(path(name), content)
    return path(name)
  }
  const attempt = (...argv: string[]) => runProgram(argv)
  const run = async (...argv: string[]) => {
    const { code, out, err } = await attempt(...argv)
    if (code !== 0) throw new Error(`${argv.slice(0, 3).join(' ')} … exited with ${code}: ${err.trim()} ${out.trim()}`)
    return out
  }
  const openssl = (...options: string[]) => run('openssl', ...options)
  return {
    path,
    read: (name) => readFile(path(name), 'utf8'),
    write,
    run,
    attempt,
    openssl,
    async request(name, { device, san, key = 'ec-p256' }) {
      const files = { key: path(`${name}.key`), request: path(`${name}.csr`), body: path(`${name}.b64`) }
      const names = ['-subj', `/CN=${device}`, ...(san === undefined ? [] : ['-addext', `subjectAltName=${san}`])]
      await openssl('req', '-new', ...keyOptions[key], '-nodes', '-keyout', files.key, ...names, '-out', files.request)
      const der = path(`${name}.der`)
      await openssl('req', '-in', files.request, '-outform', 'DER', '-out', der)
      await openssl('base64', '-in', der, '-out', files.body)
      return files
    },
    async certificatesIn(name, answer) {
      const base64 = await write(`${name}.p7b64`, answer)
      await openssl('base64', '-d', '-in', base64, '-out', path(`${name}.p7`))
      const text = await openssl('pkcs7', '-inform', 'DER', '-in', path(`${name}.p7`), '-print_certs')
      return text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? []
    },
    close: () => rm(directory, { recursive: true, force: true }),
  }
}
