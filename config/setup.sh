#!/bin/sh
# The one set-up, used by `npm run demo`, `npm start`, `npm test` and CI. Idempotent: it installs what is missing and
# compiles. It starts nothing and leaves no system service running: Sallyport starts its own servers on its own ports.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

command -v node >/dev/null 2>&1 || fail "Node.js 20.20 or later is needed"
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 20) ? 0 : 1)' ||
  fail "Node.js 20.20 or later is needed, this is $(node --version)"

# ---- Debian packages: the servers Sallyport runs beside itself, and the tools its tests measure with.
missing=""
need() { # program package
  command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/usr/bin/$1" ] || missing="$missing $2"
}
need redis-server redis-server
need rtpengine rtpengine-daemon
need setpriv util-linux
need prlimit util-linux
if [ "${1:-}" != "--run-only" ]; then
  need sipp sip-tester
  need inotifywait inotify-tools
  need age age
  need spin spin
  need gcc gcc
  need chromium chromium
  [ -e /usr/include/stdio.h ] || missing="$missing libc6-dev"
  # Debian keeps PostgreSQL's programs out of the PATH.
  ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
fi
if [ -n "$missing" ]; then
  # shellcheck disable=SC2086
  missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
  sudo=""
  if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then sudo="sudo -n"; else
      say "these Debian packages are missing and this user may not install them: $missing"
      say "install them with:  sudo apt-get install --no-install-recommends $missing"
      fail "or run the whole stack from docker-compose.yml"
    fi
  fi
  command -v apt-get >/dev/null 2>&1 || fail "no apt-get here; install: $missing, or use docker-compose.yml"
  say "installing $missing"
  log=$(mktemp)
  # A policy of 101 keeps the packages from starting their services: our own run on other ports, as children of ours.
  policy=/usr/sbin/policy-rc.d
  made_policy=0
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null && $sudo chmod 755 "$policy" && made_policy=1
  fi
  ok=1
  # shellcheck disable=SC2086
  { $sudo env DEBIAN_FRONTEND=noninteractive apt-get update &&
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1 || ok=0
  [ "$made_policy" = 1 ] && $sudo rm -f "$policy"
  if [ "$ok" = 0 ]; then tail -n 20 "$log" >&2; fail "apt-get failed; its whole output is in $log"; fi
  rm -f "$log"
fi

# ---- npm packages, as the lock file says. `npm ci` refuses where a registry lacks packages of other platforms.
stamp=node_modules/.sallyport-setup
want=$(cksum package.json package-lock.json | cksum)
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$want" ]; then
  say "installing npm packages"
  npm install --no-save --no-audit --no-fund --loglevel=error >&2
  printf '%s' "$want" >"$stamp"
fi

# ---- tap's own part, by what .taprc leaves out. Left to its first run, that run has the TypeScript loader in every test's
# process all the same: slower, and once in a while a process that never begins.
if [ "${1:-}" != "--run-only" ] && [ ! -d .tap/plugins ]; then
  say "preparing tap"
  node_modules/.bin/tap build >&2
fi

# ---- Compile. One compilation type-checks everything; it is skipped where nothing changed.
mkdir -p var
sources=$( (cat tsconfig.json package-lock.json
  find src test \( -name '*.ts' -o -path 'src/console/*' \) -type f -print | sort | xargs cat) | cksum)
if [ ! -f dist/.sources ] || [ "$(cat dist/.sources)" != "$sources" ]; then
  say "compiling"
  rm -rf dist
  npm run --silent build >&2
  printf '%s' "$sources" >dist/.sources
fi
