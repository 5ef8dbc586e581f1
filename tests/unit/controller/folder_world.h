/*
 * A folder of manifests that is looked at by hand, under a clock that is turned by hand.
 */
#ifndef TESTS_UNIT_CONTROLLER_FOLDER_WORLD_H
#define TESTS_UNIT_CONTROLLER_FOLDER_WORLD_H

#include "controller/folder.h"
#include "files.h"
#include "fixture.h"

extern struct folder *folder;
extern uint64_t now_us;
extern uint64_t again_us; /* what the last look asked for */

void folder_start(void);
void folder_stop(void);

/* A look `ms` later than the last; what it gave: "+service one:1, -slice s". Static memory. */
const char *look_after(uint64_t ms);
const char *look(void);
/* Not at the whole folder. */
const char *look_at_noted(void);
const char *look_seen(void); /* the last one's again */

/* As events tell of a writer that closes its file, or renames it over. file_write() and file_replace()
 * alone: no event came. */
void put(const char *name, const char *text);
void replace(const char *name, const char *text);

#endif
