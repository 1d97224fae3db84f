# shellcheck shell=bash
#
# server.sh - a private PostgreSQL server for the tests, the demo and the benchmarks
#
# Sourced by bash scripts (not run). It touches no other server on the machine
# and leaves nothing behind: data folder, socket folder and log live in one
# work folder, which goes when the script ends, however it ends. When the
# script fails (an interrupt from the keyboard is no failure), the data goes
# and the log stays; where is said on stderr.
#
# `make check`, `make demo`, `make demo-metrics` and `make bench` run test/check/run,
# test/demo/run, test/demo-metrics/run and test/bench/run (bash) once everything needed is there and the extension is
# built and installed. They get PG_CONFIG (a full path) and make's variables
# (DURATION=60, for example) in the environment and nothing on stdin; such a
# script, which can also be run by hand after `make install`, begins with
#
#   set -euo pipefail
#   . "$(dirname "${BASH_SOURCE[0]}")/../lib/server.sh"
#   start_private_server "shared_preload_libraries = 'aggwin'"
#   psql -X -c 'CREATE EXTENSION aggwin'
#
# Functions:
#
#   start_private_server [LINE...]
#       initdb, then start. Each LINE is appended to postgresql.conf, after the
#       lines written here, so it wins. Afterwards PGHOST, PGPORT, PGUSER
#       (postgres, the superuser) and PGDATABASE (postgres) are exported and
#       the server's programs come first in PATH: psql, pgbench and the like
#       need no options. All other PG... variables of libpq are unset.
#       The server is reached through its socket folder only; for TCP give it
#       the line "listen_addresses = 'localhost'": the port is a free one.
#       UTF8, C locale; everything else (fsync, too) as the server has it.
#   stop_private_server
#       Stops it and removes its data. Not needed at the end of a script.
#       After it another one may be started.
#   as_server_user COMMAND...
#       Runs the command as the ordinary user that owns the server: the caller,
#       or when that is root, an unprivileged user. Needed only for what
#       refuses root (initdb, pg_ctl); psql works from both. Name files by their
#       full path: for root it runs in the work folder.
#   make_work_folder
#       Sets AGGWIN_WORK to a new folder that the server's user owns and nobody
#       else may enter. start_private_server calls it when it is not there yet.
#       What a script writes into "$AGGWIN_WORK/keep" stays after a failure,
#       everything else in the folder goes.
#   at_exit FUNCTION
#       The exit trap belongs to this file; functions named here run first in
#       it, the last one named first (to end background jobs, for example).
#       A function last_words, when the script has one, is called with the exit
#       status when everything is cleaned up and said.
#   say MESSAGE..., fail MESSAGE...
#       One line on stderr; fail exits with status 1.
#
# Variables that it reads:
#
#   PG_CONFIG   the installation to use; default: the first pg_config in PATH
#   TMPDIR      where the work folder is made; /tmp when unset, too long for a
#               socket's name, or closed to the server's user

say()
{
	printf '%s\n' "$*" >&2
}

fail()
{
	say "$@"
	exit 1
}

# initdb and postgres refuse to run as root.
choose_server_user()
{
	local user

	if [ "$(id -u)" -ne 0 ]; then
		id -un
		return
	fi
	for user in postgres "${SUDO_USER:-}" nobody; do
		if [ -n "$user" ] && [ "$user" != root ] && id -u "$user" >/dev/null 2>&1; then
			printf '%s\n' "$user"
			return
		fi
	done
	fail "no unprivileged user to run a private server as; run this as an ordinary user"
}

as_server_user()
{
	# The server must not hold on to the descriptors that finish needs.
	if [ "$(id -u)" -ne 0 ]; then
		"$@" 98>&- 99>&-
	elif command -v runuser >/dev/null; then
		# The folder that root stands in may be closed to that user.
		(
			cd "${AGGWIN_WORK:-/}" || exit 1
			HOME=${AGGWIN_WORK:-/} exec runuser -u "$AGGWIN_SERVER_USER" -- "$@" 98>&- 99>&-
		)
	else
		fail "runuser not found; run this as an ordinary user"
	fi
}

make_work_folder()
{
	local place

	# A socket's full name must stay below 108 bytes.
	for place in "${TMPDIR:-/tmp}" /tmp; do
		if [ "${#place}" -le 60 ] && as_server_user test -x "$place"; then
			break
		fi
	done
	AGGWIN_WORK=$(mktemp -d "$place/aggwin.XXXXXX") ||
		fail "could not make a work folder in $place"
	mkdir "$AGGWIN_WORK/keep"
	if [ "$(id -u)" -eq 0 ]; then
		chown -R "$AGGWIN_SERVER_USER" "$AGGWIN_WORK"
	fi
	as_server_user test -w "$AGGWIN_WORK" ||
		fail "user $AGGWIN_SERVER_USER cannot reach $AGGWIN_WORK"
}

# A port that nothing listens on. Without TCP it only names the socket.
choose_port()
{
	local port

	while :; do
		port=$((49152 + RANDOM % 16000))
		if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			printf '%s\n' "$port"
			return
		fi
	done
}

start_private_server()
{
	local bindir name line

	[ -z "$aggwin_server_data" ] || fail "a private server is running already"
	bindir=$("${PG_CONFIG:-pg_config}" --bindir) ||
		fail "${PG_CONFIG:-pg_config} does not work; set PG_CONFIG"
	[ -x "$bindir/initdb" ] || fail "no PostgreSQL server in $bindir: initdb is missing"

	for name in $(compgen -e); do
		if [[ $name =~ ^PG[A-Z]+$ ]]; then
			unset "$name"
		fi
	done
	[ -n "${AGGWIN_WORK:-}" ] || make_work_folder

	aggwin_server_bindir=$bindir
	aggwin_server_data=$AGGWIN_WORK/data
	aggwin_server_log=$AGGWIN_WORK/keep/server.log
	export PATH="$bindir:$PATH"
	export PGHOST=$AGGWIN_WORK PGUSER=postgres PGDATABASE=postgres
	PGPORT=$(choose_port)
	export PGPORT

	if ! as_server_user "$bindir/initdb" --username=postgres --auth=trust --encoding=UTF8 \
		--no-locale --no-sync --pgdata="$aggwin_server_data" \
		</dev/null >"$AGGWIN_WORK/keep/initdb.log" 2>&1; then
		cat "$AGGWIN_WORK/keep/initdb.log" >&2
		fail "initdb failed"
	fi
	{
		printf '%s\n' \
			"listen_addresses = ''" \
			"unix_socket_directories = '$PGHOST'" \
			"port = $PGPORT" \
			"log_line_prefix = '%m [%p] %b '"
		for line in "$@"; do
			printf '%s\n' "$line"
		done
	} >>"$aggwin_server_data/postgresql.conf"

	if ! as_server_user "$bindir/pg_ctl" --pgdata="$aggwin_server_data" --log="$aggwin_server_log" \
		--wait --timeout=120 --silent start </dev/null >&2; then
		tail -n 30 "$aggwin_server_log" >&2 || true
		fail "the private server did not start"
	fi
}

stop_private_server()
{
	if [ -z "$aggwin_server_data" ]; then
		return 0
	fi
	if [ -f "$aggwin_server_data/postmaster.pid" ]; then
		as_server_user "$aggwin_server_bindir/pg_ctl" --pgdata="$aggwin_server_data" \
			--mode=fast --wait --timeout=60 --silent stop </dev/null >&2 ||
			as_server_user "$aggwin_server_bindir/pg_ctl" --pgdata="$aggwin_server_data" \
				--mode=immediate --wait --timeout=60 --silent stop </dev/null >&2 ||
			say "could not stop the private server in $aggwin_server_data"
	fi
	rm -rf "$aggwin_server_data"
	aggwin_server_data=
}

# Removes a folder of the work folder, or that itself. An interrupted test may
# have left a server in it, or one that is still writing while it stops.
remove()
{
	local pid_file pid

	for _ in {1..20}; do
		find "$1" -name postmaster.pid 2>/dev/null | while read -r pid_file; do
			pid=$(head -n 1 "$pid_file")
			[ "${pid:-0}" -le 1 ] || as_server_user sh -c "kill -QUIT $pid"
		done
		if rm -rf "$1"; then
			return
		fi
		sleep 0.5
	done 2>/dev/null
	say "could not remove $1"
}

at_exit()
{
	aggwin_exit_functions="$1 $aggwin_exit_functions"
}

finish()
{
	local status=$? function

	trap - EXIT
	trap '' INT TERM HUP
	set +e
	# A signal may have come while a function's output went elsewhere.
	exec >&98 2>&99
	for function in $aggwin_exit_functions; do
		"$function"
	done
	stop_private_server
	if [ -n "${AGGWIN_WORK:-}" ]; then
		if [ "$status" -eq 0 ] || [ "$status" -eq 130 ] || [ -z "$(ls -A "$AGGWIN_WORK/keep")" ]; then
			remove "$AGGWIN_WORK"
		else
			find "$AGGWIN_WORK" -mindepth 1 -maxdepth 1 ! -name keep |
				while read -r file; do remove "$file"; done
			say "logs kept in $AGGWIN_WORK/keep"
		fi
	fi
	if declare -F last_words >/dev/null; then
		last_words "$status"
	fi
	exit "$status"
}

# A child script has a work folder and a server of its own.
AGGWIN_WORK=
export -n AGGWIN_WORK
AGGWIN_SERVER_USER=$(choose_server_user)
aggwin_server_data=
aggwin_server_bindir=
aggwin_server_log=
aggwin_exit_functions=
exec 98>&1 99>&2
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
