import { ChangeCount } from '../../core/change-count.ts';
import { catalogSuite } from '../testing/catalog-suite.ts';
import { contentStoreSuite } from '../testing/content-store-suite.ts';
import { MemoryCatalog } from './memory-catalog.ts';
import { MemoryContentStore } from './memory-content-store.ts';

contentStoreSuite('memory store', async () => {
  const changes = new ChangeCount();
  const content = new MemoryContentStore({ changes });
  return { content, changes, [Symbol.asyncDispose]: () => content[Symbol.asyncDispose]() };
});

catalogSuite('memory catalog', async () => {
  const changes = new ChangeCount();
  return { catalog: new MemoryCatalog({ changes }), changes, [Symbol.asyncDispose]: async () => {} };
});
