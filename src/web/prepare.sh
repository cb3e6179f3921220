#!/bin/sh
# Builds the dashboard after `npm ci` in a checkout, so that it is there without a command of its own. Without the development
# dependencies, or where they do not run, onepull works all the same: its admin port says that the pages were not built.
cd "$(dirname "$0")/../.." || exit 0
[ -x node_modules/.bin/vite ] || exit 0
npm run --silent build:web || echo "the dashboard was not built; 'npm run build:web' says why" >&2
