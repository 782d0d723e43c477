#!/bin/sh
# Installs what the benchmark compares tagcache with: servers from Debian, as root; npm packages in this directory.
# What cannot be installed is said, and the benchmark does without it.
cd "$(dirname "$0")" || exit 1

for pair in redis-server:redis-server memcached:memcached; do
  program=${pair%%:*} package=${pair##*:}
  command -v "$program" > /dev/null && continue
  if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "bench-peers: $program is missing, and only root can install it (apt-get install $package)" >&2
    continue
  fi
  apt-get install -y -q "$package" > /dev/null || { echo "bench-peers: apt-get did not install $package" >&2; continue; }
  # The package starts a server of its own, which nobody asked for.
  if [ -d /run/systemd/system ]; then systemctl disable --now --quiet "$package"; fi
done

[ -e node_modules/.installed ] && [ node_modules/.installed -nt package-lock.json ] && exit 0
# The headers that came with Node, where there are any, spare better-sqlite3 a download.
prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
[ -e "$prefix/include/node/node.h" ] && export npm_config_nodedir="$prefix"
if npm install --ignore-scripts --no-audit --no-fund && npm rebuild better-sqlite3; then touch node_modules/.installed
else echo "bench-peers: some npm packages could not be installed" >&2; fi
