/** How many threads answer clients in tests that do not say: `ONEPULL_TEST_THREADS`, or none of their own. */
export const testThreads: number = Number(process.env.ONEPULL_TEST_THREADS ?? 0);
