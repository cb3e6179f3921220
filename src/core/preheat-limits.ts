/** What one request for a preheat may name: the API holds to it, and the page says it before. */
export const preheatLimits = { images: 100, imageCharacters: 1024, platforms: 20, platformCharacters: 200 } as const;
