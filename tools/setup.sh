#!/bin/sh
# Installs what this clone needs before its first command: Debian packages and the npm packages of the lock file.
# Runs on the developer's machine or in CI, as root, before `npm run quickstart` and `npm test`; under one second
# when nothing is missing.
set -eu
cd "$(dirname "$0")/.."

# The one list of Debian packages: `package:what proves that it is there`, a path or the name of a program.
# libatomic1   the pinned node and dist/rkt link it        tcc            builds the launcher of the stage1 images
# ca-certificates: https to the registries                 busybox-static the image of quickstart and of the tests
# iproute2, iptables, nftables, curl: hosts of the network suites, and what is counted on them; build and pods need none
# debootstrap  the real Debian image of e2e and bench      systemd        systemd-analyze and systemd-escape judge units
# zsh, fish    completion scripts are tried in them       mandoc, groff-base: judges of man pages
# docker-registry, skopeo, umoci, apache2-utils (htpasswd): a registry with TLS and logins, and what fills it
# qemu-system-x86: virtual machines of stage1-kvm, and with e2fsprogs the guest, a machine with systemd for suites
# gnupg        keys and signatures of the tests            openssl        certificates of the tests' servers
packages='
libatomic1:/usr/lib/x86_64-linux-gnu/libatomic.so.1
libstdc++6:/usr/lib/x86_64-linux-gnu/libstdc++.so.6
ca-certificates:/etc/ssl/certs/ca-certificates.crt
tcc:tcc
busybox-static:/var/lib/dpkg/info/busybox-static.list
debootstrap:debootstrap
systemd:systemd-analyze
util-linux:unshare
mount:mount
procps:ps
xz-utils:xz
zstd:zstd
bzip2:bzip2
git:git
strace:strace
iproute2:ip
iptables:iptables
nftables:nft
curl:curl
gnupg:gpg
openssl:openssl
zsh:zsh
fish:fish
mandoc:mandoc
groff-base:groff
docker-registry:docker-registry
skopeo:skopeo
umoci:umoci
apache2-utils:htpasswd
qemu-system-x86:qemu-system-x86_64
e2fsprogs:mke2fs
'

missing=
for entry in $packages; do
  proof=${entry#*:}
  case $proof in
    /*) [ -e "$proof" ] || missing="$missing ${entry%%:*}" ;;
    *) command -v "$proof" >/dev/null 2>&1 || [ -x "/usr/sbin/$proof" ] || missing="$missing ${entry%%:*}" ;;
  esac
done

if [ -n "$missing" ]; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "setup: missing Debian packages:$missing (run this as root, or: apt-get install$missing)" >&2
    exit 1
  fi
  echo "setup: installing Debian packages:$missing"
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  # Tests start the daemons they need: none may be started here, nor at the next boot.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  # shellcheck disable=SC2086 # $missing is a list of words
  if ! { apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    echo "setup: apt-get could not install:$missing (whole log: $log)" >&2
    exit 1
  fi
  rm -f "$log"
  case $missing in
    *docker-registry*) update-rc.d docker-registry disable >/dev/null 2>&1 || true ;;
  esac
fi

# npm writes node_modules/.package-lock.json last, so a node_modules that is half there, or older than the lock
# file, shows by the stamp that this script leaves beside it: a copy of the lock file it was installed from.
stamp=node_modules/.installed-lock.json
if ! cmp -s package-lock.json "$stamp" || [ ! -x node_modules/.bin/node ]; then
  echo 'setup: installing npm packages (npm ci)'
  rm -f "$stamp"
  npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error
  cp package-lock.json "$stamp"
fi

if ! node_modules/.bin/node --version >/dev/null 2>&1; then
  echo 'setup: the pinned node does not start:' >&2
  node_modules/.bin/node --version >&2 || true
  exit 1
fi
