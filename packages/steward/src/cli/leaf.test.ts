import { expect, it } from 'vitest'
import { leafPackage } from './leaf.ts'

const noConfig = { configPath: (): string => { throw new Error('there is none') } }

it('says which package is missing, and how to get it', async () => {
  await expect(leafPackage(noConfig, '@steward/nowhere', 'command-line')).rejects.toMatchObject({ code: 'STEWARD_PACKAGE_MISSING', message: expect.stringContaining('npm i -D @steward/nowhere') as string })
})

it('finds an installed one, with a config and without', async () => {
  for (const context of [noConfig, { configPath: () => import.meta.filename }]) expect(Object.keys((await leafPackage(context, '@steward/lab', 'command-line')) as object)).toContain('lab')
})
