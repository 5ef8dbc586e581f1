/*
 * What explain.c gathers and its helpers judge: a Service twice, as it is published and as its objects would have it without any hold or
 * delay, each through the eyes of one client.
 */
#ifndef CONTROLLER_EXPLAIN_INTERNAL_H
#define CONTROLLER_EXPLAIN_INTERNAL_H

#include "controller/explain.h"
#include "controller/publish.h"
#include "model/name.h"
#include "model/route.h"
#include "model/view.h"

/* A backend of a list. */
struct explain_entry {
    const struct backend *backend;
    bool joined; /* as the other address of a pod */
    bool shown;  /* with a slice that has it */
    unsigned priority;
};

struct explain_side {
    const struct service *service;   /* NULL: none */
    const struct service_port *port; /* NULL: the name means none */
    const char *problem;             /* why */
    struct view view;
    size_t listed;                 /* entries that are not joined */
    struct explain_entry *entries; /* of the list that the client gets, by backend_cmp_address */
    size_t entries_len;
};

struct explanation {
    const struct store *store;
    const struct publisher *publisher;
    const struct group *group; /* NULL: never heard of the Service */
    struct name name;
    struct place place;
    bool asked; /* about this client: */
    struct caller caller;
    struct arena arena;
    struct explain_side now, truth;
    struct explain_side whole; /* of the truth, if it were not cut; nothing where it is not */
    bool held; /* the port's list, or all of the Service, is kept by a hold */
};

/* NULL: not in the list. */
struct explain_entry *explain_find(const struct explain_side *side, const struct backend *backend);
bool explain_is_in(enum explain_reason reason);
/* Of what is listed, but would not be. */
enum explain_reason explain_staying(const struct explanation *explanation);
/* Of one endpoint at one port of its slice. */
enum explain_reason explain_judge(const struct explanation *explanation, const struct object *object, const struct backend *backend);
/* Of an endpoint of a slice that has no port which counts. */
enum explain_reason explain_judge_portless(const struct explanation *explanation, const struct slice *slice);
/* The backends of the policy, each with its weight in force; nothing where the Service stands for itself. */
void explain_write_route(const struct explanation *explanation, struct json_writer *writer);
void explain_write_views(const struct explanation *explanation, struct json_writer *writer);
/* As the client that is asked about gets it. */
void explain_find_route(const struct explanation *explanation, struct route *ret_route);
/* Who sees the Service; and as parts of the summary: before it, to whom it does not apply, and behind it, to whom it does. */
void explain_write_access(const struct explanation *explanation, struct json_writer *writer);
void explain_add_unseen(const struct explanation *explanation, struct buf *text);
void explain_add_access(const struct explanation *explanation, struct buf *text);
/* How the name was read, by which rule its port was found, and the answer in one sentence. */
void explain_write_form(const struct explanation *explanation, struct json_writer *writer);
const char *explain_rule(const struct explanation *explanation);
void explain_write_summary(const struct explanation *explanation, struct json_writer *writer);

/* All of it: controller.h. */
struct explain_sources {
    const struct store *store;
    const struct publisher *publisher;
    uint64_t now_us;
};
enum code explain_write(const struct explain_sources *sources, const struct explain_query *query, struct json_writer *writer,
                        struct err *err) must_check;

#endif
