import { imageMigration } from './image-schema.ts';
import { strayMigration } from './stray-schema.ts';

/**
 * The catalog's tables, as the steps that lead to them: a catalog of `user_version` n has had the first n.
 *
 *     blob       committed content. `parents`: how many manifests reference it, kept by triggers, so that eviction finds
 *                the roots (parents = 0) by age in one index, whatever the number of rows; `manifest`: `stray-schema.ts`
 *     totals     one row: the size and number of all blobs, kept by triggers, so that nobody ever sums them up
 *     manifest   what is known of a manifest; `reference` what it names
 *     scope      (registry, repository, identity); `name` is `registry/repository`
 *     link       a scope has a digest, since `linked`. `confirmed`: upstream said so itself, not only a manifest
 *     tag        where a scope's tag points, for one variant of the request
 *     image, pin the names of images, and which are to stay: `image-schema.ts`
 *     state      facts about the catalog itself
 */
export const migrations: readonly string[] = [
  `
  CREATE TABLE blob (
    digest TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    accessed INTEGER NOT NULL,
    pinned INTEGER NOT NULL DEFAULT 0,
    parents INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX blob_root ON blob (accessed, digest) WHERE parents = 0 AND pinned = 0;

  CREATE TABLE totals (bytes INTEGER NOT NULL, blobs INTEGER NOT NULL) STRICT;
  INSERT INTO totals VALUES (0, 0);
  CREATE TRIGGER blob_added AFTER INSERT ON blob BEGIN
    UPDATE totals SET bytes = bytes + new.size, blobs = blobs + 1;
  END;
  CREATE TRIGGER blob_removed AFTER DELETE ON blob BEGIN
    UPDATE totals SET bytes = bytes - old.size, blobs = blobs - 1;
  END;
  CREATE TRIGGER blob_resized AFTER UPDATE OF size ON blob BEGIN
    UPDATE totals SET bytes = bytes - old.size + new.size;
  END;

  CREATE TABLE manifest (
    digest TEXT PRIMARY KEY,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE reference (
    manifest TEXT NOT NULL,
    child TEXT NOT NULL,
    PRIMARY KEY (manifest, child)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX reference_child ON reference (child, manifest);
  CREATE TRIGGER reference_added AFTER INSERT ON reference BEGIN
    UPDATE blob SET parents = parents + 1 WHERE digest = new.child;
  END;
  CREATE TRIGGER reference_removed AFTER DELETE ON reference BEGIN
    UPDATE blob SET parents = parents - 1 WHERE digest = old.child;
  END;

  CREATE TABLE scope (
    id INTEGER PRIMARY KEY,
    registry TEXT NOT NULL,
    repository TEXT NOT NULL,
    identity TEXT NOT NULL,
    name TEXT NOT NULL AS (registry || '/' || repository) STORED,
    UNIQUE (registry, repository, identity)
  ) STRICT;
  CREATE INDEX scope_name ON scope (name);
  CREATE TABLE link (
    scope INTEGER NOT NULL,
    digest TEXT NOT NULL,
    size INTEGER,
    media_type TEXT,
    confirmed INTEGER NOT NULL,
    linked INTEGER NOT NULL,
    PRIMARY KEY (scope, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX link_digest ON link (digest, scope);
  CREATE TABLE tag (
    scope INTEGER NOT NULL,
    tag TEXT NOT NULL,
    variant TEXT NOT NULL,
    digest TEXT NOT NULL,
    checked INTEGER NOT NULL,
    PRIMARY KEY (scope, tag, variant)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX tag_digest ON tag (digest, scope);

  CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  `,
  // What may never leave is subtracted from what could, whenever a fill needs room.
  'CREATE INDEX blob_pinned ON blob (pinned, size) WHERE pinned != 0',
  imageMigration,
  strayMigration,
];

/**
 * For each connection: calls `note_loss()` when a row that an answer may have been made of is gone or says something else:
 * that content is here and how large it is, that a scope has a digest and what it is known to be, where a tag points.
 * What is only added makes no answer untrue, nor does a tag that was checked again; one that counts as checked earlier than it
 * did is doubted.
 */
export const lossTriggers = `
  CREATE TEMP TRIGGER blob_lost AFTER DELETE ON main.blob BEGIN SELECT note_loss(); END;
  CREATE TEMP TRIGGER blob_changed AFTER UPDATE OF size ON main.blob WHEN new.size != old.size
    BEGIN SELECT note_loss(); END;
  CREATE TEMP TRIGGER link_lost AFTER DELETE ON main.link BEGIN SELECT note_loss(); END;
  CREATE TEMP TRIGGER link_changed AFTER UPDATE OF size, media_type ON main.link
    WHEN new.size != old.size OR new.media_type != old.media_type
    BEGIN SELECT note_loss(); END;
  CREATE TEMP TRIGGER tag_lost AFTER DELETE ON main.tag BEGIN SELECT note_loss(); END;
  CREATE TEMP TRIGGER tag_moved AFTER UPDATE OF digest, checked ON main.tag
    WHEN new.digest != old.digest OR new.checked < old.checked
    BEGIN SELECT note_loss(); END;
  CREATE TEMP TRIGGER manifest_lost AFTER DELETE ON main.manifest BEGIN SELECT note_loss(); END;
`;
