# aggwin: streaming aggregation inside PostgreSQL
#
#   make, make install, make installcheck, make clean   as for every extension; the
#                   command-line tool aggwin comes with it
#   make check      build, install and test on private servers
#   make demo       the same with a live demonstration   [DURATION=… RATE=…]
#   make demo-metrics    the same with metrics of this machine, scraped each second   [DURATION=…]
#   make bench      the same with the benchmarks
#   make soak       the same with a steady load: does anything grow? [MINUTES=… RATE=…]
#   make fuzz       malformed values of the summary types, metrics and PromQL, with sanitizers [FUZZ_CASES=…]
#   make tapcheck   only the tests that start servers of their own
#
# PG_CONFIG=/path/to/pg_config chooses the installation, everywhere. The private
# targets install the packages that are missing on Debian and Ubuntu.

EXTENSION = aggwin
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" aggwin.control)
MODULE_big = aggwin
# What flex and bison make; the header comes with its source.
GENERATED = src/promql/grammar.c src/promql/scanner.c
PROGRAM_SOURCES = $(wildcard src/pipeline/program_*.c)
OBJS = $(patsubst %.c,%.o,$(filter-out $(PROGRAM_SOURCES),$(sort $(wildcard src/*.c src/*/*.c) $(GENERATED))))
SHLIB_LINK = -lyaml
DATA_built = aggwin--$(EXTVERSION).sql
PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare

# The command-line tool, aggwin, has files of its own, and shares others with the
# module. They are compiled for both.
LANGUAGE_OBJS = $(patsubst %.c,%.program.o,$(sort $(wildcard src/promql/*.c) $(GENERATED)))
PROGRAM_OBJS = $(LANGUAGE_OBJS) $(PROGRAM_SOURCES:.c=.program.o) \
	$(patsubst %,src/pipeline/%.program.o,pipeline rules rules_check yaml_tree)
PROGRAM_LIBS = -L$(pkglibdir) -L$(libdir) -lpgcommon -lpgport -lm
EXTRA_CLEAN = aggwin--*.sql aggwin--*.sql.tmp $(GENERATED) src/promql/grammar.h \
	src/*/*.program.o aggwin test/promql/read

# In the order of the folders: what stands later may use what stands earlier.
SQL_PARTS = $(wildcard src/core/*.sql src/window/*.sql) $(sort $(wildcard src/summary/*.sql)) \
	$(sort $(wildcard src/rollup/*.sql)) $(wildcard src/emit/*.sql src/metrics/*.sql src/pipeline/*.sql) \
	$(wildcard src/worker/*.sql)

# Every test stands alone in a database that has the extension.
REGRESS = $(sort $(patsubst sql/%.sql,%,$(wildcard sql/*.sql)))
REGRESS_OPTS = --load-extension=aggwin
ISOLATION = $(sort $(patsubst test/specs/%.spec,%,$(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --load-extension=aggwin
PROVE_TESTS = $(sort $(wildcard test/t/*.pl))

# These bring what they need, so they must not depend on the server's rules.
PRIVATE = check demo demo-metrics bench soak fuzz
.PHONY: $(PRIVATE) tapcheck

ifneq (,$(filter $(PRIVATE),$(MAKECMDGOALS)))

OTHERS = $(filter-out $(PRIVATE),$(MAKECMDGOALS))
.NOTPARALLEL:
.PHONY: $(OTHERS)

$(PRIVATE):
	@bash test/run $@ </dev/null

$(OTHERS):
	@$(MAKE) --no-print-directory $@

else

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)

# Debian has PGXS in the server's package and the headers in another.
SERVER_HEADER := $(wildcard $(shell $(PG_CONFIG) --includedir-server 2>/dev/null)/postgres.h)

ifneq (,$(and $(wildcard $(PGXS)),$(SERVER_HEADER)))

include $(PGXS)

# The server's rules do not know which headers an object is made from.
$(OBJS) $(OBJS:.o=.bc): $(sort $(wildcard src/*/*.h) src/promql/grammar.h)

BISONFLAGS += -d
src/promql/grammar.h: src/promql/grammar.c
	touch $@

aggwin--$(EXTVERSION).sql: $(SQL_PARTS) aggwin.control
	cat $(SQL_PARTS) > $@.tmp
	mv -f $@.tmp $@

%.program.o: %.c
	$(CC) $(CFLAGS) -DFRONTEND -I$(libpq_srcdir) $(CPPFLAGS) -c -o $@ $<

$(PROGRAM_OBJS): $(wildcard src/*/*.h) src/promql/grammar.h
src/pipeline/program_main.program.o: CPPFLAGS += -DAGGWIN_VERSION='"$(EXTVERSION)"'
src/pipeline/program_main.program.o: aggwin.control

aggwin: $(PROGRAM_OBJS)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lyaml $(libpq) $(PROGRAM_LIBS)

test/promql/read: test/promql/read.c $(LANGUAGE_OBJS)
	$(CC) $(CFLAGS) -DFRONTEND $(CPPFLAGS) $(LDFLAGS) -o $@ $^ $(PROGRAM_LIBS)

.PHONY: install-program uninstall-program
all: aggwin
install: install-program
uninstall: uninstall-program

install-program: aggwin
	$(MKDIR_P) '$(DESTDIR)$(bindir)'
	$(INSTALL_PROGRAM) aggwin '$(DESTDIR)$(bindir)/aggwin'

uninstall-program:
	rm -f '$(DESTDIR)$(bindir)/aggwin'

tapcheck: aggwin test/promql/read
	$(prove_installcheck)

# What a variable of this file holds: make print-REGRESS
print-%:
	@echo '$($*)'

else ifeq (clean,$(MAKECMDGOALS))

clean:
	rm -rf $(OBJS) $(OBJS:.o=.bc) aggwin.so $(EXTRA_CLEAN)
	rm -rf results regression.diffs regression.out output_iso tmp_check

else

define NO_PGXS
aggwin is built with the server's development files, and $(PG_CONFIG) knows of none.
  Debian, Ubuntu:   install postgresql-server-dev-NN and libpq-dev (NN: the server's major version, 15 or later)
  Fedora, Red Hat:  install postgresql-server-devel, or postgresqlNN-devel from postgresql.org
  elsewhere:        install the PostgreSQL server with its development files
or say where it is: make PG_CONFIG=/path/to/pg_config
`make check`, `make demo` and `make bench` install what they need on Debian and Ubuntu
endef

$(error $(NO_PGXS))

endif
endif
