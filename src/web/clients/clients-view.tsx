import { useSignal } from '@preact/signals';
import { isEmpty, live } from '../state/store.ts';
import { addressFor, type ClientConfiguration, clientConfigurations } from './client-configuration.ts';
import { CopyButton } from './copy-button.tsx';

export function ClientsView() {
  return (
    <>
      <h2>Point clients at it</h2>
      <p class="lead">
        Clients speak the ordinary registry API and keep their image names. Where they do not reach this cache, they go
        to the registry itself.
      </p>
      <Configurations />
    </>
  );
}

/** What there is to do where nothing was pulled yet. */
export function NextStep() {
  if (!isEmpty.value) return null;
  return (
    <section class="next-step" aria-labelledby="next-step">
      <h2 id="next-step">Nothing was pulled through it yet</h2>
      <p class="lead">
        Point a client here, then pull anything with it: it shows up above while it arrives, and stays in the cache for
        the next one.
      </p>
      <Configurations />
    </section>
  );
}

function Configurations() {
  const { status, upstreams } = live.value;
  const typed = useSignal<string | undefined>(undefined);
  const chosen = useSignal(0);
  if (status === undefined || upstreams === undefined) return <p class="nothing">Not told yet.</p>;
  const told = addressFor(status.listen, location.hostname);
  const address = typed.value ?? told.address;
  const all = clientConfigurations({
    address,
    isTls: status.tls === true,
    registries: upstreams.map(({ name }) => name),
  });
  return (
    <>
      <label class="field address">
        <span>Address of this cache, as clients reach it</span>
        <input
          type="text"
          spellcheck={false}
          autoComplete="off"
          value={address}
          onInput={(event) => (typed.value = event.currentTarget.value.trim())}
        />
        <small class="dim">
          It listens on <code>{status.listen}</code>
          {told.isGuess && ', which is every address of its machine: check that the name above is one of them'}.
        </small>
      </label>
      <fieldset class="choice">
        <legend class="hidden">Client</legend>
        {all.map(({ name }, n) => (
          <label key={name}>
            <input type="radio" name="client" checked={chosen.value === n} onChange={() => (chosen.value = n)} />
            <span>{name}</span>
          </label>
        ))}
      </fieldset>
      {all.slice(chosen.value, chosen.value + 1).map((configuration) => (
        <Files key={configuration.name} configuration={configuration} />
      ))}
    </>
  );
}

function Files({ configuration: { files, note } }: { readonly configuration: ClientConfiguration }) {
  return (
    <div class="files">
      {note !== undefined && <p>{note}</p>}
      {files.map(({ path, text, note: fileNote }) => (
        <figure key={path} class="file panel">
          <figcaption>
            <code>{path}</code>
            <CopyButton text={text} what={path} />
          </figcaption>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard */}
          <section class="file-text" tabIndex={0} aria-label={path}>
            <pre>{text}</pre>
          </section>
          {fileNote !== undefined && <p class="dim">{fileNote}</p>}
        </figure>
      ))}
    </div>
  );
}
