// Lint finds what the compiler cannot: promises nobody awaits, switches that forget a state, functions that outgrow
// a screen. Layout is not linted. Every rule that is switched off says why, and so does every inline exemption
// (test/tidy checks the latter: `eslint-disable-next-line rule -- reason`).
import { defineConfig, globalIgnores } from 'eslint/config'
import tseslint from 'typescript-eslint'

const functionLength = (max) => ['error', { max, skipBlankLines: true, skipComments: true, IIFEs: true }]
const tests = ['**/*.test.ts', '**/*.fixture.ts', 'test/**/*.ts']

/** Rules that need no types. */
const plain = {
  'array-callback-return': 'error',
  'default-case-last': 'error',
  eqeqeq: ['error', 'always', { null: 'ignore' }],
  'no-console': 'error',
  'no-constructor-return': 'error',
  'no-else-return': 'error',
  'no-eval': 'error',
  'no-fallthrough': 'error',
  'no-implied-eval': 'error',
  'no-param-reassign': 'error',
  'no-promise-executor-return': ['error', { allowVoid: true }],
  'no-self-compare': 'error',
  'no-unmodified-loop-condition': 'error',
  'no-unreachable-loop': 'error',
  'no-unsafe-finally': 'error',
  'no-unsafe-optional-chaining': 'error',
  'no-useless-catch': 'error',
  'no-useless-return': 'error',
  'no-var': 'error',
  'object-shorthand': ['error', 'properties'],
  'prefer-const': 'error',
  'require-yield': 'error',
  'max-depth': ['error', 4],
  'max-lines': ['error', { max: 500, skipBlankLines: true, skipComments: true }],
  'max-lines-per-function': functionLength(80),
}

/** Rules that ask the type checker. */
const typed = {
  '@typescript-eslint/await-thenable': 'error',
  '@typescript-eslint/ban-ts-comment': ['error', { minimumDescriptionLength: 10 }],
  '@typescript-eslint/no-array-delete': 'error',
  '@typescript-eslint/no-base-to-string': 'error',
  '@typescript-eslint/no-confusing-void-expression': 'off',
  '@typescript-eslint/no-deprecated': 'error',
  '@typescript-eslint/no-explicit-any': 'error',
  '@typescript-eslint/no-floating-promises': 'error',
  '@typescript-eslint/no-for-in-array': 'error',
  '@typescript-eslint/no-misused-promises': 'error',
  '@typescript-eslint/no-non-null-assertion': 'error',
  '@typescript-eslint/no-unnecessary-type-assertion': 'error',
  '@typescript-eslint/no-unsafe-argument': 'error',
  '@typescript-eslint/no-unsafe-assignment': 'error',
  '@typescript-eslint/no-unsafe-call': 'error',
  '@typescript-eslint/no-unsafe-member-access': 'error',
  '@typescript-eslint/no-unsafe-return': 'error',
  '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'none' }],
  '@typescript-eslint/only-throw-error': 'error',
  '@typescript-eslint/prefer-promise-reject-errors': 'error',
  '@typescript-eslint/restrict-plus-operands': 'error',
  '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
  '@typescript-eslint/switch-exhaustiveness-check': [
    'error',
    { considerDefaultExhaustiveForUnions: false, requireDefaultForNonUnion: true },
  ],
  '@typescript-eslint/unbound-method': 'error',
}

export default defineConfig(
  globalIgnores(['**/node_modules/', '**/dist/', '**/coverage/', '.cache/']),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts'],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { project: ['./tsconfig.lint.json'], tsconfigRootDir: import.meta.dirname },
    },
    plugins: { '@typescript-eslint': tseslint.plugin },
    rules: { ...plain, ...typed },
  },
  { files: ['**/*.js'], rules: { ...plain, 'max-lines-per-function': functionLength(40) } },
  { files: ['packages/steward/src/core/**/*.ts'], rules: { 'max-lines-per-function': functionLength(60) } },
  {
    files: ['packages/*/bin/**', 'packages/*/scripts/**', 'packages/steward/src/cli/**', 'bench/**', 'examples/**'],
    rules: {
      // Their output is the terminal; libraries report through the log port instead.
      'no-console': 'off',
    },
  },
  {
    files: ['packages/steward/src/runtime/system.ts'],
    rules: {
      // The adapter for the real world: without a log port of the user's, the console is the log.
      'no-console': 'off',
    },
  },
  {
    files: tests,
    rules: {
      // A `describe` holds its whole subject, and long scenarios read top to bottom.
      'max-lines-per-function': 'off',
      'max-lines': 'off',
      // Wrong in a test means red, at once and at that line; the guards would only hide the claim.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Tests pass hostile shapes on purpose: foreign errors, half-read rows, inputs no type admits.
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/only-throw-error': 'off',
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
      // expect(store.write) names a method without calling it.
      '@typescript-eslint/unbound-method': 'off',
      // `expect(await …)` in a short arrow is the clearest form of many claims.
      '@typescript-eslint/no-confusing-void-expression': 'off',
    },
  },
)
