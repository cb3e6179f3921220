import { useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { Status } from '../../admin/status.ts';
import { addressHint, type CacheAddress, cacheAddress, clientAddress } from '../../clients/cache-address.ts';
import { type AdvisedCache, clientAdvice } from '../../clients/client-advice.ts';
import { type ClientName, clientNames } from '../../clients/client-names.ts';
import { type Address, parseAddress } from '../../core/address.ts';
import { AskedRegistries } from './asked-registries.ts';
import { pageWays } from './page-ways.ts';
import { ShownAdvice } from './shown-advice.tsx';

const titles: Readonly<Record<ClientName, string>> = {
  containerd: 'containerd, Kubernetes',
  docker: 'Docker',
  podman: 'Podman, skopeo',
  crio: 'CRI-O',
  k3s: 'k3s',
};

/** Of `onepull clients` what a page can show: its flags are fields here. */
export function Configurations({ status }: { readonly status: Status }) {
  const asked = useMemo(() => new AskedRegistries(), []);
  useEffect(() => {
    void asked.load();
    return () => asked.close();
  }, [asked]);
  const listen = parseAddress(status.listen);
  if (listen === undefined) {
    return <p class="failure">The instance says that it listens on {JSON.stringify(status.listen)}.</p>;
  }
  return <Fields listen={listen} isTls={status.tls} asked={asked} />;
}

interface FieldsProps {
  readonly listen: Address;
  readonly isTls: boolean;
  readonly asked: AskedRegistries;
}

function Fields({ listen, isTls, asked }: FieldsProps) {
  const guess = cacheAddress({ listen, askedAt: pageHost(), machine: undefined }, pageWays);
  const at = useSignal<CacheAddress | undefined>(undefined);
  const ca = useSignal<string | undefined>(undefined);
  const shown = at.value ?? guess;
  return (
    <>
      <AddressField guess={guess} shown={shown} onChange={(told) => (at.value = told)} />
      {isTls && (
        <label class="field cache-field">
          <span>File at clients with the authority that signed its certificate, if that is your own</span>
          <input
            type="text"
            spellcheck={false}
            autoComplete="off"
            placeholder="/etc/ssl/onepull-ca.pem"
            value={ca.value ?? ''}
            onInput={(event) => (ca.value = event.currentTarget.value.trim() || undefined)}
          />
        </label>
      )}
      <Advice asked={asked} cache={{ at: shown, isTls, ca: isTls ? ca.value : undefined }} />
    </>
  );
}

interface AddressFieldProps {
  readonly guess: CacheAddress;
  /** Of which the files are. */
  readonly shown: CacheAddress;
  /** undefined: nothing is told, so the guess holds. */
  readonly onChange: (told: CacheAddress | undefined) => void;
}

/** While what is typed is no address yet, the files stay as they are: nothing jumps, and the field says so. */
function AddressField({ guess, shown, onChange }: AddressFieldProps) {
  const typed = useSignal<string | undefined>(undefined);
  const isWrong = !!typed.value && clientAddress(typed.value) === undefined;
  const take = (text: string) => {
    typed.value = text;
    const address = clientAddress(text);
    if (address !== undefined) onChange({ address, notes: [] });
    else if (text === '') onChange(undefined);
  };
  return (
    <div class="field cache-field">
      <label for="cache-address">Address of this cache, as clients reach it</label>
      <input
        id="cache-address"
        type="text"
        spellcheck={false}
        autoComplete="off"
        placeholder={guess.address}
        aria-invalid={isWrong}
        aria-describedby="address-words"
        value={typed.value ?? guess.address}
        onInput={(event) => take(event.currentTarget.value.trim())}
      />
      <small id="address-words" class={isWrong ? 'failure' : 'dim'} role="status">
        {isWrong ? `Not an address (host:port): below is still ${shown.address}.` : addressHint}
      </small>
    </div>
  );
}

interface AdviceProps {
  readonly asked: AskedRegistries;
  readonly cache: Omit<AdvisedCache, 'registries'>;
}

function Advice({ asked, cache }: AdviceProps) {
  const chosen = useSignal<ClientName>('containerd');
  const state = asked.state.value;
  if (state.kind === 'waiting') {
    return <p class="nothing">Asking onepull for its settings, which say what registries it serves &hellip;</p>;
  }
  if (state.kind === 'failed') {
    return (
      <p class="failure" role="alert">
        The registries that it serves are not known, because its settings cannot be read: {state.message}.{' '}
        <button type="button" class="quiet" onClick={() => void asked.load()}>
          Try again
        </button>
      </p>
    );
  }
  return (
    <>
      <fieldset class="choice">
        <legend class="hidden">Client</legend>
        {clientNames.map((name) => (
          <label key={name}>
            <input type="radio" name="client" checked={chosen.value === name} onChange={() => (chosen.value = name)} />
            <span>{titles[name]}</span>
          </label>
        ))}
      </fieldset>
      <ShownAdvice
        key={chosen.value}
        advice={clientAdvice(chosen.value, { ...cache, registries: state.registries }, pageWays)}
      />
    </>
  );
}

/** The browser has IPv6 addresses in brackets. */
function pageHost(): string {
  return location.hostname.replace(/^\[(.*)\]$/, '$1');
}
