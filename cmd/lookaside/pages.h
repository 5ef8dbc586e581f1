/*
 * The admin port's pages, one function each; ctx is the app.
 *
 * Threads: the control loop.
 */
#ifndef LOOKASIDE_PAGES_H
#define LOOKASIDE_PAGES_H

#include "app.h"

void show_services(void *ctx, struct admin_request *request);
void show_resources(void *ctx, struct admin_request *request);
void show_diff(void *ctx, struct admin_request *request);
void show_streams(void *ctx, struct admin_request *request);
void show_load(void *ctx, struct admin_request *request);
void show_explain(void *ctx, struct admin_request *request);
void release_hold(void *ctx, struct admin_request *request);

/* Answers with that line. */
void page_refuse(struct admin_request *request, unsigned status, const char *reason);

#endif
