import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { type Output, terminalOn, wrapped } from './terminal.ts';

function outputOn(isTTY: boolean): Output {
  return Object.assign(new PassThrough(), { isTTY, columns: 80 });
}

test('a pipe gets plain text, whatever the locale', () => {
  const terminal = terminalOn(outputOn(false), { LANG: 'C.UTF-8' });
  assert.equal(terminal.isInteractive, false);
  assert.equal(terminal.hasUnicode, false);
  assert.equal(terminal.paint('green', 'text'), 'text');
});

test('a terminal draws with what its locale has; a dumb one draws nothing', () => {
  assert.equal(terminalOn(outputOn(true), { LANG: 'de_DE.UTF-8' }).hasUnicode, true);
  assert.equal(terminalOn(outputOn(true), { LANG: 'de_DE.UTF-8', LC_ALL: 'C' }).hasUnicode, false);
  assert.equal(terminalOn(outputOn(true), { LANG: 'C.UTF-8', TERM: 'dumb' }).isInteractive, false);
});

test('text is broken at spaces and never inside a word', () => {
  assert.equal(wrapped('one two three four', 9), 'one two\nthree\nfour');
  assert.equal(wrapped('incomprehensible', 5), 'incomprehensible');
});
