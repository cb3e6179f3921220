import type { PullSnapshot } from '../../pull/pull-board.ts';
import { count, counted, size } from '../format/amounts.ts';
import { ImageName } from '../parts/image-name.tsx';
import { More } from '../parts/more.tsx';
import { StateMark } from '../parts/progress.tsx';
import { Ago } from '../parts/time.tsx';
import { fetchedWords, pullState, pullWords } from './pull-figures.ts';

/** What was asked for lately and is not on its way any more. */
export function EndedPulls({ pulls }: { readonly pulls: readonly PullSnapshot[] }) {
  if (pulls.length === 0) return null;
  return (
    <section aria-labelledby="recently">
      <h2 id="recently">
        Recently <span class="tally num">{count(pulls.length)}</span>
      </h2>
      <More items={pulls} step={25} what="image">
        {(shown) => (
          <div class="table-frame panel">
            <table class="wide ended">
              <thead>
                <tr>
                  <th scope="col">Image</th>
                  <th scope="col">State</th>
                  <th scope="col" class="num">
                    Size
                  </th>
                  <th scope="col" class="num">
                    Pulls
                  </th>
                  <th scope="col">Fetched</th>
                  <th scope="col">Asked for</th>
                </tr>
              </thead>
              <tbody>
                {shown.map((pull) => (
                  <EndedRow key={pull.id} pull={pull} />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </More>
    </section>
  );
}

function EndedRow({ pull }: { readonly pull: PullSnapshot }) {
  const failed = pull.layers.filter(({ state }) => state === 'failed');
  return (
    <tr>
      <th scope="row">
        <ImageName image={pull.image} />
      </th>
      <td data-name="State">
        <StateMark state={pullState(pull)} words={pullWords(pull)} />
        {failed[0]?.error !== undefined && <p class="failure">{failed[0].error}</p>}
        {failed.length > 1 && <p class="dim">and {counted(failed.length - 1, 'more layer')} failed</p>}
      </td>
      <td data-name="Size" class="num">
        {size(pull.sizeBytes)}
      </td>
      <td data-name="Pulls" class="num">
        {count(pull.pulls)}
      </td>
      <td data-name="Fetched">{fetchedWords(pull)}</td>
      <td data-name="Asked for">
        <Ago atMs={pull.lastAskedAtMs} />
      </td>
    </tr>
  );
}
