/** How many threads answer clients in tests that do not say: `TEST_THREADS`, or none of their own. Of a name that onepull takes for none of its own. */
export const testThreads: number = Number(process.env.TEST_THREADS ?? 0);
