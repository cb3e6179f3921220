/** Of a row of `blob`: it is no manifest, none references it, and nothing pins it. */
export function isStray(row: 'blob' | 'new' | 'old'): string {
  return `(${row}.parents = 0 AND ${row}.pinned = 0 AND ${row}.manifest = 0)`;
}

const difference = (column: string, of: (row: 'new' | 'old') => string) =>
  `${column} = ${column} + ${isStray('new')} * ${of('new')} - ${isStray('old')} * ${of('old')}`;

/**
 * Content of no image: what no manifest references that is known. Nobody can name it, so nobody can purge it.
 *
 *     blob.manifest               1: it is known as a manifest; kept by triggers
 *     totals.stray_bytes, strays  what all strays take, and how many there are; kept by triggers
 */
export const strayMigration: string = `
  ALTER TABLE blob ADD COLUMN manifest INTEGER NOT NULL DEFAULT 0;
  UPDATE blob SET manifest = 1 WHERE digest IN (SELECT digest FROM manifest);
  CREATE TRIGGER stray_manifest_added AFTER INSERT ON manifest BEGIN
    UPDATE blob SET manifest = 1 WHERE digest = new.digest;
  END;
  CREATE TRIGGER stray_manifest_removed AFTER DELETE ON manifest BEGIN
    UPDATE blob SET manifest = 0 WHERE digest = old.digest;
  END;
  CREATE INDEX blob_stray ON blob (accessed, digest) WHERE parents = 0 AND pinned = 0 AND manifest = 0;

  ALTER TABLE totals ADD COLUMN stray_bytes INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE totals ADD COLUMN strays INTEGER NOT NULL DEFAULT 0;
  UPDATE totals SET
    stray_bytes = (SELECT coalesce(sum(size), 0) FROM blob WHERE ${isStray('blob')}),
    strays = (SELECT count(*) FROM blob WHERE ${isStray('blob')});
  CREATE TRIGGER stray_added AFTER INSERT ON blob WHEN ${isStray('new')} BEGIN
    UPDATE totals SET stray_bytes = stray_bytes + new.size, strays = strays + 1;
  END;
  CREATE TRIGGER stray_removed AFTER DELETE ON blob WHEN ${isStray('old')} BEGIN
    UPDATE totals SET stray_bytes = stray_bytes - old.size, strays = strays - 1;
  END;
  CREATE TRIGGER stray_changed AFTER UPDATE OF size, parents, pinned, manifest ON blob
    WHEN ${isStray('new')} OR ${isStray('old')} BEGIN
    UPDATE totals SET ${difference('stray_bytes', (row) => `${row}.size`)}, ${difference('strays', () => '1')};
  END;
`;
