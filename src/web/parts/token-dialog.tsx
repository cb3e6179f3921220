import { useState } from 'preact/hooks';
import { tokenWanted } from '../state/admin-call.ts';
import { Dialog } from './dialog.tsx';

/** Stands over whatever asked: that goes on once the token is given. */
export function TokenDialog() {
  const wanted = tokenWanted.value;
  return wanted === undefined ? null : <TokenForm isWrong={wanted.isWrong} answer={wanted.answer} />;
}

interface TokenFormProps {
  readonly isWrong: boolean;
  readonly answer: (token: string | undefined) => void;
}

function TokenForm({ isWrong, answer }: TokenFormProps) {
  const [token, setToken] = useState('');
  return (
    <Dialog title="Admin token" onClose={() => answer(undefined)}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (token !== '') answer(token);
        }}
      >
        <p>
          This onepull lets only those change something who know its <code>adminToken</code>. It is kept for this tab
          alone.
        </p>
        {isWrong && (
          <p class="failure" role="alert">
            The token that was given is not the right one.
          </p>
        )}
        <label class="field">
          <span>Token</span>
          <input
            type="password"
            autoComplete="off"
            spellcheck={false}
            value={token}
            onInput={(event) => setToken(event.currentTarget.value)}
          />
        </label>
        <div class="dialog-buttons">
          <button type="button" onClick={() => answer(undefined)}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={token === ''}>
            Go on
          </button>
        </div>
      </form>
    </Dialog>
  );
}
