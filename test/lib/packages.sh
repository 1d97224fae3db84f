# shellcheck shell=bash
#
# packages.sh - find what a private run needs, and install what is missing
#
# Sourced after server.sh. prepare_machine GOAL (check, demo, demo-metrics, bench, soak or fuzz) exports
# PG_CONFIG as a full path of an installation that can build and run aggwin. On
# Debian and Ubuntu it first installs what is missing, as root or with sudo;
# elsewhere it names the packages and fails. A PG_CONFIG that is set already
# is taken as it is and never exchanged for another one.

oldest_version=15

as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif ! command -v sudo >/dev/null; then
		fail "neither root nor sudo is here to run: $*"
	elif [ -t 2 ]; then
		sudo "$@"
	else
		sudo -n "$@"
	fi
}

major_version()
{
	"$1" --version 2>/dev/null | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p'
}

# What an installation lacks, one word a thing; nothing when it is complete.
lacks()
{
	local pg_config=$1 goal=$2 version pgxs bindir

	version=$(major_version "$pg_config")
	if [ -z "$version" ]; then
		echo pg_config
		return
	fi
	if [ "$version" -lt $oldest_version ]; then
		echo "version"
		return
	fi
	pgxs=$("$pg_config" --pgxs)
	bindir=$("$pg_config" --bindir)
	# Debian has PGXS in the server's package and the headers in another.
	if [ ! -f "$pgxs" ] || [ ! -f "$("$pg_config" --includedir-server)/postgres.h" ]; then
		echo "development-files"
	elif [ "$goal" = check ] && [ ! -f "${pgxs%/makefiles/pgxs.mk}/test/perl/PostgreSQL/Test/Cluster.pm" ]; then
		echo "PostgreSQL::Test::Cluster"
	fi
	if [ ! -x "$bindir/initdb" ] || [ ! -x "$bindir/postgres" ] || [ ! -x "$bindir/psql" ]; then
		echo "server"
	fi
	if [ "$goal" = bench ] && [ ! -x "$bindir/pgbench" ]; then
		echo "pgbench"
	fi
}

# Full path of the first complete installation, the one in PATH before the
# newest of those that packages put beside each other.
find_pg_config()
{
	local goal=$1 candidate

	while read -r candidate; do
		if [ -z "$(lacks "$candidate" "$goal")" ]; then
			full_path "$candidate"
			return
		fi
	done < <(
		type -P pg_config pg_server_config
		ls -d /usr/lib/postgresql/*/bin/pg_config /usr/pgsql-*/bin/pg_config 2>/dev/null | sort -rV
	)
	return 1
}

full_path()
{
	local program

	program=$(type -P "$1") || return 1
	printf '%s/%s\n' "$(cd "$(dirname "$program")" && pwd)" "$(basename "$program")"
}

# The tools beside PostgreSQL, by the names of their Debian packages.
missing_tools()
{
	if ! echo '#include <stdio.h>' | gcc -E -x c - >/dev/null 2>&1; then
		echo gcc
		echo libc6-dev
	fi
	type -P flex >/dev/null || echo flex
	type -P bison >/dev/null || echo bison
	if ! echo '#include <yaml.h>' | gcc -E -x c - >/dev/null 2>&1; then
		echo libyaml-dev
	fi
	# Debian's smallest perl lacks prove, and modules that the demo uses.
	type -P prove >/dev/null || echo perl
	if [ "$1" = check ]; then
		perl -MIPC::Run -e 1 >/dev/null 2>&1 || echo libipc-run-perl
		type -P git >/dev/null || echo git
	fi
}

explain_by_hand()
{
	say "aggwin needs, besides make and bash:"
	say "  a C compiler, flex, bison and libyaml"
	say "  the PostgreSQL server, version $oldest_version or later, with psql and pgbench"
	say "  its development files (pg_config, PGXS, PostgreSQL::Test::Cluster)"
	say "  perl; for the tests with prove and IPC::Run, and git"
	say "Missing here: $*"
	say "The packages, NN being the server's major version:"
	say "  Debian, Ubuntu:   gcc libc6-dev flex bison libyaml-dev postgresql-NN postgresql-server-dev-NN libpq-dev perl libipc-run-perl git"
	say "  Fedora, Red Hat:  gcc flex bison libyaml-devel postgresql-server postgresql-contrib postgresql-server-devel perl-Test-Harness perl-IPC-Run perl-CPAN-Meta-YAML git"
	say "  from postgresql.org for these: postgresqlNN-server postgresqlNN-contrib postgresqlNN-devel"
	say "  Arch:             gcc flex bison libyaml postgresql perl perl-ipc-run git"
	fail "Install them and run this again; PG_CONFIG=/path/to/pg_config chooses an installation."
}

# The version to install packages of: that of the server that is here, otherwise
# the distribution's.
debian_version()
{
	local version

	if [[ ${PG_CONFIG:-} =~ ^/usr/lib/postgresql/([0-9]+)/bin/pg_config$ ]]; then
		version=${BASH_REMATCH[1]}
	else
		version=$(ls -d /usr/lib/postgresql/*/bin/postgres 2>/dev/null |
			sed -n 's,^/usr/lib/postgresql/\([0-9]*\)/.*,\1,p' | sort -n | tail -n 1)
		if [ -z "$version" ] || [ "$version" -lt $oldest_version ]; then
			version=$(apt-cache depends postgresql 2>/dev/null |
				sed -n 's/^ *Depends: postgresql-\([0-9]*\)$/\1/p' | sort -n | tail -n 1)
		fi
	fi
	if [ -z "$version" ] || [ "$version" -lt $oldest_version ]; then
		say "aggwin needs PostgreSQL $oldest_version or later; the package sources here have ${version:-none}."
		say "Add those of postgresql.org, then run this again:"
		say "  apt-get install postgresql-common"
		fail "  /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh"
	fi
	printf '%s\n' "$version"
}

# Debian's server package would create and start a server on port 5432. Nobody
# asked for that, so its own switch says no for as long as this runs.
no_cluster=/etc/postgresql-common/createcluster.d/aggwin-no-main-cluster.conf

forbid_cluster()
{
	at_exit allow_cluster
	as_root mkdir -p "$(dirname $no_cluster)"
	as_root sh -c "echo 'create_main_cluster = false' >$no_cluster"
}

allow_cluster()
{
	if [ -e $no_cluster ]; then
		as_root rm -f $no_cluster
		as_root rmdir --ignore-fail-on-non-empty "$(dirname $no_cluster)"
	fi
}

install_packages()
{
	local output

	say "installing packages: $*"
	as_root apt-get -qq update >&2 || say "apt-get update failed; trying with the package lists that are here"
	if ! output=$(as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -qq -y --no-install-recommends install "$@" </dev/null 2>&1); then
		say "$output"
		fail "could not install these packages: $*"
	fi
}

# install_peer NAME: an extension to compare with, if there is a package of it for
# this version of Debian's servers; whoever compares does without where there is none.
install_peer()
{
	local package

	[ ! -f "$("$PG_CONFIG" --sharedir)/extension/$1.control" ] || return 0
	[[ $PG_CONFIG =~ ^/usr/lib/postgresql/([0-9]+)/bin/pg_config$ ]] || return 0
	package=postgresql-${BASH_REMATCH[1]}-$1
	if apt-cache show "$package" >/dev/null 2>&1; then
		install_packages "$package"
	fi
}

# find_programs PACKAGE VARIABLE=PROGRAM...: programs that tests compare with, or that
# the demo reads from. Their packages bring services, so what is not in PATH is taken out
# of the package, into the work folder, and VARIABLE is exported, its full path. Without
# a package the variables stay unset.
find_programs()
{
	local package=$1 folder program
	local missing=()

	shift
	for program in "$@"; do
		type -P "${program#*=}" >/dev/null || missing+=("$program")
	done
	if [ ${#missing[@]} -eq 0 ] || ! command -v apt-get >/dev/null; then
		return 0
	fi
	[ -n "$AGGWIN_WORK" ] || make_work_folder
	folder=$AGGWIN_WORK/programs/$package
	mkdir -p "$folder"
	chmod a+rx "$AGGWIN_WORK/programs"
	chmod a+rwx "$folder"
	if ! (cd "$folder" && apt-get -qq download "$package") >/dev/null 2>&1; then
		as_root apt-get -qq update >&2 || true
		(cd "$folder" && apt-get -qq download "$package") >&2 || true
	fi
	for program in "${missing[@]}"; do
		if dpkg-deb --fsys-tarfile "$folder/${package}"_*.deb 2>/dev/null |
			tar -xC "$folder" "./usr/bin/${program#*=}" 2>/dev/null; then
			export "${program%%=*}=$folder/usr/bin/${program#*=}"
		else
			say "there is no package with ${program#*=} here"
		fi
	done
	rm -f "$folder/${package}"_*.deb
}

# Prometheus, its judge of rules, and its exporter of what a machine measures.
find_prometheus()
{
	find_programs prometheus PROMTOOL=promtool PROMETHEUS=prometheus
	find_exporter
}

find_exporter()
{
	find_programs prometheus-node-exporter NODE_EXPORTER=prometheus-node-exporter
}

# Extensions with sketches of their own, for the test of rollups that store them.
# They are taken out of their packages, into a copy of the installation: the
# programs themselves, which find the rest by where they are, and links to the
# rest. So the installation stays as it is.
find_sketches()
{
	local root=$AGGWIN_WORK/sketches version name

	[[ $PG_CONFIG =~ ^(/usr/lib/postgresql/([0-9]+))/bin/pg_config$ ]] || return 0
	command -v apt-get >/dev/null || return 0
	version=${BASH_REMATCH[2]}
	mkdir -p "$root/packages" "$root/usr/lib/postgresql/$version" "$root/usr/share/postgresql/$version"
	chmod -R a+rX "$root"
	chmod a+rwx "$root/packages"
	cp -r "/usr/lib/postgresql/$version/bin" "$root/usr/lib/postgresql/$version/"
	cp -rs "/usr/lib/postgresql/$version/lib" "$root/usr/lib/postgresql/$version/"
	cp -rs "/usr/share/postgresql/$version" "$root/usr/share/postgresql/"
	for name in hll tdigest; do
		if ! (cd "$root/packages" && apt-get -qq download "postgresql-$version-$name") >/dev/null 2>&1; then
			as_root apt-get -qq update >&2 || true
			(cd "$root/packages" && apt-get -qq download "postgresql-$version-$name") >&2 || true
		fi
		if ! dpkg-deb --extract "$root/packages/postgresql-$version-$name"_*.deb "$root" 2>/dev/null; then
			say "there is no package of $name for PostgreSQL $version here: tests of rollups with it are skipped"
		fi
	done
	rm -rf "$root/packages"
	export AGGWIN_SKETCHES=$root/usr/lib/postgresql/$version
}

prepare_machine()
{
	local goal=$1 lack='' version packages

	if [ "${PG_CONFIG:-pg_config}" != pg_config ]; then
		lack=$(lacks "$PG_CONFIG" "$goal" | xargs)
		if [ "$lack" = version ]; then
			fail "aggwin needs PostgreSQL $oldest_version or later; PG_CONFIG=$PG_CONFIG is $("$PG_CONFIG" --version)"
		fi
	elif ! PG_CONFIG=$(find_pg_config "$goal"); then
		PG_CONFIG=
		lack="PostgreSQL-$oldest_version-or-later-with-development-files"
	fi
	read -r -d '' -a packages < <(missing_tools "$goal") || true

	if [ -n "$lack" ] || [ ${#packages[@]} -gt 0 ]; then
		if ! command -v apt-get >/dev/null; then
			explain_by_hand "$lack" "${packages[@]}"
		fi
		if [ -n "$lack" ]; then
			if [ -n "$PG_CONFIG" ] && [[ ! $PG_CONFIG =~ ^/usr/lib/postgresql/[0-9]+/bin/pg_config$ ]]; then
				explain_by_hand "$lack (PG_CONFIG=$PG_CONFIG)" "${packages[@]}"
			fi
			# A new machine has no package lists to find the version in.
			if [ -z "$(apt-cache depends postgresql 2>/dev/null)" ]; then
				as_root apt-get -qq update >&2 || true
			fi
			version=$(debian_version)
			PG_CONFIG=/usr/lib/postgresql/$version/bin/pg_config
			packages+=("postgresql-$version" "postgresql-server-dev-$version" libpq-dev)
			if [ ! -x "/usr/lib/postgresql/$version/bin/postgres" ]; then
				forbid_cluster
			fi
		fi
		install_packages "${packages[@]}"
		allow_cluster
		read -r -d '' -a packages < <(missing_tools "$goal"; lacks "$PG_CONFIG" "$goal") || true
		[ ${#packages[@]} -eq 0 ] || fail "still missing after the installation: ${packages[*]}"
	fi

	PG_CONFIG=$(full_path "$PG_CONFIG")
	export PG_CONFIG
	as_server_user test -x "$PG_CONFIG" ||
		fail "user $AGGWIN_SERVER_USER, who runs the private server, cannot run $PG_CONFIG"
}
