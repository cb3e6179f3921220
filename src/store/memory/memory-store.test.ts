import { catalogSuite } from '../testing/catalog-suite.ts';
import { contentStoreSuite } from '../testing/content-store-suite.ts';
import { MemoryCatalog } from './memory-catalog.ts';
import { MemoryContentStore } from './memory-content-store.ts';

contentStoreSuite('memory store', async () => {
  const content = new MemoryContentStore();
  return { content, [Symbol.asyncDispose]: () => content[Symbol.asyncDispose]() };
});

catalogSuite('memory catalog', async () => ({
  catalog: new MemoryCatalog(),
  [Symbol.asyncDispose]: async () => {},
}));
