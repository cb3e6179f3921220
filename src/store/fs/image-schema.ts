/**
 * How many names hold the manifest for good: pins of it by its digest, and of tags that point at it. `digest` is an SQL
 * expression.
 */
export function pinsOf(digest: string): string {
  return `(SELECT count(*) FROM pin WHERE pin.digest = ${digest}) + (
    SELECT count(*) FROM tag JOIN pin ON pin.scope = tag.scope AND pin.tag = tag.tag AND pin.digest = ''
    WHERE tag.digest = ${digest})`;
}

const usedAt = (digest: string) => `coalesce((SELECT accessed FROM blob WHERE blob.digest = ${digest}), 0)`;

/** An image by a tag, of a manifest that is known. */
const addTagged = (scope: string, tag: string, digest: string) => `
  INSERT INTO image (scope, tag, digest, name, used, cached)
  SELECT ${scope}, ${tag}, ${digest}, scope.name || ':' || ${tag}, ${usedAt(digest)},
    coalesce((SELECT linked FROM link WHERE link.scope = ${scope} AND link.digest = ${digest}), 0)
  FROM scope WHERE scope.id = ${scope} AND EXISTS (SELECT 1 FROM manifest WHERE manifest.digest = ${digest})
    AND NOT EXISTS (SELECT 1 FROM image WHERE image.scope = ${scope} AND image.tag = ${tag} AND image.digest = ${digest});`;

/** The images of a manifest by nothing but its digest: of each scope that has it, and no tag of it, if no other manifest names it. */
const addUntagged = (digest: string, ofScope = '') => `
  INSERT INTO image (scope, tag, digest, name, used, cached)
  SELECT scope.id, '', ${digest}, scope.name || '@' || ${digest}, ${usedAt(digest)}, link.linked
  FROM link JOIN scope ON scope.id = link.scope
  WHERE link.digest = ${digest} ${ofScope}
    AND EXISTS (SELECT 1 FROM manifest WHERE manifest.digest = ${digest})
    AND NOT EXISTS (SELECT 1 FROM reference WHERE reference.child = ${digest})
    AND NOT EXISTS (SELECT 1 FROM tag WHERE tag.digest = ${digest} AND tag.scope = link.scope)
    AND NOT EXISTS (SELECT 1 FROM image
      WHERE image.scope = link.scope AND image.tag = '' AND image.digest = ${digest});`;

const addUntaggedOf = (scope: string, digest: string) => addUntagged(digest, `AND link.scope = ${scope}`);

const removeUntagged = (scope: string, digest: string) =>
  `DELETE FROM image WHERE scope = ${scope} AND tag = '' AND digest = ${digest};`;

/** A tag points to the digest no more. */
const removeTagged = `
  DELETE FROM image WHERE scope = old.scope AND tag = old.tag AND digest = old.digest AND NOT EXISTS (
    SELECT 1 FROM tag WHERE tag.scope = old.scope AND tag.tag = old.tag AND tag.digest = old.digest);
  ${addUntaggedOf('old.scope', 'old.digest')}`;

/** What the images that list a manifest, themselves or by an index, amount to is to be counted anew. */
const forgetSizes = (digest: string) => `
  UPDATE image SET size = -1 WHERE size >= 0 AND digest IN (
    SELECT manifest FROM reference WHERE child = ${digest}
    UNION SELECT upper.manifest FROM reference AS lower JOIN reference AS upper ON upper.child = lower.manifest
      WHERE lower.child = ${digest});`;

const isTagPinned = (row: 'new' | 'old') =>
  `EXISTS (SELECT 1 FROM pin WHERE pin.scope = ${row}.scope AND pin.tag = ${row}.tag AND pin.digest = '')`;

const countPins = (digest: string) => `UPDATE blob SET pinned = ${pinsOf('blob.digest')} WHERE digest = ${digest};`;

const countPinsOf = (row: 'new' | 'old') => `
  ${countPins(`${row}.digest`)}
  UPDATE blob SET pinned = ${pinsOf('blob.digest')} WHERE digest IN (
    SELECT tag.digest FROM tag WHERE ${row}.digest = '' AND tag.scope = ${row}.scope AND tag.tag = ${row}.tag);`;

/**
 * Images by their names, and pins of them.
 *
 *     image      one for each tag of a scope and each manifest that it points to (clients that accept other types may get
 *                another); and, with an empty tag, for each manifest that a scope has by its digest alone. `used`: when its
 *                manifest was, as in `blob`; `cached`: since when the scope has that; `size`: what it amounts to, -1
 *                until somebody counts it
 *     pin        what is to stay: a tag (then the digest is empty), whatever it points to, or a manifest by its digest (then the
 *                tag is). A pinned tag that goes leaves a pin of what it pointed to
 *
 * Both follow the other tables by triggers, so that no statement can forget them: `image` is kept for its order, and
 * `blob.pinned` says how many pins hold a manifest.
 */
export const imageMigration: string = `
  CREATE TABLE image (
    id INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    tag TEXT NOT NULL,
    digest TEXT NOT NULL,
    name TEXT NOT NULL,
    used INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    size INTEGER NOT NULL DEFAULT -1,
    UNIQUE (scope, tag, digest)
  ) STRICT;
  CREATE TABLE pin (
    scope INTEGER NOT NULL,
    tag TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (scope, tag, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX pin_digest ON pin (digest);
  ALTER TABLE totals ADD COLUMN images INTEGER NOT NULL DEFAULT 0;

  INSERT INTO image (scope, tag, digest, name, used, cached)
    SELECT DISTINCT tag.scope, tag.tag, tag.digest, scope.name || ':' || tag.tag, ${usedAt('tag.digest')},
      coalesce((SELECT linked FROM link WHERE link.scope = tag.scope AND link.digest = tag.digest), 0)
    FROM tag JOIN scope ON scope.id = tag.scope JOIN manifest ON manifest.digest = tag.digest;
  INSERT INTO image (scope, tag, digest, name, used, cached)
    SELECT scope.id, '', link.digest, scope.name || '@' || link.digest, ${usedAt('link.digest')}, link.linked
    FROM manifest CROSS JOIN link ON link.digest = manifest.digest JOIN scope ON scope.id = link.scope
    WHERE NOT EXISTS (SELECT 1 FROM reference WHERE reference.child = link.digest)
      AND NOT EXISTS (SELECT 1 FROM tag WHERE tag.digest = link.digest AND tag.scope = link.scope);
  UPDATE totals SET images = (SELECT count(*) FROM image);
  CREATE TRIGGER image_added AFTER INSERT ON image BEGIN UPDATE totals SET images = images + 1; END;
  CREATE TRIGGER image_removed AFTER DELETE ON image BEGIN UPDATE totals SET images = images - 1; END;
  CREATE INDEX image_digest ON image (digest);
  CREATE INDEX image_name ON image (name);
  CREATE INDEX image_used ON image (used);
  CREATE INDEX image_cached ON image (cached);
  CREATE INDEX image_size ON image (size);

  CREATE TRIGGER image_tag_added AFTER INSERT ON tag BEGIN
    ${addTagged('new.scope', 'new.tag', 'new.digest')}
    ${removeUntagged('new.scope', 'new.digest')}
  END;
  CREATE TRIGGER image_tag_moved AFTER UPDATE OF digest ON tag WHEN new.digest != old.digest BEGIN
    ${removeTagged}
    ${addTagged('new.scope', 'new.tag', 'new.digest')}
    ${removeUntagged('new.scope', 'new.digest')}
  END;
  CREATE TRIGGER image_tag_removed AFTER DELETE ON tag BEGIN ${removeTagged} END;
  CREATE TRIGGER image_manifest_added AFTER INSERT ON manifest BEGIN
    INSERT INTO image (scope, tag, digest, name, used, cached)
      SELECT DISTINCT tag.scope, tag.tag, new.digest, scope.name || ':' || tag.tag, ${usedAt('new.digest')},
        coalesce((SELECT linked FROM link WHERE link.scope = tag.scope AND link.digest = new.digest), 0)
      FROM tag JOIN scope ON scope.id = tag.scope WHERE tag.digest = new.digest;
    ${addUntagged('new.digest')}
    ${forgetSizes('new.digest')}
  END;
  CREATE TRIGGER image_manifest_removed AFTER DELETE ON manifest BEGIN
    DELETE FROM image WHERE digest = old.digest;
    ${forgetSizes('old.digest')}
  END;
  CREATE TRIGGER image_link_added AFTER INSERT ON link
    WHEN EXISTS (SELECT 1 FROM manifest WHERE manifest.digest = new.digest)
    BEGIN ${addUntaggedOf('new.scope', 'new.digest')} END;
  CREATE TRIGGER image_link_removed AFTER DELETE ON link BEGIN
    ${removeUntagged('old.scope', 'old.digest')}
    DELETE FROM pin WHERE scope = old.scope AND tag = '' AND digest = old.digest;
  END;
  CREATE TRIGGER image_reference_added AFTER INSERT ON reference BEGIN
    DELETE FROM image WHERE digest = new.child AND tag = '';
  END;
  CREATE TRIGGER image_reference_removed AFTER DELETE ON reference
    WHEN EXISTS (SELECT 1 FROM manifest WHERE manifest.digest = old.child)
    BEGIN ${addUntagged('old.child')} END;
  CREATE TRIGGER image_stored AFTER INSERT ON blob BEGIN
    UPDATE image SET used = max(used, new.accessed) WHERE digest = new.digest;
  END;
  CREATE TRIGGER image_touched AFTER UPDATE OF accessed ON blob WHEN new.accessed != old.accessed BEGIN
    UPDATE image SET used = new.accessed WHERE digest = new.digest;
  END;

  CREATE TRIGGER pin_added AFTER INSERT ON pin BEGIN ${countPinsOf('new')} END;
  CREATE TRIGGER pin_removed AFTER DELETE ON pin BEGIN ${countPinsOf('old')} END;
  CREATE TRIGGER pin_tag_added AFTER INSERT ON tag WHEN ${isTagPinned('new')} BEGIN ${countPins('new.digest')} END;
  CREATE TRIGGER pin_tag_moved AFTER UPDATE OF digest ON tag WHEN new.digest != old.digest AND ${isTagPinned('new')}
    BEGIN
      ${countPins('old.digest')}
      ${countPins('new.digest')}
    END;
  CREATE TRIGGER pin_tag_removed AFTER DELETE ON tag WHEN ${isTagPinned('old')} BEGIN
    INSERT INTO pin SELECT old.scope, '', old.digest
      WHERE EXISTS (SELECT 1 FROM link WHERE link.scope = old.scope AND link.digest = old.digest)
        AND NOT EXISTS (SELECT 1 FROM pin WHERE pin.scope = old.scope AND pin.tag = '' AND pin.digest = old.digest);
    DELETE FROM pin WHERE scope = old.scope AND tag = old.tag AND digest = ''
      AND NOT EXISTS (SELECT 1 FROM tag WHERE tag.scope = old.scope AND tag.tag = old.tag);
    ${countPins('old.digest')}
  END;
`;
