import { contentHasherSuite } from '../testing/content-hasher-suite.ts';
import { InlineHasher } from './inline-hasher.ts';

contentHasherSuite('in the thread that asks', () => new InlineHasher());
