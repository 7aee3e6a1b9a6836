#!/bin/sh
# Sees to it that the programs with which the tests talk are here: real clients
# and servers, not doubles. As root on Debian it installs what is missing;
# otherwise it says in a line each what will be skipped. With CI=true anything
# missing is an error.
set -u

# command, Debian package, what for
needs='
dig bind9-dnsutils real DNS queries
unbound unbound a real resolver behind the DNS room
postfix postfix a real mail server before the mail room
swaks swaks real SMTP sessions
softflowd softflowd a real flow exporter
nfdump nfdump a second reader of flows
tcpreplay tcpreplay replayed captures
initdb postgresql every store test on the second engine
chromium chromium the consoles in a real browser
ip iproute2 interfaces for the flow exporter
ps procps watching processes that were killed
xz xz-utils the optional public data
'

there() {
	command -v "$1" >/dev/null 2>&1 && return 0
	for f in /usr/sbin/"$1" /sbin/"$1" /usr/lib/postgresql/*/bin/"$1"; do
		[ -x "$f" ] && return 0
	done
	return 1
}

missing() { # prints the packages whose command is not there
	echo "$needs" | while read -r cmd pkg why; do
		[ -z "$cmd" ] || there "$cmd" || echo "$pkg"
	done
}

want=$(missing)
if [ -n "$want" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "installing for the tests:" $want
	export DEBIAN_FRONTEND=noninteractive
	# Nothing that is installed here is to be started: the tests start their own.
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy
		trap 'rm -f $policy' EXIT
		trap 'exit 1' INT TERM
	fi
	log=$(mktemp)
	{
		echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
		apt-get update -q && apt-get install -q -y --no-install-recommends $want
	} >"$log" 2>&1 || tail -n 5 "$log"
	rm -f "$log"
fi

want=$(missing)
[ -z "$want" ] && exit 0
echo "$needs" | while read -r cmd pkg why; do
	[ -z "$cmd" ] || there "$cmd" || echo "not here: $cmd ($why); skipped without it: apt-get install $pkg"
done
[ "${CI:-}" != true ]
