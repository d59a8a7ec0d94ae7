# Everything is found by its place, so a new lesson, library file or
# test costs no line here.
#
#   lessons/07-pool-apply/pool_apply.c   the program ./lesson-07
#   common/*.c                           the library
#   tests/*.bats                         tests, as a user would do them
#   tests/*.c                            tests of the library
#   tests/bench/*.c                      what tests/bench/run measures
#
# All output goes to build/VARIANT, apart from the lessons of the normal
# variant, which are used in this directory.  Any other name makes a
# tree of its own: make VARIANT=small CFLAGS=-Os

# One goal is made on all CPUs; two of them, as clean and all, in order.
ifeq ($(MAKELEVEL)$(word 2,$(MAKECMDGOALS)),0)
MAKEFLAGS += -j$(shell nproc)
endif

VARIANT := normal
CFLAGS  ?= -O2 -g

# What some variants are built with, beside the flags of all.
VARIANTS    := asan ubsan tsan clang musl
sanitize    := -fno-omit-frame-pointer -fno-sanitize-recover=all -fsanitize
flags-asan  := $(sanitize)=address,undefined
flags-ubsan := $(sanitize)=undefined
flags-tsan  := $(sanitize)=thread
cc-clang    := clang
cc-musl     := musl-gcc

ifdef cc-$(VARIANT)
CC := $(cc-$(VARIANT))
endif

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion \
            -Wmissing-prototypes $(if $(WERROR),-Werror) \
            $(if $(findstring clang,$(CC)),-Wthread-safety)
FLAGS := -std=c11 -D_GNU_SOURCE -iquote common -pthread $(WARNINGS) \
         $(flags-$(VARIANT)) $(CPPFLAGS) $(CFLAGS)
LIBS  := -pthread -lm -lrt

OUT := build/$(VARIANT)
BIN := $(if $(filter normal,$(VARIANT)),,$(OUT)/)
Q   := $(if $(V),,@)

LESSON_C := $(sort $(wildcard lessons/[0-9][0-9]-*/*.c))
TEST_C   := $(sort $(wildcard tests/*.c))
BENCH_C  := $(sort $(wildcard tests/bench/*.c))

# A lesson that uses MPI is built with mpicc, and left out without it,
# and with musl, for which Debian has no MPI.
MPICC    := $(if $(findstring musl,$(CC)),mpicc-for-musl,mpicc)
MPI_C    := $(if $(LESSON_C),$(shell grep -l '<mpi\.h>' $(LESSON_C)))
LEFT_OUT := $(if $(MPI_C),$(if $(shell command -v $(MPICC)),,$(MPI_C)))
BUILT_C  := $(filter-out $(LEFT_OUT),$(LESSON_C))

# For a lesson's .c file: 07, the program, the compiler.
number   = $(firstword $(subst -, ,$(notdir $(patsubst %/,%,$(dir $(1))))))
program  = $(BIN)lesson-$(call number,$(1))
compiler = $(if $(filter $(1),$(MPI_C)),OMPI_CC='$(CC)' MPICH_CC='$(CC)' $(MPICC),$(CC))

left-out = $(foreach c,$(LEFT_OUT),lesson-$(call number,$(c)))

LIBRARY  := $(OUT)/libcommon.a
LESSONS  := $(foreach c,$(BUILT_C),$(call program,$(c)))
TESTERS  := $(TEST_C:%.c=$(OUT)/%)
BENCHES  := $(BENCH_C:tests/%.c=$(OUT)/%)

# What `make test` runs: all, or those that TESTS names.
SUITE := $(sort $(wildcard tests/*.bats)) $(TESTERS)
ifdef TESTS
SUITE := $(foreach t,$(TESTS),$(or $(filter %/$(t).bats %/$(t),$(SUITE)), \
             $(error there is no tests/$(t).bats and no tests/$(t).c)))
endif

# Node's packages, as slides/package-lock.json pins them.
SLIDE_TOOLS := build/slides/node_modules/.package-lock.json

# What to install where a program is missing.
package-cc       := gcc
package-musl-gcc := musl-tools
package-mpicc    := libopenmpi-dev openmpi-bin
install = $(1) is missing: apt-get install $(or $(package-$(1)),$(1))
no-mpi  = $(if $(findstring musl,$(CC)),there is no MPI for musl,$(call install,mpicc))

.PHONY: all everything test lint bench slides test-slides transcripts \
        walk test-faults clean help FORCE $(VARIANTS)
.SUFFIXES:
.SECONDARY:
.DELETE_ON_ERROR:

## make lesson-07   build one lesson; then run it: ./lesson-07
## make             build all lessons
all: $(LESSONS)
	$(if $(LEFT_OUT),@echo '  without $(left-out): $(no-mpi)')

everything: all $(TESTERS) $(BENCHES)

## make test        run all tests, or some:
##                    TESTS="lesson-07 frame"  those in these files
##                    FILTER=regex             those with such a name
##                    VARIANT=asan             with this build tree
##                    STRICT=1                 a skipped test is a failure
##                    JOBS=1                   so many at a time
test: $(LESSONS) $(filter $(OUT)/%,$(SUITE))
	@VARIANT='$(VARIANT)' FILTER='$(FILTER)' STRICT='$(STRICT)' \
	    JOBS='$(JOBS)' tests/run $(SUITE)

## make lint        check the sources: format and common mistakes
lint:
	@tests/lint

## make bench       measure the pools and servers
bench: $(LESSONS) $(BENCHES)
	@VARIANT='$(VARIANT)' tests/bench/run

## make test-faults attack every lesson and the library: a table of
##                    what was tried, how often, and what was lost;
##                    SECTIONS="signals crowd" does some of it, and
##                    SHARE=0.1 a part of what is done many times
## make slides      build the decks in build/slides, HTML and PDF, or
##                    DECKS=07-pool-apply      some of them
## make test-slides check them in a browser
## make walk        list the lessons as a course: minutes and commands
## make transcripts run the commands that the lessons' pages show, and
##                    put what they print there
test-faults: $(LESSONS)
	@SHARE='$(SHARE)' tests/faults/run $(SECTIONS)

slides: $(LESSONS) $(SLIDE_TOOLS)
	@node slides/build.mjs $(DECKS)

test-slides: slides
	@STRICT='$(STRICT)' tests/run slides/check.bats slides/check.mjs

walk:
	@slides/walk

transcripts: $(LESSONS)
	@tests/transcripts

## make asan        build all in build/asan, to find misuse of memory;
## make ubsan         undefined behaviour,
## make tsan          data races,
## make clang         by clang,
## make musl          with the C library musl
$(VARIANTS):
	@$(MAKE) --no-print-directory VARIANT=$@ everything

## make clean       remove all that was built
clean:
	rm -rf build lesson-[0-9][0-9]

## make help        print this
##
## CC, CFLAGS, LDFLAGS: as usual.  WERROR=1: a warning is an error.
## V=1: show the commands.
help:
	@sed -n 's/^##$$//p; s/^## //p' Makefile

# ------------------------------------------------------------ rules --

say     = $(if $(V),,@echo '  $(1)')
compile = $(Q)mkdir -p $(@D) && $(1) $(FLAGS) -MMD -MP -c -o $@ $<
link    = $(Q)mkdir -p $(@D) && $(1) $(FLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

# Holds the flags and changes only when they do: then all is rebuilt.
$(OUT)/flags: FORCE
	@command -v $(firstword $(CC)) >/dev/null || \
	    { echo '$(call install,$(firstword $(CC)))' >&2; exit 1; }
	@mkdir -p $(@D)
	@echo '$(CC) $(FLAGS) $(LDFLAGS)' | cmp -s - $@ || \
	    echo '$(CC) $(FLAGS) $(LDFLAGS)' >$@

$(OUT)/%.o: %.c $(OUT)/flags
	$(call say,cc $<)
	$(call compile,$(call compiler,$<))

$(OUT)/%.o: $(OUT)/%.c $(OUT)/flags
	$(call compile,$(CC))

$(LIBRARY): $(patsubst %.c,$(OUT)/%.o,$(sort $(wildcard common/*.c)))
	$(Q)rm -f $@ && ar rcs $@ $^

$(TESTERS): $(OUT)/%: $(OUT)/%.o $(LIBRARY)
	$(call link,$(CC))

$(BENCHES): $(OUT)/%: $(OUT)/tests/%.o $(LIBRARY)
	$(call link,$(CC))

$(SLIDE_TOOLS): slides/package.json slides/package-lock.json
	@for program in npm chromium; do command -v $$program >/dev/null || \
	    { echo "$$program is missing: apt-get install $$program" >&2; \
	      exit 1; }; done
	@mkdir -p build/slides && cp $^ build/slides
	$(call say,npm ci)
	$(Q)npm ci --prefix build/slides --no-audit --no-fund \
	    --loglevel=error && touch $@

# For --source: the lines of the lesson as an array of strings.
quote-source = $(Q)mkdir -p $(@D) && { \
    echo 'extern const char *const lesson_source[];'; \
    echo 'const char *const lesson_source[] = {'; \
    sed 's/["?\\]/\\&/g; s/.*/    "&",/' $<; \
    echo '    0};'; } >$@

# $(1) is the lesson's .c file.
define lesson-rules
$(OUT)/$(dir $(1))source.c: $(1)
	$$(quote-source)

$(program): $(OUT)/$(1:.c=.o) $(OUT)/$(dir $(1))source.o $(LIBRARY)
	$$(call link,$(compiler))

ifneq ($(BIN),)
.PHONY: lesson-$(number)
lesson-$(number): $(program)
endif
endef
$(foreach c,$(BUILT_C),$(eval $(call lesson-rules,$(c))))

$(left-out): FORCE
	@echo '$(no-mpi)' >&2; exit 1

lesson-%: FORCE
	@echo 'there is no lesson $*; there are: $(foreach c,$(LESSON_C),$(call number,$(c)))' >&2
	@exit 1

-include $(wildcard $(addprefix $(OUT)/,*/*.d */*/*.d))
