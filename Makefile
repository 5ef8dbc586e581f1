# Lookaside. `make help` lists the targets; CONTRIBUTING.md explains them.

BUILD ?= build
SAN ?=
CC ?= gcc
OPT ?= -O2 -g
WERROR ?= -Werror
# The one that Debian's python3-grpcio is installed for.
PYTHON ?= /usr/bin/python3
VERSION := 0.1.0
V ?=
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(2)')

# ---- the layers: what each may include (checked by `make layers`) and the library only it may use
LAYERS := base loop net kube model wire encode protocol grpc controller serve admin
may_base :=
may_loop := base
may_net := base loop
may_kube := base loop
may_model := base
may_wire := base
may_encode := base model wire
may_protocol := base wire
may_grpc := base loop net
may_controller := base loop kube model encode
may_serve := base loop net model encode protocol wire grpc
may_admin := base loop net
lib_base := libcjson yaml-0.1 libxxhash
lib_loop := libuv
lib_net := openssl
lib_kube := libcurl
lib_wire := libprotobuf-c
lib_grpc := libnghttp2 zlib
lib_admin := libmicrohttpd
closure = $(sort $(1) $(foreach l,$(1),$(call closure_of,$(may_$(l)))))
closure_of = $(if $(1),$(sort $(1) $(foreach l,$(1),$(call closure_of,$(may_$(l))))))

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes \
        -Wno-overlength-strings $(WERROR)
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
PKGS := $(foreach l,$(LAYERS),$(lib_$(l)))
CFLAGS_ALL := -std=c11 -D_GNU_SOURCE -DLOOKASIDE_VERSION='"$(VERSION)"' $(OPT) $(WARN) $(SANFLAGS) \
        -Ipkg -I$(BUILD)/gen $(shell pkg-config --cflags $(PKGS) 2>/dev/null) $(CFLAGS)
LDLIBS_ALL := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread -lm $(LDLIBS)

CCACHE := $(shell command -v ccache 2>/dev/null)
sources = $(wildcard $(1)/*.c)
objects = $(patsubst %.c,$(BUILD)/%.o,$(call sources,$(1)))
archives = $(foreach l,$(LAYERS),$(if $(filter $(l),$(1)),$(BUILD)/pkg/$(l).a))
group = -Wl,--start-group $(1) -Wl,--end-group

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.SECONDEXPANSION:

# ---- flags that differ force a rebuild
FLAGS_STAMP := $(BUILD)/.flags
$(shell mkdir -p $(BUILD); printf '%s' '$(subst ','\'',$(CC) $(CFLAGS_ALL) $(LDFLAGS))' | cmp -s - $(FLAGS_STAMP) || \
        printf '%s' '$(subst ','\'',$(CC) $(CFLAGS_ALL) $(LDFLAGS))' > $(FLAGS_STAMP))

# ---- generated code: protobuf-c structs and field numbers from our .proto files
PROTOS := $(sort $(shell find pkg/wire/proto -name '*.proto' 2>/dev/null))
PROTO_C := $(patsubst pkg/wire/proto/%.proto,$(BUILD)/gen/%.pb-c.c,$(PROTOS))
GEN_STAMP := $(BUILD)/gen/.stamp
# v1alpha is v1 by another name: its numbers are the same.
NUMBERED := $(filter-out %/v1alpha/reflection.proto,$(PROTOS))
# What server reflection tells: not what is for us alone, nor what only the greeter serves.
DESCRIBED := $(filter-out %/descriptor.proto %/helloworld.proto,$(PROTOS))

# Of the programs for tests: numbers only.
TEST_PROTOS := $(wildcard tests/support/*.proto)

$(GEN_STAMP): $(PROTOS) $(TEST_PROTOS) $(wildcard pkg/wire/fields.awk)
	$(call say,PROTO,$(words $(PROTOS)) files)
	$(Q)mkdir -p $(BUILD)/gen/wire
	$(Q)$(if $(PROTOS),protoc-c --proto_path=pkg/wire/proto --c_out=$(BUILD)/gen $(PROTOS))
	$(Q)$(if $(PROTOS),awk -f pkg/wire/fields.awk $(NUMBERED) > $(BUILD)/gen/wire/fields.h)
	$(Q)$(if $(PROTOS),protoc --proto_path=pkg/wire/proto --include_source_info --descriptor_set_out=$(BUILD)/gen/wire/described.bin $(DESCRIBED))
	$(Q)od -An -v -tu1 $(BUILD)/gen/wire/described.bin | sed 's/[0-9][0-9]*/&,/g' > $(BUILD)/gen/wire/described.inc
	$(Q)mkdir -p $(BUILD)/gen/support
	$(Q)for p in $(notdir $(basename $(TEST_PROTOS))); do \
	  protoc --proto_path=tests/support --descriptor_set_out=$(BUILD)/gen/support/$$p.bin $$p.proto && \
	  awk -v guard=SUPPORT_$$p -f pkg/wire/fields.awk tests/support/$$p.proto > $(BUILD)/gen/support/$$p.h || exit 1; done
	$(Q)touch $@
$(PROTO_C) $(PROTO_C:.c=.h) $(BUILD)/gen/wire/fields.h $(BUILD)/gen/wire/described.inc: $(GEN_STAMP) ;

# ---- compiling
$(BUILD)/%.o: %.c $(FLAGS_STAMP) | $(GEN_STAMP)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CCACHE) $(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<
$(BUILD)/gen/%.o: $(BUILD)/gen/%.c $(FLAGS_STAMP)
	$(call say,CC,$<)
	$(Q)$(CCACHE) $(CC) $(CFLAGS_ALL) -Wno-pedantic -c -o $@ $<

$(BUILD)/pkg/wire.a: $(patsubst %.c,%.o,$(PROTO_C))
$(BUILD)/pkg/%.a: $$(call objects,pkg/$$*)
	$(call say,AR,$@)
	$(Q)mkdir -p $(@D); rm -f $@; ar rcs $@ $^

link = $(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $(filter %.o,$^) $(call group,$(filter %.a,$^)) $(LDLIBS_ALL)

$(BUILD)/lookaside: $(call objects,cmd/lookaside) $(call archives,$(LAYERS))
	$(call say,LD,$@)
	$(link)
$(BUILD)/lookasidectl: $(call objects,cmd/lookasidectl) $(call archives,$(filter-out serve admin,$(LAYERS)))
	$(call say,LD,$@)
	$(link)
$(BUILD)/greeter: $(call objects,cmd/greeter) $(call archives,base loop net wire grpc)
	$(call say,LD,$@)
	$(link)
# For tests, of the product's own layers; not installed.
$(BUILD)/xds-fixture: $(call objects,tests/support/fixture) $(call objects,tests/support/program) $(call archives,base loop net wire protocol grpc)
	$(call say,LD,$@)
	$(link)
$(BUILD)/grpc-testserver: $(call objects,tests/support/testserver) $(call objects,tests/support/program) $(call archives,base loop net wire grpc)
	$(call say,LD,$@)
	$(link)
# One program of unit tests per layer, linked with what the layer may use.
$(BUILD)/unit-%: $$(call objects,tests/unit/$$*) $$(call archives,$$(call closure,$$*))
	$(call say,LD,$@)
	$(link) -lcriterion
# Two more need certificates.
$(BUILD)/unit-grpc $(BUILD)/race-serve: $(BUILD)/tests/unit/net/certificates.o
# The controller writes to the same server that the tests of kube have.
$(BUILD)/unit-controller: $(BUILD)/tests/unit/kube/fake_server.o
$(BUILD)/race-%: $(BUILD)/tests/race/race_%.o $(call archives,$(LAYERS))
	$(call say,LD,$@)
	$(link)
$(BUILD)/explore-%: $(BUILD)/tests/fuzz/fuzz_%.o $(call archives,$(LAYERS))
	$(Q)$(CC) $(CFLAGS_ALL) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(call group,$(filter %.a,$^)) $(LDLIBS_ALL)
$(BUILD)/bench/ends: $(call objects,tests/bench) $(call archives,base wire)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(link)
$(BUILD)/bench/counts.so: tests/bench/preload/counts.c $(FLAGS_STAMP)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D); $(CC) $(CFLAGS_ALL) -Wno-missing-prototypes -shared -fPIC -o $@ $< -ldl
# The loops, the network and time are the simulator's own: of those layers nothing is linked, or what is pure.
$(BUILD)/simulate: $(call objects,tests/simulate) $(call archives,$(filter-out loop grpc admin,$(LAYERS)))
	$(call say,LD,$@)
	$(link) -Wl,--wrap=clock_monotonic_us,--wrap=clock_wall_us,--wrap=service_new
$(BUILD)/fuzz-%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(call archives,$(LAYERS))
	$(call say,LD,$@)
	$(link)

# ---- goals
all: $(BUILD)/lookaside $(BUILD)/lookasidectl $(BUILD)/greeter ## build the controller, the command line and the greeter
	@:
fixtures: $(BUILD)/xds-fixture $(BUILD)/grpc-testserver ## build the programs that outsiders' suites can hold the layers against
	@:
run: ## see it work: a controller, backends, a stock client; SECONDS=20 ends by itself before that
	$(Q)sh tests/support/deps.sh run
	$(build_all)
	$(Q)$(PYTHON) tests/demo/run.py $(if $(filter command% environment%,$(origin SECONDS)),--seconds $(SECONDS))
test: ## every suite; SUITES="unit e2e" runs only those
	$(Q)sh tests/support/deps.sh test
	$(build_all)
	$(build_fixtures)
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) $(ASAN) all fixtures
	$(Q)$(PYTHON) tests/run.py $(SUITES)

JOBS ?= $(shell nproc)
# In a recipe and not as a prerequisite: the packages come first.
build_all = $(Q)$(MAKE) --no-print-directory -j$(JOBS) all
build_fixtures = $(Q)$(MAKE) --no-print-directory -j$(JOBS) fixtures
deps:
	$(Q)sh tests/support/deps.sh check

ASAN := BUILD=build-asan SAN=address,undefined OPT='-O1 -g'
TSAN := BUILD=build-tsan SAN=thread OPT='-O1 -g'
UNITS := $(notdir $(wildcard tests/unit/*))
RACES := $(patsubst tests/race/race_%.c,%,$(wildcard tests/race/race_*.c))
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
# A leak found at exit changes nothing about a Criterion run: report files tell of it, and reports.sh which of them are Criterion's own.
SAN_ENV := ASAN_OPTIONS=log_path=build-asan/report:detect_leaks=1:exitcode=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1
san_check = sh tests/support/reports.sh build-asan

unit: deps ## unit tests of all layers under ASan and UBSan; unit-base: one layer, plain
	$(Q)$(MAKE) -s -j$(JOBS) $(ASAN) $(UNITS:%=build-asan/unit-%)
	$(Q)rm -f build-asan/report.*; for u in $(UNITS); do echo "unit $$u"; $(SAN_ENV) build-asan/unit-$$u -j$(JOBS) 2>&1 || failed=1; done; \
	  $(san_check) && [ -z "$$failed" ]
unit-%: $(BUILD)/unit-%
	$(Q)$< -j$(JOBS)
race: deps ## programs with threads under TSan
	$(Q)$(MAKE) -s -j$(JOBS) $(TSAN) $(RACES:%=build-tsan/race-%)
	$(Q)failed=0; for r in $(RACES); do build-tsan/race-$$r && echo "ok race-$$r" || { echo "FAILED race-$$r"; failed=$$((failed+1)); }; done; \
	  echo "race: $$(($(words $(RACES))-failed)) passed, $$failed failed"; [ $$failed = 0 ]
fuzz: deps ## replay every fuzz target's corpus under ASan and UBSan; fuzz-json SECONDS=60: look for new inputs
	$(Q)$(MAKE) -s -j$(JOBS) $(ASAN) $(FUZZERS:%=build-asan/fuzz-%)
	$(Q)failed=0; for f in $(FUZZERS); do build-asan/fuzz-$$f tests/data/fuzz/$$f && echo "ok fuzz-$$f" || { echo "FAILED fuzz-$$f"; failed=$$((failed+1)); }; done; \
	  echo "fuzz: $$(($(words $(FUZZERS))-failed)) passed, $$failed failed"; [ $$failed = 0 ]
# Static: a bare fuzz-% would also match $(BUILD)/fuzz-x, and win.
$(FUZZERS:%=fuzz-%): fuzz-%:
	$(Q)$(MAKE) -s -j$(JOBS) BUILD=build-fuzz CC=clang SAN=fuzzer-no-link,address,undefined build-fuzz/explore-$*
	$(Q)mkdir -p build-fuzz/corpus-$*; build-fuzz/explore-$* -max_total_time=$(or $(SECONDS),60) build-fuzz/corpus-$* tests/data/fuzz/$*
simulate: deps ## 1,000 seeds of the deterministic simulator; SEED=7: one; SECONDS=60: fresh ones for so long
	$(if $(SEED)$(filter command% environment%,$(origin SECONDS)),$(simulate_some),$(simulate_all))
simulate_all = $(Q)$(MAKE) -s -j$(JOBS) $(ASAN) build-asan/simulate && $(PYTHON) tests/simulate/run.py build-asan/simulate
simulate_some = $(Q)$(MAKE) -s -j$(JOBS) $(BUILD)/simulate && $(BUILD)/simulate $(if $(SECONDS),--seconds $(SECONDS)) \
	  $(if $(SEED),--first $(SEED) $(if $(SECONDS),,--last $(SEED)))
simulate-mutants: deps ## bugs put in on purpose: the seed that finds each; MUTANT=settle: only those with that in their names
	$(Q)$(PYTHON) tests/simulate/mutants.py $(MUTANT)
integration: deps ## the controller against a fake API server that misbehaves; integration-long: more bytes are damaged, under ASan too
	$(build_all)
	$(build_fixtures)
	$(Q)$(PYTHON) tests/integration/run.py
integration-long: deps
	$(build_all)
	$(build_fixtures)
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) $(ASAN) all fixtures
	$(Q)LOOKASIDE_LONG=1 $(PYTHON) tests/integration/run.py wire. errors. input. directory.
	$(Q)LOOKASIDE_LONG=1 LOOKASIDE_BUILD=build-asan $(PYTHON) tests/integration/run.py
abuse: deps ## all abuses of the gRPC port at once, under ASan, and 100 honest clients; SECONDS=600: for so long
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) $(ASAN) build-asan/lookaside
	$(Q)LOOKASIDE_BUILD=build-asan $(PYTHON) tests/integration/abuse_run.py $(if $(filter command% environment%,$(origin SECONDS)),--seconds $(SECONDS))
conformance: ## stock gRPC clients of five languages; STORY=1: the million calls
	$(Q)sh tests/support/deps.sh test
	$(build_all)
	$(build_fixtures)
	$(Q)$(PYTHON) tests/conformance/run.py $(if $(STORY),--story)
chart: deps ## what Helm makes of the chart, without a cluster
	$(build_all)
	$(Q)$(PYTHON) tests/chart/run.py
image: deps ## the steps of the Dockerfile in scratch roots, and what comes out (as root)
	$(Q)$(PYTHON) tests/image/run.py
e2e: deps ## a real API server in a network namespace; e2e-long: outages of five minutes
	$(build_all)
	$(Q)$(PYTHON) tests/e2e/run.py
e2e-long: deps
	$(build_all)
	$(Q)$(PYTHON) tests/e2e/run.py --long
bench: deps ## beside the fastest peer and the kernel's limit, in one run; QUICK=1: two minutes; ONLY=memory: scenarios with that in their names
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all $(BUILD)/bench/ends
	$(Q)$(PYTHON) tests/bench/run.py $(if $(QUICK),--quick) $(ONLY:%=--only %) $(if $(TOLERATE),--tolerate) $(if $(WRITE),--write-readme)
bench-count: deps ## what repeats on a busy machine: instructions, allocations, calls of the kernel, heap; against tests/bench/thresholds.json
	$(Q)sh tests/support/deps.sh count
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all $(BUILD)/bench/ends $(BUILD)/bench/counts.so
	$(Q)$(PYTHON) tests/bench/refusals.py
	$(Q)$(PYTHON) tests/bench/count.py
layers: ## every include and library stays inside its layer
	$(Q)$(foreach l,$(LAYERS),may_$(l)='$(may_$(l))') sh tests/support/layers.sh $(LAYERS)
headers: $(GEN_STAMP) ## every header compiles alone
	$(Q)for h in $$(find pkg -name '*.h'); do \
	  printf '#include "%s"\n' "$${h#pkg/}" | $(CC) $(CFLAGS_ALL) -fsyntax-only -xc - || { echo "headers: $$h"; exit 1; }; done
format: ## clang-format the C sources; headers are set by hand, for their comments
	$(Q)clang-format -i $$(find cmd pkg tests -name '*.c')
install: all ## PREFIX=/usr/local, DESTDIR
	install -D -t $(DESTDIR)$(or $(PREFIX),/usr/local)/bin $(BUILD)/lookaside $(BUILD)/lookasidectl
clean: ## remove everything built
	rm -rf build build-*
help: ## print this list
	@awk -F':.*## ' '/^[a-z%0-9-]+:.*## /{printf "  %-13s %s\n", $$1, $$2}' Makefile

.PHONY: all fixtures run test deps unit race fuzz integration integration-long abuse conformance chart image e2e e2e-long bench bench-count layers headers format install clean help
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
