# shellcheck shell=bash
#
# build.sh - build a copy of the tree and install it
#
# Sourced after server.sh and packages.sh, used after prepare_machine. The copy
# lies in the work folder and belongs to the server's user: so nothing that root
# made stays in the tree, the tree may be read-only or closed to that user, and
# no object that other flags made is taken over.
#
#   copy_tree TREE         makes the copy, AGGWIN_BUILD
#   make_copy ARGUMENT...  make in the copy, as the server's user, without stdin
#   install_copy           make install; with sudo where the folders ask for it

# Variables from make's command line (CC=clang, REGRESS=…) hold in here too; its
# flags do not, for the job server's file descriptors do not get through sudo.
case ${MAKEFLAGS:-} in
	*'-- '*) export MAKEFLAGS=" -- ${MAKEFLAGS#*-- }" ;;
	*) unset MAKEFLAGS ;;
esac
unset MFLAGS MAKELEVEL MAKEOVERRIDES
AGGWIN_BUILD=

copy_tree()
{
	[ -n "$AGGWIN_WORK" ] || make_work_folder
	AGGWIN_BUILD=$AGGWIN_WORK/build
	as_server_user mkdir "$AGGWIN_BUILD"
	tar -C "$1" --exclude=./.git -cf - . | as_server_user tar -C "$AGGWIN_BUILD" -xf -
	make_copy clean >/dev/null
}

make_copy()
{
	as_server_user make --no-print-directory -C "$AGGWIN_BUILD" PG_CONFIG="$PG_CONFIG" "$@" </dev/null
}

install_copy()
{
	local become=as_root folder writable=yes

	for folder in "$("$PG_CONFIG" --pkglibdir)" "$("$PG_CONFIG" --sharedir)/extension" "$("$PG_CONFIG" --bindir)"; do
		[ -w "$folder" ] || writable=
	done
	[ -z "$writable" ] || become=
	$become env ${MAKEFLAGS+"MAKEFLAGS=$MAKEFLAGS"} \
		make --no-print-directory -C "$AGGWIN_BUILD" PG_CONFIG="$PG_CONFIG" install </dev/null
}
