# scan. `make` builds ./scan; `make help` lists what else there is.
#
#   CC, CPPFLAGS, CFLAGS, LDFLAGS   yours, added after the project's own
#   WERROR=1                        every warning is an error
#   SANITIZE=address,undefined      with these sanitizers
#   COVERAGE=1                      counting which lines run
#   PREFIX, DESTDIR                 where `make install` puts things
#   V=1                             show the commands
#
# What is made goes to .build/, into a folder for each compiler and such settings, and to ./scan.

PREFIX = /usr/local
HOST = localhost
ifeq ($(origin CC),default)
CC = gcc
endif

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

comma := ,
variant := $(notdir $(firstword $(CC)))$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))$(if $(COVERAGE),-coverage)$(if $(WERROR),-werror)
out := .build/$(variant)
deps = CC='$(CC)' vendor/deps
quiet := $(if $(V),,@)
processors := $(shell nproc)
again = +@$(MAKE) --no-print-directory $(if $(V),,-s)

sources := $(wildcard src/*.c src/*/*.c)
objects := $(sources:%.c=$(out)/%.o)
test_objects := $(patsubst %.c,$(out)/%.o,$(wildcard tests/unit/*.c))
units := $(filter $(out)/tests/unit/test_%,$(test_objects:.o=))
bench_objects := $(patsubst %.c,$(out)/%.o,$(wildcard tests/bench/*.c))
fuzz_objects := $(patsubst %.c,$(out)/%.o,$(wildcard tests/fuzz/*.c))

# --- Flags ----------------------------------------------------------------------------------------

warnings = -Wall -Wextra -Wformat=2 -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Werror=format-security $(if $(WERROR),-Werror)

# What the compiler knows of these is $(hardening), which $(out)/tools.mk holds.
hardening_wanted = -fstack-protector-strong -fstack-clash-protection -fcf-protection=full \
	-ftrivial-auto-var-init=zero -D_FORTIFY_SOURCE=3

# A probe calls Lua hundreds of times a host, so Lua is a part of the program where its archive can be one: calls into
# a shared library cost a twentieth of a scan's own work. Modules in C, which programs of the user's own may load, find
# it there. $(out)/tools.mk holds which of the two $(lua) is.
lua_wanted = -Wl,-Bstatic $(filter -llua%,$(libraries)) -Wl,-Bdynamic -Wl,--export-dynamic-symbol=lua_* \
	-Wl,--export-dynamic-symbol=luaL_* -ldl

# Sanitizers want none of it, and fortification wants an optimizer.
protection = $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer, \
	$(filter-out $(if $(filter -O0,$(counting) $(CFLAGS)),-D_FORTIFY%),$(hardening)))

# Lines are counted as they are written, not as an optimizer has them.
counting = $(if $(COVERAGE),-O0 --coverage -fprofile-update=atomic)

compile = $(CC) -std=c11 -D_GNU_SOURCE -Isrc -O2 -g -fPIE $(warnings) $(protection) \
	$(filter-out -l% -L% -Wl%,$(libraries)) $(counting) $(CPPFLAGS) $(CFLAGS)
link = $(CC) -pie -Wl,-z,relro,-z,now,-z,noexecstack $(filter -fsanitize%,$(protection)) $(counting) $(CFLAGS) $(LDFLAGS)
link_with = $(foreach flag,$(filter -l% -L% -Wl%,$(libraries)),$(if $(filter -llua%,$(flag)),$(lua),$(flag))) -lm
scripts_folder = $(PREFIX)/share/scan/scripts

# --- Before a goal that compiles: are the libraries there, and are the flags those of last time? ---

not_compiling := help deps run test test-servers test-cluster check check-% format clean distclean uninstall
compiling := $(filter-out $(not_compiling),$(or $(MAKECMDGOALS),all))
groups := build $(if $(filter units suite,$(compiling)),test)

# $(call remember,FILE,TEXT): FILE holds TEXT, and is as old as it was where it did so already.
changed = $(subst x$(strip $1),,x$(strip $2))$(subst x$(strip $2),,x$(strip $1))
remember = $(if $(call changed,$(file <$1),$2),$(shell mkdir -p $(dir $1))$(file >$1,$(strip $2)))

ifneq ($(compiling),)
missing := $(shell $(deps) missing $(groups))

ifneq ($(missing),)
$(objects) $(test_objects) $(bench_objects) $(fuzz_objects) $(out)/scan: | missing

.PHONY: missing
missing:
	@$(deps) require $(groups)

else
libraries := $(shell $(deps) flags build extra)
compiler := $(shell $(CC) --version | head -n 1)

# Lua's archive, and its size and date, which need not be a later one after an update: whether it is there is asked
# again, and linked again, once it is another.
lua_file := $(patsubst -l%,lib%.a,$(filter -llua%,$(libraries)))
archive := $(shell stat -L -c '%n %s %Y' $(firstword $(wildcard $(patsubst -L%,%/$(lua_file),$(filter -L%,$(libraries))) \
	$(shell $(CC) -print-file-name=$(lua_file)))) 2>/dev/null)

$(call remember,$(out)/compiler,$(compiler) $(hardening_wanted) $(lua_wanted) $(archive))
-include $(out)/tools.mk

# The flags are known once tools.mk is there; make writes it, if need be, and starts over.
ifneq ($(origin hardening),undefined)
$(call remember,$(out)/flags,$(compiler) $(compile) $(link) $(link_with))
endif
$(call remember,$(out)/parts,$(objects) $(archive))
$(call remember,$(out)/scripts-folder,$(scripts_folder))
$(call remember,.build/latest,$(out))
endif
endif

hash := \#
knows = $(shell echo '$(hash)include <stdio.h>' | $(CC) -Werror -O2 $1 -x c -fsyntax-only - 2>/dev/null && echo $1)

links = $(shell echo 'int luaL_newstate(void); int main(void) { return luaL_newstate(); }' | \
	$(CC) -pie -fPIE $(CFLAGS) $(LDFLAGS) $(filter -L%,$(libraries)) -o $(out)/links -x c - -x none $1 -lm 2>&1 || \
	echo failed)

$(out)/tools.mk: $(out)/compiler
	@echo 'hardening = $(foreach flag,$(hardening_wanted),$(call knows,$(flag)))' >$@
	@echo 'lua = $(if $(call links,$(lua_wanted)),$(filter -llua%,$(libraries)),$(lua_wanted))' >>$@
	@rm -f $(out)/links

# --- Building -------------------------------------------------------------------------------------

.PHONY: all program units
all: scan ## build ./scan (the default)
program: $(out)/scan
units: $(units)

scan: $(out)/scan .build/latest
	@cp -f $< $@

# The scripts are beside this program too.
$(out)/scan: $(objects) $(out)/parts
	@echo '  LINK  $@'
	$(quiet)$(link) -o $@ $(objects) $(link_with)
	@ln -sfn ../../scripts $(@D)/scripts

$(out)/src/main.o: $(out)/scripts-folder
$(out)/src/main.o: own_flags = -DSCAN_SCRIPTS_DIR='"$(scripts_folder)"'
$(out)/tests/%: own_flags = $(filter-out -l% -Wl%,$(cmocka))

$(out)/%.o: %.c $(out)/flags
	@mkdir -p $(@D)
	@echo '  CC    $<'
	$(quiet)$(compile) $(own_flags) -MMD -MP -c -o $@ $<

# A unit test is linked with everything but main, and with what tests/unit has beside the tests.
with_units := $(filter-out $(out)/src/main.o,$(objects)) $(filter-out $(units:=.o),$(test_objects))
cmocka = $(eval cmocka := $(shell $(deps) flags test))$(cmocka)

$(units): %: %.o $(with_units)
	@echo '  LINK  $@'
	$(quiet)$(link) -o $@ $^ $(link_with) $(cmocka)

# The programs of the benchmark stand alone.
.PHONY: bench-programs
bench-programs: $(bench_objects:.o=)

$(bench_objects:.o=): %: %.o
	@echo '  LINK  $@'
	$(quiet)$(link) -Wl,--as-needed -o $@ $< $(link_with)

# A fuzz target brings no main: that is libFuzzer's, see check-fuzz. FUZZ="NAME..." runs some of them.
.PHONY: fuzz-programs fuzz-suite
fuzz-programs: $(fuzz_objects:.o=)

fuzz-suite: fuzz-programs
	@PROGRAMS=$(out)/tests/fuzz tests/fuzz/run $(FUZZ)

$(fuzz_objects:.o=): %: %.o $(filter-out $(out)/src/main.o,$(objects))
	@echo '  LINK  $@'
	$(quiet)$(link) -o $@ $^ $(link_with)

# What the analyzers have found nothing in; they look again where something has changed. Lua's header does not say
# which of its functions never come back: tests/raising.h does.
look_closely = -Itests -include raising.h -UNDEBUG
tidy_flags = -std=c11 -D_GNU_SOURCE -Isrc $(filter -I% -isystem% -D%,$(libraries))
analyzed := $(sources:%.c=$(out)/%.analyzed)
tidied := $(sources:%.c=$(out)/%.tidied)

.PHONY: analyzed tidied
analyzed: $(analyzed)
tidied: $(tidied)

# It loses what a pointer in an array leads to, and then calls it a leak: leaks are what valgrind and
# LeakSanitizer look for.
$(analyzed): $(out)/%.analyzed: %.c $(out)/flags tests/raising.h
	@mkdir -p $(@D)
	$(quiet)$(compile) $(look_closely) -fanalyzer -Wno-analyzer-malloc-leak -MMD -MP -MF $@.d -MT $@ -c -o /dev/null $<
	@touch $@

$(tidied): $(out)/%.tidied: %.c $(wildcard src/*/*.h) .clang-tidy tests/raising.h
	@mkdir -p $(@D)
	$(quiet)clang-tidy --quiet $< -- $(tidy_flags) $(look_closely) 2>$@.log || { cat $@.log; exit 1; }
	@touch $@

# After `make clean all` these are gone although they were remembered above.
$(out)/flags:
	$(call remember,$@,$(compiler) $(compile) $(link) $(link_with))
$(out)/parts:
	$(call remember,$@,$(objects) $(archive))
$(out)/scripts-folder:
	$(call remember,$@,$(scripts_folder))
$(out)/compiler:
	$(call remember,$@,$(compiler) $(hardening_wanted) $(lua_wanted) $(archive))
.build/latest:
	$(call remember,$@,$(out))

-include $(objects:.o=.d) $(test_objects:.o=.d) $(bench_objects:.o=.d) $(fuzz_objects:.o=.d) $(analyzed:=.d)

# --- Using it -------------------------------------------------------------------------------------

.PHONY: deps run install uninstall clean distclean help
deps: ## get the libraries that are missing: installed as root, else unpacked into vendor/prefix
	@$(deps) install build extra

run: deps ## get what is missing, build, and scan HOST (localhost)
	$(again) all
	./scan $(HOST)

destination = $(DESTDIR)$(PREFIX)

install: program ## install program, scripts and manual page below PREFIX (/usr/local)
	install -D -m 755 $(out)/scan $(destination)/bin/scan
	@for file in $$(cd scripts && find . -name '*.lua'); do \
		install -D -m 644 scripts/$$file $(DESTDIR)$(scripts_folder)/$$file || exit; \
	done
	$(if $(wildcard src/scan.1),install -D -m 644 src/scan.1 $(destination)/share/man/man1/scan.1)

uninstall: ## remove what `make install` with the same PREFIX put there
	rm -f $(destination)/bin/scan $(destination)/share/man/man1/scan.1
	rm -rf $(destination)/share/scan

clean: ## remove what was built
	rm -rf .build scan

distclean: clean ## and the libraries that were unpacked
	rm -rf vendor/prefix

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# --- Testing it -----------------------------------------------------------------------------------

# `suite` tests this very variant where it was built; `test` what is at the top.
.PHONY: test test-servers test-cluster suite coverage-suite
test: ## get what is missing, build, and run the tests: all, or TESTS="tests/floors.t ..."
	@$(deps) install build extra test
	$(again) all units
	@SCAN=./scan BUILD=$(out) tests/run $(TESTS)

test-servers: ## the same against real servers on loopback (root: it installs and starts them)
	@$(deps) install build extra test
	@tests/servers/install
	$(again) all
	@SCAN=./scan BUILD=$(out) tests/run tests/servers/run

test-cluster: ## one list in shards by GNU parallel, Slurm and a Kubernetes Job's command (root)
	@$(deps) install build extra test
	@tests/cluster/install
	$(again) all
	@SCAN=./scan BUILD=$(out) tests/run tests/cluster/run

# Which lines of src/ ran in TESTS, or in all tests but those that measure time.
covering = cli conversations workbench
coverage-suite: program units
	@find $(out) -name '*.gcda' -delete
	@SCAN=$(out)/scan BUILD=$(out) tests/run $(or $(TESTS),$(units) $(wildcard $(covering:%=tests/%/*.t)))
	@BUILD=$(out) tests/coverage/run

suite: program units
	@SCAN=$(out)/scan BUILD=$(out) tests/run $(TESTS)

.PHONY: bench
bench: scan bench-programs ## measure scan beside the least that does the same: all, or BENCH="--quick floor ..."
	@SCAN=./scan PROGRAMS=$(out)/tests/bench tests/bench/run $(BENCH)

# `make check` runs all of these, one after another, each with all processors, and names those that fail;
# `make check-NAME` runs one.
checks := floors format gcc clang cppcheck tidy analyzer luacheck sanitizers threads patterns coverage valgrind torture fuzz

.PHONY: check format $(checks:%=check-%)
check: ## order of the house, both compilers, static analysis, sanitizers, valgrind, coverage, fuzzers
	@$(deps) install build extra test check
	@+failed=; for check in $(checks); do \
		begin=$$(date +%s); verdict=ok; \
		$(MAKE) --no-print-directory $(if $(V),,-s) check-$$check || { verdict=FAILED; failed="$$failed $$check"; }; \
		echo "check-$$check: $$verdict, $$(($$(date +%s) - begin)) s"; \
	done; \
	[ -z "$$failed" ] && echo 'check: all is well: $(checks)' || { echo "check: failed:$$failed"; exit 1; }

c_files = $(wildcard src/*.[ch] src/*/*.[ch] tests/*/*.[ch])
lua_files = $(wildcard scripts/*.lua scripts/lib/*.lua)

check-floors:
	@tests/run tests/floors.t

check-gcc:
	$(again) CC=gcc WERROR=1 program units bench-programs

check-clang:
	$(again) CC=clang WERROR=1 program units bench-programs

# It is told that jansson's loops are loops; two of its checks take a pointer handed on for one that is used.
check-cppcheck:
	@cppcheck --quiet -j $(processors) --std=c11 --language=c -Isrc --enable=warning,performance,portability \
		--inline-suppr \
		-D'json_array_foreach(a,i,v)=while (v = json_array_get(a, i))' \
		-D'json_object_foreach(o,k,v)=while (v = json_object_get(o, k))' \
		--suppress=missingIncludeSystem --suppress=ctuuninitvar --suppress=identicalInnerCondition \
		--error-exitcode=1 $(sources)

check-tidy:
	$(again) CC=clang tidied

check-analyzer:
	$(again) CC=gcc WERROR=1 analyzed

check-sanitizers: export ASAN_OPTIONS = detect_stack_use_after_return=1:strict_string_checks=1
check-sanitizers: export UBSAN_OPTIONS = print_stacktrace=1
check-sanitizers:
	$(again) CC=gcc WERROR=1 SANITIZE=address,undefined suite

# Our matcher of patterns beside that of Lua: other calls than those of `make test`, and more of them.
check-patterns:
	$(again) CC=gcc WERROR=1 units
	@PATTERN_SEED=2 PATTERN_CALLS=$(or $(PATTERN_CALLS),5000000) tests/run .build/gcc-werror/tests/unit/test_pattern

check-coverage:
	$(again) CC=gcc COVERAGE=1 coverage-suite

# What has threads: workers, the writer, lists that are read ahead, the look-up of names, the loading of scripts.
threaded := $(addprefix .build/clang-thread-werror/tests/unit/test_,conn listener load loop resolve targets writer) \
	$(addprefix tests/cli/,json.t resume.t targets.t text.t where.t) tests/conversations/smtp.t
check-threads:
	$(again) CC=clang WERROR=1 SANITIZE=thread suite TESTS='$(threaded)'

check-valgrind:
	$(again) CC=gcc WERROR=1 program
	@SCAN=.build/gcc-werror/scan tests/valgrind/run

# Each system call fails in turn, and about one in so many of the allocations.
check-torture:
	$(again) CC=gcc WERROR=1 program
	@SCAN=.build/gcc-werror/scan tests/hostile/torture calls
	@SCAN=.build/gcc-werror/scan tests/hostile/torture allocations $(or $(TORTURE),20)

check-fuzz:
	$(again) CC=clang WERROR=1 SANITIZE=fuzzer,address,undefined fuzz-suite

check-format:
	@clang-format --dry-run -Werror $(c_files)

check-luacheck:
	@luacheck --quiet --no-color $(lua_files)

format: ## put the C files into the project's style
	@clang-format -i $(c_files)
