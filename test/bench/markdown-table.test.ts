import assert from 'node:assert/strict';
import { test } from 'node:test';
import { markdownTable } from '../../bench/support/markdown-table.ts';

test('columns are padded and aligned, and a bar in a cell does not end it', () => {
  const rows = [
    { name: 'a|b', count: 7 },
    { name: 'longer', count: 1200 },
  ];
  const table = markdownTable(
    [
      { title: 'Name', cell: ({ name }) => name },
      { title: 'N', align: 'right', cell: ({ count }) => String(count) },
    ],
    rows,
  );
  assert.equal(table, ['| Name   |    N |', '| ------ | ---: |', '| a\\|b   |    7 |', '| longer | 1200 |'].join('\n'));
});
