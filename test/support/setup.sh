#!/bin/sh
# Installs what the tests and benchmarks use beside npm's packages: real registries, clients and servers. Debian and its descendants.
# Does nothing where all of it is there. Elsewhere, or without root, it says what to install and goes on: the tests that need
# a missing program are skipped and say so.
set -eu

missing=
for pair in \
  docker-registry:docker-registry skopeo:skopeo htpasswd:apache2-utils podman:podman containerd:containerd \
  nginx:nginx-light varnishd:varnish wrk:wrk \
  redis-server:redis-server \
  tc:iproute2 \
  zsh:zsh fish:fish \
  promtool:prometheus \
  chromium:chromium; do
  PATH=$PATH:/usr/sbin command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then as_root=
elif command -v sudo >/dev/null 2>&1; then as_root=sudo
else as_root=none; fi

if ! command -v apt-get >/dev/null 2>&1 || [ "$as_root" = none ]; then
  echo "setup: not installed:$missing (tests that need them will be skipped)" >&2
  exit 0
fi

# The services of these packages must not start: they would take ports that the tests use.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
  $as_root chmod +x "$policy"
  trap '$as_root rm -f "$policy"' EXIT
fi

attempt=1
# shellcheck disable=SC2086 # the list is meant to be split
until $as_root apt-get update -q && $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing; do
  [ "$attempt" -lt 3 ] || exit 1
  attempt=$((attempt + 1))
  sleep 5
done
