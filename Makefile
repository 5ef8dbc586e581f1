# Lookaside. `make help` lists the targets; CONTRIBUTING.md explains them.

BUILD ?= build
SAN ?=
CC ?= gcc
OPT ?= -O2 -g
WERROR ?= -Werror
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
lib_grpc := libnghttp2
lib_admin := libmicrohttpd
closure = $(sort $(1) $(foreach l,$(1),$(call closure_of,$(may_$(l)))))
closure_of = $(if $(1),$(sort $(1) $(foreach l,$(1),$(call closure_of,$(may_$(l))))))

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes \
        -Wno-overlength-strings $(WERROR)
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
CFLAGS_ALL = -std=c11 -D_GNU_SOURCE -DLOOKASIDE_VERSION='"$(VERSION)"' $(OPT) $(WARN) $(SANFLAGS) \
        -Ipkg -I$(BUILD)/gen -I. $(shell pkg-config --cflags $(foreach l,$(LAYERS),$(lib_$(l)))) $(CFLAGS)
LDLIBS_ALL = $(shell pkg-config --libs $(foreach l,$(LAYERS),$(lib_$(l)))) -lpthread -lm $(LDLIBS)

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
PROTOS := $(shell find pkg/wire/proto -name '*.proto' 2>/dev/null)
PROTO_C := $(patsubst pkg/wire/proto/%.proto,$(BUILD)/gen/%.pb-c.c,$(PROTOS))
GEN_STAMP := $(BUILD)/gen/.stamp

$(GEN_STAMP): $(PROTOS) $(wildcard pkg/wire/fields.awk)
	$(call say,PROTO,$(words $(PROTOS)) files)
	$(Q)mkdir -p $(BUILD)/gen/wire
	$(Q)$(if $(PROTOS),protoc-c --proto_path=pkg/wire/proto --c_out=$(BUILD)/gen $(PROTOS))
	$(Q)$(if $(PROTOS),awk -f pkg/wire/fields.awk $(PROTOS) > $(BUILD)/gen/wire/fields.h)
	$(Q)touch $@
$(PROTO_C): $(GEN_STAMP) ;

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
# One program of unit tests per layer, linked with what the layer may use.
$(BUILD)/unit-%: $$(call objects,tests/unit/$$*) $$(call archives,$$(call closure,$$*))
	$(call say,LD,$@)
	$(link) -lcriterion
$(BUILD)/race-%: $(BUILD)/tests/race/race_%.o $(call archives,$(LAYERS))
	$(call say,LD,$@)
	$(link)
$(BUILD)/fuzz-%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(call archives,$(LAYERS))
	$(call say,LD,$@)
	$(link)

all: $(BUILD)/lookaside $(BUILD)/lookasidectl $(BUILD)/greeter ## build the controller, the command line and the greeter
unit-%: $(BUILD)/unit-% ## run the unit tests of one layer
	$(Q)$< --quiet
layers: ## every include and library stays inside its layer
	$(Q)$(foreach l,$(LAYERS),may_$(l)='$(may_$(l))') sh tests/support/layers.sh $(LAYERS)
headers: $(GEN_STAMP) ## every header compiles alone
	$(Q)for h in $$(find pkg tests -name '*.h'); do \
	  printf '#include "%s"\n' "$${h#pkg/}" | $(CC) $(CFLAGS_ALL) -fsyntax-only -xc - || { echo "headers: $$h"; exit 1; }; done
	$(call say,HEADERS,compile alone)
clean: ## remove everything built
	rm -rf build build-*
help: ## print this list
	@awk -F':.*## ' '/^[a-z%-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: all layers headers clean help
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
