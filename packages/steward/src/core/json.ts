/** A value that survives a round trip through JSON unchanged. Everything Steward stores is one of these. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined }
