# aggwin: streaming aggregation inside PostgreSQL
EXTENSION = aggwin
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" aggwin.control)
MODULE_big = aggwin
OBJS = $(patsubst %.c,%.o,$(wildcard src/*.c src/*/*.c))
DATA_built = aggwin--$(EXTVERSION).sql
PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare
EXTRA_CLEAN = aggwin--*.sql

# In the order of the folders: what stands later may use what stands earlier.
SQL_PARTS = $(wildcard src/core/*.sql src/window/*.sql src/summary/*.sql) \
	$(wildcard src/rollup/*.sql) $(wildcard src/emit/*.sql src/metrics/*.sql src/pipeline/*.sql) \
	$(wildcard src/worker/*.sql)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

aggwin--$(EXTVERSION).sql: $(SQL_PARTS) aggwin.control
	cat $(SQL_PARTS) > $@
